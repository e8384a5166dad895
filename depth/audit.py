"""Is a live book the exchange's? Compares it with a snapshot that was fetched beside the stream. Pure.

The two are seldom of one moment, so the book must be at the snapshot's state or a little later, and levels that diffs
have touched since the snapshot are left out: all others must be equal, exactly."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import inf

import numpy as np

from depth.book import DepthDiff, Snapshot
from depth.volumes import Book, Floats, Side

DISTANCES = tuple(map(Decimal, ("0.1", "0.25", "0.5", "1", "5", "30")))
TOP = 100  # levels of each side whose differences are told one by one


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of the levels within `distance` percent of the best price, how many were compared and how many were equal."""

    distance: Decimal
    compared: int
    equal: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A level that is not the exchange's. Quantities are 0 where there is no such level."""

    side: str
    price: float
    held: float
    told: float


@dataclass(frozen=True, slots=True)
class Audit:
    """What came of a comparison. Levels are compared from the best price to where both sides of it are known;
    `unsettled` ones were touched since the snapshot. `top` holds the differences among the first TOP levels a side."""

    sequence: int
    compared: int
    equal: int
    unsettled: int
    by_distance: tuple[Agreement, ...]
    top: tuple[Difference, ...]

    @property
    def share(self) -> float | None:
        """Equal levels of those compared, 0 to 1; None when nothing could be compared."""
        return self.equal / self.compared if self.compared else None

    @property
    def clean(self) -> bool:
        return self.equal == self.compared


def compare(
    book: Book, snapshot: Snapshot, since: Iterable[DepthDiff], distances: Sequence[Decimal] = DISTANCES
) -> Audit:
    """The book against the snapshot. `since` holds every diff that is in the book and leads beyond the snapshot."""
    diffs = list(since)
    touched_bids = {price for diff in diffs for price, _ in diff.bids}
    touched_asks = {price for diff in diffs for price, _ in diff.asks}
    bids = _Compared("bid", book.bids, snapshot.book.bids, 1, touched_bids)
    asks = _Compared("ask", book.asks, snapshot.book.asks, -1, touched_asks)
    rows = []
    for distance in distances:
        compared, equal = (sum(pair) for pair in zip(bids.within(distance), asks.within(distance), strict=True))
        rows.append(Agreement(distance, compared, equal))
    return Audit(
        snapshot.sequence,
        bids.settled.size + asks.settled.size,
        int(bids.equal.sum() + asks.equal.sum()),
        bids.unsettled + asks.unsettled,
        tuple(rows),
        (*bids.top(), *asks.top()),
    )


class _Compared:
    """One side: the prices that either of the two has, best first, as far as both are known."""

    def __init__(self, name: str, held: Side, told: Side, sign: int, touched: set[float]) -> None:
        reach = max(-inf if side.whole else side.known_to * sign for side in (held, told))
        prices: Floats = np.union1d(held.prices, told.prices)[::-sign]
        prices = prices[prices * sign >= reach]
        open_ones = np.isin(prices, np.fromiter(touched, np.float64, len(touched)))
        self.name = name
        self.near = set(prices[:TOP].tolist())
        self.unsettled = int(open_ones.sum())
        self.settled: Floats = prices[~open_ones]
        self.held, self.told = _quantities(held, self.settled), _quantities(told, self.settled)
        self.equal = self.held == self.told
        self._best = float(told.prices[0])

    def within(self, distance: Decimal) -> tuple[int, int]:
        """How many levels were compared and were equal."""
        inside = np.abs(self.settled - self._best) <= self._best * float(distance) / 100
        return int(inside.sum()), int((inside & self.equal).sum())

    def top(self) -> list[Difference]:
        columns = (values[~self.equal].tolist() for values in (self.settled, self.held, self.told))
        return [Difference(self.name, *row) for row in zip(*columns, strict=True) if row[0] in self.near]


def _quantities(side: Side, prices: Floats) -> Floats:
    """The side's quantity at each of `prices`, 0 where it has no such level."""
    if not side.prices.size:
        return np.zeros(prices.size)
    order = np.argsort(side.prices)
    ascending: Floats = side.prices[order]
    at = np.minimum(np.searchsorted(ascending, prices), ascending.size - 1)
    found: Floats = np.where(ascending[at] == prices, side.quantities[order][at], 0.0)
    return found
