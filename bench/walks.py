"""Random walks of liquidity, minute by minute, as rows of `snapshots`: what the storage measurements are made of."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from tradingplatform.env import DEFAULT_BANDS

BANDS = tuple(map(Decimal, DEFAULT_BANDS.split(",")))


def fill(symbols: list[str], start: datetime, days: int) -> int:
    """Stores every band of every minute of `days` from `start` for each symbol; gives the number of rows."""
    from depth import store

    return sum(
        store.write(store.SNAPSHOTS, walk(symbol, start + timedelta(days=day), seed=number * 1000 + day))
        for number, symbol in enumerate(symbols)
        for day in range(days)
    )


def walk(symbol: str, start: datetime, seed: int) -> Iterator[tuple]:
    """One day. Volumes wander by about one percent a minute around what a wider band holds more of; the price does
    by a twentieth of that."""
    random = np.random.default_rng(seed)
    price = 60_000 * np.exp(np.cumsum(random.normal(0, 0.0005, 1440)))
    minutes = [start + timedelta(minutes=n) for n in range(1440)]
    for rank, band in enumerate(sorted(BANDS), start=1):
        sides = rank * 50 * np.exp(np.cumsum(random.normal(0, 0.01, (2, 1440)), axis=1))
        known = random.random(1440) < (1 if rank < 5 else 0.02)
        figures = np.stack([*sides, *(sides * price)], axis=1).tolist()
        for minute, sums, complete in zip(minutes, figures, known.tolist(), strict=True):
            yield (symbol, "SPOT", band, minute, *sums, complete, complete)
