"""All ten bands of a book of 10,000 levels a side: vectorised, and the straightforward loop over levels."""

from decimal import Decimal

import numpy as np

from bench.tables import interleaved, show
from depth.volumes import Book, Side, book_from_levels, measure
from tradingplatform.env import DEFAULT_BANDS

BANDS = tuple(map(Decimal, DEFAULT_BANDS.split(",")))


def book(levels: int) -> Book:
    random = np.random.default_rng(7)
    sides = [
        Side(65_000 + sign * np.cumsum(random.integers(1, 300, levels)) * 0.01, random.exponential(0.5, levels), False)
        for sign in (-1, 1)
    ]
    return Book(*sides)


def loop(bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> list[tuple[float, ...]]:
    """Every level against every band, as one writes it first."""
    result = []
    for band in BANDS:
        low, high = bids[0][0] * (1 - float(band) / 100), asks[0][0] * (1 + float(band) / 100)
        bid = [(p, q) for p, q in bids if p >= low]
        ask = [(p, q) for p, q in asks if p <= high]
        result.append(
            (sum(q for _, q in bid), sum(q for _, q in ask), sum(p * q for p, q in bid), sum(p * q for p, q in ask))
        )
    return result


def main() -> None:
    rows = []
    for levels in (1000, 5000, 10_000):
        made = book(levels)
        bids, asks = (
            list(zip(side.prices.tolist(), side.quantities.tolist(), strict=True)) for side in (made.bids, made.asks)
        )
        texts = [[(repr(p), repr(q)) for p, q in side] for side in (bids, asks)]
        median = interleaved(
            {
                "measure": lambda made=made: measure(made, BANDS),
                "loop": lambda bids=bids, asks=asks: loop(bids, asks),
                "from text": lambda texts=texts, levels=levels: book_from_levels(*texts, levels),
            },
            30,
        )
        ours, plain = median["measure"], median["loop"]
        rows.append([levels, ours * 1e3, plain * 1e3, plain / ours, median["from text"] * 1e3])
    show(["levels a side", "all bands ms", "loop ms", "times faster", "strings to arrays ms"], rows)
