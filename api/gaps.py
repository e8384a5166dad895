"""Which minutes of a series are missing, and why. Pure: periods are (start, end) in order, ends not included."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

Period = tuple[datetime, datetime]
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Gap:
    """Missing minutes from `start` to before `end`. `cause`: "stopped" (on purpose), "outage" (nothing was collected at
    all), or "not collected" (others were, or the platform did not exist yet)."""

    start: datetime
    end: datetime
    cause: str


def gaps(stored: Sequence[Period], end: datetime, working: Sequence[Period], stopped: Sequence[Period]) -> list[Gap]:
    """The gaps from the first stored minute to `end`, oldest first; a gap of several causes is told in parts."""
    if not stored:
        return []
    missing = subtract([(stored[0][0], max(end, stored[-1][1]))], stored)
    began = working[0][0] if working else end
    others = [(stored[0][0], began), *working] if stored[0][0] < began else list(working)
    idle = subtract(missing, others)
    # Half a minute cannot be missing: whatever a switch touches belongs to it whole.
    halted = [(_floor(start), _floor(stop + MINUTE - timedelta.resolution)) for start, stop in stopped]
    outage = subtract(idle, halted)
    by_cause = {
        "not collected": subtract(missing, idle),
        "stopped": subtract(idle, outage),
        "outage": outage,
    }
    found = [Gap(*period, cause) for cause, periods in by_cause.items() for period in periods]
    return sorted(found, key=lambda gap: gap.start)


def subtract(periods: Iterable[Period], others: Iterable[Period]) -> list[Period]:
    """What of `periods` no one of `others` covers. Both in order; `others` may touch and overlap one another."""
    left: list[Period] = []
    cuts = [cut for cut in others if cut[0] < cut[1]]
    first = 0
    for start, end in periods:
        while first < len(cuts) and cuts[first][1] <= start:
            first += 1
        at = first
        while start < end and at < len(cuts) and cuts[at][0] < end:
            if start < cuts[at][0]:
                left.append((start, cuts[at][0]))
            start = max(start, cuts[at][1])
            at += 1
        if start < end:
            left.append((start, end))
    return left


def minutes(periods: Iterable[Period]) -> int:
    return sum((end - start) // MINUTE for start, end in periods)


def _floor(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
