"""Between closed candles and what is stored of them at each close: values, analyses, and for how long (pure)."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from candles.analysis import RULES, Analysis, Signal
from candles.indicators import Lines, Series
from candles.levels import Level
from candles.timeframes import DAY, HOUR, Timeframe

# Computed anew for any candle whenever it is asked for: what is stored is for those who read many at once.
SHORT, MIDDLE, LONG = DAY, 7 * DAY, 30 * DAY
SHORT_GRID = 5  # minutes: analyses of shorter candles are made where one of these ends
TITLES = {rule.name: rule.title for rule in RULES}
LATER = ("chikou", "ahead_a", "ahead_b")  # lines whose place is another candle than the one that closes


def lifetime(timeframe: Timeframe) -> timedelta | None:
    """How long what is stored of a timeframe's closes is kept; None: for ever."""
    if timeframe.length >= DAY:
        return None
    if timeframe.length >= HOUR:
        return LONG
    return MIDDLE if timeframe.minutes >= 15 else SHORT


def floor(timeframe: Timeframe, oldest: datetime, now: datetime) -> datetime:
    """The opening of the first candle that is within its lifetime, `oldest` being the first minute of all."""
    first, kept = timeframe.open_of(oldest), lifetime(timeframe)
    return first if kept is None else max(first, timeframe.open_of(now - kept))


def is_analysed(timeframe: Timeframe, opening: datetime) -> bool:
    """Whether an analysis is stored at this candle's close: each one, of short candles those that end with a stretch
    of SHORT_GRID minutes (of three minutes: every quarter of an hour)."""
    return timeframe.end_of(opening).minute % SHORT_GRID == 0


def values_of(made: Mapping[str, Lines], series: Series, first: int) -> Iterator[tuple[datetime, str, dict[str, Any]]]:
    """(opening, indicator, value) of the candles from index `first` on; what is all null is left out. A single line's
    value stands under "value"; NaN becomes None."""
    openings = [datetime.fromtimestamp(time, UTC) for time in series.times[first:].tolist()]
    for label, lines in made.items():
        known = {name or "value": values[first:] for name, values in lines.items() if name not in LATER}
        columns = [_listed(values) for values in known.values()]
        for opening, row in zip(openings, zip(*columns, strict=True), strict=True):
            if any(value is not None for value in row):
                yield opening, label, dict(zip(known, row, strict=True))


def _listed(values: Any) -> list[float | None]:
    finite = np.isfinite(values)
    listed: list[float | None] = values.tolist()
    return listed if finite.all() else [v if known else None for v, known in zip(listed, finite, strict=True)]


def continued(values: Any, first: int, before: float | None, at: float | None) -> Any:
    """A sum that goes on from what is stored: `before` is the value at the candle before index `first`, else `at` the
    one at `first` itself; without either it begins with 0 there. Values before `first` are of no use then."""
    if before is not None and first > 0:
        return values - values[first - 1] + before
    return values - values[first] + (at or 0.0)


def analysis_values(made: Analysis) -> dict[str, Any]:
    """What is stored of an analysis, as the API tells it, but without what belongs to a moment of asking."""
    return {
        "trend": made.trend,
        "strength": made.strength,
        "votes": [asdict(vote) for vote in made.votes],
        "signals": [signal_body(signal) for signal in made.signals],
        "support_levels": [level_body(level) for level in made.support],
        "resistance_levels": [level_body(level) for level in made.resistance],
        "fibonacci_levels": made.fibonacci,
    }


def signal_body(signal: Signal) -> dict[str, Any]:
    return {
        "rule": signal.rule,
        "title": TITLES[signal.rule],
        "type": signal.side,
        "reason": signal.reason,
        "price": signal.price,
        "timestamp": signal.time * 1000,
        "basis": signal.basis,
    }


def level_body(level: Level) -> dict[str, Any]:
    return {
        "price": level.price,
        "touches": level.touches,
        "strength": level.strength,
        "firstTouch": level.first * 1000,
        "lastTouch": level.last * 1000,
    }
