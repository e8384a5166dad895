"""Beside the books on the simulated data's way: a minute in, its aggregated trades out. Pure.

Trades make the path of prices: the first is at a minute's open, the last at its close, its high and low are traded,
and between two of them the price stands still. Their sums are the minute's candle: volume, turnover, number, and the
takers' part of each."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simulator.books import best_prices_between
from simulator.counts import minute_of, trades_before
from simulator.hashing import Floats, Ints, hashes, normals
from simulator.listings import Listing
from simulator.prices import MINUTE, STEP, STEPS, Minute, minute, minute_path, traded_steps

_SECOND = 1000 // STEP


@dataclass(frozen=True, slots=True)
class Trades:
    """Aggregated trades in the order of their ids, which begin at `first`; times in ms, prices in ticks.

    `steps` count from the epoch: a trade is known from the beginning of its step. `sells`: the buyer was the maker.
    The i-th stands for the trades from `numbers[i]` to before `numbers[i + 1]`.
    """

    first: int
    steps: Ints
    times: Ints
    ticks: Ints
    lots: Ints
    sells: NDArray[np.bool_]
    numbers: Ints

    def __len__(self) -> int:
        return len(self.ticks)

    def part(self, begin: int, end: int) -> "Trades":
        """From the `begin`-th to before the `end`-th."""
        return Trades(
            self.first + begin, self.steps[begin:end], self.times[begin:end], self.ticks[begin:end],
            self.lots[begin:end], self.sells[begin:end], self.numbers[begin : end + 1],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sums:
    """A minute's trades summed up to each step (0..600, before the step): lots, trades, and ticks times lots."""

    volume: Ints
    value: Ints
    trades: Ints
    taker_volume: Ints
    taker_value: Ints


def _times(at: Minute, start: int, steps: Ints) -> Ints:
    """When (ms) trades took place: within the step before the one that shows them, and within the same second."""
    early = (hashes(at.bits ^ 0x71ED, np.arange(len(steps))) % np.uint64(STEP)).astype(np.int64)
    return np.sort(start + steps * STEP - np.where(steps % _SECOND == 0, 0, early))


