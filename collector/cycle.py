"""A minute's collection: what is to be read, in parts, and the reading of one part from lease to last commit."""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from collector import refusals
from collector.asking import budget_of
from collector.batches import Batch
from collector.exchanges import EXCHANGES
from collector.exchanges.base import Venue
from collector.gathered import OPENING, Opening
from collector.handover import TAKEOVER, left_to_feed
from collector.lease import LIFETIME, Lease, State
from collector.limits import PLANNED_SHARE
from collector.memory import remembered
from collector.models import RunState
from collector.plan import keep_or_change, weight_of
from collector.polling import BUDGET, REFUSED, UNAVAILABLE, Poll, Target
from collector.registry import measure_clock, sync_registry
from collector.venues import venue
from depth.selectors import stored_symbols
from depth.services import SpoolFull, accept, guarded, minute_of
from markets import services as markets
from markets.selectors import collected_symbols
from markets.storage import DATABASE_AWAY

logger = logging.getLogger(__name__)

MINUTE = timedelta(minutes=1)
MARGIN = timedelta(seconds=2)  # before a minute's end nothing new is asked
PARTS = 4  # of a market, for the workers to share
SMALLEST_PART = 5
STANDBY = 99  # the part of a market whose minutes the feed is to take: what it has not taken in time is read, too
MISSING_MARKET_EVERY = 5  # minutes


@dataclass(frozen=True, slots=True)
class Part:
    """A part of one minute of one market: these symbols' books."""

    exchange: str
    market: str
    names: tuple[str, ...]
    minute: datetime
    index: int


@dataclass(frozen=True, slots=True)
class PartResult:
    """What a part brought. `resume_at` (aware): when to go on in this minute with `rest`, the part that is still to be
    read; None when it is done."""

    stored: int = 0
    failed: int = 0
    overrun: int = 0
    resume_at: datetime | None = None
    rest: Part | None = None


def is_running() -> bool:
    """Whether collection is switched on; it is until somebody switches it off."""
    return remembered("running", bool, lambda: bool(RunState.objects.get_or_create(pk=1)[0].running))


def collect_minute(now: datetime, send: Callable[[Part], None]) -> list[Part]:
    """Writes down what this minute is to bring and sends its parts to be read; gives them. None of them when
    collection is switched off, or so late in the minute that nothing would be asked any more.

    Repeating it within the minute sends the same parts again; what is stored already is not read again."""
    minute = minute_of(now)
    if now >= minute + MINUTE - MARGIN or not is_running():
        return []
    _know_the_markets(minute)
    parts: list[Part] = []
    expected, unplanned = 0, 0
    for chosen in map(venue, EXCHANGES):
        for market in chosen.markets:
            names, left_out = plan_market(chosen, market)
            parts.extend(_parts(chosen.name, market, names, minute, left_to_feed(market)))
            expected += len(names) + len(left_out)
            unplanned += len(left_out)
    if expected:
        _open_minute(minute, now, expected, unplanned)
    parts.sort(key=lambda part: part.index)  # markets in turn, so that one that hangs does not keep the other waiting
    for part in parts:
        send(part)
    for chosen in map(venue, EXCHANGES):
        for market in {part.market for part in parts if part.exchange == chosen.name}:
            with unless_away("the exchange's clock is not written down"):
                measure_clock(chosen, market)
    return parts


@contextmanager
def unless_away(what: str) -> Iterator[None]:
    """For what can be left out of a minute while the database is away."""
    try:
        yield
    except DATABASE_AWAY as error:
        logger.warning("%s: the database is away (%s)", what, str(error).strip())


def _know_the_markets(minute: datetime) -> None:
    """Reads the registry of markets that it does not know yet, such as after a start without the exchange."""
    for chosen in map(venue, EXCHANGES):
        known = remembered(f"markets:{chosen.name}", set[str], partial(markets.known_markets, chosen.name))
        missing = [market for market in chosen.markets if market not in known]
        if missing and (not known or minute.minute % MISSING_MARKET_EVERY == 0):
            with unless_away("missing markets are not read"):
                for line in sync_registry(missing):
                    logger.info("%s", line)


def plan_market(chosen: Venue, market: str) -> tuple[list[str], list[str]]:
    """The symbols to read, the most important first, and those that the request budget has no room for. Gives each
    its number of levels where it must change, and tells the budget what the minute needs."""
    symbols = _collected(chosen.name, market)
    limits = budget_of(chosen, market)
    tiers = chosen.tiers[market]
    known = {name: limit for _, name, limit in symbols}
    plan = keep_or_change(list(known), known, tiers, int(limits.limit * PLANNED_SHARE))
    changed = {key: plan[name] for key, name, limit in symbols if plan[name] != limit}
    if changed:
        with unless_away("new numbers of levels wait"):
            markets.set_depth_limits(changed)
            _collected(chosen.name, market)  # remembered as it is now
    limits.announce(weight_of(plan, tiers))
    left_out = [name for name in plan if plan[name] is None]
    if left_out:
        logger.warning("%s: the request budget has no room for %d of %d symbols", market, len(left_out), len(plan))
    return [name for name in known if plan[name] is not None], left_out


