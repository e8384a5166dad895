"""A live order book of one symbol: a snapshot and the exchange's diffs in, best prices and bands' sums out. Pure.

What is known of a side. A snapshot tells every level from the best price to its last level, or the whole side when it
holds fewer levels than were asked for. The price of that last level is the side's edge. As long as no diff is lost,
every level between the edge and the best price stays known, wherever the price goes: each change in there comes as a
diff. So the edge is a price, not a distance: the known range grows in percent when the price moves away from the edge,
and shrinks when it moves towards it. Beyond the edge, levels are known only where diffs touched them; they are real and
are summed, but nothing says that they are all, so diffs never move the edge outward. Only a snapshot that reaches
farther does (`merged`). Trimming to the largest number of levels moves the edge inward to the last level kept. When a
best price has moved beyond its edge, a better one may be hidden there: `top_known` is False until the price is back or
a fresher snapshot is merged. (In ten minutes of recorded BTCUSDT that began with 1000 levels the best price was beyond
the edge for one in nine messages, and in 2 of these 1640 the exchange's own best price was another.)"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from typing import Self

import msgspec
import numpy as np

from depth.volumes import BandVolumes, Book, Floats, Side, SideSums, book_from_levels, reach_percent, rows, side_sums

MOST_LEVELS = 10_000  # a side
LARGEST = 1e300  # a price or quantity beyond it is no number
NEAR = 24  # levels: within so many of the one before stand most of a diff's
Level = tuple[float, float]  # price, quantity


class DepthDiff(msgspec.Struct, frozen=True, gc=False):
    """What changed in one symbol's book between two of its states: the new quantity of each level, 0 for one that went.

    It leads from any state between `prev_sequence` and `sequence` to `sequence`; of two diffs without a loss between
    them, the second's `prev_sequence` is at most the first's `sequence`. `event_time` is the exchange's, epoch
    milliseconds. `checked`: its numbers are known to be as `are_levels` says."""

    symbol: str
    market: str
    prev_sequence: int
    sequence: int
    event_time: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    checked: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A book's levels at `sequence`; `event_time` in epoch milliseconds, None where the exchange tells none."""

    book: Book
    sequence: int
    event_time: int | None = None


def snapshot_from_levels(
    bids: Sequence[tuple[str, str]],
    asks: Sequence[tuple[str, str]],
    limit: int | None,
    sequence: int,
    event_time: int | None = None,
) -> Snapshot:
    """A checked snapshot from (price, quantity) levels as the exchange sent them, `limit` as `book_from_levels` has it.

    Raises InvalidBook as that does."""
    return Snapshot(book_from_levels(bids, asks, limit), sequence, event_time)


def are_levels(levels: Iterable[Level]) -> bool:
    """Whether every price is a positive number and every quantity a number of at least 0."""
    for price, quantity in levels:  # noqa: SIM110 - a generator would take twice as long, at each message
        if not (0.0 < price < LARGEST and 0.0 <= quantity < LARGEST):
            return False
    return True


