"""Pure: what a signal rule was worth over the candles that are stored."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from candles.analysis import RULES, Rule, signals
from candles.indicators import Series

HORIZONS = (5, 10, 20)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One rule after `after` candles.

    `count` signals whose end is known; `hit_rate` the share (0 to 1) whose price had moved their way; `mean_move` the
    mean move their way in percent, costs left out. `base_rate` and `base_move` are the same for all candles taken the
    same sides as often: what a rule has to be better than. None without a signal.
    """

    rule: str
    after: int
    count: int
    hit_rate: float | None
    mean_move: float | None
    base_rate: float | None
    base_move: float | None


def backtest(series: Series, horizons: Sequence[int] = HORIZONS, rules: Sequence[Rule] = RULES) -> list[Outcome]:
    """Every rule's outcome for each horizon, from the close of the signal's candle to that of `after` candles later."""
    return [outcome for rule in rules for outcome in _outcomes(series, rule, horizons)]


def _outcomes(series: Series, rule: Rule, horizons: Sequence[int]) -> list[Outcome]:
    found = signals(series, [rule])
    indices = np.array([signal.index for signal in found], dtype=np.intp)
    sides = np.array([1.0 if signal.side == "buy" else -1.0 for signal in found])
    return [_outcome(series, rule.name, indices, sides, after) for after in horizons]


def _outcome(series: Series, rule: str, indices: np.ndarray, sides: np.ndarray, after: int) -> Outcome:
    known = indices + after < len(series)
    starts, ways = indices[known], sides[known]
    if not len(starts):
        return Outcome(rule, after, 0, None, None, None, None)
    moves = (series.close[starts + after] / series.close[starts] - 1) * 100 * ways
    every = (series.close[after:] / series.close[: len(series) - after] - 1) * 100
    buys = float((ways > 0).mean())
    return Outcome(
        rule,
        after,
        len(starts),
        float((moves > 0).mean()),
        float(moves.mean()),
        buys * float((every > 0).mean()) + (1 - buys) * float((every < 0).mean()),
        (2 * buys - 1) * float(every.mean()),
    )
