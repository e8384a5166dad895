"""Pure: from candles to the prices at which the market has turned, or by custom may turn."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candles import formulas
from candles.formulas import Floats
from candles.indicators import Series

SWING = 5  # candles on each side that a turning point stands out from
ATR_PERIOD = 14
TOLERANCE = 0.75  # of the ATR: turning points this near to each other are one level
MOST_LEVELS = 6
RATIOS = (0.236, 0.382, 0.5, 0.618)


@dataclass(frozen=True, slots=True)
class Level:
    """A price where the market has turned `touches` times. `strength` (0-100) grows with touches, with the volume
    traded at the turns, and with how recent they are. `first` and `last` are opens of candles in epoch seconds."""

    price: float
    touches: int
    strength: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Swing:
    """The dominant move of a series: from its lowest low to its highest high, or the other way round."""

    low: float
    low_time: int
    high: float
    high_time: int

    @property
    def up(self) -> bool:
        return self.low_time < self.high_time


@dataclass(frozen=True, slots=True)
class Pivots:
    """Classic floor pivots of one finished period."""

    pivot: float
    r1: float
    s1: float
    r2: float
    s2: float
    r3: float
    s3: float


def turning_points(high: Floats, low: Floats, width: int = SWING) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of swing highs and swing lows: the extreme of `width` candles on either side, the first of equal ones.

    The newest `width` candles hold none: what comes after them is not known yet."""
    return _extremes(high, width), _extremes(-low, width)


def _extremes(values: Floats, width: int) -> NDArray[np.intp]:
    size = 2 * width + 1
    if len(values) < size:
        return np.empty(0, dtype=np.intp)
    windows = np.lib.stride_tricks.sliding_window_view(values, size)
    return np.asarray(np.flatnonzero(windows.argmax(axis=1) == width) + width)


def support_and_resistance(series: Series, most: int = MOST_LEVELS) -> tuple[list[Level], list[Level]]:
    """Levels below the last close (nearest first) and above it: turning points clustered by the ATR.

    Turning points within TOLERANCE ATRs of a cluster's mean are one level; at least two touches make one. Empty lists
    when there are too few candles."""
    count = len(series)
    if count < ATR_PERIOD + 2 * SWING + 1:
        return [], []
    reach = TOLERANCE * float(formulas.atr(series.high, series.low, series.close, ATR_PERIOD)[-1])
    highs, lows = turning_points(series.high, series.low)
    indices = np.concatenate((highs, lows))
    prices = np.concatenate((series.high[highs], series.low[lows]))
    order = np.argsort(prices, kind="stable")
    clusters = _clusters(prices[order], reach)
    mean_volume = float(series.volume.mean()) or 1.0
    levels = [
        _level(series, prices[order][part], indices[order][part], mean_volume)
        for part in clusters
        if part.stop - part.start > 1
    ]
    last = float(series.close[-1])
    supports = sorted((level for level in levels if level.price < last), key=lambda level: -level.price)
    resistances = sorted((level for level in levels if level.price >= last), key=lambda level: level.price)
    return supports[:most], resistances[:most]


def _clusters(prices: Floats, reach: float) -> list[slice]:
    """Slices of ascending prices that lie within `reach` of their cluster's mean as it grows."""
    parts: list[slice] = []
    begin, total = 0, 0.0
    for i, price in enumerate(prices.tolist()):
        if i > begin and price - total / (i - begin) > reach:
            parts.append(slice(begin, i))
            begin, total = i, 0.0
        total += price
    if len(prices):
        parts.append(slice(begin, len(prices)))
    return parts


def _level(series: Series, prices: Floats, indices: NDArray[np.intp], mean_volume: float) -> Level:
    touches = len(prices)
    volume = float(series.volume[indices].mean()) / mean_volume
    recent = float(indices.max()) / max(1, len(series) - 1)
    strength = 60 * (1 - 0.7 ** (touches - 1)) + 20 * min(1.0, volume / 2) + 20 * recent
    times = series.times[indices]
    return Level(float(prices.mean()), touches, round(min(100.0, strength)), int(times.min()), int(times.max()))


def dominant_swing(series: Series) -> Swing | None:
    """From the lowest low to the highest high of the series, the newest of equal ones; None without a move."""
    if not len(series):
        return None
    last = len(series) - 1
    bottom, top = last - int(series.low[::-1].argmin()), last - int(series.high[::-1].argmax())
    low, high = float(series.low[bottom]), float(series.high[top])
    if bottom == top or high <= low:
        return None
    return Swing(low, int(series.times[bottom]), high, int(series.times[top]))


def fibonacci(swing: Swing) -> dict[str, float]:
    """Retracements of a swing by percent: "38.2" of an upward swing is high - 0.382 (high - low), of a downward one
    low + 0.382 (high - low); "0" is the swing's end and "100" its begin."""
    size = swing.high - swing.low
    steps = {"0": 0.0, **{f"{ratio * 100:g}": ratio for ratio in RATIOS}, "100": 1.0}
    if swing.up:
        return {name: swing.high - ratio * size for name, ratio in steps.items()}
    return {name: swing.low + ratio * size for name, ratio in steps.items()}


def classic_pivots(high: float, low: float, close: float) -> Pivots:
    """Pivot P = (H + L + C) / 3 of a finished period, R1 = 2P - L, S1 = 2P - H, R2 = P + (H - L), S2 = P - (H - L),
    R3 = H + 2 (P - L), S3 = L - 2 (H - P) (Person, A Complete Guide to Technical Trading Tactics, 2004)."""
    pivot = (high + low + close) / 3
    return Pivots(
        pivot,
        2 * pivot - low,
        2 * pivot - high,
        pivot + (high - low),
        pivot - (high - low),
        high + 2 * (pivot - low),
        low - 2 * (high - pivot),
    )
