"""Indicator values against formulas written out in plain Python, and against published worked examples."""

import math
from statistics import fmean, pstdev

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candles import formulas

QUIET = settings(max_examples=40, deadline=None)


def near(found, wanted):
    assert len(found) == len(wanted)
    for i, (one, other) in enumerate(zip(found, wanted, strict=True)):
        if other is None:
            assert math.isnan(one), f"[{i}] is {one}, not NaN"
        else:
            assert one == pytest.approx(other, rel=1e-9, abs=1e-9), f"[{i}]"


def walk(seed: int, count: int, scale: float = 65_000.0):
    """(open times, high, low, close, volume, taker buys) of a market that moves."""
    rng = np.random.default_rng(seed)
    close = scale * np.exp(np.cumsum(rng.normal(0, 0.002, count)))
    high = close * (1 + np.abs(rng.normal(0, 0.001, count)))
    low = close * (1 - np.abs(rng.normal(0, 0.001, count)))
    volume = np.abs(rng.normal(10, 4, count))
    return np.arange(count) * 60, high, low, close, volume, volume * rng.random(count)


def windows(values, period):
    return [None if i < period - 1 else values[i - period + 1 : i + 1] for i in range(len(values))]


def naive_ema(values, period):
    made, last = [], None
    for i, value in enumerate(values):
        if i == period - 1:
            last = math.fsum(values[:period]) / period
        elif i >= period:
            last += (value - last) * 2 / (period + 1)
        made.append(last)
    return made


def naive_wilder(values, period):
    """Wilder's mean of values that begin at index 1: the first is a simple mean."""
    made, last = [None] * (period), math.fsum(values[1 : period + 1]) / period
    made.append(last)
    for value in values[period + 1 :]:
        last = (last * (period - 1) + value) / period
        made.append(last)
    return made


seeds, periods = st.integers(0, 10_000), st.integers(2, 30)
scales = st.sampled_from([65_000.0, 1.0, 0.0000123])


@QUIET
@given(seeds, periods, scales)
def test_means(seed, period, scale):
    close = walk(seed, 120, scale)[3]
    near(formulas.sma(close, period), [w and fmean(w) for w in windows(close.tolist(), period)])
    near(formulas.ema(close, period), naive_ema(close.tolist(), period))


@QUIET
@given(seeds, periods, scales)
def test_bollinger(seed, period, scale):
    close = walk(seed, 90, scale)[3]
    bands = formulas.bollinger(close, period, 2)
    parts = windows(close.tolist(), period)
    near(bands.upper, [w and fmean(w) + 2 * pstdev(w) for w in parts])
    near(bands.lower, [w and fmean(w) - 2 * pstdev(w) for w in parts])


@QUIET
@given(seeds, periods)
def test_rsi_and_atr_smooth_as_wilder_did(seed, period):
    _, high, low, close, _, _ = walk(seed, 150)
    steps = [0.0, *np.diff(close).tolist()]
    gains = naive_wilder([max(step, 0) for step in steps], period)
    losses = naive_wilder([max(-step, 0) for step in steps], period)
    pairs = zip(gains, losses, strict=True)
    near(formulas.rsi(close, period), [None if g is None else 100 * g / (g + loss) for g, loss in pairs])
    before = np.concatenate(([np.nan], close[:-1]))
    ranges = np.maximum(high, before) - np.minimum(low, before)
    near(formulas.atr(high, low, close, period), naive_wilder(ranges.tolist(), period))


def test_rsi_of_prices_that_stand_is_neutral_until_they_move():
    close = np.array([5.0] * 20 + [6.0, 5.5])
    values = formulas.rsi(close, 14)
    assert np.isnan(values[:14]).all()
    assert (values[14:20] == 50).all()
    assert values[20] == 100
    assert values[21] < 100
    assert (formulas.rsi(np.full(30, 5.0), 14)[14:] == 50).all()


def test_rsi_of_the_published_example():
    """ChartSchool's spreadsheet of the 14-day RSI."""
    close = np.array([
        44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931,
        46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122,
    ])  # fmt: skip
    found = [round(value, 2) for value in formulas.rsi(close, 14)[14:]]
    assert found == [70.53, 66.32, 66.55, 69.41, 66.36, 57.97, 62.93]


