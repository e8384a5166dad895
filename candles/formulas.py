"""Pure: from the arrays of a series of candles to the values of its indicators, one value a candle.

Every function takes float64 arrays of one length, oldest first, and gives arrays of that length (unless it says
otherwise); NaN where a value is not known yet (warm-up) or not defined. TA-Lib computes where its result is exact to
1e-9; it keeps running sums of squares for deviations, so these are made here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import talib
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DAY = 86_400


class Bands(NamedTuple):
    upper: Floats
    middle: Floats
    lower: Floats


class Ichimoku(NamedTuple):
    """`senkou_a` and `senkou_b` bound the cloud at these candles, `ahead_a` and `ahead_b` at the candles to come."""

    tenkan: Floats
    kijun: Floats
    senkou_a: Floats
    senkou_b: Floats
    chikou: Floats
    ahead_a: Floats
    ahead_b: Floats


class Macd(NamedTuple):
    macd: Floats
    signal: Floats
    histogram: Floats


class Stochastic(NamedTuple):
    k: Floats
    d: Floats


class DirectionalMovement(NamedTuple):
    adx: Floats
    plus_di: Floats
    minus_di: Floats


class VolumeProfile(NamedTuple):
    """`edges` bound the rows (one more than `volumes`), ascending. `poc` is the middle of the row with the most volume;
    the value area from `value_low` to `value_high` holds the asked share of all volume around it."""

    edges: Floats
    volumes: Floats
    poc: float
    value_low: float
    value_high: float


def sma(values: Floats, period: int) -> Floats:
    """Mean of the last `period` values."""
    return np.asarray(talib.SMA(values, period)) if period > 1 else values.copy()


def ema(values: Floats, period: int) -> Floats:
    """Exponential mean, alpha = 2 / (period + 1), begun with the simple mean of the first `period` known values."""
    return np.asarray(talib.EMA(values, period)) if period > 1 else values.copy()


def bollinger(close: Floats, period: int, deviations: float) -> Bands:
    """Mean and `deviations` population standard deviations around it (J. Bollinger, 2001)."""
    middle = _windowed(close, period, np.mean)
    width = deviations * _windowed(close, period, np.std)
    return Bands(middle + width, middle, middle - width)


def ichimoku(high: Floats, low: Floats, close: Floats, fast: int, slow: int, span: int, displacement: int) -> Ichimoku:
    """Hosoda's lines: middles of the highest high and lowest low of `fast`, `slow` and `span` candles.

    The cloud is moved ahead and the close back by `displacement` candles, the present one counted as the first, as
    charts do it. The close moved back (`chikou`) is for drawing: at a candle it is a later price.
    """
    tenkan, kijun, far = (_middle(high, low, period) for period in (fast, slow, span))
    shift = displacement - 1
    leading_a, leading_b = (tenkan + kijun) / 2, far
    return Ichimoku(
        tenkan,
        kijun,
        _later(leading_a, shift),
        _later(leading_b, shift),
        _earlier(close, shift),
        leading_a[len(leading_a) - min(shift, len(leading_a)) :].copy(),
        leading_b[len(leading_b) - min(shift, len(leading_b)) :].copy(),
    )


def rsi(close: Floats, period: int) -> Floats:
    """Relative Strength Index with Wilder's smoothing (New Concepts in Technical Trading Systems, 1978), 0 to 100.

    50 as long as no price has changed, where the quotient is not defined (TA-Lib says 0, as if all had fallen)."""
    values = np.array(talib.RSI(close, period))
    moved = np.flatnonzero(np.diff(close))
    values[: moved[0] + 1 if len(moved) else None][period:] = 50.0
    return values


def macd(close: Floats, fast: int, slow: int, signal: int) -> Macd:
    """Appel's MACD: EMA(fast) - EMA(slow), its EMA(signal), and their difference.

    Each EMA begins at the first candle, so that the line is the difference of the EMAs that a chart shows; TA-Lib's own
    MACD begins the fast one later."""
    line = ema(close, fast) - ema(close, slow)
    smooth = np.full_like(line, np.nan)
    if len(line) >= slow:
        smooth[slow - 1 :] = ema(line[slow - 1 :], signal)
    return Macd(line, smooth, line - smooth)


def stochastic(high: Floats, low: Floats, close: Floats, k: int, d: int, smooth: int) -> Stochastic:
    """Lane's %K = 100 (close - lowest low) / (highest high - lowest low) over `k` candles, its mean over `smooth`, and
    %D, the mean of that over `d`. NaN while all prices are the same."""
    raw = 100 * _place(high, low, close, k)
    slowed = _windowed(raw, smooth, np.mean)
    return Stochastic(slowed, _windowed(slowed, d, np.mean))


def williams(high: Floats, low: Floats, close: Floats, period: int) -> Floats:
    """Williams %R = -100 (highest high - close) / (highest high - lowest low), -100 to 0. NaN while prices stand."""
    return 100 * (_place(high, low, close, period) - 1)


def obv(close: Floats, volume: Floats) -> Floats:
    """Granville's On-Balance Volume, 0 at the first candle: it is the change since then that means something."""
    steps = np.concatenate(([0.0], np.sign(np.diff(close)) * volume[1:])) if len(close) else close.copy()
    return np.cumsum(steps)


