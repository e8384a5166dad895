"""Depth maths: an order book's levels in, BID and ASK liquidity within each band out. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import lru_cache
from itertools import accumulate
from math import inf

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SideSums = tuple[list[float], list[float], list[bool]]  # volumes, values, complete: one of each for a band
# Far above the error of a bound computed in float64 (about 4e-16), far below any tick's share of a price.
_SLACK = 1e-12
FEW = 500  # levels that are multiplied faster than left out


class InvalidBook(ValueError):
    """Levels that cannot be an order book; the message says why."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a book, best price first. `whole` says that the exchange has no level beyond the last.

    `edge` is the price up to which every level is known (None: the last level's). Levels beyond it are real, but there
    may be others between them: a live book learns of those that change."""

    prices: Floats
    quantities: Floats
    whole: bool
    edge: float | None = None

    @property
    def known_to(self) -> float:
        """The price, included, up to which every level is known, where the side is not known whole."""
        return float(self.prices[-1]) if self.edge is None else self.edge


@dataclass(frozen=True, slots=True)
class Book:
    bids: Side
    asks: Side

    @property
    def mid_price(self) -> float:
        return float(self.bids.prices[0] + self.asks.prices[0]) / 2


class BandVolumes(msgspec.Struct, frozen=True, gc=False):
    """Liquidity within `band` percent of each side's best price: volumes in base asset, values in quote asset.

    A side that is not complete was not known up to the band's bound: its two sums are lower bounds."""

    band: Decimal
    bid_volume: float
    ask_volume: float
    bid_value: float
    ask_value: float
    bid_complete: bool
    ask_complete: bool


def book_from_levels(
    bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]], limit: int | None = None
) -> Book:
    """A checked book from (price, quantity) levels as the exchange sent them, best first.

    `limit` is the number of levels that were asked for on each side (None: all of them): a side that came
    with fewer is known whole. Raises InvalidBook when a side is empty or not strictly sorted, a price or a
    quantity is not a positive number, or best bid is not below best ask."""
    book = Book(_side("bid", bids, limit), _side("ask", asks, limit))
    check(book)
    return book


def _side(name: str, levels: Sequence[tuple[str, str]], limit: int | None) -> Side:
    try:
        flat = np.fromiter((float(text) for level in levels for text in level), np.float64, 2 * len(levels))
    except (TypeError, ValueError) as error:
        raise InvalidBook(f"a {name} level is not a pair of numbers") from error
    return Side(flat[0::2].copy(), flat[1::2].copy(), limit is None or len(levels) < limit)


def check(book: Book) -> None:
    """Raises InvalidBook unless both sides hold positive, strictly sorted levels and the book is not crossed."""
    for name, side, direction in (("bid", book.bids, -1), ("ask", book.asks, 1)):
        if not side.prices.size:
            raise InvalidBook(f"the {name} side is empty")
        for what, values in (("price", side.prices), ("quantity", side.quantities)):
            if not (np.isfinite(values).all() and (values > 0).all()):
                raise InvalidBook(f"a {name} {what} is not a positive number")
        if not (np.diff(side.prices) * direction > 0).all():
            raise InvalidBook(f"the {name} prices are not sorted best first")
    if book.bids.prices[0] >= book.asks.prices[0]:
        raise InvalidBook(f"crossed: best bid {book.bids.prices[0]} is not below best ask {book.asks.prices[0]}")


def measure(book: Book, bands: Sequence[Decimal]) -> list[BandVolumes]:
    """Volumes within each of `bands` (percent from each side's best price, ascending), bounds included exactly."""
    return rows(
        bands, *(side_sums(*ladder(side, sign), sign, bands) for side, sign in ((book.bids, 1), (book.asks, -1)))
    )


def rows(bands: Sequence[Decimal], bids: SideSums, asks: SideSums) -> list[BandVolumes]:
    # Named one by one: it is done for every state of every live book, and faster so.
    return [
        BandVolumes(band, bid_volume, ask_volume, bid_value, ask_value, bid_complete, ask_complete)
        for band, bid_volume, ask_volume, bid_value, ask_value, bid_complete, ask_complete in zip(
            bands, bids[0], asks[0], bids[1], asks[1], bids[2], asks[2], strict=True
        )
    ]


