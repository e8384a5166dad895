"""Pure: from closed candles to a trend, its strength, and signals that say what they rest on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from candles import formulas, levels
from candles.formulas import Floats
from candles.indicators import Series

Side = Literal["buy", "sell"]
Trend = Literal["bullish", "bearish", "neutral"]
FEWEST = 60  # candles below which nothing is said
WANTED = 500  # candles that an analysis looks at
UNDECIDED = 0.2  # mean vote up to which a trend is neutral
RECENT = 20  # candles that the signals of an analysis reach back


@dataclass(frozen=True, slots=True)
class Vote:
    """What one rule says of the trend: `score` from -1 (down) to 1 (up)."""

    rule: str
    score: float
    text: str


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal at the close of a candle: `time` is that candle's open in epoch seconds, `basis` the values at it."""

    rule: str
    side: Side
    time: int
    price: float
    reason: str
    basis: dict[str, float]
    index: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Analysis:
    """`strength` is 0 to 100; `time` the open of the newest candle looked at, in epoch seconds."""

    time: int
    trend: Trend
    strength: int
    votes: tuple[Vote, ...]
    signals: tuple[Signal, ...]
    support: tuple[levels.Level, ...]
    resistance: tuple[levels.Level, ...]
    fibonacci: dict[str, float]
    swing: levels.Swing | None
    missing: int


@dataclass(frozen=True, slots=True)
class Rule:
    """A signal rule. `find` gives where it says buy and where it says sell (a boolean a candle, made from candles up to
    that one alone), and the arrays that it rests on."""

    name: str
    title: str
    buy: str
    sell: str
    find: Callable[[Series], tuple[NDArray[np.bool_], NDArray[np.bool_], dict[str, Floats]]]


def analyse(series: Series) -> Analysis | None:
    """What the rules say of closed candles, oldest first; None when they are fewer than FEWEST."""
    if len(series) < FEWEST:
        return None
    votes = tuple(vote for rule in _VOTES if (vote := rule(series)) is not None)
    score = sum(vote.score for vote in votes) / len(votes) if votes else 0.0
    trend: Trend = "bullish" if score > UNDECIDED else "bearish" if score < -UNDECIDED else "neutral"
    since = int(series.times[-min(RECENT, len(series))])
    recent = tuple(signal for signal in signals(series) if signal.time >= since)
    support, resistance = levels.support_and_resistance(series)
    swing = levels.dominant_swing(series)
    return Analysis(
        int(series.times[-1]),
        trend,
        round(100 * abs(score)),
        votes,
        recent,
        tuple(support),
        tuple(resistance),
        levels.fibonacci(swing) if swing else {},
        swing,
        series.missing,
    )


def signals(series: Series, rules: "Sequence[Rule] | None" = None) -> list[Signal]:
    """Every signal of the rules (default: all), oldest first."""
    found = [signal for rule in rules or RULES for signal in _signals_of(series, rule)]
    return sorted(found, key=lambda signal: (signal.time, signal.rule))


def _signals_of(series: Series, rule: Rule) -> list[Signal]:
    if not len(series):
        return []
    buys, sells, basis = rule.find(series)
    return [
        Signal(
            rule.name,
            "buy" if buys[i] else "sell",
            int(series.times[i]),
            float(series.close[i]),
            rule.buy if buys[i] else rule.sell,
            {name: float(values[i]) for name, values in basis.items()},
            int(i),
        )
        for i in np.flatnonzero(buys | sells)
    ]


# --- what says where the trend goes ----------------------------------------------------------------------------------


def _known(*values: float) -> bool:
    return all(np.isfinite(value) for value in values)


def _averages(series: Series) -> Vote | None:
    close = float(series.close[-1])
    middle, long = (float(formulas.sma(series.close, period)[-1]) for period in (50, 200))
    if not _known(middle):
        return None
    score = float(np.sign(close - middle))
    text = f"close is {'above' if score > 0 else 'below'} its SMA 50"
    if _known(long):
        score = (score + float(np.sign(middle - long))) / 2
        text += f", SMA 50 is {'above' if middle > long else 'below'} SMA 200"
    return Vote("averages", score, text)


