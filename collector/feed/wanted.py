"""Which books are followed: those that the registry calls live, and for a while those that somebody looks at."""

import logging
from collections.abc import Mapping, Sequence
from time import time

from redis import RedisError

from collector.exchanges.base import Venue
from collector.feed.books import Key, LiveSymbol
from collector.feed.leases import Holder
from collector.memory import remembered
from depth.broadcast import wanted
from markets.connections import broker_redis
from markets.selectors import collected_symbols

logger = logging.getLogger(__name__)

Row = tuple[str, bool, int | None]  # symbol, live, levels a side


def registered(venue: Venue) -> dict[Key, Row]:
    """What is collected and trades. Raises one of DATABASE_AWAY when nothing is known of the registry."""
    return {(market, row[0]): row for market in venue.markets for row in _collected(venue.name, market)}


def symbols_to_follow(
    venue: Venue, rows: Mapping[Key, Row], holder: Holder, most_on_demand: int
) -> dict[Key, LiveSymbol]:
    """Of those that are held here: the live symbols, and at most so many of those that readers ask for, the newest
    first."""
    deepest = {market: venue.tiers[market][-1].limit for market in venue.markets}
    held = {key: row for key, row in rows.items() if holder.holds(row[0])}
    found = {key: _symbol(row, deepest[key[0]]) for key, row in held.items() if row[1]}
    asked = [key for key in _asked_for() if key in held and key not in found]
    return found | {key: _symbol(held[key], deepest[key[0]]) for key in asked[:most_on_demand]}


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