def test_ema_of_the_published_example():
    """ChartSchool's spreadsheet of the 10-day EMA."""
    close = np.array([
        22.2734, 22.1940, 22.0847, 22.1741, 22.1840, 22.1344, 22.2337, 22.4323, 22.2436, 22.2933,
        22.1542, 22.3926, 22.3816, 22.6109, 23.3558,
    ])  # fmt: skip
    assert [round(value, 2) for value in formulas.ema(close, 10)[9:]] == [22.22, 22.21, 22.24, 22.27, 22.33, 22.52]


@QUIET
@given(seeds, st.integers(2, 12), st.integers(13, 30), st.integers(2, 12))
def test_macd_is_the_difference_of_the_averages_on_the_chart(seed, fast, slow, signal):
    close = walk(seed, 120)[3]
    lines = formulas.macd(close, fast, slow, signal)
    pairs = zip(naive_ema(close.tolist(), fast), naive_ema(close.tolist(), slow), strict=True)
    line = [None if b is None else a - b for a, b in pairs]
    smooth = [None] * (slow - 1) + naive_ema(line[slow - 1 :], signal)
    near(lines.macd, line)
    near(lines.signal, smooth)
    near(lines.histogram, [None if b is None else a - b for a, b in zip(line, smooth, strict=True)])


@QUIET
@given(seeds, st.integers(1, 20), st.integers(1, 5), st.integers(1, 5))
def test_stochastic_and_williams(seed, k, d, smooth):
    _, high, low, close, _, _ = walk(seed, 80)
    place = []
    for i in range(len(close)):
        top, bottom = (max(high[max(0, i - k + 1) : i + 1]), min(low[max(0, i - k + 1) : i + 1]))
        place.append(None if i < k - 1 else (close[i] - bottom) / (top - bottom))
    raw = [None if p is None else 100 * p for p in place]

    def mean(values, period):
        return [None if w is None or None in w else math.fsum(w) / period for w in windows(values, period)]

    lines = formulas.stochastic(high, low, close, k, d, smooth)
    near(lines.k, mean(raw, smooth))
    near(lines.d, mean(mean(raw, smooth), d))
    near(formulas.williams(high, low, close, k), [None if p is None else 100 * (p - 1) for p in place])


def test_an_oscillator_over_prices_that_stand_is_not_defined_and_recovers():
    flat = np.array([5.0] * 20 + [6.0, 7.0, 6.5, 6.0, 6.5])
    lines = formulas.stochastic(flat, flat, flat, 5, 3, 1)
    assert np.isnan(lines.k[:20]).all()
    assert np.isfinite(lines.k[20:]).all()
    assert np.isfinite(lines.d[22:]).all()


@QUIET
@given(seeds)
def test_ichimoku_moves_its_cloud_ahead(seed):
    _, high, low, close, _, _ = walk(seed, 150)

    def middle(i, period):
        return None if i < period - 1 else (max(high[i - period + 1 : i + 1]) + min(low[i - period + 1 : i + 1])) / 2

    lines = formulas.ichimoku(high, low, close, 9, 26, 52, 26)
    near(lines.tenkan, [middle(i, 9) for i in range(150)])
    near(lines.kijun, [middle(i, 26) for i in range(150)])
    cloud = [None if i < 25 + 25 else (middle(i - 25, 9) + middle(i - 25, 26)) / 2 for i in range(150)]
    near(lines.senkou_a, cloud)
    near(lines.senkou_b, [None if i < 25 + 51 else middle(i - 25, 52) for i in range(150)])
    near(lines.ahead_a, [(middle(i, 9) + middle(i, 26)) / 2 for i in range(125, 150)])
    near(lines.ahead_b, [middle(i, 52) for i in range(125, 150)])
    near(lines.chikou, [close[i + 25] if i + 25 < 150 else None for i in range(150)])


