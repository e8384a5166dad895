"""The way out for files: which series are wanted, and their candles stretch by stretch."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from candles.candle import Candle, SeriesKey
from candles.selectors import between, bounds
from candles.timeframes import Timeframe

STRETCH = 10_000  # candles that one query may give: what is in memory at once


@dataclass(frozen=True, slots=True)
class CandleSelection:
    """What a file holds: candles of each series that open from `start` to `end` (aware UTC, both included)."""

    keys: tuple[SeriesKey, ...]
    timeframe: Timeframe
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class CandleStretch:
    """Candles of one series, oldest first; at most STRETCH of them."""

    key: SeriesKey
    timeframe: Timeframe
    candles: list[Candle]


def stretches(selection: CandleSelection) -> Iterator[CandleStretch]:
    """Every candle of a selection, series after series; empty stretches are left out. Each step is two short queries,
    so whoever reads slowly or stops holds nothing of the database."""
    timeframe, now = selection.timeframe, datetime.now(UTC)
    for key in selection.keys:
        oldest, until = bounds(key)
        if oldest is None or until is None:
            continue
        position, end = max(selection.start, timeframe.open_of(oldest)), min(selection.end, until)
        while position <= end:
            stop = timeframe.shift(timeframe.open_of(position), STRETCH - 1)
            found = between(key, timeframe, position, min(stop, end), now)
            if found:
                yield CandleStretch(key, timeframe, found)
            position = timeframe.end_of(stop)
