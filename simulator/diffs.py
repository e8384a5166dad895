"""Between changed levels and sockets on the simulated data's way: two steps in, the text of what changed out.

Blocks of steps are worked out and written at once; what one step changed is then a slice of a text."""

from dataclasses import dataclass

import numpy as np

from simulator import encode
from simulator.changes import BLOCK, Side, changes, difference, merged
from simulator.hashing import Ints, key_of
from simulator.listings import Listing

_KEPT = 3  # blocks
_FURTHEST = 2 * BLOCK  # beyond this many steps whole books are compared


@dataclass(frozen=True, slots=True)
class _Text:
    """One side's changes in a block: `text[starts[i]:starts[i + 1]]` is what its i-th step changed."""

    side: Side
    text: bytes
    starts: list[int]

    def at(self, i: int) -> bytes:
        """What the i-th step changed, without the last comma; nothing where it changed nothing."""
        start, end = self.starts[i], self.starts[i + 1]
        return self.text[start : end - 1] if end > start else b""


@dataclass(frozen=True, slots=True)
class _Block:
    bids: _Text
    asks: _Text


def _written(listing: Listing, side: Side, first: int) -> _Text:
    text, ends = encode.levels(listing, side.ticks, side.after)
    rows = np.searchsorted(side.steps, np.arange(first, first + BLOCK + 1))
    starts = np.concatenate((np.zeros(1, dtype=np.int64), ends))[rows]
    return _Text(side, text, starts.tolist())


def _cut(side: Side, after: int, until: int) -> Side:
    low, high = np.searchsorted(side.steps, (after + 1, until + 1))
    return Side(side.steps[low:high], side.ticks[low:high], side.before[low:high], side.after[low:high])


def _joined(sides: list[Side]) -> Side:
    def column(name: str) -> Ints:
        return np.concatenate([getattr(side, name) for side in sides])

    return Side(column("steps"), column("ticks"), column("before"), column("after"))


class Diffs:
    """What changes in one book. The last blocks are kept, so asking in the order of time costs little."""

    def __init__(self, listing: Listing, seed: int) -> None:
        self.listing = listing
        self._seed = seed
        self._blocks: dict[int, _Block] = {}
        # Books begin their blocks at different steps, so that not all of them are worked out at the same moment.
        self._shift = key_of("block", listing.symbol, listing.market) % BLOCK

    def _block(self, number: int) -> _Block:
        found = self._blocks.get(number)
        if found is None:
            first = number * BLOCK + self._shift
            made = changes(self.listing, self._seed, first, BLOCK)
            found = _Block(_written(self.listing, made.bids, first), _written(self.listing, made.asks, first))
            self._blocks[number] = found
            for old in sorted(self._blocks)[:-_KEPT]:
                del self._blocks[old]
        return found

    def between(self, earlier: int, later: int) -> tuple[bytes, bytes]:
        """Bids and asks that differ between two steps: `["1.0","2.0"],["3.0","0.0"]`, ascending by price.

        A quantity of zero says that the level is gone. Both are empty when the books are the same."""
        if later == earlier + 1:
            number, i = divmod(later - self._shift, BLOCK)
            block = self._block(number)
            return block.bids.at(i), block.asks.at(i)
        if later - earlier > _FURTHEST or later < earlier:
            return self._spelt(difference(self.listing, self._seed, earlier, later))
        numbers = range((earlier + 1 - self._shift) // BLOCK, (later - self._shift) // BLOCK + 1)
        blocks = [self._block(number) for number in numbers]
        return self._spelt((
            merged(_joined([_cut(block.bids.side, earlier, later) for block in blocks])),
            merged(_joined([_cut(block.asks.side, earlier, later) for block in blocks])),
        ))  # fmt: skip

    def _spelt(self, sides: tuple[Side, Side]) -> tuple[bytes, bytes]:
        bids, asks = (encode.levels(self.listing, side.ticks, side.after)[0][:-1] for side in sides)
        return bids, asks
