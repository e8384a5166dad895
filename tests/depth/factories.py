"""Order books for tests: real levels, made by numpy."""

from datetime import UTC, datetime

import numpy as np

from depth.services import CollectedBook
from depth.volumes import Book, Side

NOON = datetime(2026, 3, 1, 12, 0, 7, 250_000, tzinfo=UTC)


def book(mid=100.0, levels=50, step=0.1, quantity=1.0, whole=False):
    """A symmetric book whose levels stand `step` percent apart."""
    steps = np.arange(1, levels + 1) * step / 100
    quantities = np.full(levels, float(quantity))
    return Book(Side(mid * (1 - steps), quantities, whole), Side(mid * (1 + steps), quantities.copy(), whole))


def collected(received_at=NOON, symbol="BTCUSDT", market="SPOT", **shape):
    levels = shape.get("levels", 50)
    return CollectedBook(symbol, market, received_at, book(**shape), 7, None, levels, "rest")
