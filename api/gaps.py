"""Which minutes of a series are missing, and why. Pure: periods are (start, end) in order, ends not included."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

Period = tuple[datetime, datetime]
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Gap:
    """Missing minutes from `start` to before `end`, and their `cause`: "stopped" (on purpose), one of those that the
    collector knows, "outage" (nothing was collected at all, and nobody knows why), or "not collected" (others were,
    or the platform did not exist yet)."""

    start: datetime
    end: datetime
    cause: str


def gaps(
    stored: Sequence[Period],
    end: datetime,
    working: Sequence[Period],
    stopped: Sequence[Period],
    known: Iterable[tuple[str, Sequence[Period]]] = (),
) -> list[Gap]:
    """The gaps from the first stored minute to `end`, oldest first; a gap of several causes is told in parts.

    `known` are causes with their periods, the first that applies to a minute wins; a stop goes before them."""
    if not stored:
        return []
    missing = subtract([(stored[0][0], max(end, stored[-1][1]))], stored)
    began = working[0][0] if working else end
    others = [(stored[0][0], began), *working] if stored[0][0] < began else list(working)
    idle = subtract(missing, others)
    rest = subtract(idle, _whole(stopped))
    by_cause = [("stopped", subtract(idle, rest))]
    left = subtract(missing, by_cause[0][1])
    for cause, periods in known:
        unexplained = subtract(left, _whole(periods))
        by_cause.append((cause, subtract(left, unexplained)))
        left = unexplained
    outage = subtract(left, others)
    by_cause += [("outage", outage), ("not collected", subtract(left, outage))]
    found = [Gap(*period, cause) for cause, periods in by_cause for period in periods]
    return sorted(found, key=lambda gap: gap.start)


def _whole(periods: Iterable[Period]) -> list[Period]:
    """Half a minute cannot be missing: whatever a period touches belongs to it whole."""
    return [(_floor(start), _floor(stop + MINUTE - timedelta.resolution)) for start, stop in periods]


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