@QUIET
@given(seeds, st.integers(2, 20))
def test_adx_by_wilders_own_steps(seed, period):
    _, high, low, close, _, _ = walk(seed, 150)
    plus, minus, ranges = [0.0], [0.0], [0.0]
    for i in range(1, len(close)):
        up, down = high[i] - high[i - 1], low[i - 1] - low[i]
        plus.append(up if up > down and up > 0 else 0.0)
        minus.append(down if down > up and down > 0 else 0.0)
        ranges.append(max(high[i], close[i - 1]) - min(low[i], close[i - 1]))

    def summed(values):
        """Wilder's running sum: of period - 1 values, then each step drops a part and adds one."""
        total, made = math.fsum(values[1:period]), [None] * period
        for value in values[period:]:
            total += value - total / period
            made.append(total)
        return made

    p, m, t = summed(plus), summed(minus), summed(ranges)
    plus_di = [None if c is None else 100 * a / c for a, c in zip(p, t, strict=True)]
    minus_di = [None if c is None else 100 * b / c for b, c in zip(m, t, strict=True)]
    pairs = list(zip(plus_di, minus_di, strict=True))[period:]
    # Where nothing moves there is no direction: it adds nothing at first, and leaves the line where it is later.
    dx = [None if a + b < 1e-14 else 100 * abs(a - b) / (a + b) for a, b in pairs]
    adx, last = [None] * (2 * period - 1), math.fsum(value or 0.0 for value in dx[:period]) / period
    adx.append(last)
    for value in dx[period:]:
        last = last if value is None else (last * (period - 1) + value) / period
        adx.append(last)
    lines = formulas.adx(high, low, close, period)
    near(lines.plus_di, plus_di)
    near(lines.minus_di, minus_di)
    near(lines.adx, adx)


@QUIET
@given(seeds)
def test_volumes_that_add_up(seed):
    times, high, low, close, volume, buys = walk(seed, 60)
    total, made = 0.0, [0.0]
    for i in range(1, len(close)):
        total += math.copysign(volume[i], close[i] - close[i - 1])
        made.append(total)
    near(formulas.obv(close, volume), made)
    sells = volume - buys
    near(formulas.cvd(volume, buys), np.cumsum(buys - sells))
    typical = (high + low + close) / 3
    near(
        formulas.vwap(times, high, low, close, volume, 7),
        [
            None if i < 6 else math.fsum((typical * volume)[i - 6 : i + 1]) / math.fsum(volume[i - 6 : i + 1])
            for i in range(60)
        ],
    )


def test_vwap_begins_anew_at_midnight_and_is_not_known_for_a_day_without_its_begin():
    times = np.arange(86_400 - 120, 86_400 + 180, 60)
    price, volume = np.array([1.0, 2, 10, 20, 30]), np.array([1.0, 1, 1, 1, 2])
    near(formulas.vwap(times, price, price, price, volume, 0), [None, None, 10, 15, 22.5])
    empty = np.zeros(5)
    near(formulas.vwap(times, price, price, price, empty, 0), [None] * 5)


@QUIET
@given(seeds, st.integers(2, 60), st.floats(0.05, 1))
def test_volume_profile_keeps_all_volume_and_its_value_area_holds_the_share(seed, rows, share):
    _, high, low, _, volume, _ = walk(seed, 50)
    found = formulas.volume_profile(high, low, volume, rows, share)
    assert math.fsum(found.volumes) == pytest.approx(math.fsum(volume), rel=1e-9)
    for row in (0, rows // 2, rows - 1):
        bottom, top = found.edges[row], found.edges[row + 1]
        parts = [
            v * max(0.0, min(h, top) - max(one, bottom)) / (h - one)
            for h, one, v in zip(high, low, volume, strict=True)
        ]
        assert found.volumes[row] == pytest.approx(math.fsum(parts), rel=1e-6, abs=1e-6)
    inside = (found.edges[:-1] >= found.value_low - 1e-9) & (found.edges[1:] <= found.value_high + 1e-9)
    assert found.volumes[inside].sum() >= share * found.volumes.sum() - 1e-6
    assert found.value_low <= found.poc <= found.value_high


def test_volume_profile_of_one_price_and_of_nothing():
    price, volume = np.array([5.0, 5.0]), np.array([1.0, 2.0])
    found = formulas.volume_profile(price, price, volume, 10, 0.7)
    assert found.volumes.sum() == 3
    assert found.poc == pytest.approx(5)
    assert formulas.volume_profile(price, price, np.zeros(2), 10, 0.7) is None
    assert formulas.volume_profile(np.empty(0), np.empty(0), np.empty(0), 10, 0.7) is None