def cvd(volume: Floats, taker_buy_volume: Floats) -> Floats:
    """Cumulative volume delta since the series' begin: volume that takers bought minus volume that they sold."""
    return np.cumsum(2 * taker_buy_volume - volume)


def vwap(times: NDArray[np.int64], high: Floats, low: Floats, close: Floats, volume: Floats, period: int) -> Floats:
    """Volume-weighted mean of (high + low + close) / 3 since midnight UTC, or, `period` above 0, of so many candles.

    `times` are the candles' opens in epoch seconds. A day whose first candle is not the day's first is NaN: its volume
    before is not known. NaN where nothing was traded."""
    value = (high + low + close) / 3 * volume
    with np.errstate(invalid="ignore", divide="ignore"):
        if period > 0:
            return _windowed(value, period, np.sum) / _windowed(volume, period, np.sum)
        days = times // DAY
        starts = np.flatnonzero(np.concatenate(([True], days[1:] != days[:-1]))) if len(days) else np.empty(0, int)
        result = np.full_like(close, np.nan)
        for begin, end in zip(starts, np.append(starts[1:], len(days)), strict=True):
            if times[begin] % DAY == 0:
                result[begin:end] = np.cumsum(value[begin:end]) / np.cumsum(volume[begin:end])
    return result


def atr(high: Floats, low: Floats, close: Floats, period: int) -> Floats:
    """Average True Range with Wilder's smoothing (1978), begun with the mean of the first `period` true ranges."""
    return np.asarray(talib.ATR(high, low, close, period))


def adx(high: Floats, low: Floats, close: Floats, period: int) -> DirectionalMovement:
    """Wilder's Average Directional Index and the two Directional Indicators (1978), 0 to 100."""
    return DirectionalMovement(
        np.asarray(talib.ADX(high, low, close, period)),
        np.asarray(talib.PLUS_DI(high, low, close, period)),
        np.asarray(talib.MINUS_DI(high, low, close, period)),
    )


def channel(high: Floats, low: Floats, period: int) -> tuple[Floats, Floats]:
    """Donchian's channel: the highest high and the lowest low of the `period` candles before each one."""
    return _later(_windowed(high, period, np.max), 1), _later(_windowed(low, period, np.min), 1)


def volume_profile(high: Floats, low: Floats, volume: Floats, rows: int, share: float) -> VolumeProfile | None:
    """How the volume of all candles lies over prices, in `rows` rows of one height; None without any volume.

    A candle's volume is spread evenly from its low to its high. The value area grows from the row with the most volume
    to the larger neighbour row until it holds `share` (0 to 1) of all (Steidlmayer's Market Profile)."""
    if not len(volume) or not volume.sum() > 0:
        return None
    bottom, top = float(low.min()), float(high.max())
    if top <= bottom:
        bottom, top = bottom * (1 - 1e-9), top * (1 + 1e-9)
    edges = np.linspace(bottom, top, rows + 1)
    heights = high - low
    with np.errstate(invalid="ignore", divide="ignore"):
        below = np.clip((edges[:, None] - low) / heights, 0, 1)
    flat = heights <= 0
    below[:, flat] = edges[:, None] > low[flat]
    below[-1] = 1.0
    volumes = np.diff(below @ volume)
    first = last = peak = int(np.argmax(volumes))
    held = volumes[peak]
    while held < share * volumes.sum() and (first > 0 or last < rows - 1):
        under = volumes[first - 1] if first > 0 else -1.0
        over = volumes[last + 1] if last < rows - 1 else -1.0
        held += max(under, over)
        first, last = (first - 1, last) if under > over else (first, last + 1)
    poc = float(edges[peak] + edges[peak + 1]) / 2
    return VolumeProfile(edges, volumes, poc, float(edges[first]), float(edges[last + 1]))


def _middle(high: Floats, low: Floats, period: int) -> Floats:
    if period == 1:
        return (high + low) / 2
    return np.asarray((talib.MAX(high, period) + talib.MIN(low, period)) / 2)


def _place(high: Floats, low: Floats, close: Floats, period: int) -> Floats:
    """Where the close stands between the lowest low (0) and the highest high (1) of the last `period` candles."""
    highest, lowest = (high, low) if period == 1 else (talib.MAX(high, period), talib.MIN(low, period))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((close - lowest) / np.where(highest > lowest, highest - lowest, np.nan))


def _windowed(values: Floats, period: int, reduce: Callable[..., Any]) -> Floats:
    """`reduce` over each window of `period` values; unlike running sums a NaN ends with its window."""
    result = np.full_like(values, np.nan)
    if len(values) >= period:
        result[period - 1 :] = reduce(sliding_window_view(values, period), axis=1)
    return result


def _later(values: Floats, shift: int) -> Floats:
    moved = np.full_like(values, np.nan)
    if shift < len(values):
        moved[shift:] = values[: len(values) - shift]
    return moved


def _earlier(values: Floats, shift: int) -> Floats:
    moved = np.full_like(values, np.nan)
    if shift < len(values):
        moved[: len(values) - shift] = values[shift:]
    return moved
