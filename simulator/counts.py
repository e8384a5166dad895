"""Under prices on the simulated data's way: how many trades there were until a minute, in closed form. Pure.

Ids of trades follow one another without a gap from a listing's first day on, and any minute's are known without the
minutes before it. An aggregated trade stands for one to five trades."""

from functools import lru_cache

import numpy as np

from simulator.hashing import Ints, hashes, key_of, uniforms
from simulator.listings import Listing

MINUTE = 60_000
FEWEST = 8  # aggregated trades in a minute: its four prices, and both sides of the market
_SWING = 0.35  # more in the afternoon (UTC), as the turnover
_JITTER = 0.3
_DAY = 1440


@lru_cache(maxsize=1024)
def pace(listing: Listing) -> float:
    """Mean number of aggregated trades in a minute: at least what keeps every minute above FEWEST."""
    value = listing.quote_volume / _DAY * 0.7
    lots = value / listing.price * 10**listing.lot_decimals
    usual: float = min(0.27 * value**0.55, lots / 30)
    return max((FEWEST + 1) / (1 - _SWING - _JITTER), usual)


def aggregates_before(listing: Listing, seed: int, minutes: Ints) -> Ints:
    """The id of the first aggregated trade in each minute (counted from the epoch): rises by FEWEST at least."""
    return _counted(listing, seed, minutes) - _origin(listing, seed)


def _counted(listing: Listing, seed: int, minutes: Ints) -> Ints:
    since = minutes - listing.onboard // MINUTE
    season = _SWING * _DAY / (2 * np.pi) * -np.cos(2 * np.pi * (minutes % _DAY / _DAY - 0.35))
    early, _ = uniforms(hashes(key_of(seed, "aggregates", listing.symbol, listing.market), minutes))
    return np.asarray(np.floor(pace(listing) * (since + season + _JITTER * early)).astype(np.int64))


@lru_cache(maxsize=1024)
def _origin(listing: Listing, seed: int) -> int:
    return int(_counted(listing, seed, np.array([listing.onboard // MINUTE]))[0])


def trades_before(listing: Listing, ids: Ints) -> Ints:
    """The id of the first trade in each aggregated one: one to five in each."""
    return 3 * ids + (hashes(_trade_key(listing), ids) % np.uint64(3)).astype(np.int64)


@lru_cache(maxsize=1024)
def _trade_key(listing: Listing) -> int:
    return key_of("trades", listing.symbol, listing.market)


def minute_of(listing: Listing, seed: int, aggregate: int) -> int:
    """The minute (counted from the epoch) that holds an aggregated trade."""
    low, high = listing.onboard // MINUTE, listing.onboard // MINUTE + 1
    while _before(listing, seed, high) <= aggregate:
        low, high = high, high + 2 * (high - low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _before(listing, seed, middle) <= aggregate else (low, middle)
    return low


def _before(listing: Listing, seed: int, minute: int) -> int:
    return int(aggregates_before(listing, seed, np.array([minute]))[0])
