"""Out of candles: indicators and analyses of a stored series, and what its signals were worth in the past."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter

import numpy as np

from candles import formulas, levels
from candles.analysis import WANTED, Analysis, analyse
from candles.backtest import Outcome, backtest
from candles.candle import Candle, SeriesKey
from candles.columns import Columns
from candles.indicators import Lines, Request, Series, compute, lead
from candles.models import RuleOutcome
from candles.selectors import MOST_CANDLES, candles, columns
from candles.timeframes import DAY, HOUR, Timeframe, read_timeframe

PROFILE_ROWS = 24
VALUE_AREA = 0.7
MOST_LEAD = 3000  # candles before the window; means of long periods are then as true as 1e-9 allows for periods to 250
HOURLY = read_timeframe("1H")
TESTED = 5000  # candles that a backtest looks at while there is no longer one
TRUSTED = timedelta(days=3)  # a stored backtest is made anew every day; if it is older than this something is wrong


@dataclass(frozen=True, slots=True)
class Computed:
    """Indicators over `candles`. `missing`: candles of the stretch (lead included) that are not there,
    and `incomplete` those that lack minutes: what is computed over them is as if they had not been."""

    candles: Columns
    lines: dict[str, Lines]
    missing: int
    incomplete: int


@dataclass(frozen=True, slots=True)
class Examined:
    """An analysis of `candles` closed candles, `incomplete` of which lack minutes, with what belongs beside it:
    `pivots` are of the last finished day, for timeframes below a day."""

    analysis: Analysis
    profile: formulas.VolumeProfile | None
    pivots: levels.Pivots | None
    candles: int
    incomplete: int


@dataclass(frozen=True, slots=True)
class Tested:
    """What each rule was worth, and the stretch that it rests on: `candles` closed candles that open from `first` to
    `last`; `missing` are not there, `incomplete` lack minutes."""

    outcomes: list[Outcome]
    candles: int
    first: datetime | None
    last: datetime | None
    missing: int
    incomplete: int
    computed_at: datetime


def series_of(found: Sequence[Candle], timeframe: Timeframe) -> Series:
    """Arrays of candles, oldest first. Prices become float64: indicators are estimates, candles stay exact."""
    opens, highs, lows, closes, volumes, bought = (
        np.fromiter(map(float, map(attrgetter(name), found)), np.float64, len(found))
        for name in ("open", "high", "low", "close", "volume", "taker_buy_volume")
    )
    times = np.array([int(candle.open_time.timestamp()) for candle in found], dtype=np.int64)
    missing = timeframe.count(found[0].open_time, found[-1].open_time) - len(found) if found else 0
    return Series(times, opens, highs, lows, closes, volumes, bought, missing)


def indicators(
    key: SeriesKey,
    timeframe: Timeframe,
    requests: Sequence[Request],
    now: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int = MOST_CANDLES,
) -> Computed:
    """The requests over candles that open within `start` to `end` (both included; the newest `limit` without `start`),
    with as many candles before them as their values need. The open candle is the last one where it is in the range.

    At most four queries, two without `start`, more where minutes are missing by the hundred."""
    before = min(MOST_LEAD, lead(requests))
    if start is None:
        whole = columns(key, timeframe, now, None, end, limit + before)
        window = whole.cut(slice(-limit, None))
    else:
        whole = window = columns(key, timeframe, now, start, end, limit)
        if len(window):
            earlier = timeframe.shift(window.opens_at(0), -1)
            whole = window.after(columns(key, timeframe, now, None, earlier, before))
    series = whole.series(timeframe)
    return Computed(window, compute(series, requests), series.missing, whole.incomplete)


def closed(key: SeriesKey, timeframe: Timeframe, now: datetime, count: int) -> list[Candle]:
    """The newest `count` closed candles, oldest first."""
    found = candles(key, timeframe, now, limit=count + 1)
    return [candle for candle in found if candle.closed][-count:]


def analysis(key: SeriesKey, timeframe: Timeframe, now: datetime) -> Examined | None:
    """What the rules say of the newest closed candles; None when there are too few of them."""
    found = closed(key, timeframe, now, WANTED)
    series = series_of(found, timeframe)
    made = analyse(series)
    if made is None:
        return None
    profile = formulas.volume_profile(series.high, series.low, series.volume, PROFILE_ROWS, VALUE_AREA)
    return Examined(made, profile, pivots(key, timeframe, now), len(found), sum(not c.complete for c in found))


def pivots(key: SeriesKey, timeframe: Timeframe, now: datetime) -> levels.Pivots | None:
    """Of the last whole UTC day; None for timeframes of a day and more, and where that day is not complete."""
    if timeframe.length >= DAY:
        return None
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    hours = candles(key, HOURLY, now, midnight - DAY, midnight - HOUR, 24)
    if len(hours) < 24 or not all(hour.complete for hour in hours):
        return None
    highest, lowest = max(hour.high for hour in hours), min(hour.low for hour in hours)
    return levels.classic_pivots(float(highest), float(lowest), float(hours[-1].close))


def outcomes(key: SeriesKey, timeframe: Timeframe, now: datetime, count: int = TESTED) -> Tested:
    """What each rule's signals were worth: as it is stored of all history, or, where that is shorter or older, over
    the newest `count` closed candles. One query, or those of the candles too."""
    stored = _stored_outcomes(key, timeframe)
    if stored is not None and stored.candles >= count and stored.computed_at >= now - TRUSTED:
        return stored
    found = closed(key, timeframe, now, count)
    series, incomplete = series_of(found, timeframe), sum(not candle.complete for candle in found)
    first, last = (found[0].open_time, found[-1].open_time) if found else (None, None)
    return Tested(backtest(series), len(found), first, last, series.missing, incomplete, now)


def _stored_outcomes(key: SeriesKey, timeframe: Timeframe) -> Tested | None:
    found = RuleOutcome.objects.filter(
        exchange=key.exchange, market_type=key.market, symbol=key.symbol, timeframe=timeframe.name
    )
    rows = list(found.order_by("rule", "after"))
    if not rows:
        return None
    told = [
        Outcome(row.rule, row.after, row.count, row.hit_rate, row.mean_move, row.base_rate, row.base_move)
        for row in rows
    ]
    one = rows[0]
    return Tested(told, one.candles, one.first, one.last, one.missing, one.incomplete, one.computed_at)
