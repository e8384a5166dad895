"""Pure: from a request such as `sma:20,ema:50,macd:12:26:9` and a series of candles to named lines of values."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candles import formulas
from candles.formulas import Floats

MOST_INDICATORS = 30
Lines = dict[str, Floats]


class InvalidIndicator(ValueError):
    """A request that cannot be computed; the message names the indicator and what is wrong."""


@dataclass(frozen=True, slots=True)
class Series:
    """Candles of one symbol and timeframe, oldest first: arrays of one length, `times` the opens in epoch seconds.

    Missing candles are simply not there: an indicator counts the candles that are, and `missing` says how many are not.
    """

    times: NDArray[np.int64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    taker_buy_volume: Floats
    missing: int = 0

    def __len__(self) -> int:
        return len(self.times)

    def tail(self, count: int) -> "Series":
        """The newest `count` candles."""
        cut = slice(max(0, len(self) - count), None)
        return Series(
            self.times[cut],
            self.open[cut],
            self.high[cut],
            self.low[cut],
            self.close[cut],
            self.volume[cut],
            self.taker_buy_volume[cut],
            self.missing,
        )


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    default: float
    least: float = 1
    most: float = 1000
    whole: bool = True

    def read(self, text: str, owner: str) -> float:
        """The number. Raises InvalidIndicator."""
        try:
            value = int(text) if self.whole else float(text)
        except ValueError:
            kind = "a whole number" if self.whole else "a number"
            raise InvalidIndicator(f"{owner}: {self.name} is {kind}, not {text!r}") from None
        if not math.isfinite(value) or not self.least <= value <= self.most:
            raise InvalidIndicator(f"{owner}: {self.name} is from {self.least:g} to {self.most:g}, not {text}")
        return value


@dataclass(frozen=True, slots=True)
class Indicator:
    """One indicator: how it is asked, where it is drawn, and how it is made.

    `lines` name what `compute` gives, in that order; one line without a name of its own is called "". `overlay` is
    drawn over the price. `lead` tells the candles before a window that its first value needs to be what it would be
    with any longer history: exactly for windows, to about 1e-9 for exponential means. `whole` values mean something
    only relative to the series' begin.
    """

    name: str
    title: str
    parameters: tuple[Parameter, ...]
    lines: tuple[str, ...]
    compute: Callable[..., tuple[Floats, ...]]
    lead: Callable[..., int]
    overlay: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One indicator with its parameters; `label` is how it was asked, and how it is answered."""

    label: str
    indicator: Indicator
    values: tuple[float, ...]

    @property
    def lead(self) -> int:
        return self.indicator.lead(*self.values)


def _period(default: int, most: int = 1000, least: int = 1) -> tuple[Parameter]:
    return (Parameter("period", default, least, most),)


def _exponential(period: float) -> int:
    """Candles after which what an exponential mean began with weighs less than 1e-9: (1 - 2/(p+1))^n."""
    return int(period + math.ceil(10.4 * (period + 1)))


def _wilder(period: float) -> int:
    """As `_exponential`, for Wilder's slower alpha = 1 / period."""
    return int(period + math.ceil(20.8 * period))


def _checked(indicator: Indicator, values: tuple[float, ...]) -> None:
    """What parameters have to be to each other."""
    named = dict(zip((parameter.name for parameter in indicator.parameters), values, strict=True))
    if "fast" in named and "slow" in named and named["fast"] >= named["slow"]:
        raise InvalidIndicator(f"{indicator.name}: fast ({named['fast']:g}) has to be below slow ({named['slow']:g})")


