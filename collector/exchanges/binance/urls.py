"""Binance's REST paths and what each request weighs (pure), per its published tables."""

from bisect import bisect_left

from collector.exchanges.base import DepthTier

SPOT, FUTURES = "SPOT", "FUTURES"
MARKETS = (SPOT, FUTURES)

PATHS = {
    SPOT: {
        "depth": "/api/v3/depth",
        "klines": "/api/v3/klines",
        "exchangeInfo": "/api/v3/exchangeInfo",
        "ticker": "/api/v3/ticker/24hr",
        "time": "/api/v3/time",
        "trades": "/api/v3/aggTrades",
    },
    FUTURES: {
        "depth": "/fapi/v1/depth",
        "klines": "/fapi/v1/klines",
        "exchangeInfo": "/fapi/v1/exchangeInfo",
        "ticker": "/fapi/v1/ticker/24hr",
        "time": "/fapi/v1/time",
        "trades": "/fapi/v1/aggTrades",
        "openInterest": "/fapi/v1/openInterest",
    },
}

# Levels up to each limit weigh the same, so only these are worth asking for.
TIERS = {
    SPOT: (DepthTier(100, 5), DepthTier(500, 25), DepthTier(1000, 50), DepthTier(5000, 250)),
    FUTURES: (DepthTier(50, 2), DepthTier(100, 5), DepthTier(500, 10), DepthTier(1000, 20)),
}
DEFAULT_WEIGHT = {SPOT: 6000, FUTURES: 2400}
LISTINGS_WEIGHT = {SPOT: 20, FUTURES: 1}
VOLUMES_WEIGHT = {SPOT: 80, FUTURES: 40}
MOST_KLINES = {SPOT: 1000, FUTURES: 1000}  # futures would give 1500, for twice the weight of 1000
TRADES_WEIGHT = {SPOT: 4, FUTURES: 20}
MOST_TRADES = 1000
OPEN_INTEREST_WEIGHT = 1
CLOCK_WEIGHT = {SPOT: 2, FUTURES: 2}  # it is read twice


def book_weight(market: str, limit: int) -> int:
    """The weight of one order book. Raises ValueError for more levels than the market offers."""
    tiers = TIERS[market]
    position = bisect_left([tier.limit for tier in tiers], limit)
    if position == len(tiers):
        raise ValueError(f"{market} offers at most {tiers[-1].limit} levels, not {limit}")
    return tiers[position].weight


def klines_weight(market: str, limit: int) -> int:
    """The weight of one request for `limit` candles."""
    if market == SPOT:
        return 2
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10
