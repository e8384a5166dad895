"""Between the platform and a venue's REST: one budget of request weight a market, shared by every process.

Redis counts what is used in each minute of the exchange's clock, raised to what the exchange itself says; it also holds
until when nothing may be asked at all. Without Redis a process goes on with its own share, counted here."""

import logging
import math
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from time import monotonic, time

from redis import RedisError

from collector import processes
from markets.connections import broker_redis

logger = logging.getLogger(__name__)

MINUTE = 60_000
EDGE = 1_000  # ms: near a minute's beginning the exchange's count may still be that of the minute before
WITHOUT_REDIS = 2.0  # seconds before Redis is tried again
PLANNED_SHARE = 0.70  # of the limit: what the minute's order books may be planned to use


class Priority(Enum):
    """Who asks. The value is the share of the limit up to which it may fill the minute, the minute's own order books
    counted first: what they are planned to use is nobody else's."""

    MINUTE = 0.80
    RESYNC = 0.7999  # as much, but members of an enumeration need values of their own
    REPAIR = 0.78
    DEEPENING = 0.7799
    OPEN_INTEREST = 0.76
    BACKFILL = 0.74


# KEYS: counters of this minute, end of the halt, planned weight, processes that use budgets.
# ARGV: weight, most that may be used, now, mine (the minute's books or not), used unseen, me, planned unless told.
# Gives whether it is granted, what is used, the halt's end (0: none), and how many processes there are.
RESERVE = """
local now = tonumber(ARGV[3])
redis.call('ZADD', KEYS[4], now, ARGV[6])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - 120000)
redis.call('PEXPIRE', KEYS[4], 300000)
local known = redis.call('ZCARD', KEYS[4])
if tonumber(ARGV[5]) > 0 then
    redis.call('HINCRBY', KEYS[1], 'used', ARGV[5])
    redis.call('PEXPIRE', KEYS[1], 180000)
end
local used = tonumber(redis.call('HGET', KEYS[1], 'used') or '0')
local halt = tonumber(redis.call('GET', KEYS[2]) or '0')
if halt > now then return {0, used, halt, known} end
local kept = 0
if ARGV[4] == '0' then
    local mine = tonumber(redis.call('HGET', KEYS[1], 'minute') or '0')
    kept = math.max(0, tonumber(redis.call('GET', KEYS[3]) or ARGV[7]) - mine)
end
if used + kept + tonumber(ARGV[1]) > tonumber(ARGV[2]) then return {0, used, 0, known} end
used = redis.call('HINCRBY', KEYS[1], 'used', ARGV[1])
if ARGV[4] == '1' then redis.call('HINCRBY', KEYS[1], 'minute', ARGV[1]) end
redis.call('PEXPIRE', KEYS[1], 180000)
return {1, used, 0, known}
"""
# KEYS: counters. ARGV: what the exchange says.
CORRECT = """
if tonumber(ARGV[1]) > tonumber(redis.call('HGET', KEYS[1], 'used') or '0') then
    redis.call('HSET', KEYS[1], 'used', ARGV[1])
    redis.call('PEXPIRE', KEYS[1], 180000)
end
"""
# KEYS: end of the halt. ARGV: until, now. Gives 1 when there was no halt before, and the end that now holds.
HALT = """
local before = tonumber(redis.call('GET', KEYS[1]) or '0')
if tonumber(ARGV[1]) > before then redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[1]) end
local first = before <= tonumber(ARGV[2]) and 1 or 0
return {first, math.max(before, tonumber(ARGV[1]))}
"""


@dataclass(frozen=True, slots=True)
class Reservation:
    """The leave to ask once. `window` is the exchange's minute that it counts in."""

    granted: bool
    window: int
    early: bool  # so near to the window's beginning that the exchange may count it in the one before
    halted_until: float | None  # epoch seconds of our clock
    retry_at: float  # epoch seconds of our clock when asking again may help


