"""One request to a venue, by the rules: leave from the budget first, the budget corrected after, a halt told to all."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from collector.events import Event, Type
from collector.exchanges.base import Answer, Banned, Blocked, Halted, RateLimited, Venue, VenueError
from collector.limits import Priority, WeightBudget, budget
from collector.memory import remembered
from collector.models import VenueLimit

T = TypeVar("T")
HALT_EVENTS = {RateLimited: Type.RATE_LIMITED, Banned: Type.BANNED, Blocked: Type.ERROR}
HALT_CAUSES = {RateLimited: "rate_limited", Banned: "banned", Blocked: "blocked"}


class NoLeave(Exception):
    """Nothing was asked: the budget of this minute is used up, or the market is halted. Asking again may help at
    `retry_at` (aware)."""

    def __init__(self, retry_at: datetime, halted: bool) -> None:
        super().__init__(f"{'halted' if halted else 'the request budget is used up'} until {retry_at:%H:%M:%S}")
        self.retry_at = retry_at
        self.halted = halted


class MarketHalted(VenueError):
    """The exchange turned the request away, and nothing may be asked until `until` (aware). `event` is there when
    this is the first word of it."""

    def __init__(self, error: Halted, until: datetime, event: Event | None) -> None:
        super().__init__(str(error))
        self.until = until
        self.event = event
        self.cause = HALT_CAUSES[type(error)]


def ask(limits: WeightBudget, weight: int, call: Callable[[], Answer[T]], priority: Priority = Priority.MINUTE) -> T:
    """The answer's value. Raises NoLeave (nothing was asked), MarketHalted, or another VenueError."""
    leave = limits.reserve(weight, priority)
    if not leave.granted:
        raise NoLeave(datetime.fromtimestamp(leave.retry_at, UTC), leave.halted_until is not None)
    try:
        answer = call()
    except Halted as error:
        until, first = limits.halt(error.until)
        raise MarketHalted(error, until, _event(limits, error, until) if first else None) from error
    except VenueError as error:
        limits.correct(leave, error.used_weight)
        raise
    limits.correct(leave, answer.used_weight)
    return answer.value


def ask_patiently(
    limits: WeightBudget, weight: int, call: Callable[[], Answer[T]], priority: Priority, seconds: float
) -> T:
    """As `ask`, waiting up to `seconds` for leave."""
    until = time.monotonic() + seconds
    while True:
        try:
            return ask(limits, weight, call, priority)
        except NoLeave as refusal:
            wait = refusal.retry_at.timestamp() - time.time()
            if time.monotonic() + wait > until:
                raise
            time.sleep(max(0.05, wait))


def _event(limits: WeightBudget, error: Halted, until: datetime) -> Event:
    told = f"{error}; nothing is asked until {until:%Y-%m-%d %H:%M:%S} UTC"
    return Event(HALT_EVENTS[type(error)], told, market=limits.market, metadata={"until": until.isoformat()})


def budget_of(venue: Venue, market: str) -> WeightBudget:
    """The market's budget with what is known of the exchange's own limit and clock. One query."""
    limits = budget(venue.name, market, venue.default_weight[market])
    rows = VenueLimit.objects.filter(exchange=venue.name, market=market)
    columns = rows.values_list("weight_per_minute", "clock_offset_ms")
    known = remembered(f"limit:{venue.name}:{market}", list[tuple[int, int | None]], lambda: list(columns))
    for weight, offset in known:
        limits.limit, limits.offset_ms = weight, offset or 0
    return limits