def _momentum(series: Series) -> Vote | None:
    lines = formulas.macd(series.close, 12, 26, 9)
    line, histogram = float(lines.macd[-1]), float(lines.histogram[-1])
    if not _known(line, histogram):
        return None
    score = (float(np.sign(line)) + float(np.sign(histogram))) / 2
    place = "above" if line > 0 else "below"
    return Vote("macd", score, f"MACD is {place} zero and {'above' if histogram > 0 else 'below'} its signal")


def _direction(series: Series) -> Vote | None:
    moved = formulas.adx(series.high, series.low, series.close, 14)
    adx, plus, minus = (float(values[-1]) for values in moved)
    if not _known(adx, plus, minus):
        return None
    score = float(np.sign(plus - minus)) * min(1.0, adx / 40)
    return Vote("adx", score, f"+DI {plus:.0f}, -DI {minus:.0f}, ADX {adx:.0f}: the move is {_size(adx)}")


def _size(adx: float) -> str:
    return "strong" if adx >= 25 else "weak" if adx < 20 else "growing"


def _cloud(series: Series) -> Vote | None:
    lines = formulas.ichimoku(series.high, series.low, series.close, 9, 26, 52, 26)
    close, one, other = float(series.close[-1]), float(lines.senkou_a[-1]), float(lines.senkou_b[-1])
    if not _known(one, other):
        return None
    if close > max(one, other):
        return Vote("ichimoku", 1.0, "close is above the cloud")
    if close < min(one, other):
        return Vote("ichimoku", -1.0, "close is below the cloud")
    return Vote("ichimoku", 0.0, "close is inside the cloud")


def _oscillator(series: Series) -> Vote | None:
    value = float(formulas.rsi(series.close, 14)[-1])
    if not _known(value):
        return None
    return Vote("rsi", max(-1.0, min(1.0, (value - 50) / 20)), f"RSI 14 is {value:.0f}")


def _slope(series: Series) -> Vote | None:
    average = formulas.sma(series.close, 20)
    size = float(formulas.atr(series.high, series.low, series.close, 14)[-1])
    if not _known(size, float(average[-11])) or size <= 0:
        return None
    steps = float(average[-1] - average[-11]) / size
    way = "up" if steps > 0 else "down" if steps < 0 else "nowhere"
    return Vote("slope", max(-1.0, min(1.0, steps / 3)), f"SMA 20 went {way}, {abs(steps):.1f} ATRs in 10 candles")


_VOTES = (_averages, _momentum, _direction, _cloud, _oscillator, _slope)


# --- what says buy and sell ------------------------------------------------------------------------------------------


