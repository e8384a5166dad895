"""Values that go on from candle to candle are those of the batch formulas over the whole series, to rounding.

TA-Lib is compiled with fused multiplications, so its last bit may be another one."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candles.indicators import INDICATORS, compute, parse
from candles.running import Bar, Running, series_of

LABELS = (
    "sma:1,sma:10,sma:20,ema:1,ema:12,ema:50,bollinger:20:2,ichimoku:9:26:52:26,ichimoku:3:5:7:1,vwap:0,vwap:14,rsi:2,"
    "rsi:14,macd:12:26:9,macd:2:5:3,stochastic:14:3:1,stochastic:5:3:3,williams:14,atr:1,atr:14,adx:2,adx:14,volume,"
    "obv,cvd"
)
REQUESTS = parse(LABELS)


def walk(moves, start=1_772_366_400, step=3600):
    """Bars of a walk; a move of 0 leaves all prices where they are."""
    bars, price = [], 100.0
    for n, move in enumerate(moves):
        close = price + move
        high, low = max(price, close) + abs(move) / 3, min(price, close) - abs(move) / 7
        volume = abs(move) * 3.7
        bars.append(Bar(start + n * step, price, high, low, close, volume, volume * 0.41))
        price = close
    return bars


def assert_equal(found, wanted, err_msg=""):
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12, err_msg=err_msg)


def batch(bars):
    """Values of the newest bar, and lines ahead, by label."""
    made = compute(series_of(bars), REQUESTS)
    return {
        label: (
            tuple(float(line[-1]) if len(line) else math.nan for line in lines.values()),
            {name: line.tolist() for name, line in lines.items() if name.startswith("ahead")},
        )
        for label, lines in made.items()
    }


def assert_same(found, wanted, label):
    assert_equal(found[0], wanted[0], err_msg=label)
    assert found[1].keys() == wanted[1].keys()
    for name, line in wanted[1].items():
        assert_equal(found[1][name], line, err_msg=label)


def test_every_indicator_is_here():
    assert {request.indicator.name for request in REQUESTS} == set(INDICATORS)


moves = st.lists(st.sampled_from([0.0, 0.0, 0.25, -0.5, 1.1, -1.3, 0.07]) | st.floats(-2, 2), min_size=2, max_size=160)


@settings(max_examples=60, deadline=None)
@given(moves, st.integers(0, 40), st.sampled_from([60, 3600, 14_400]))
def test_going_on_equals_beginning_anew(moves, looked_at, step):
    """From any place on, at each candle: open as it stands, then closed, then the next."""
    bars = walk(moves, step=step)
    begin = min(looked_at, len(bars) - 1)
    running = {request.label: Running(request, bars[:begin]) for request in REQUESTS}
    for end in range(begin, len(bars)):
        bar = bars[end]
        check = end in {begin, len(bars) - 1} or end % 37 == 0
        if check:
            part = bar._replace(high=max(bar.open, bar.low), close=bar.low, volume=bar.volume / 2)
            wanted = batch([*bars[:end], part])
            for label, one in running.items():
                assert_same(one.look(part), wanted[label], label)
            wanted = batch(bars[: end + 1])
            for label, one in running.items():
                assert_same(one.look(bar), wanted[label], label)
        for label, one in running.items():
            one.close(bar)
            if check:
                assert_equal(one.closed, wanted[label][0], err_msg=label)


def test_prices_that_stand_and_then_move():
    bars = walk([0.0] * 40 + [1.0] + [0.0] * 40 + [-2.0, 0.5])
    for label, one in {request.label: Running(request, bars) for request in REQUESTS}.items():
        assert_equal(one.closed, batch(bars)[label][0], err_msg=label)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.label)
def test_a_look_changes_nothing(request_):
    bars = walk([math.sin(n) for n in range(90)])
    one, other = Running(request_, bars[:80]), Running(request_, bars[:80])
    for bar in bars[80:]:
        for _ in range(3):
            one.look(bar._replace(close=bar.close * 2, high=bar.high * 2))
        assert_equal(one.close(bar), other.close(bar))
