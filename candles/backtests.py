"""Between stored history and what is told beside a signal: each rule's worth over all of it, computed now and then."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import numpy as np
from django.db import transaction

from candles.analysis import RULES, Rule
from candles.backtest import HORIZONS, backtest
from candles.candle import SeriesKey
from candles.export import CandleSelection, stretches
from candles.indicators import Series
from candles.models import RuleOutcome, SeriesState
from candles.selectors import bounds
from candles.technical import Tested, series_of
from candles.timeframes import TIMEFRAMES, Timeframe
from markets.storage import DATABASE_AWAY, alone

logger = logging.getLogger(__name__)

LOCK = 0x63616E646C05  # one process at a time
MOST_TESTED = 200_000  # newest candles that one run looks at: of one minute almost 139 days
AGAIN = timedelta(days=1)  # after which a stored result is made anew


def run(
    key: SeriesKey,
    timeframe: Timeframe,
    now: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
    horizons: Sequence[int] = HORIZONS,
    rules: Sequence[Rule] = RULES,
) -> Tested | None:
    """What each rule was worth over the stored closed candles that open from `start` to `end` (default: all, the newest
    MOST_TESTED at most); None where there are none. Two short queries for every ten thousand candles."""
    oldest, settled = bounds(key)
    if oldest is None or settled is None:
        return None
    newest = timeframe.shift(timeframe.open_of(settled), -1)
    last = newest if end is None else min(newest, timeframe.open_of(end))
    begin = max(start or timeframe.open_of(oldest), timeframe.open_of(oldest))
    if timeframe.count(begin, max(begin, last)) > MOST_TESTED:
        begin = timeframe.shift(last, 1 - MOST_TESTED)
    parts, incomplete = [], 0
    for part in stretches(CandleSelection((key,), timeframe, begin, last)):
        found = [candle for candle in part.candles if candle.closed]
        incomplete += sum(not candle.complete for candle in found)
        parts += [series_of(found, timeframe)] if found else []
    if not parts:
        return None
    series = joined(parts, timeframe)
    first, final = (datetime.fromtimestamp(int(series.times[i]), UTC) for i in (0, -1))
    outcomes = backtest(series, horizons, rules)
    return Tested(outcomes, len(series), first, final, series.missing, incomplete, now)


def joined(parts: Sequence[Series], timeframe: Timeframe) -> Series:
    """One series of several that follow one another."""

    def whole(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    times = whole("times")
    first, last = (datetime.fromtimestamp(int(times[i]), UTC) for i in (0, -1))
    opens, highs, lows, closes = (whole(name) for name in ("open", "high", "low", "close"))
    missing = timeframe.count(first, last) - len(times)
    return Series(times, opens, highs, lows, closes, whole("volume"), whole("taker_buy_volume"), missing)


@transaction.atomic
def keep(key: SeriesKey, timeframe: Timeframe, tested: Tested) -> None:
    """Puts a result in the place of the one that is stored."""
    columns = {"exchange": key.exchange, "market_type": key.market, "symbol": key.symbol, "timeframe": timeframe.name}
    stretch = {name: getattr(tested, name) for name in ("first", "last", "candles", "missing", "incomplete")}
    RuleOutcome.objects.filter(**columns).delete()
    RuleOutcome.objects.bulk_create(
        RuleOutcome(**columns, **stretch, computed_at=tested.computed_at, **asdict(outcome))
        for outcome in tested.outcomes
    )


def due(now: datetime) -> list[tuple[SeriesKey, Timeframe]]:
    """What was never tested, or longest ago, more than a day; first come first. Two queries."""
    rows = RuleOutcome.objects.values_list("exchange", "market_type", "symbol", "timeframe", "computed_at").distinct()
    known = {(SeriesKey(*row[:3]), row[3]): row[4] for row in rows}
    never = datetime.min.replace(tzinfo=UTC)
    found = [
        (known.get((series.key, timeframe.name), never), series.key, timeframe)
        for series in SeriesState.objects.exclude(last_open=None)
        for timeframe in TIMEFRAMES
    ]
    waiting = sorted((one for one in found if one[0] < now - AGAIN), key=lambda one: one[0])
    return [(key, timeframe) for _, key, timeframe in waiting]


def refresh(now: datetime, seconds: float = 30.0) -> int:
    """Tests what is due, for about `seconds`; gives how many results were stored. Does nothing while another process
    is at it. Raises one of markets.storage.DATABASE_AWAY."""
    until, stored = monotonic() + seconds, 0
    with alone(LOCK) as held:
        for key, timeframe in due(now) if held else ():
            if monotonic() > until:
                break
            try:
                if (tested := run(key, timeframe, now)) is not None:
                    keep(key, timeframe, tested)
                    stored += 1
            except DATABASE_AWAY:
                raise
            except Exception:  # it comes first again the next time, and must not keep the others waiting for ever
                logger.exception("%s %s is not tested", key, timeframe.name)
    return stored
