"""Beside indicators, for live series: values that go on from one candle to the next without the candles before (pure).

Each follows the batch formula of candles.formulas (and of TA-Lib, where that computes) step by step: a value is
the one that the whole series would give, to rounding. Formulas over a window compute it over their window."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from math import isnan
from typing import NamedTuple, Protocol, Self

import numpy as np

from candles.formulas import DAY
from candles.indicators import Request, Series

Values = tuple[float, ...]  # one a line; NaN is not known
NAN = float("nan")


class Bar(NamedTuple):
    """One candle as indicators see it; `time` is its opening in epoch seconds."""

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    taker_buy_volume: float


class Step(Protocol):
    """A value on its way. `step` moves it over one more candle; a copy can look at a candle that is still open."""

    def step(self, bar: Bar) -> Values: ...


class _Plain:
    """State that is numbers only: a shallow copy is a whole one."""

    def __copy__(self) -> Self:
        made = self.__class__.__new__(self.__class__)
        made.__dict__.update(self.__dict__)
        return made


class _Mean(_Plain):
    """TA-Lib's SMA: a running total, from which the oldest value is taken after each."""

    def __init__(self, period: int) -> None:
        self.period, self.total, self.count = period, 0.0, 0
        self.window: tuple[float, ...] = ()

    def value(self, x: float) -> float:
        if self.period == 1:
            return x
        window = (*self.window, x)
        self.total += x
        if len(window) < self.period:
            self.window = window
            return NAN
        total, self.window = self.total, window[1:]
        self.total -= window[0]
        return total / self.period


class _Exponential(_Plain):
    """TA-Lib's EMA: begun with the mean of the first `period` values."""

    def __init__(self, period: int) -> None:
        self.period, self.sum, self.count, self.mean = period, 0.0, 0, NAN
        self.share = 2.0 / (period + 1)

    def value(self, x: float) -> float:
        if self.period == 1:
            return x
        self.count += 1
        if self.count < self.period:
            self.sum += x
            return NAN
        if self.count == self.period:
            self.mean = (self.sum + x) / self.period
        else:
            self.mean = (x - self.mean) * self.share + self.mean
        return self.mean


class _Sma(_Mean):
    def step(self, bar: Bar) -> Values:
        return (self.value(bar.close),)


class _Ema(_Exponential):
    def step(self, bar: Bar) -> Values:
        return (self.value(bar.close),)


class _Macd:
    def __init__(self, fast: int, slow: int, signal: int) -> None:
        self.fast, self.slow, self.signal = _Exponential(fast), _Exponential(slow), _Exponential(signal)

    def step(self, bar: Bar) -> Values:
        line = self.fast.value(bar.close) - self.slow.value(bar.close)
        smooth = self.signal.value(line) if not isnan(line) else NAN
        return (line, smooth, line - smooth)

    def __copy__(self) -> "_Macd":
        made = self.__class__.__new__(self.__class__)
        made.fast, made.slow, made.signal = copy(self.fast), copy(self.slow), copy(self.signal)
        return made


class _Rsi(_Plain):
    """Wilder's means of gains and losses; 50 as long as no price has changed."""

    def __init__(self, period: int) -> None:
        self.period, self.count = period, 0
        self.before, self.gain, self.loss, self.moved = NAN, 0.0, 0.0, False

    def step(self, bar: Bar) -> Values:
        period, self.count = self.period, self.count + 1
        change, self.before = bar.close - self.before, bar.close
        if self.count == 1:
            return (NAN,)
        self.moved = self.moved or change != 0
        if self.count > period + 1:
            self.gain *= period - 1
            self.loss *= period - 1
        if change < 0:
            self.loss -= change
        else:
            self.gain += change
        if self.count <= period:
            return (NAN,)
        self.gain /= period
        self.loss /= period
        whole = self.gain + self.loss
        if not self.moved:
            return (50.0,)
        return (100.0 * (self.gain / whole) if abs(whole) >= 1e-14 else 0.0,)


def _true_range(bar: Bar, close: float) -> float:
    return max(bar.high - bar.low, abs(bar.high - close), abs(bar.low - close))


class _Atr(_Plain):
    def __init__(self, period: int) -> None:
        self.period, self.count, self.before, self.mean = period, 0, NAN, 0.0

    def step(self, bar: Bar) -> Values:
        close, self.before = self.before, bar.close
        self.count += 1
        if self.count == 1:
            return (NAN,)
        span, period = _true_range(bar, close), self.period
        if self.count <= period + 1:
            self.mean += span
            if self.count <= period:
                return (NAN,)
        else:
            self.mean = self.mean * (period - 1) + span
        self.mean /= period
        return (self.mean,)


