"""Before every answer: how much weight each client has used this minute on each market, and who is banned. Pure.

A request above the limit is answered 429. A client that goes on after `tolerance` of these within a minute is banned
(418); each further ban lasts twice as long."""

from dataclasses import dataclass, field, replace

from simulator.listings import Market

MINUTE = 60_000
LONGEST_BAN = 3 * 86_400_000


@dataclass(frozen=True, slots=True)
class Rules:
    """One market's limits: weight a minute, whether it is enforced, refusals before a ban, the first ban's length."""

    weight: int
    enforced: bool = True
    tolerance: int = 20
    ban_seconds: float = 120.0


@dataclass(slots=True)
class Usage:
    minute: int = 0
    used: int = 0
    refusals: int = 0
    bans: int = 0
    banned_until: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request meets: 200, 429 or 418, the minute's weight, seconds to wait, the ban's end (ms, 0: none)."""

    status: int
    used: int
    retry_after: int = 0
    banned_until: int = 0


@dataclass(slots=True)
class Limits:
    rules: dict[Market, Rules] = field(default_factory=lambda: {"spot": Rules(6000), "futures": Rules(2400)})
    usage: dict[tuple[Market, str], Usage] = field(default_factory=dict)

    def enforce(self, enforced: bool) -> None:
        self.rules = {market: replace(rules, enforced=enforced) for market, rules in self.rules.items()}

    def charge(self, market: Market, client: str, weight: int, now: int) -> Verdict:
        """Counts a request of `weight` from `client` at `now` (ms) and says what becomes of it."""
        rules, usage = self.rules[market], self.usage.setdefault((market, client), Usage())
        if usage.minute != now // MINUTE:
            usage.minute, usage.used, usage.refusals = now // MINUTE, 0, 0
        usage.used += weight
        if usage.banned_until > now:
            return Verdict(418, usage.used, _seconds(usage.banned_until - now), usage.banned_until)
        if not rules.enforced or usage.used <= rules.weight:
            return Verdict(200, usage.used)
        usage.refusals += 1
        if usage.refusals <= rules.tolerance:
            return Verdict(429, usage.used, _seconds(MINUTE - now % MINUTE))
        length = min(LONGEST_BAN, int(rules.ban_seconds * 1000) << min(usage.bans, 20))
        usage.bans, usage.banned_until, usage.refusals = usage.bans + 1, now + length, 0
        return Verdict(418, usage.used, _seconds(length), usage.banned_until)

    def used(self, market: Market, client: str, now: int) -> int:
        usage = self.usage.get((market, client))
        return usage.used if usage is not None and usage.minute == now // MINUTE else 0


def _seconds(duration: int) -> int:
    return max(1, -(-duration // 1000))


def refusal(market: Market, status: int, rules: Rules, client: str, banned_until: int) -> str:
    """The exchange's sentence for a 429 or a 418."""
    if market == "spot":
        if status == 418:
            return (
                f"Way too much request weight used; IP banned until {banned_until}. "
                "Please use WebSocket Streams for live updates to avoid bans."
            )
        return (
            f"Too much request weight used; current limit is {rules.weight} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        )
    if status == 418:
        return (
            f"Way too many requests; IP({client}) banned until {banned_until}. "
            "Please use the websocket for live updates to avoid bans."
        )
    return (
        f"Too many requests; current limit of IP({client}) is {rules.weight} requests per minute. "
        "Please use the websocket for live updates to avoid polling the API."
    )
