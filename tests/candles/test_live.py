"""A live series says at every moment what the store would say: its candles, and its indicators."""

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from candles.candle import aggregate, candle_of, judged, with_open
from candles.indicators import compute, parse
from candles.live import LiveSeries, Step, bar_of
from candles.running import series_of
from candles.timeframes import MINUTE, read_timeframe
from tests.candles.factories import klines

START = datetime(2026, 3, 1, 22, 17, tzinfo=UTC)  # so that hours, days and a week's end are crossed
MINUTES = [candle_of(kline) for kline in klines(START, 400)]
LABELS = parse("sma:3,ema:5,rsi:4,macd:3:5:2,bollinger:4:2,ichimoku:2:3:5:2,adx:3,vwap:3,stochastic:5:3:2")


def stored(minutes, timeframe, settled):
    """As the store answers: candles, all of them told as closed."""
    return [replace(candle, closed=True) for candle in aggregate(minutes, timeframe, settled, settled)]


def from_scratch(minutes, minute, timeframe, settled, now):
    """Every candle as an answer of that moment tells it."""
    found = [judged(candle, timeframe, settled, now) for candle in stored(minutes, timeframe, settled)]
    return found if minute is None else with_open(found, minute, timeframe, now)


def assert_same(series, minutes, minute, now):
    wanted = from_scratch(minutes, minute, series.timeframe, series.settled, now)
    assert series.newest(now) == wanted[-1]
    whole = series_of([bar_of(candle) for candle in wanted])
    for label, lines in compute(whole, LABELS).items():
        told = series.indicator(label, now)
        for name, values in lines.items():
            if name.startswith("ahead"):
                np.testing.assert_allclose(told.ahead.get(name, values), values, rtol=1e-9, atol=1e-9)
            else:
                np.testing.assert_allclose(told.values[name], values[-1], rtol=1e-9, atol=1e-9, err_msg=label)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["1", "3", "5", "45", "1H", "2H", "1D", "1W"]),
    st.integers(0, 200),
    st.integers(1, 90),
    st.sets(st.integers(0, 90), max_size=3),
)
def test_going_on_equals_the_store_asked_anew(spelling, begin, count, lost):
    timeframe = read_timeframe(spelling)
    known = MINUTES[:begin]
    settled = known[-1].open_time + MINUTE if known else None
    series = LiveSeries(timeframe, stored(known, timeframe, settled) if known else [], settled, LABELS)
    told = list(known)
    for number, minute in enumerate(MINUTES[begin : begin + count]):
        open_minute = replace(minute, closed=False, high=minute.high * 2, trades=1)
        now = minute.open_time + timedelta(seconds=30)
        if number in lost:
            continue
        assert series.opened(open_minute) is Step.CHANGED
        if number % 17 in {0, 3} and series.settled is not None and told:
            assert_same(series, told, open_minute, now)
        step, finished = series.closed(minute, now + timedelta(minutes=1))
        assert step is Step.CHANGED
        told.append(minute)
        if number % 19 == 0:
            assert_same(series, told, None, now + timedelta(minutes=1))
        closes = timeframe.end_of(timeframe.open_of(minute.open_time)) == minute.open_time + MINUTE
        assert closes == bool(finished and timeframe.open_of(minute.open_time) == finished[-1].open_time)
        for before, after in itertools.pairwise(finished):
            assert before.open_time < after.open_time
    if told:
        assert_same(series, told, None, MINUTES[begin + count].open_time)


def test_what_is_told_twice_changes_nothing_and_what_is_older_asks_for_the_store():
    series = LiveSeries(read_timeframe("5"), [], None)
    now = START + timedelta(hours=1)
    for minute in MINUTES[:4]:
        assert series.closed(minute, now)[0] is Step.CHANGED
    assert series.closed(MINUTES[2], now) == (Step.NOTHING, [])
    assert series.closed(replace(MINUTES[2], trades=99), now) == (Step.RELOAD, [])
    assert series.opened(replace(MINUTES[3], closed=False)) is Step.NOTHING
    minute = replace(MINUTES[4], closed=False, trades=5)
    assert series.opened(minute) is Step.CHANGED
    assert series.opened(minute) is Step.NOTHING
    assert series.opened(replace(minute, trades=4)) is Step.NOTHING


def test_nothing_known_is_said():
    series = LiveSeries(read_timeframe("1H"), [], None, LABELS)
    assert series.newest(START) is None
    assert all(np.isnan(value) for value in series.indicator("rsi:4", START).values.values())
    with pytest.raises(KeyError):
        series.indicator("obv", START)