def _collected(exchange: str, market: str) -> list[tuple[int, str, int | None]]:
    """Key, name and levels a side of each symbol to read, the most important first."""

    def read() -> list[tuple[int, str, int | None]]:
        return [(symbol.pk, symbol.name, symbol.depth_limit) for symbol in collected_symbols(market, exchange)]

    return remembered(f"symbols:{exchange}:{market}", list[tuple[int, str, int | None]], read)


def _parts(exchange: str, market: str, names: Sequence[str], minute: datetime, live: Collection[str]) -> list[Part]:
    """What is to be read now, and what only if the feed does not take it from its `live` books."""
    now = [name for name in names if name not in live]
    count = max(1, min(PARTS, -(-len(now) // SMALLEST_PART))) if now else 0
    parts = [Part(exchange, market, tuple(now[index::count]), minute, index) for index in range(count)]
    later = tuple(name for name in names if name in live)
    return [*parts, Part(exchange, market, later, minute, STANDBY)] if later else parts


def _open_minute(minute: datetime, now: datetime, expected: int, unplanned: int) -> None:
    opening = Opening(minute, now, expected, unplanned, {BUDGET: unplanned} if unplanned else {})
    try:
        accept(OPENING, opening, note=True)
    except SpoolFull as error:
        logger.critical("%s is not written down: the database is away, and the spool is full: %s", minute, error)


def collect_part(part: Part) -> PartResult:
    """Reads and stores what is missing of a part, until its minute is over; one process at a time."""
    end = part.minute + MINUTE
    deadline = end - MARGIN
    now = datetime.now(UTC)
    if now >= deadline or not is_running():
        return PartResult()
    if part.index == STANDBY and now < part.minute + TAKEOVER:
        return PartResult(resume_at=part.minute + TAKEOVER, rest=part)
    lease = Lease(f"{part.exchange}:{part.market}:{part.minute:%Y%m%dT%H%M}:{part.index}")
    state = lease.take()
    if state is State.DONE:
        return PartResult()
    if state is State.BUSY:
        again = now + timedelta(seconds=LIFETIME)
        return PartResult(resume_at=again, rest=part) if again < deadline else PartResult()
    result = None
    try:
        result = _read_and_store(part, lease, deadline, end)
    finally:
        if result is None or result.rest is not None:
            lease.release()
        else:
            lease.finish()
    return result


def _read_and_store(part: Part, lease: Lease, deadline: datetime, end: datetime) -> PartResult:
    chosen = venue(part.exchange)
    batch = Batch(part.exchange, part.market, part.minute)
    poll = Poll(chosen, budget_of(chosen, part.market), _targets(chosen, part, batch), deadline, end)
    postponed = []
    for reading in poll.readings():
        if reading is None:
            lease.renew()
        elif reading.postponed or reading.cause == UNAVAILABLE:
            postponed.append(reading)  # the exchange may be found to be down, and then all of these are tried again
        else:
            if reading.cause == REFUSED:
                refusals.note(part.exchange, part.market, reading.target.name)
            batch.add(reading)
        if batch.due():
            batch.flush()
    resume_at = poll.resume_at if postponed and poll.resume_at and poll.resume_at < deadline else None
    for reading in postponed:
        if resume_at is None:
            batch.add(reading)
        else:
            batch.count(reading)
    for event in poll.events:
        batch.event(event)
    batch.flush()
    rest = replace(part, names=tuple(reading.target.name for reading in postponed)) if resume_at else None
    return PartResult(batch.stored, batch.failed, batch.overrun, resume_at, rest)


def _targets(chosen: Venue, part: Part, batch: Batch) -> list[Target]:
    """What is to be read: not what is stored, and not what the exchange refused a short while ago."""
    stored: set[str] = set()
    with unless_away("what is stored may be read again"):
        stored = guarded(lambda: stored_symbols(part.market, part.minute, part.names))
    names = [name for name in part.names if name not in stored]
    refused = refusals.waiting(part.exchange, part.market, names)
    limits = {name: limit for _, name, limit in _collected(part.exchange, part.market)}
    for name in refused:
        batch.missing(name, REFUSED, "")
    smallest = chosen.tiers[part.market][0].limit
    chosen_limits = {name: limits.get(name) or smallest for name in names if name not in refused}
    return [Target(name, limit, chosen.book_weight(part.market, limit)) for name, limit in chosen_limits.items()]
