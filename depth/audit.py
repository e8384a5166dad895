"""Is a live book the exchange's? Compares it with a snapshot that was fetched beside the stream. Pure.

The two are seldom of one moment, so the book must be at the snapshot's state or a little later, and levels that diffs
have touched since the snapshot are left out: all others must be equal, exactly."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import inf

from depth.book import DepthDiff, Snapshot
from depth.volumes import Book, Side

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
        len(bids.settled) + len(asks.settled),
        sum(bids.equal) + sum(asks.equal),
        bids.unsettled + asks.unsettled,
        tuple(rows),
        (*bids.top(), *asks.top()),
    )


class _Compared:
    """One side: the prices that either of the two has, best first, as far as both are known."""

    def __init__(self, name: str, held: Side, told: Side, sign: int, touched: set[float]) -> None:
        reach = max(-inf if side.whole else side.known_to * sign for side in (held, told))
        self.name = name
        self.held, self.told = _levels(held, sign, reach), _levels(told, sign, reach)
        self.prices = sorted(self.held.keys() | self.told.keys(), reverse=sign > 0)
        self.settled = [price for price in self.prices if price not in touched]
        self.unsettled = len(self.prices) - len(self.settled)
        self.equal = [self.held.get(price) == self.told.get(price) for price in self.settled]
        self._best = float(told.prices[0])

    def within(self, distance: Decimal) -> tuple[int, int]:
        widest = self._best * float(distance) / 100
        found = [
            same for price, same in zip(self.settled, self.equal, strict=True) if abs(price - self._best) <= widest
        ]
        return len(found), sum(found)

    def top(self) -> list[Difference]:
        near = set(self.prices[:TOP])
        return [
            Difference(self.name, price, self.held.get(price, 0.0), self.told.get(price, 0.0))
            for price, same in zip(self.settled, self.equal, strict=True)
            if not same and price in near
        ]


def _levels(side: Side, sign: int, reach: float) -> dict[float, float]:
    pairs = zip(side.prices.tolist(), side.quantities.tolist(), strict=True)
    return {price: quantity for price, quantity in pairs if price * sign >= reach}