def _sides(at: Minute, falling: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Who sold: whoever met the best bid. As many are turned as it takes for each side to have a lot for each."""
    sells = falling.copy()
    for side, volume in ((True, at.volume - at.taker_volume), (False, at.taker_volume)):
        own = np.flatnonzero(sells == side)
        sells[own[: max(0, len(own) - volume)]] = not side
        if len(own) == 0:
            sells[1] = side
    return sells


def _shared(total: int, weights: Floats) -> Ints:
    """A total in whole parts, near in proportion to the weights, each at least one."""
    ends = np.floor(np.cumsum(weights) / weights.sum() * (total - len(weights)) + 1e-9).astype(np.int64)
    ends[-1] = total - len(weights)
    return np.asarray(1 + np.diff(ends, prepend=0))


def _tilted(lots: Ints, away: Ints, target: int) -> Ints:
    """The same total, with more at one end of the prices, so that the sum of lots times prices nears the target."""
    centred = away - (away * lots).sum() / lots.sum()
    strength = float((lots * centred**2).sum())
    missing = target - int((away * lots).sum())
    if not strength or not missing:
        return lots
    tilt = missing / strength
    most = 0.9 / float(np.abs(centred).max())
    return _shared(int(lots.sum()), lots * (1 + np.clip(tilt, -most, most) * centred))


def _settled(lots: Ints, away: Ints, target: int) -> Ints:
    """Moves lots between trades until the sum of lots times prices is the target, where their prices allow it."""
    lots = lots.copy()
    _, seats = np.unique(away, return_index=True)  # one trade at each price
    for _ in range(64):
        missing = target - int((away * lots).sum())
        if not missing:
            break
        up = missing > 0
        givers, takers = (seats[:-1], seats[1:]) if up else (seats[1:], seats[:-1])
        far = seats[-1] if up else seats[0]
        pairs = [(int(far), int(one)) for one in seats if one != far] + list(
            zip(takers.tolist(), givers.tolist(), strict=True)
        )
        moves = [
            (min(abs(missing) // gap, int(lots[giver]) - 1) * gap, gap, taker, giver)
            for taker, giver in pairs
            if (gap := abs(int(away[taker] - away[giver]))) and lots[giver] > 1
        ]
        best = max(moves, default=(0, 0, 0, 0))
        if best[0] == 0:
            break
        count = best[0] // best[1]
        lots[best[3]] -= count
        lots[best[2]] += count
    return lots


def _lots(at: Minute, ticks: Ints, total: int, target: int, weights: Floats) -> Ints:
    """Whole lots for the trades of one side: their sum is the total, their sum of prices the target if it can be."""
    away = ticks - at.low
    target -= total * at.low
    lots = _shared(total, weights)
    for _ in range(3):
        lots = _tilted(lots, away, target)
    return _settled(lots, away, target)


@lru_cache(maxsize=512)
def minute_trades(listing: Listing, seed: int, number: int) -> Trades:
    """All of a minute's trades. `number` counts minutes from the epoch."""
    at = minute(listing, seed, number)
    steps = traded_steps(at)
    ticks = minute_path(listing, seed, number)[steps]
    bids, _ = best_prices_between(listing, seed, number * STEPS, STEPS)
    sells = _sides(at, bids[steps] == ticks)
    weights = np.exp(1.1 * normals(hashes(at.bits ^ 0x10F5, np.arange(at.aggregates))))
    lots = np.empty(at.aggregates, dtype=np.int64)
    bought = at.taker_volume * at.price_sum // 4
    sold = at.volume * at.price_sum // 4 - bought
    for side, total, target in ((True, at.volume - at.taker_volume, sold), (False, at.taker_volume, bought)):
        own = np.flatnonzero(sells == side)
        lots[own] = _lots(at, ticks[own], total, target, weights[own])
    ids = np.arange(at.first_id, at.first_id + at.aggregates + 1)
    return Trades(
        at.first_id, number * STEPS + steps, _times(at, number * MINUTE, steps), ticks, lots, sells,
        trades_before(listing, ids),
    )  # fmt: skip


@lru_cache(maxsize=512)
def minute_sums(listing: Listing, seed: int, number: int) -> Sums:
    """What a minute's trades add up to until each of its steps; at the end exactly its candle."""
    trades, at = minute_trades(listing, seed, number), minute(listing, seed, number)
    known = np.searchsorted(trades.steps - number * STEPS, np.arange(STEPS + 1))
    known[-1] = len(trades)
    taken = np.where(trades.sells, 0, trades.lots)

    def until(values: Ints) -> Ints:
        return np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(values)))[known]

    value, taker_value = until(trades.lots * trades.ticks), until(taken * trades.ticks)
    # Where prices did not allow it, the last trade's part is what the candle says.
    value[-1], taker_value[-1] = at.volume * at.price_sum // 4, at.taker_volume * at.price_sum // 4
    return Sums(until(trades.lots), value, until(np.diff(trades.numbers)), until(taken), taker_value)


def trades_from(listing: Listing, seed: int, first: int, count: int, last_step: int) -> list[Trades]:
    """At most `count` trades from an id on, as known at a step; minute by minute."""
    found: list[Trades] = []
    number = minute_of(listing, seed, first) if count > 0 else 0
    while count > 0 and number * STEPS <= last_step:
        trades = minute_trades(listing, seed, number)
        end = min(int(np.searchsorted(trades.steps, last_step, side="right")), first + count - trades.first)
        begin = max(0, first - trades.first)
        if end > begin:
            found.append(trades.part(begin, end))
            first, count = trades.first + end, count - (end - begin)
        if end < len(trades):
            break
        number += 1
    return found