class _Adx(_Plain):
    """Wilder's directional movement: smoothed +DM, -DM and true range, and the smoothed index of the first two."""

    def __init__(self, period: int) -> None:
        self.period, self.count = period, 0
        self.before: Bar | None = None
        self.up = self.down = self.span = self.sum = 0.0
        self.mean = NAN

    def step(self, bar: Bar) -> Values:
        before, self.before = self.before, bar
        self.count += 1
        if before is None:
            return (NAN, NAN, NAN)
        rise, fall = bar.high - before.high, before.low - bar.low
        period, age = self.period, self.count - 1  # `age` moves were seen
        if age >= period:
            self.up -= self.up / period
            self.down -= self.down / period
            self.span -= self.span / period
        if fall > 0 and rise < fall:
            self.down += fall
        elif rise > 0 and rise > fall:
            self.up += rise
        self.span += _true_range(bar, before.close)
        if age < period:
            return (NAN, NAN, NAN)
        plus = minus = 0.0
        if abs(self.span) >= 1e-14:
            plus, minus = 100.0 * (self.up / self.span), 100.0 * (self.down / self.span)
        return (self._index(plus, minus, age), plus, minus)

    def _index(self, plus: float, minus: float, age: int) -> float:
        whole, period = plus + minus, self.period
        index = 100.0 * (abs(minus - plus) / whole) if abs(whole) >= 1e-14 else None
        if age < 2 * period:
            self.sum += index or 0.0
            if age == 2 * period - 1:
                self.mean = self.sum / period
        elif index is not None:
            self.mean = (self.mean * (period - 1) + index) / period
        return self.mean


class _Obv(_Plain):
    def __init__(self) -> None:
        self.before, self.sum = NAN, 0.0

    def step(self, bar: Bar) -> Values:
        change, self.before = bar.close - self.before, bar.close
        if not isnan(change):
            self.sum += float(np.sign(change)) * bar.volume
        return (self.sum,)


class _Cvd(_Plain):
    def __init__(self) -> None:
        self.sum = 0.0

    def step(self, bar: Bar) -> Values:
        self.sum += 2 * bar.taker_buy_volume - bar.volume
        return (self.sum,)


class _DayVwap(_Plain):
    """Since midnight UTC; NaN on a day whose first candle is not the day's first."""

    def __init__(self) -> None:
        self.day, self.value, self.volume = -1, NAN, NAN

    def step(self, bar: Bar) -> Values:
        if bar.time // DAY != self.day:
            self.day = bar.time // DAY
            self.value = self.volume = 0.0 if bar.time % DAY == 0 else NAN
        self.value += (bar.high + bar.low + bar.close) / 3 * bar.volume
        self.volume += bar.volume
        return (self.value / self.volume if self.volume else NAN,)


class _Window:
    """Whatever looks at a window only: the batch formula over the last candles that it needs."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.bars: deque[Bar] = deque(maxlen=request.lead + 1)

    def step(self, bar: Bar) -> Values:
        self.bars.append(bar)
        lines = self.request.indicator.compute(series_of(self.bars), *self.request.values)
        return tuple(float(line[-1]) if len(line) else NAN for line in lines)

    def ahead(self) -> dict[str, list[float]]:
        """The lines over candles to come."""
        lines = self.request.indicator.compute(series_of(self.bars), *self.request.values)
        named = zip(self.request.indicator.lines, lines, strict=True)
        return {name: values.tolist() for name, values in named if name.startswith("ahead")}

    def __copy__(self) -> "_Window":
        made = self.__class__(self.request)
        made.bars = self.bars.copy()
        return made


_STEPS: dict[str, Callable[..., Step]] = {
    "sma": _Sma, "ema": _Ema, "macd": _Macd, "rsi": _Rsi, "atr": _Atr, "adx": _Adx, "obv": _Obv, "cvd": _Cvd,
}  # fmt: skip


def series_of(bars: Iterable[Bar]) -> Series:
    """Arrays of bars, oldest first."""
    times, opens, highs, lows, closes, volumes, bought = (np.array(column) for column in zip(*bars, strict=True))
    return Series(times, opens, highs, lows, closes, volumes, bought)


def _begun(request: Request) -> Step:
    values = [int(value) if float(value).is_integer() else value for value in request.values]
    if request.indicator.name == "vwap" and not request.values[0]:
        return _DayVwap()
    make = _STEPS.get(request.indicator.name)
    return _Window(request) if make is None else make(*values)


class Running:
    """One indicator of a live series. `close` takes a candle for good, `look` one that is still open."""

    def __init__(self, request: Request, bars: Sequence[Bar] = ()) -> None:
        self.request = request
        self._step = _begun(request)
        self.closed: Values = (NAN,) * len(request.indicator.lines)  # at the newest closed candle
        self.before = self.closed  # at the one before it
        if isinstance(self._step, _Window):
            self._step.bars.extend(bars[:-2])
            bars = bars[-2:]
        for bar in bars:
            self.close(bar)

    def close(self, bar: Bar) -> Values:
        self.before, self.closed = self.closed, self._step.step(bar)
        return self.closed

    def look(self, *bars: Bar) -> tuple[Values, dict[str, list[float]]]:
        """The values as if these candles closed as they are now, and the lines over candles to come."""
        step, values = copy(self._step), self.closed
        for bar in bars:
            values = step.step(bar)
        return values, step.ahead() if isinstance(step, _Window) and self._has_ahead else {}

    @property
    def _has_ahead(self) -> bool:
        return any(line.startswith("ahead") for line in self.request.indicator.lines)
