"""Depth maths: an order book's levels in, BID and ASK liquidity within each band out. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Far above the error of a bound computed in float64 (about 4e-16), far below any tick's share of a price.
_SLACK = 1e-12


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


@dataclass(frozen=True, slots=True)
class BandVolumes:
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
    bid_counts, bid_complete = _reach(book.bids, bands, -1)
    ask_counts, ask_complete = _reach(book.asks, bands, 1)
    bid_volumes, bid_values = _sums(book.bids, bid_counts)
    ask_volumes, ask_values = _sums(book.asks, ask_counts)
    columns = (bid_volumes, ask_volumes, bid_values, ask_values, bid_complete, ask_complete)
    return [BandVolumes(*row) for row in zip(bands, *columns, strict=True)]


def _reach(side: Side, bands: Sequence[Decimal], direction: int) -> tuple[NDArray[np.intp], list[bool]]:
    """For each band: how many levels stand within it, and whether the side is known up to its bound."""
    prices = side.prices * direction  # ascending on both sides
    distances = np.array([float(band) for band in bands])
    bounds = prices[0] + np.abs(prices[0]) * distances / 100
    slack = np.abs(bounds) * _SLACK
    counts = np.searchsorted(prices, bounds + slack, side="right")
    best = float(side.prices[0])
    # Only a level this close to a bound needs exact arithmetic, and hardly any is.
    for i in np.flatnonzero(prices[counts - 1] > bounds - slack).tolist():
        while counts[i] > 1 and _offset(float(side.prices[counts[i] - 1]), best, bands[i], direction) > 0:
            counts[i] -= 1
    if side.whole:
        return counts, [True] * len(bands)
    edge = side.known_to
    complete = edge * direction > bounds
    for i in np.flatnonzero(np.abs(edge * direction - bounds) <= slack).tolist():
        complete[i] = _offset(edge, best, bands[i], direction) >= 0
    return counts, complete.tolist()


def _offset(price: float, best: float, band: Decimal, direction: int) -> Decimal:
    """Signed distance of a price beyond the band's bound, exactly: above 0 it is outside, 0 it stands on the bound.

    repr() of a float64 gives back the exchange's own decimal up to 15 digits."""
    with localcontext(prec=60):
        return (Decimal(repr(price)) * 100 - Decimal(repr(best)) * (100 + direction * band)) * direction


def _sums(side: Side, counts: NDArray[np.intp]) -> tuple[list[float], list[float]]:
    """Volume and value of the first `counts[i]` levels; counts ascend and are at least 1."""
    end = int(counts[-1])
    starts = np.concatenate(([0], counts[:-1]))
    filled = starts < counts  # reduceat would give an empty segment its neighbour's first value
    sums = []
    for values in (side.quantities[:end], side.prices[:end] * side.quantities[:end]):
        segments = np.zeros(counts.size)
        segments[filled] = np.add.reduceat(values, starts[filled])
        sums.append(np.cumsum(segments).tolist())
    return sums[0], sums[1]


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