def ladder(side: Side, sign: int) -> tuple[Floats, Floats, float]:
    """A side as `side_sums` takes it."""
    edge = -inf if side.whole else side.known_to * sign
    return side.prices[::-1] * sign, side.quantities[::-1], edge


def side_sums(keys: Floats, quantities: Floats, edge: float, sign: int, bands: Sequence[Decimal]) -> SideSums:
    """Volume and value within each of `bands` (ascending), and whether the side is known up to the band's bound.

    `keys` are prices times `sign` (bids 1, asks -1), ascending, so that the best stands last; `edge` is the key down to
    which every level is known, -inf when the side is known whole. There must be a level."""
    best, count = float(keys[-1]), len(bands)
    bounds = _factors(tuple(bands), sign) * best
    at = keys.searchsorted(bounds)
    found = at.tolist()
    starts, certain = found[:count], found[count:]
    if starts != certain:  # a level this close to a bound needs exact arithmetic, and hardly any is
        for i, (start, end) in enumerate(zip(starts, certain, strict=True)):
            outside = (at for at in range(start, end) if _distance(float(keys[at]), best, bands[i], sign) > 0)
            starts[i] = max(outside, default=start - 1) + 1
        at = np.array(starts)
    complete = [True] * count if edge == -inf else _known(bounds.tolist(), edge, best, sign, bands)
    volumes, values = _sums(keys, quantities, at[count - 1 :: -1], starts)
    return volumes, values if sign > 0 else [-value for value in values], complete


def _known(bounds: list[float], edge: float, best: float, sign: int, bands: Sequence[Decimal]) -> list[bool]:
    """Whether the side is known up to each band's bound. `bounds` as `_factors` has them."""
    count = sure = len(bands)
    if bounds[count - 1] <= edge:  # bounds go away from the best price
        sure = next(i for i in range(count) if bounds[i] <= edge)
    complete = [True] * sure + [False] * (count - sure)
    for i in range(sure, count):
        if bounds[count + i] <= edge:
            break
        complete[i] = _distance(edge, best, bands[i], sign) >= 0  # as near as this hardly one ever is
    return complete


def _sums(keys: Floats, quantities: Floats, at: NDArray[np.intp], starts: list[int]) -> tuple[list[float], list[float]]:
    """Sums of quantities and of keys times quantities from each start to the end; starts descend, `at` are the same
    ascending."""
    far = starts[-1]
    if far > FEW:
        keys, quantities, at = keys[far:], quantities[far:], at - far
    volumes = np.add.reduceat(quantities, at).tolist()
    values = np.add.reduceat(keys * quantities, at).tolist()
    if len(set(starts)) < len(starts):  # reduceat gives an empty segment its neighbour's first value
        for i in range(len(starts) - 1):
            if at[i] == at[i + 1]:
                volumes[i] = values[i] = 0.0
    return list(accumulate(reversed(volumes))), list(accumulate(reversed(values)))


@lru_cache(maxsize=64)
def _factors(bands: tuple[Decimal, ...], sign: int) -> Floats:
    """What the best key is multiplied with for each band's bound: first all a hair outside, then all a hair inside."""
    exact = np.array([1 - sign * float(band) / 100 for band in bands])
    return np.concatenate((exact - sign * _SLACK, exact + sign * _SLACK))


@lru_cache(maxsize=4096)  # the same level stands on the same bound for as long as the best price does
def _distance(key: float, best: float, band: Decimal, sign: int) -> Decimal:
    """Distance of a key beyond the band's bound, exactly: above 0 it is outside, at 0 it stands on the bound.

    repr() of a float64 gives back the exchange's own decimal up to 15 digits."""
    with localcontext(prec=60):
        return Decimal(repr(best)) * (100 - sign * band) - Decimal(repr(key)) * 100


def reach_percent(side: Side) -> float | None:
    """How far from its best price the side is known, in percent; None when the whole side is."""
    if side.whole:
        return None
    best = float(side.prices[0])
    return abs(side.known_to - best) / best * 100


def diff(bid: float, ask: float) -> tuple[float, float]:
    """DIFF and its percentage of the sum: bid - ask, and (bid - ask) / (bid + ask) * 100, 0 when both are 0."""
    total = bid + ask
    return bid - ask, ((bid - ask) / total * 100 if total else 0.0)
