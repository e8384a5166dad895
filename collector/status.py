"""Out of the collector for the status page: the last day minute by minute, its gaps, what fails, the database."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from django.db import connection
from django.db.models import Max, Min

from collector.absences import MEANINGS, absences
from collector.models import CollectionMinute, PastLoad, StreamEvent, VenueLimit
from collector.selectors import Period, stopped_periods
from depth.models import DepthSnapshot
from markets.connections import broker_redis
from markets.models import Symbol

MINUTE = timedelta(minutes=1)
DAY = timedelta(hours=24)
BUCKET_MINUTES = 10
MOST_GAPS = 50
MOST_EVENTS = 25
MOST_FAILING = 50
TROUBLES = ("partial", "missing", "stopped")

DATABASE_FACTS = """
    SELECT pg_database_size(current_database()), pg_postmaster_start_time(),
           split_part(current_setting('server_version'), ' ', 1),
           (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb')
"""


@dataclass(frozen=True, slots=True)
class Tally:
    """What one minute's collection set out to do and did; `causes` are numbers of missing books by cause."""

    expected: int
    stored: int
    causes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class MinuteState:
    """One minute: `whole`, `partial`, `missing`, `stopped` (on purpose), `idle` (nothing was to be collected) or
    `before` (the platform had not begun)."""

    minute: datetime
    state: str
    expected: int = 0
    stored: int = 0
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bucket:
    """The minutes of BUCKET_MINUTES of the clock, the first of them at `start`. `state` is the worst of them; `lacking`
    are its minutes of which no book is stored although there should be."""

    start: datetime
    state: str
    expected: int
    stored: int
    lacking: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Minutes from `start` to before `end` of which books are missing, all for one cause. `books`: how many, None where
    nobody counted them."""

    start: datetime
    end: datetime
    state: str
    cause: str
    books: int | None


@dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours of whole minutes. `unbroken_since` is the first minute of the stretch without an empty one that
    leads to its end (None: the last minute is empty); `reaches_back`: that stretch began before the 24 hours did."""

    buckets: list[Bucket]
    gaps: list[Gap]
    expected: int
    stored: int
    partial_minutes: int
    missing_minutes: int
    unbroken_since: datetime | None
    reaches_back: bool


def day(now: datetime) -> Day:
    """The 24 hours up to the last minute that is over at `now` (aware). Five queries."""
    end = now.replace(second=0, microsecond=0)
    start = end - DAY
    rows = CollectionMinute.objects.filter(minute__gte=start, minute__lt=end).values_list(
        "minute", "expected", "stored", "causes"
    )
    tallies = {minute: Tally(*figures) for minute, *figures in rows}
    began = CollectionMinute.objects.aggregate(first=Min("minute"))["first"] or end
    return summary(states(tallies, start, end, began, stopped_periods(now), absences(start)))


def states(
    tallies: Mapping[datetime, Tally],
    start: datetime,
    end: datetime,
    began: datetime,
    stopped: Sequence[Period],
    away: Sequence[tuple[str, Sequence[Period]]] = (),
) -> list[MinuteState]:
    """Every minute from `start` to before `end`, oldest first; `away` are causes with their periods. Pure."""
    found, minute = [], start
    while minute < end:
        tally = tallies.get(minute)
        found.append(_counted(minute, tally) or _empty(minute, tally, minute < began, stopped, away))
        minute += MINUTE
    return found


def _counted(minute: datetime, tally: Tally | None) -> MinuteState | None:
    """The state of a minute of which something is stored, or nothing was to be; None for others."""
    if tally is None or (tally.expected and not tally.stored):
        return None
    if not tally.expected and tally.stored:  # from live books, while nobody was there to plan the minute
        return MinuteState(minute, "partial", tally.stored, tally.stored, ("overrun",))
    if not tally.expected:
        return MinuteState(minute, "idle", causes=_words(tally))
    word = "whole" if tally.stored >= tally.expected else "partial"
    return MinuteState(minute, word, tally.expected, tally.stored, _words(tally))


def _empty(
    minute: datetime,
    tally: Tally | None,
    before: bool,
    stopped: Sequence[Period],
    away: Sequence[tuple[str, Sequence[Period]]],
) -> MinuteState:
    if before:
        return MinuteState(minute, "before")
    if _touches(stopped, minute):
        return MinuteState(minute, "stopped")
    if tally:
        return MinuteState(minute, "missing", tally.expected, 0, _words(tally))
    cause = next((cause for cause, periods in away if _touches(periods, minute)), "outage")
    return MinuteState(minute, "missing", causes=(cause,))


def _touches(periods: Sequence[Period], minute: datetime) -> bool:
    return any(begun < minute + MINUTE and minute < ended for begun, ended in periods)


def _words(tally: Tally) -> tuple[str, ...]:
    return tuple(sorted({MEANINGS.get(cause, cause) for cause in tally.causes}))


def summary(minutes: Sequence[MinuteState]) -> Day:
    """What the minutes of a day add up to. Pure."""
    counts = Counter(one.state for one in minutes)
    buckets = [_bucket(list(group)) for _, group in groupby(minutes, key=_bucket_start)]
    unbroken = None
    for one in reversed(minutes):
        if one.state in {"missing", "stopped", "before"}:
            break
        unbroken = one.minute
    return Day(
        buckets=buckets,
        gaps=_gaps(minutes)[::-1][:MOST_GAPS],
        expected=sum(one.expected for one in minutes),
        stored=sum(one.stored for one in minutes),
        partial_minutes=counts["partial"],
        missing_minutes=counts["missing"],
        unbroken_since=unbroken,
        reaches_back=unbroken is not None and unbroken == minutes[0].minute,
    )


def _bucket_start(one: MinuteState) -> datetime:
    return one.minute.replace(minute=one.minute.minute // BUCKET_MINUTES * BUCKET_MINUTES)


def _bucket(minutes: Sequence[MinuteState]) -> Bucket:
    order = ("missing", "partial", "stopped", "whole", "idle", "before")
    return Bucket(
        start=minutes[0].minute,
        state=min((one.state for one in minutes), key=order.index),
        expected=sum(one.expected for one in minutes),
        stored=sum(one.stored for one in minutes),
        lacking=sum(one.state == "missing" for one in minutes),
    )


def _gaps(minutes: Sequence[MinuteState]) -> list[Gap]:
    found = []
    for (state, causes), group in groupby(minutes, key=lambda one: (one.state, one.causes)):
        if state in TROUBLES:
            run = list(group)
            books = sum(one.expected - one.stored for one in run)
            cause = "stopped" if state == "stopped" else ", ".join(causes) or "unknown"
            found.append(Gap(run[0].minute, run[-1].minute + MINUTE, state, cause, books or None))
    return found


# --- what else the page shows ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """The database's size in bytes, when its server began, versions (None: no TimescaleDB), and the oldest and the
    newest minute of which a book is kept."""

    size: int
    began: datetime
    version: str
    timescaledb: str | None
    oldest: datetime | None
    newest: datetime | None


def database_facts() -> DatabaseFacts:
    """Two queries."""
    with connection.cursor() as cursor:
        cursor.execute(DATABASE_FACTS)
        size, began, version, timescaledb = cursor.fetchone()
    kept = DepthSnapshot.objects.aggregate(oldest=Min("time"), newest=Max("time"))
    return DatabaseFacts(size, began, version, timescaledb, kept["oldest"], kept["newest"])


def redis_began(now: datetime) -> datetime:
    """When the broker's server began. Raises redis.RedisError."""
    return now - timedelta(seconds=float(broker_redis().info("server")["uptime_in_seconds"]))


def failing() -> list[Symbol]:
    """Collected symbols that could not be read in their last minute, the longest first."""
    found = Symbol.objects.filter(collected=True, failures__gt=0).order_by("-failures", "name", "market")
    return list(found[:MOST_FAILING])


def events() -> list[StreamEvent]:
    """The newest events."""
    return list(StreamEvent.objects.order_by("-time")[:MOST_EVENTS])


def clocks() -> list[VenueLimit]:
    """How far the exchange's clocks are from ours, market by market."""
    return list(VenueLimit.objects.order_by("exchange", "-market"))


def past() -> PastLoad | None:
    """How far the simulated market's past is loaded; None where there is none to load."""
    return PastLoad.objects.first()
