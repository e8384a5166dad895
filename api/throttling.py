"""Rate limits, shared by every process: windows in Redis that one script counts. Without Redis everything passes."""

import logging
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from time import monotonic
from typing import Any

import redis
from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from api.models import ApiKey
from markets.connections import cache_redis

logger = logging.getLogger(__name__)

KEY_LIMIT = 6000  # requests a minute for a key
BURST_LIMIT = 10  # requests a second for an address, at the default limit of 100 a minute
REDIS_PAUSE_SECONDS = 5.0  # how long a Redis that failed is not asked again

# A window begins with its first request. KEYS: one counter a window. ARGV: limit and milliseconds of each, in pairs.
# A refused request is not counted. Gives allowed (1 or 0), what is left in the first window, and milliseconds to wait.
COUNT = """
local wait = 0
for i, key in ipairs(KEYS) do
  local used = tonumber(redis.call('GET', key) or '0')
  if used >= tonumber(ARGV[2 * i - 1]) then
    wait = math.max(wait, redis.call('PTTL', key), 1)
  end
end
if wait == 0 then
  for i, key in ipairs(KEYS) do
    if redis.call('INCR', key) == 1 then
      redis.call('PEXPIRE', key, ARGV[2 * i])
    end
  end
end
local used = tonumber(redis.call('GET', KEYS[1]) or '0')
return {wait == 0 and 1 or 0, math.max(0, tonumber(ARGV[1]) - used), wait}
"""


COUNTED = "api.rate"  # in a request's scope: its Rate, when it has been counted before Django was asked


@dataclass(frozen=True, slots=True)
class Rate:
    """Where a caller stands: requests allowed a minute, how many are left, and seconds to wait when refused."""

    limit: int
    remaining: int
    wait: float | None = None


def told(limit: int, answer: list[int]) -> Rate:
    """What COUNT's answer says."""
    allowed, remaining, wait = answer
    return Rate(limit, remaining, None if allowed else wait / 1000)


class RateLimit(BaseThrottle):
    """100 requests a minute and 10 a second for an address (API_RATE_LIMIT scales both), 6000 a minute for a key."""

    _redis_away_until = 0.0

    def __init__(self) -> None:
        self.rate: Rate | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        windows = _windows(request, self.get_ident(request))
        if not windows:
            return True
        counted = getattr(request._request, "scope", {}).get(COUNTED)
        self.rate = counted or self._count(windows)
        request._request.rate = self.rate
        return self.rate.wait is None

    def wait(self) -> float | None:
        return self.rate.wait if self.rate else None

    def _count(self, windows: dict[str, tuple[int, int]]) -> Rate:
        limit = next(iter(windows.values()))[0]
        if monotonic() < RateLimit._redis_away_until:
            return Rate(limit, limit)
        try:
            arguments = [number for pair in windows.values() for number in pair]
            allowed, remaining, wait = cache_redis().eval(COUNT, len(windows), *windows, *arguments)
        except redis.RedisError as error:
            RateLimit._redis_away_until = monotonic() + REDIS_PAUSE_SECONDS
            logger.warning("Rate limits let everything pass: %s", error)
            return Rate(limit, limit)
        return told(limit, [allowed, remaining, wait])


class HealthRate(RateLimit):
    """Tells the limit and takes nothing from it: whoever watches the platform is never turned away."""

    def allow_request(self, request: Request, view: Any) -> bool:
        windows = _windows(request, self.get_ident(request))
        if windows:
            limit = next(iter(windows.values()))[0]
            request._request.rate = Rate(limit, limit)
        return True


def _windows(request: Request, address: str | None) -> dict[str, tuple[int, int]]:
    """Redis key: (requests, milliseconds) of each window that counts this caller; none where limits are off."""
    per_minute: int = settings.API_RATE_LIMIT
    if not per_minute:
        return {}
    if isinstance(request.auth, ApiKey):
        return {f"rate:minute:key:{request.auth.pk}": (KEY_LIMIT, 60_000)}
    return address_windows(address or "", per_minute)


def address_windows(address: str, per_minute: int) -> dict[str, tuple[int, int]]:
    """The windows that count a caller without a key."""
    caller = _network(address)
    burst = max(BURST_LIMIT, per_minute // 10)
    return {f"rate:minute:{caller}": (per_minute, 60_000), f"rate:second:{caller}": (burst, 1_000)}


def _network(address: str) -> str:
    """An IPv6 customer holds a whole /64 and counts as one; anything that is no address counts by its beginning."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:45] or "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped) if parsed.ipv4_mapped else f"{parsed.exploded[:19]}::/64"
    return str(parsed)