def _crosses(one: Floats, other: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where `one` comes above the other, and below it; a touch is no crossing, NaN neither."""
    with np.errstate(invalid="ignore"):
        above, below = one > other, one < other
    up, down = np.zeros(len(one), dtype=bool), np.zeros(len(one), dtype=bool)
    if len(one):
        side = np.where(above, 1, np.where(below, -1, 0))
        # Standing on the line keeps the side that it came from.
        known = np.maximum.accumulate(np.where(side != 0, np.arange(len(side)), -1))
        before = np.concatenate(([-1], known[:-1]))
        was = np.where(before >= 0, side[before], 0)
        up, down = above & (was < 0), below & (was > 0)
    return up, down


def _ema_cross(s: Series) -> tuple[NDArray[np.bool_], NDArray[np.bool_], dict[str, Floats]]:
    fast, slow = formulas.ema(s.close, 12), formulas.ema(s.close, 26)
    return *_crosses(fast, slow), {"ema:12": fast, "ema:26": slow}


def _golden_cross(s: Series) -> tuple[NDArray[np.bool_], NDArray[np.bool_], dict[str, Floats]]:
    fast, slow = formulas.sma(s.close, 50), formulas.sma(s.close, 200)
    return *_crosses(fast, slow), {"sma:50": fast, "sma:200": slow}


def _macd_cross(s: Series) -> tuple[NDArray[np.bool_], NDArray[np.bool_], dict[str, Floats]]:
    lines = formulas.macd(s.close, 12, 26, 9)
    return *_crosses(lines.macd, lines.signal), {"macd": lines.macd, "signal": lines.signal}


def _rsi_return(s: Series) -> tuple[NDArray[np.bool_], NDArray[np.bool_], dict[str, Floats]]:
    value = formulas.rsi(s.close, 14)
    up, _ = _crosses(value, np.full_like(value, 30.0))
    _, down = _crosses(value, np.full_like(value, 70.0))
    return up, down, {"rsi:14": value}


def _bollinger_return(s: Series) -> tuple[NDArray[np.bool_], NDArray[np.bool_], dict[str, Floats]]:
    bands = formulas.bollinger(s.close, 20, 2)
    up, _ = _crosses(s.close, bands.lower)
    _, down = _crosses(s.close, bands.upper)
    return up, down, {"upper": bands.upper, "middle": bands.middle, "lower": bands.lower}


def _stochastic_cross(s: Series) -> tuple[NDArray[np.bool_], NDArray[np.bool_], dict[str, Floats]]:
    lines = formulas.stochastic(s.high, s.low, s.close, 14, 3, 3)
    up, down = _crosses(lines.k, lines.d)
    with np.errstate(invalid="ignore"):
        return up & (lines.d < 20), down & (lines.d > 80), {"k": lines.k, "d": lines.d}


def _cloud_break(s: Series) -> tuple[NDArray[np.bool_], NDArray[np.bool_], dict[str, Floats]]:
    lines = formulas.ichimoku(s.high, s.low, s.close, 9, 26, 52, 26)
    top, bottom = np.maximum(lines.senkou_a, lines.senkou_b), np.minimum(lines.senkou_a, lines.senkou_b)
    up, _ = _crosses(s.close, top)
    _, down = _crosses(s.close, bottom)
    return up, down, {"cloud_top": top, "cloud_bottom": bottom}


def _breakout(s: Series) -> tuple[NDArray[np.bool_], NDArray[np.bool_], dict[str, Floats]]:
    top, bottom = formulas.channel(s.high, s.low, 20)
    up, _ = _crosses(s.close, top)
    _, down = _crosses(s.close, bottom)
    return up, down, {"highest_20": top, "lowest_20": bottom}


RULES = (
    Rule("ema_cross", "EMA 12 / 26 crossing", "EMA 12 crossed above EMA 26", "EMA 12 crossed below EMA 26", _ema_cross),
    Rule(
        "golden_cross",
        "SMA 50 / 200 crossing",
        "SMA 50 crossed above SMA 200",
        "SMA 50 crossed below SMA 200",
        _golden_cross,
    ),
    Rule("macd_cross", "MACD crossing", "MACD crossed above its signal", "MACD crossed below its signal", _macd_cross),
    Rule("rsi_return", "RSI returns", "RSI 14 came back above 30", "RSI 14 came back below 70", _rsi_return),
    Rule(
        "bollinger_return",
        "Return into the Bollinger Bands",
        "close came back above the lower band",
        "close came back below the upper band",
        _bollinger_return,
    ),
    Rule(
        "stochastic_cross",
        "Stochastic crossing at an extreme",
        "%K crossed above %D below 20",
        "%K crossed below %D above 80",
        _stochastic_cross,
    ),
    Rule(
        "cloud_break", "Ichimoku breakout", "close broke above the cloud", "close broke below the cloud", _cloud_break
    ),
    Rule(
        "breakout",
        "20-candle breakout",
        "close above the highest high of 20 candles",
        "close below the lowest low of 20 candles",
        _breakout,
    ),
)