def _all() -> tuple[Indicator, ...]:
    whole = Parameter
    return (
        Indicator("sma", "Simple moving average", _period(20), ("",),
                  lambda s, p: (formulas.sma(s.close, p),), lambda p: p - 1, overlay=True),
        Indicator("ema", "Exponential moving average", _period(50), ("",),
                  lambda s, p: (formulas.ema(s.close, p),), _exponential, overlay=True),
        Indicator("bollinger", "Bollinger Bands",
                  (whole("period", 20, 2), Parameter("deviations", 2, 0.1, 10, whole=False)),
                  ("upper", "middle", "lower"),
                  lambda s, p, d: formulas.bollinger(s.close, p, d), lambda p, d: p - 1, overlay=True),
        Indicator("ichimoku", "Ichimoku Cloud",
                  (whole("fast", 9, 1, 500), whole("slow", 26, 1, 500), whole("span", 52, 1, 500),
                   whole("displacement", 26, 1, 500)),
                  ("tenkan", "kijun", "senkou_a", "senkou_b", "chikou", "ahead_a", "ahead_b"),
                  lambda s, f, k, b, d: formulas.ichimoku(s.high, s.low, s.close, f, k, b, d),
                  lambda f, k, b, d: max(f, k, b) + d, overlay=True),
        Indicator("vwap", "Volume-weighted average price", (whole("period", 0, 0),), ("",),
                  lambda s, p: (formulas.vwap(s.times, s.high, s.low, s.close, s.volume, p),),
                  lambda p: p - 1 if p else 1440, overlay=True),
        Indicator("rsi", "Relative Strength Index", _period(14, least=2), ("",),
                  lambda s, p: (formulas.rsi(s.close, p),), _wilder),
        Indicator("macd", "MACD", (whole("fast", 12), whole("slow", 26), whole("signal", 9)),
                  ("macd", "signal", "histogram"), lambda s, f, k, g: formulas.macd(s.close, f, k, g),
                  lambda f, k, g: _exponential(k) + _exponential(g)),
        Indicator("stochastic", "Stochastic", (whole("k", 14), whole("d", 3), whole("smooth", 1)), ("k", "d"),
                  lambda s, k, d, m: formulas.stochastic(s.high, s.low, s.close, k, d, m),
                  lambda k, d, m: k + d + m - 3),
        Indicator("williams", "Williams %R", _period(14), ("",),
                  lambda s, p: (formulas.williams(s.high, s.low, s.close, p),), lambda p: p - 1),
        Indicator("atr", "Average True Range", _period(14), ("",),
                  lambda s, p: (formulas.atr(s.high, s.low, s.close, p),), _wilder),
        Indicator("adx", "Average Directional Index", _period(14, least=2), ("adx", "plus_di", "minus_di"),
                  lambda s, p: formulas.adx(s.high, s.low, s.close, p), lambda p: 2 * _wilder(p)),
        Indicator("volume", "Volume", (), ("",), lambda s: (s.volume,), lambda: 0),
        Indicator("obv", "On-Balance Volume", (), ("",),
                  lambda s: (formulas.obv(s.close, s.volume),), lambda: 1, whole=True),
        Indicator("cvd", "Cumulative volume delta", (), ("",),
                  lambda s: (formulas.cvd(s.volume, s.taker_buy_volume),), lambda: 0, whole=True),
    )  # fmt: skip


INDICATORS = {indicator.name: indicator for indicator in _all()}
ALIASES = {"bb": "bollinger", "stoch": "stochastic", "willr": "williams", "williams_r": "williams"}
DEFAULT_SET = (
    "sma:10,sma:20,sma:50,sma:100,sma:200,ema:12,ema:26,ema:50,ema:100,bollinger:20:2,rsi:14,macd:12:26:9,"
    "stochastic:14:3,williams:14,ichimoku,volume,obv"
)


def parse(text: str) -> tuple[Request, ...]:
    """The indicators that a comma-separated text asks for, each `name[:parameter...]`, repeated ones once.

    Raises InvalidIndicator."""
    labels = list(dict.fromkeys(label for part in text.lower().split(",") if (label := part.strip())))
    if not labels:
        raise InvalidIndicator(f"name at least one indicator of {', '.join(INDICATORS)}")
    if len(labels) > MOST_INDICATORS:
        raise InvalidIndicator(f"at most {MOST_INDICATORS} indicators at once, not {len(labels)}")
    return tuple(_parse_one(label) for label in labels)


def _parse_one(label: str) -> Request:
    name, *given = label.split(":")
    indicator = INDICATORS.get(ALIASES.get(name, name))
    if indicator is None:
        raise InvalidIndicator(f"unknown indicator {name!r}; there are {', '.join(INDICATORS)}")
    if len(given) > len(indicator.parameters):
        most = ":".join((name, *(parameter.name for parameter in indicator.parameters)))
        raise InvalidIndicator(f"{label}: too many parameters; it is {most}")
    values = [parameter.read(text, name) for parameter, text in zip(indicator.parameters, given, strict=False)]
    values += [parameter.default for parameter in indicator.parameters[len(given) :]]
    _checked(indicator, tuple(values))
    return Request(label, indicator, tuple(values))


def compute(series: Series, requests: Sequence[Request]) -> dict[str, Lines]:
    """Each request's lines by its label: {"macd": {"macd": [...], ...}, "sma:20": {"": [...]}}; NaN is not known."""
    return {request.label: _lines(series, request) for request in requests}


def _lines(series: Series, request: Request) -> Lines:
    indicator = request.indicator
    if not len(series):
        return {line: np.empty(0) for line in indicator.lines}
    return dict(zip(indicator.lines, indicator.compute(series, *request.values), strict=True))


def lead(requests: Sequence[Request]) -> int:
    """Candles before the window that all of the requests need."""
    return max((request.lead for request in requests), default=0)


def plain(lines: Lines, count: int) -> list[float | None] | dict[str, list[float | None]]:
    """The newest `count` values of each line for an answer: one list for a single line, None for NaN.

    Lines `ahead_...` belong to the candles to come and are given whole."""
    listed = {
        name: _listed(values if name.startswith("ahead") else values[max(0, len(values) - count) :])
        for name, values in lines.items()
    }
    return listed[""] if set(listed) == {""} else listed


def _listed(values: Floats) -> list[float | None]:
    known: list[Any] = values.tolist()
    for unknown in np.flatnonzero(~np.isfinite(values)).tolist():
        known[unknown] = None
    return known
