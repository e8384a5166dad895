"""Which books are followed: those that the registry calls live, and for a while those that somebody looks at."""

import logging
from collections.abc import Sequence
from time import time
from zlib import crc32

from redis import RedisError

from collector.exchanges.base import Venue
from collector.feed.books import Key, LiveSymbol
from collector.memory import remembered
from depth.broadcast import wanted
from markets.connections import broker_redis
from markets.selectors import collected_symbols

logger = logging.getLogger(__name__)

Row = tuple[str, bool, int | None]  # symbol, live, levels a side


class Shard:
    """One of `count` feeds that share the symbols, from 1 to `count`."""

    def __init__(self, index: int = 1, count: int = 1) -> None:
        self.index = index
        self.count = count

    def holds(self, symbol: str) -> bool:
        return crc32(symbol.encode()) % self.count == self.index - 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def symbols_to_follow(venue: Venue, shard: Shard, most_on_demand: int) -> dict[Key, LiveSymbol]:
    """Of what is collected and trades: the live symbols, and at most so many of those that readers ask for, the
    newest first. Raises one of DATABASE_AWAY when nothing is known of the registry."""
    found: dict[Key, LiveSymbol] = {}
    rows: dict[Key, Row] = {}
    for market in venue.markets:
        deepest = venue.tiers[market][-1].limit
        for row in _collected(venue.name, market):
            rows[market, row[0]] = row
            if row[1] and shard.holds(row[0]):
                found[market, row[0]] = _symbol(row, deepest)
    asked = [key for key in _asked_for() if key in rows and key not in found and shard.holds(key[1])]
    for key in asked[:most_on_demand]:
        found[key] = _symbol(rows[key], venue.tiers[key[0]][-1].limit)
    return found


def _symbol(row: Row, deepest: int) -> LiveSymbol:
    return LiveSymbol(row[2] or 0, deepest)


def _collected(exchange: str, market: str) -> list[Row]:
    def read() -> list[Row]:
        return [(symbol.name, symbol.live, symbol.depth_limit) for symbol in collected_symbols(market, exchange)]

    return remembered(f"live:{exchange}:{market}", list[Row], read)


def _asked_for() -> Sequence[Key]:
    try:
        return wanted(broker_redis(), time())
    except RedisError as error:
        logger.debug("nobody is known to ask: Redis is away (%s)", error)
        return []
