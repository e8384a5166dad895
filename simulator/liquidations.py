"""Beside the trades on the simulated data's way: a minute of a contract in, its liquidations out. Pure.

As the exchange tells them: of each symbol at most one a second, the largest. They come more often the further the
price runs within its minute, and hit those whom it runs against."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simulator.hashing import hash_one, hashes, key_of, normals, uniforms
from simulator.listings import Listing
from simulator.prices import MINUTE, STEP, minute, minute_path

_SECOND = 1000
_BEHIND = 200  # steps over which the price's direction is seen


@dataclass(frozen=True, slots=True)
class Liquidation:
    """An order that closed a position by force. Time in ms, prices in ticks, quantities in lots.

    `sell`: a long position was closed. `price` is the order's limit, `average` what it was filled at; `bits` are
    for whoever writes it down."""

    time: int
    sell: bool
    price: int
    average: int
    lots: int
    last_lots: int
    bits: int


def _expected(listing: Listing, span: float) -> float:
    """How many are expected in a minute whose prices span this share of the price."""
    usual = 1.6 * listing.volatility / 1440**0.5
    often: float = 0.3 * (listing.quote_volume / 1e8) ** 0.5 * min(8.0, 0.3 + 0.7 * (span / usual) ** 2)
    return often


@lru_cache(maxsize=2048)
def minute_liquidations(listing: Listing, seed: int, number: int) -> tuple[Liquidation, ...]:
    """A minute's, in order of time. `number` counts minutes from the epoch."""
    at = minute(listing, seed, number)
    key = key_of(seed, "liquidations", listing.symbol)
    seconds = number * 60 + np.arange(60)
    drawn, _ = uniforms(hashes(key, seconds))
    hit = np.flatnonzero(drawn < min(0.9, _expected(listing, (at.high - at.low) / at.open) / 60))
    found = []
    for second in hit.tolist():
        bits = hash_one(key ^ 0xF0, number * 60 + second)
        time = number * MINUTE + second * _SECOND + bits % _SECOND
        found.append(_order(listing, seed, time, bits))
    return tuple(found)


def _order(listing: Listing, seed: int, time: int, bits: int) -> Liquidation:
    number, step = divmod(time // STEP, MINUTE // STEP)
    path = minute_path(listing, seed, number)
    average, before = int(path[step]), int(path[max(0, step - _BEHIND)])
    sell = average < before or (average == before and bool(bits >> 20 & 1))
    size = float(normals(np.array([bits], dtype=np.uint64))[0])
    value = 1500.0 * (listing.quote_volume / 1e8) ** 0.25 * float(np.exp(1.5 * size))
    lots = max(1, int(value / (average * listing.tick) * 10**listing.lot_decimals))
    limit = max(1, round(average * (0.996 if sell else 1.0035)))
    return Liquidation(time, sell, limit, average, lots, 1 + (bits >> 24) % lots, bits)
