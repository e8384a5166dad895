"""Beside the books on the simulated data's way: two moments in, the levels that changed between them out. Pure.

What can change from one step to the next is known without drawing the whole book twice: cells whose level's lifetime
ends, prices that the best ones pass, and the far ends of layers, which move with the best prices. These prices are
looked up before and after, for many steps at once; the answer is exactly the difference of the two whole books.
"""

from dataclasses import dataclass

import numpy as np

from simulator import books
from simulator.books import Layer
from simulator.hashing import Hashes, Ints
from simulator.listings import Listing

BLOCK = 64  # steps worked out at once
WHOLE = 10**7  # more levels than any book has
_TICK_BITS = 26  # as books packs them
_S40 = np.uint64(40)
_ONE = np.uint64(1)


@dataclass(frozen=True, slots=True)
class Side:
    """Levels of one side that changed, ascending by step, then by price: lots before and after, 0 where none stand."""

    steps: Ints
    ticks: Ints
    before: Ints
    after: Ints


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed at each of some consecutive steps."""

    first: int
    count: int
    bids: Side
    asks: Side


def _runs(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """All whole numbers from each low to its high, both included, and which of the pairs each belongs to."""
    lengths = np.maximum(0, high - low + 1)
    owner = np.repeat(np.arange(len(low)), lengths)
    begin = np.cumsum(lengths) - lengths
    return owner, np.arange(len(owner)) - begin[owner] + low[owner]


class _Book:
    """One book over a stretch of steps: the best prices and the layers."""

    def __init__(self, listing: Listing, seed: int, first: int, count: int) -> None:
        self.listing, self.seed, self.first, self.count = listing, seed, first, count
        self.bid, self.ask = books.best_prices_between(listing, seed, first - 1, count + 1)  # index 0: the step before
        self.layers = books.layers(listing)
        self.salts = [np.uint64(books.salt(listing, seed, i)) for i in range(len(self.layers))]

    def standing(self, layer: Layer, still: Hashes, index: Ints) -> Hashes:
        """The bits of a layer's cells, each at a step (0: the one before the first)."""
        steps = (index + (self.first - 1)).astype(np.uint64)
        return books.standing(still, steps, np.uint64(layer.shift) + (still & np.uint64(layer.spread)))

    def places(self, number: int, cells: Ints, index: Ints) -> Ints:
        """Where levels of a layer's cells stand, each at a step."""
        layer = self.layers[number]
        age = self.standing(layer, books.identities(cells, self.salts[number]), index)
        return books.places(cells, layer.width, np.uint64(0 if layer.round else layer.width), age)

    def lots(self, ticks: Ints, index: Ints) -> tuple[Ints, Ints]:
        """What stands at each price at a step: on the bid side, and on the ask side."""
        bid, ask = self.bid[index], self.ask[index]
        found = np.zeros(len(ticks), dtype=np.uint64)
        behind = np.where(ticks < bid, bid - ticks, np.where(ticks > ask, ticks - ask, -1))
        for number, layer in enumerate(self.layers):
            near = np.flatnonzero((behind > 0) & (behind <= layer.reach) & (ticks > 0))
            cells = ticks[near] // layer.width
            if layer.round:
                whole = cells * layer.width == ticks[near]
                near, cells = near[whole], cells[whole]
            age = self.standing(layer, books.identities(cells, self.salts[number]), index[near])
            here = books.places(cells, layer.width, np.uint64(0 if layer.round else layer.width), age) == ticks[near]
            here &= books.is_filled(age, np.uint64(round(layer.filled * 65536)))
            at = near[here]
            found[at] = np.maximum(found[at], books.sizes(age[here], layer.lots))
        lots = found.astype(np.int64)
        best = np.flatnonzero((ticks == bid) | (ticks == ask))
        lots[best] = books.best_sizes(self.listing, self.seed, index[best] + (self.first - 1), ticks[best])
        return np.where(ticks <= bid, lots, 0), np.where(ticks >= ask, lots, 0)

    def _drawn_anew(self, number: int) -> tuple[Ints, Ints]:
        """Cells of a layer whose lifetime ends, each with the step from which on another level stands."""
        layer = self.layers[number]
        low = (int(self.bid.min()) - layer.reach) // layer.width - 1
        high = (int(self.ask.max()) + layer.reach) // layer.width + 1
        cells = np.arange(low, high + 1)
        still = books.identities(cells, self.salts[number])
        period = _ONE << (np.uint64(layer.shift) + (still & np.uint64(layer.spread)))
        begin = (-((still >> _S40) + np.uint64(self.first)).view(np.int64)) & (period.view(np.int64) - 1)
        due = np.flatnonzero(begin < self.count)
        times = (self.count - 1 - begin[due]) // period[due].view(np.int64)
        owner, nth = _runs(np.zeros_like(times), times)
        return cells[due[owner]], begin[due[owner]] + nth * period[due[owner]].view(np.int64) + 1

    def _ends(self, number: int) -> tuple[Ints, Ints]:
        """Cells of a layer that its reach passes when the best prices move, with the step."""
        layer = self.layers[number]
        cells, index = [], []
        for best, reach in ((self.bid, -layer.reach), (self.ask, layer.reach)):
            moved = np.flatnonzero(best[1:] != best[:-1]) + 1
            ends = np.stack((best[moved], best[moved - 1])) + reach
            owner, values = _runs(ends.min(axis=0) // layer.width, ends.max(axis=0) // layer.width)
            cells.append(values)
            index.append(moved[owner])
        return np.concatenate(cells), np.concatenate(index)

    def candidates(self) -> tuple[Ints, Ints]:
        """Prices at which something may change, each with the step, ordered by step and price, none twice."""
        after = np.arange(1, self.count + 1)
        low = np.minimum(self.bid[1:], self.bid[:-1])
        owner, ticks = _runs(low, np.maximum(self.ask[1:], self.ask[:-1]))
        keys = [(after[owner] << _TICK_BITS) | ticks]
        for number in range(len(self.layers)):
            for cells, index in (self._drawn_anew(number), self._ends(number)):
                for when in (index - 1, index):
                    ticks = self.places(number, cells, when)
                    keys.append((index << _TICK_BITS) | np.maximum(0, ticks))
        key = np.unique(np.concatenate(keys))
        return key & ((1 << _TICK_BITS) - 1), key >> _TICK_BITS


def changes(listing: Listing, seed: int, first: int, count: int) -> Changes:
    """What differs at each of `count` steps from the step before it."""
    book = _Book(listing, seed, first, count)
    ticks, index = book.candidates()
    before, after = book.lots(ticks, index - 1), book.lots(ticks, index)

    def side(before: Ints, after: Ints) -> Side:
        changed = before != after
        return Side(index[changed] + (first - 1), ticks[changed], before[changed], after[changed])

    return Changes(first, count, side(before[0], after[0]), side(before[1], after[1]))


def merged(side: Side) -> Side:
    """The same over all steps at once: levels that are again what they were are left out. Ascending by price."""
    ticks, first = np.unique(side.ticks, return_index=True)
    _, last = np.unique(side.ticks[::-1], return_index=True)
    before, after = side.before[first], side.after[::-1][last]
    changed = before != after
    return Side(side.steps[::-1][last][changed], ticks[changed], before[changed], after[changed])


def difference(listing: Listing, seed: int, earlier: int, later: int) -> tuple[Side, Side]:
    """What differs between two steps however far apart, by comparing the whole books: bids and asks."""
    old = books.levels_at(listing, seed, earlier, WHOLE)
    new = books.levels_at(listing, seed, later, WHOLE)

    def side(old_ticks: Ints, old_lots: Ints, new_ticks: Ints, new_lots: Ints) -> Side:
        ticks = np.concatenate((old_ticks, new_ticks))
        before = np.concatenate((old_lots, np.zeros_like(new_lots)))
        after = np.concatenate((np.zeros_like(old_lots), new_lots))
        price, number = np.unique(ticks, return_inverse=True)
        sums = [np.bincount(number, weights=lots, minlength=len(price)).astype(np.int64) for lots in (before, after)]
        changed = sums[0] != sums[1]
        return Side(np.full(int(changed.sum()), later), price[changed], sums[0][changed], sums[1][changed])

    return (
        side(old.bid_ticks, old.bid_lots, new.bid_ticks, new.bid_lots),
        side(old.ask_ticks, old.ask_lots, new.ask_ticks, new.ask_lots),
    )
