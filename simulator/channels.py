"""At the sockets' door: a stream's name in, what it means on its market and route out. Pure.

Names that mean nothing there (misspelled, the wrong speed, the wrong route) are accepted by the exchange all the same,
and stay silent."""

import re
from dataclasses import dataclass
from typing import Literal

from simulator.candles import INTERVALS
from simulator.listings import Market

# Which of the exchange's addresses a connection came by. Spot has one for everything; unrouted is futures' old one.
Route = Literal["spot", "public", "market", "unrouted"]
Kind = Literal[
    "depth",
    "book_ticker",
    "agg_trade",
    "trade",
    "kline",
    "mark_price",
    "mark_prices",
    "force_order",
    "force_orders",
    "ticker",
    "mini_ticker",
]
_PUBLIC: frozenset[Kind] = frozenset({"depth", "book_ticker"})
_FUTURES_ONLY: frozenset[Kind] = frozenset({"mark_price", "mark_prices", "force_order", "force_orders"})
# Milliseconds between two diffs, by what follows the name.
DEPTH_SPEEDS: dict[Market, dict[str, int]] = {
    "spot": {"": 1000, "@100ms": 100},
    "futures": {"": 250, "@500ms": 500, "@100ms": 100},
}
_KLINE_SPEED: dict[Market, int] = {"spot": 2000, "futures": 250}
_NAME = re.compile(r"([^@!]+)@([a-zA-Z]+)(?:_(\w+))?((?:@\w+)?)")
_EVERY: dict[str, tuple[Kind, int]] = {
    "!markPrice@arr": ("mark_prices", 3000), "!markPrice@arr@1s": ("mark_prices", 1000),
    "!forceOrder@arr": ("force_orders", 1000),
    "!ticker@arr": ("ticker", 1000), "!miniTicker@arr": ("mini_ticker", 1000),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Channel:
    """What a name asks for: the symbol ("" for all of them), ms between two messages, an interval of candles."""

    kind: Kind
    symbol: str
    period: int
    interval: str = ""


def market_of(route: Route) -> Market:
    return "spot" if route == "spot" else "futures"


def _one(market: Market, symbol: str, word: str, interval: str, speed: str) -> Channel | None:
    if word == "depth" and not interval and speed in DEPTH_SPEEDS[market]:
        return Channel("depth", symbol, DEPTH_SPEEDS[market][speed])
    if word == "markPrice" and not interval and speed in {"", "@1s"}:
        return Channel("mark_price", symbol, 1000 if speed else 3000)
    if word == "kline" and interval in INTERVALS and not speed and (interval, market) != ("1s", "futures"):
        return Channel("kline", symbol, 1000 if interval == "1s" else _KLINE_SPEED[market], interval)
    plain: dict[str, tuple[Kind, int]] = {
        "bookTicker": ("book_ticker", 100), "aggTrade": ("agg_trade", 100), "trade": ("trade", 100),
        "forceOrder": ("force_order", 1000), "ticker": ("ticker", 1000 if market == "spot" else 2000),
        "miniTicker": ("mini_ticker", 1000 if market == "spot" else 2000),
    }  # fmt: skip
    if word not in plain or interval or speed:
        return None
    kind, period = plain[word]
    return Channel(kind, symbol, period)


def channel(name: str, route: Route) -> Channel | None:
    """What a name means by a route; None for whatever stays silent. Whether its symbol is listed is not asked."""
    market = market_of(route)
    found: Channel | None
    if name in _EVERY:
        found = Channel(_EVERY[name][0], "", _EVERY[name][1])
    else:
        parts = _NAME.fullmatch(name)
        if parts is None or parts[1] != parts[1].lower():
            return None
        found = _one(market, parts[1].upper(), parts[2], parts[3] or "", parts[4])
    if found is None or (market == "spot" and found.kind in _FUTURES_ONLY):
        return None
    if route in ("public", "unrouted"):
        return found if found.kind in _PUBLIC else None
    return None if route == "market" and found.kind in _PUBLIC else found
