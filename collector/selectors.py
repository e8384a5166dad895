"""The only way out of the collector: whether it runs, how its minutes went, who is alive, what the budget says."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db import connection
from django.db.models import F
from redis import RedisError

from collector.feed.figures import BookReport, Report, reports
from collector.heartbeat import ProcessBeat, processes
from collector.limits import usage
from collector.models import CollectionMinute, RunChange, RunState, VenueLimit
from collector.venues import venue
from markets.models import Market, Symbol

__all__ = ["CollectorStatus", "ProcessBeat", "Statistics", "WeightUse", "process_status", "processes", "run_state"]

HEALTHY_FOR = timedelta(seconds=150)
DEGRADED_FOR = timedelta(minutes=10)
IDLE_FOR = timedelta(seconds=150)  # a worker or beat that does nothing for so long is not at work
STARTING_FOR, MENDING_FOR = 60.0, 10.0  # seconds that a live book may not be right before it counts as a fault
LACKING = 0.1  # of a minute's books: with more of them missing it is not what it should be
MINUTE = timedelta(minutes=1)
EXCHANGE = "binance"
Period = tuple[datetime, datetime]

WORKING_PERIODS = """
    WITH numbered AS (
        SELECT minute, minute - row_number() OVER (ORDER BY minute) * INTERVAL '1 minute' AS period
        FROM collector_minutes WHERE stored > 0
    )
    SELECT min(minute), max(minute) + INTERVAL '1 minute' FROM numbered GROUP BY period ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Since the beginning; `success_rate` is percent (100 before the first request). `last_cycle` is the newest
    minute whose collection is over, None before the first."""

    total_requests: int
    successful_requests: int
    failed_requests: int
    success_rate: float
    last_collection_time: datetime | None
    running: bool
    last_cycle: CollectionMinute | None


@dataclass(frozen=True, slots=True)
class CollectorStatus:
    """`status`: healthy, degraded (late, or a tenth of a minute's books missing), unhealthy, or stopped on purpose.
    `lag_seconds` since the newest stored minute began; `symbols` are collected symbols, each market's counted;
    `partial`: a book of the last minute that is over is missing, None before there is one."""

    status: str
    last_minute: datetime | None
    lag_seconds: float | None
    symbols: int
    partial: bool | None = None


@dataclass(frozen=True, slots=True)
class WeightUse:
    """Request weight of one market: used in the exchange's current minute, allowed in one, and until when the
    exchange has told us to wait (None: it has not)."""

    used: int
    limit: int
    blocked_until: datetime | None


def run_state() -> RunState:
    """The collector's one row of state; it is made where it is missing."""
    state, _ = RunState.objects.get_or_create(pk=1)
    return state


def statistics() -> Statistics:
    """What `GET collector` tells. Three queries."""
    state = run_state()
    newest = CollectionMinute.objects.filter(stored__gt=0).first()
    total = state.total_requests
    return Statistics(
        total_requests=total,
        successful_requests=state.successful_requests,
        failed_requests=state.failed_requests,
        success_rate=round(state.successful_requests / total * 100, 2) if total else 100.0,
        last_collection_time=newest.finished_at if newest else None,
        running=state.running,
        last_cycle=_last_cycle(),
    )


def _last_cycle() -> CollectionMinute | None:
    accounted = F("stored") + F("failed") + F("overrun")
    return CollectionMinute.objects.filter(finished_at__isnull=False, expected__lte=accounted).first()


def status(now: datetime) -> CollectorStatus:
    """How collection stands at `now` (aware): by the newest minute of which anything is stored."""
    newest = list(CollectionMinute.objects.filter(stored__gt=0)[:2])
    minute = newest[0].minute if newest else None
    lag = max(0.0, (now - minute).total_seconds()) if minute else None
    symbols = Symbol.objects.filter(collected=True, status="TRADING").count()
    return CollectorStatus(_word(lag, _lacking(newest, now)), minute, lag, symbols, _partial(newest, now))


def _over(newest: list[CollectionMinute], now: datetime) -> CollectionMinute | None:
    """The newest of these minutes that is over."""
    return next((row for row in newest if row.minute + MINUTE <= now), None)


def _partial(newest: list[CollectionMinute], now: datetime) -> bool | None:
    over = _over(newest, now)
    return over.partial if over else None


def _lacking(newest: list[CollectionMinute], now: datetime) -> bool:
    """Whether too many books of the last minute that is over are missing, and the minute in progress is no better yet:
    after a start nobody waits for the next minute's end."""
    over = _over(newest, now)
    return over is not None and all(row.stored < row.expected * (1 - LACKING) for row in {newest[0], over})


def _word(lag: float | None, lacking: bool) -> str:
    if not run_state().running:
        return "stopped"
    if lag is None or lag > DEGRADED_FOR.total_seconds():
        return "unhealthy"
    return "healthy" if lag <= HEALTHY_FOR.total_seconds() and not lacking else "degraded"


def process_status(name: str, now: datetime) -> dict[str, Any]:
    """The state of the processes of this name for health: `healthy`, `degraded` (alive, but idle for too long) or
    `unhealthy` (none alive); `processes` and `lastTask` (epoch milliseconds). Raises redis.RedisError."""
    alive = [beat for beat in processes() if beat.name == name]
    tasks = [beat.last_task_at for beat in alive if beat.last_task_at]
    last = max(tasks, default=None)
    at_work = any(now - max(beat.last_task_at or beat.started_at, beat.started_at) <= IDLE_FOR for beat in alive)
    word = "unhealthy" if not alive else "healthy" if at_work else "degraded"
    return {
        "status": word,
        "processes": len(alive),
        "lastTask": int(last.timestamp() * 1000) if last else None,
    }


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """`status`: healthy; degraded, when a live book is not known to be right or some feed is not there; unhealthy, when
    none is right; stopped, when there is no feed and no book is to be live. `reports` of the feeds that are alive."""

    status: str
    reports: list[Report]

    @property
    def connections(self) -> int:
        """To the exchange, that are up."""
        return sum(one.state == "connected" for report in self.reports for one in report.connections)

    @property
    def books(self) -> int:
        return sum(len(report.books) for report in self.reports)

    @property
    def synced(self) -> int:
        return sum(book.status == "connected" for report in self.reports for book in report.books)


def feed_status(now: datetime, database: bool = True) -> FeedStatus:
    """How live books stand; where there is no feed, the `database` (if it is there) tells whether there should be.
    Raises redis.RedisError, or one of DATABASE_AWAY."""
    found = reports(now.timestamp())
    if not found and not database:
        return FeedStatus("unknown", [])
    if not found:
        wanted = Symbol.objects.filter(live=True, collected=True, status="TRADING").exists()
        return FeedStatus("unhealthy" if wanted else "stopped", [])
    troubled = [book for report in found for book in report.books if _is_trouble(book, now.timestamp())]
    books = sum(len(report.books) for report in found)
    word = "healthy" if not troubled else "unhealthy" if len(troubled) == books else "degraded"
    return FeedStatus(word, found)


def _is_trouble(book: BookReport, now: float) -> bool:
    """A book that has just been asked for, or is being mended, is given some seconds."""
    patience = STARTING_FOR if book.status == "connecting" else MENDING_FOR
    return book.status != "connected" and now - book.since > patience


def weight(market: str) -> WeightUse:
    """The budget of a market. While Redis is away: what its newest minute used."""
    row = VenueLimit.objects.filter(exchange=EXCHANGE, market=market).first()
    limit = row.weight_per_minute if row else venue(EXCHANGE).default_weight[market]
    try:
        used, until = usage(EXCHANGE, market, (row.clock_offset_ms or 0) if row else 0)
    except RedisError:
        newest = CollectionMinute.objects.first()
        field = "weight_spot" if market == Market.SPOT else "weight_futures"
        used, until = getattr(newest, field, 0), None
    return WeightUse(used, limit, until)


def working_periods() -> list[Period]:
    """When anything at all was collected, oldest first, ends not included."""
    with connection.cursor() as cursor:
        cursor.execute(WORKING_PERIODS)
        return cursor.fetchall()


def stopped_periods(now: datetime) -> list[Period]:
    """When collection was switched off, oldest first, ends not included; one that lasts ends at `now`."""
    changes = RunChange.objects.order_by("at", "pk").values_list("at", "running")
    return [(at, end) for (at, running), (end, _) in pairwise([*changes, (now, True)]) if not running]
