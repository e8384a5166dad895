"""How futures events stand on their way to the database, for health and metrics: what feeds tell, and trade gaps."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from collector.feed.figures import Report, TapeReport, reports
from derivatives.selectors import GapCounts, gap_counts

LATE = 60.0  # seconds from an event to its being stored
FORGOTTEN = timedelta(minutes=15)  # a gap is fetched each minute as far as the budget goes


@dataclass(frozen=True, slots=True)
class EventsStatus:
    """`status` is off (no feed takes any), healthy or degraded (events are late, or missing trades wait). `lag` is
    seconds; gaps are None where the database is away."""

    status: str
    rate: float
    waiting: int
    dropped: int
    lag: float | None
    gaps: GapCounts | None


def events_status(now: datetime, database: bool = True) -> EventsStatus:
    """Raises redis.RedisError, or one of DATABASE_AWAY."""
    kinds = of_kinds(reports(now.timestamp()))
    gaps = gap_counts() if database else None
    lag = max((one.lag for one in kinds if one.lag is not None), default=None)
    late = lag is not None and lag > LATE
    waits = gaps is not None and gaps.oldest is not None and now - gaps.oldest > FORGOTTEN
    taken = any(one.stored or one.spooled or one.waiting for one in kinds)
    return EventsStatus(
        "degraded" if late or waits else "healthy" if taken else "off",
        round(sum(one.rate for one in kinds), 1),
        sum(one.waiting for one in kinds),
        sum(one.dropped for one in kinds),
        lag,
        gaps,
    )


def of_kinds(found: Collection[Report]) -> list[TapeReport]:
    """Each kind of events of each feed."""
    return [one for report in found for one in report.tape]