class _Ladder:
    """One side. `keys` are prices times `sign` (bids 1, asks -1), ascending: the best price stands last on both sides,
    for that is where nearly all levels come and go. `edge` is a key: -inf when the whole side is known."""

    __slots__ = ("edge", "keys", "quantities", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys = array("d")
        self.quantities = array("d")
        self.edge = inf  # nothing is known

    def load(self, side: Side) -> None:
        self.keys = array("d", (side.prices[::-1] * self.sign).tobytes())
        self.quantities = array("d", side.quantities[::-1].tobytes())
        self.edge = -inf if side.whole else side.known_to * self.sign

    def apply(self, levels: Iterable[Level]) -> None:
        keys, quantities, sign = self.keys, self.quantities, self.sign
        end, at, last = len(keys), 0, -inf
        for price, quantity in levels:
            key = price * sign
            # Exchanges send levels sorted, one way or the other, and most stand near the one before.
            if key >= last:
                at = bisect_left(keys, key, at)
            else:
                near = at - NEAR
                at = bisect_left(keys, key, near if near > 0 and keys[near] < key else 0, at)
            last = key
            if at < end and keys[at] == key:
                if quantity:
                    quantities[at] = quantity
                else:
                    del keys[at], quantities[at]
                    end -= 1
            elif quantity:
                keys.insert(at, key)
                quantities.insert(at, quantity)
                end += 1

    def trim(self, most: int) -> None:
        """Drops the farthest levels beyond `most`."""
        excess = len(self.keys) - most
        if excess > 0:
            del self.keys[:excess], self.quantities[:excess]
            self.edge = max(self.edge, self.keys[0])

    def merged(self, side: Side) -> "_Ladder":
        """This side with everything within the snapshot's reach as the snapshot has it."""
        made = _Ladder(self.sign)
        made.load(side)
        beyond = bisect_left(self.keys, made.edge)
        made.keys = self.keys[:beyond] + made.keys
        made.quantities = self.quantities[:beyond] + made.quantities
        made.edge = min(self.edge, made.edge)
        return made

    def copy(self) -> "_Ladder":
        made = _Ladder(self.sign)
        made.keys, made.quantities, made.edge = self.keys[:], self.quantities[:], self.edge
        return made

    def view(self) -> Side:
        """Best first, without copies where that can be: while any of it lives, the ladder cannot change."""
        prices: Floats = np.frombuffer(self.keys)[::-1]
        quantities: Floats = np.frombuffer(self.quantities)[::-1]
        whole = self.edge == -inf
        return Side(prices if self.sign > 0 else -prices, quantities, whole, None if whole else self.edge * self.sign)

    def sums(self, bands: Sequence[Decimal]) -> SideSums:
        return side_sums(np.frombuffer(self.keys), np.frombuffer(self.quantities), self.edge, self.sign, bands)

    def top(self, levels: int) -> list[Level]:
        first = max(len(self.keys) - levels, 0)
        prices = (key * self.sign for key in reversed(self.keys[first:]))
        return list(zip(prices, reversed(self.quantities[first:]), strict=True))


class OrderBook:
    """One symbol's book. Belongs to one thread; what is given out is a copy unless it says otherwise.

    `sequence` is the exchange's id of the state (-1: none yet), `event_time` its time in epoch milliseconds (None: not
    told)."""

    __slots__ = ("_asks", "_bids", "event_time", "most_levels", "sequence")

    def __init__(self, most_levels: int = MOST_LEVELS) -> None:
        self._bids = _Ladder(1)
        self._asks = _Ladder(-1)
        self.most_levels = most_levels
        self.sequence = -1
        self.event_time: int | None = None

    def load(self, snapshot: Snapshot) -> None:
        """Forgets everything and takes the snapshot's levels."""
        self._bids.load(snapshot.book.bids)
        self._asks.load(snapshot.book.asks)
        self._trim()
        self.sequence, self.event_time = snapshot.sequence, snapshot.event_time

    def apply(self, bids: Iterable[Level], asks: Iterable[Level], sequence: int, event_time: int | None) -> None:
        """Sets levels to the quantities given. The numbers must be as `are_levels` says."""
        self._bids.apply(bids)
        self._asks.apply(asks)
        self._trim()
        self.sequence = sequence
        if event_time is not None:
            self.event_time = event_time

    def _trim(self) -> None:
        self._bids.trim(self.most_levels)
        self._asks.trim(self.most_levels)

    def merged(self, snapshot: Snapshot, since: Iterable[DepthDiff]) -> "OrderBook":
        """A new book: this one's levels, those within the snapshot's reach as the snapshot has them, and `since` over
        both. The snapshot must not be newer than this book, and `since` must hold every diff whose sequence is above
        the snapshot's, up to this book's: so neither a change that came after the snapshot is lost, nor anything from
        before this book's state comes back."""
        made = OrderBook(self.most_levels)
        made._bids = self._bids.merged(snapshot.book.bids)
        made._asks = self._asks.merged(snapshot.book.asks)
        for diff in since:
            made._bids.apply(diff.bids)
            made._asks.apply(diff.asks)
        made._trim()
        made.sequence, made.event_time = self.sequence, self.event_time
        return made

    @property
    def crossed(self) -> bool:
        """Whether best bid is not below best ask: then this is not the exchange's book."""
        bids, asks = self._bids.keys, self._asks.keys
        return bool(bids) and bool(asks) and bids[-1] >= -asks[-1]

    @property
    def top_known(self) -> bool:
        """Whether there is a best price on both sides, and nothing better can be hidden beyond what is known."""
        bids, asks = self._bids, self._asks
        return bool(bids.keys) and bool(asks.keys) and bids.keys[-1] >= bids.edge and asks.keys[-1] >= asks.edge

    @property
    def best_bid(self) -> float | None:
        return self._bids.keys[-1] if self._bids.keys else None

    @property
    def best_ask(self) -> float | None:
        return -self._asks.keys[-1] if self._asks.keys else None

    @property
    def mid_price(self) -> float | None:
        bid, ask = self.best_bid, self.best_ask
        return None if bid is None or ask is None else (bid + ask) / 2

    @property
    def levels(self) -> tuple[int, int]:
        """How many levels are held: bids, asks."""
        return len(self._bids.keys), len(self._asks.keys)

    def top(self, levels: int) -> tuple[list[Level], list[Level]]:
        """The first `levels` of bids and asks, best first."""
        return self._bids.top(levels), self._asks.top(levels)

    def measure(self, bands: Sequence[Decimal]) -> list[BandVolumes]:
        """As `depth.volumes.measure`. Neither side may be empty."""
        return rows(bands, self._bids.sums(bands), self._asks.sums(bands))

    def reach(self) -> tuple[float | None, float | None]:
        """How far bids and asks are known, in percent from the best price; None for a side known whole. Neither side
        may be empty."""
        return reach_percent(self._bids.view()), reach_percent(self._asks.view())

    def frozen(self) -> Book:
        """A copy for `depth.volumes` and the services, that stays as it is."""
        sides = (self._bids.copy().view(), self._asks.copy().view())
        return Book(*sides)

    def copy(self) -> Self:
        made = type(self)(self.most_levels)
        made._bids, made._asks = self._bids.copy(), self._asks.copy()
        made.sequence, made.event_time = self.sequence, self.event_time
        return made