class WeightBudget:
    """The budget of one market of one exchange, as this process sees it. Safe for threads; never raises for Redis."""

    def __init__(self, exchange: str, market: str, limit: int) -> None:
        self.market = market
        self.limit = limit
        self.offset_ms = 0  # exchange's clock minus ours
        self._prefix = f"weight:{exchange}:{market}"
        self._lock = threading.Lock()
        self._window = 0
        self._seen = 0  # used by everybody in this window when Redis last told
        self._unseen = 0  # used by this process in this window that Redis does not know of
        self._halt_ms = 0.0  # our clock
        self._processes = 2
        self._redis_after = 0.0

    def reserve(self, weight: int, priority: Priority = Priority.MINUTE) -> Reservation:
        """Asks for `weight` in the exchange's current minute; at once, without waiting."""
        now = time() * 1000
        window = math.floor((now + self.offset_ms) / MINUTE)
        with self._lock:
            self._turn(window)
            if self._halt_ms > now:  # never longer than Redis knows of, and known when Redis forgot
                return self._refusal(window, now, self._halt_ms)
            answer = self._reserve_shared(weight, priority, window, now)
            if answer is None:
                granted, halt = self._reserve_alone(weight, priority), 0.0
            else:
                granted, halt = bool(answer[0]), float(answer[2])
        if not granted:
            return self._refusal(window, now, halt)
        return Reservation(True, window, (now + self.offset_ms) % MINUTE < EDGE, None, now / 1000)

    def _refusal(self, window: int, now: float, halt: float) -> Reservation:
        next_window = (window + 1) * MINUTE - self.offset_ms + EDGE / 4
        halted = halt > now
        return Reservation(
            False, window, False, halt / 1000 if halted else None, (halt if halted else next_window) / 1000
        )

    def correct(self, reservation: Reservation, used: int | None) -> None:
        """Raises the count to what the exchange said with the answer to this reservation; never lowers it."""
        window = math.floor((time() * 1000 + self.offset_ms) / MINUTE)
        if used is None or reservation.early or window != reservation.window:
            return
        with self._lock:
            if window == self._window:
                self._seen = max(self._seen, used - self._unseen)
        if used > 0:
            self._run(CORRECT, [f"{self._prefix}:{window}"], [used])

    def halt(self, until: datetime | None) -> tuple[datetime, bool]:
        """Stops all requests of all processes until then (None: the exchange's next minute); gives that time, and
        whether this is the first word of it. A longer halt that is known stays."""
        now = time() * 1000
        next_window = (math.floor((now + self.offset_ms) / MINUTE) + 1) * MINUTE - self.offset_ms + EDGE
        until_ms = until.timestamp() * 1000 if until else next_window
        with self._lock:
            first = self._halt_ms <= now
            self._halt_ms = max(self._halt_ms, until_ms)
        answer = self._run(HALT, [f"{self._prefix}:halt"], [math.ceil(until_ms), math.floor(now)])
        if answer is not None:
            first = bool(answer[0])
            with self._lock:
                self._halt_ms = max(self._halt_ms, answer[1])
        return datetime.fromtimestamp(self._halt_ms / 1000, UTC), first

    def announce(self, weight: int) -> None:
        """Tells the others how much of each minute the order books are planned to use."""
        if not self._away():
            try:
                broker_redis().set(f"{self._prefix}:planned", weight, ex=180)
            except RedisError as error:
                self._lost(error)

    def is_announced(self) -> bool:
        """Whether it is known what order books are planned to use; not known when Redis is away."""
        if self._away():
            return False
        try:
            return broker_redis().exists(f"{self._prefix}:planned") == 1
        except RedisError as error:
            self._lost(error)
            return False

    def _turn(self, window: int) -> None:
        if window != self._window:
            self._window, self._seen, self._unseen = window, 0, 0

    def _reserve_shared(self, weight: int, priority: Priority, window: int, now: float) -> list[int] | None:
        keys = [f"{self._prefix}:{window}", f"{self._prefix}:halt", f"{self._prefix}:planned", "weight:processes"]
        most = math.floor(self.limit * priority.value)
        mine = int(priority is Priority.MINUTE)
        # As long as nobody has told what the minute's books need, as after a start, deepening takes it for the most
        # that it may be; the rest waits for the plan by itself, or is little.
        planned = math.floor(self.limit * PLANNED_SHARE) if priority is Priority.DEEPENING else 0
        used = self._unseen
        answer = self._run(RESERVE, keys, [weight, most, math.floor(now), mine, used, processes.identity(), planned])
        if answer is not None:
            self._unseen, self._seen, self._processes = 0, int(answer[1]), max(1, int(answer[3]))
        return answer

    def _reserve_alone(self, weight: int, priority: Priority) -> bool:
        """Without Redis: an equal share of what was not used when it was last heard, until it comes back."""
        share = (self.limit * priority.value - self._seen) / self._processes
        granted = self._unseen + weight <= share
        self._unseen += weight if granted else 0
        return granted

    def _away(self) -> bool:
        return monotonic() < self._redis_after

    def _run(self, script: str, keys: list[str], arguments: list[int | str]) -> list[int] | None:
        """The script's answer; None when Redis is away."""
        if self._away():
            return None
        try:
            answer: list[int] | None = broker_redis().eval(script, len(keys), *keys, *arguments)
        except RedisError as error:
            self._lost(error)
            return None
        return answer or []

    def _lost(self, error: RedisError) -> None:
        self._redis_after = monotonic() + WITHOUT_REDIS
        logger.warning("%s goes on with its own share of the request budget: Redis is away (%s)", self.market, error)


@cache
def budget(exchange: str, market: str, default: int) -> WeightBudget:
    """This process's view of the budget; `default` is the limit until `configure` tells the exchange's own."""
    return WeightBudget(exchange, market, default)


def usage(exchange: str, market: str, offset_ms: int) -> tuple[int, datetime | None]:
    """What is used in the exchange's current minute, and until when nothing may be asked (None: one may).

    Raises redis.RedisError when Redis is away."""
    now = time() * 1000
    prefix = f"weight:{exchange}:{market}"
    window = math.floor((now + offset_ms) / MINUTE)
    with broker_redis().pipeline(transaction=False) as pipe:
        pipe.hget(f"{prefix}:{window}", "used")
        pipe.get(f"{prefix}:halt")
        used, halt = pipe.execute()
    until = datetime.fromtimestamp(int(halt) / 1000, UTC) if halt and int(halt) > now else None
    return int(used or 0), until
