"""Signals know nothing of the future, levels are where prices turned, and a backtest counts what it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candles import levels
from candles.analysis import FEWEST, RULES, Rule, analyse, signals
from candles.backtest import backtest
from candles.indicators import Series
from tests.candles.test_indicators import series


def flat(close) -> Series:
    values = np.array(close, dtype=float)
    ones = np.ones(len(values))
    return Series(np.arange(len(values)) * 60, values, values, values, values, ones, ones / 2)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 300))
def test_what_comes_later_changes_no_signal(seed, cut):
    whole = series(seed, 500)
    kept = slice(0, len(whole) - cut)
    arrays = (whole.times, whole.open, whole.high, whole.low, whole.close, whole.volume, whole.taker_buy_volume)
    known = Series(*(array[kept] for array in arrays))
    assert signals(known) == [signal for signal in signals(whole) if signal.index < len(known)]


def test_every_rule_speaks_on_a_long_enough_series_and_names_what_it_rests_on():
    found = signals(series(5, 4000))
    assert {signal.rule for signal in found} == {rule.name for rule in RULES}
    assert all(signal.reason and signal.basis and signal.side in {"buy", "sell"} for signal in found)


def test_a_crossing_is_told_once_and_a_touch_is_none():
    rule = next(rule for rule in RULES if rule.name == "ema_cross")
    falling_then_rising = flat([100 - i for i in range(40)] + [60 + 2 * i for i in range(40)])
    found = signals(falling_then_rising, [rule])
    assert [signal.side for signal in found] == ["buy"]
    assert found[0].basis["ema:12"] > found[0].basis["ema:26"]
    assert signals(flat([5.0] * 100), RULES) == []


@pytest.mark.parametrize(("step", "trend"), [(1.0, "bullish"), (-0.2, "bearish"), (0.0, "neutral")])
def test_the_trend_of_plain_markets(step, trend):
    made = analyse(flat([100 + step * i for i in range(300)]))
    assert made.trend == trend
    assert 0 <= made.strength <= 100
    assert all(-1 <= vote.score <= 1 and vote.text for vote in made.votes)


def test_too_few_candles_say_nothing():
    assert analyse(series(1, FEWEST - 1)) is None
    assert analyse(series(1, FEWEST)) is not None


def test_levels_stand_where_the_price_turned():
    wave = [100 + 10 * np.sin(i * 2 * np.pi / 40) for i in range(400)]
    support, resistance = levels.support_and_resistance(flat(wave))
    assert support[0].price == pytest.approx(90, abs=0.2)
    assert resistance[0].price == pytest.approx(110, abs=0.2)
    assert min(support[0].touches, resistance[0].touches) >= 9
    assert 0 <= support[0].strength <= 100


def test_a_turning_point_needs_the_candles_after_it():
    high = np.array([1, 2, 3, 4, 5, 9, 5, 4, 3, 2, 1], dtype=float)
    highs, _ = levels.turning_points(high, high)
    assert highs.tolist() == [5]
    assert levels.turning_points(high[:-1], high[:-1])[0].tolist() == []


def test_fibonacci_of_both_ways():
    up = levels.Swing(low=100, low_time=0, high=200, high_time=60)
    assert levels.fibonacci(up) == pytest.approx(
        {"0": 200, "23.6": 176.4, "38.2": 161.8, "50": 150, "61.8": 138.2, "100": 100}
    )
    down = levels.Swing(low=100, low_time=60, high=200, high_time=0)
    assert levels.fibonacci(down)["38.2"] == pytest.approx(138.2)
    assert levels.dominant_swing(flat([5, 5, 5])) is None


def test_classic_pivots():
    found = levels.classic_pivots(high=110, low=90, close=100)
    assert (found.pivot, found.r1, found.s1, found.r2, found.s2, found.r3, found.s3) == (100, 110, 90, 120, 80, 130, 70)


def test_a_backtest_counts_moves_the_signals_way():
    def find(s):
        buys, sells = np.zeros(len(s), dtype=bool), np.zeros(len(s), dtype=bool)
        buys[[0, 4]], sells[2] = True, True
        return buys, sells, {"close": s.close}

    rule = Rule("told", "told", "buy", "sell", find)
    first, second = backtest(flat([100, 110, 100, 90, 100]), (1, 2), [rule])
    assert (first.count, first.hit_rate) == (2, 1.0)  # the buy at the end has no end yet
    assert first.mean_move == pytest.approx(10)
    assert first.base_rate == pytest.approx(0.5)
    assert (second.count, second.hit_rate, second.mean_move) == (2, 0.0, 0.0)
    assert backtest(flat([100] * 5), (5,), [rule])[0].count == 0
