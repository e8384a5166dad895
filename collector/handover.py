"""Between the feed and the pollers: whose live books are right, so that their minutes need not be read by REST."""

import logging
from datetime import timedelta
from time import time
from typing import cast

import msgspec
from redis import RedisError

from markets.connections import broker_redis

logger = logging.getLogger(__name__)

TAKEOVER = timedelta(seconds=20)  # of a minute, after which what the feed has not stored is read by REST
FRESH_KEY = "feed:fresh"  # hash of shard to Announced
TOLD_FOR = 4.0  # seconds that an announcement holds
Key = tuple[str, str]  # market, symbol


class Announced(msgspec.Struct):
    """The books that are right at `at`, epoch seconds."""

    at: float
    books: list[Key]


def announce(shard: str, books: list[Key], now: float) -> None:
    """Tells pollers which books are right. Raises redis.RedisError."""
    client = broker_redis()
    client.hset(FRESH_KEY, shard, msgspec.msgpack.encode(Announced(now, books)))
    client.expire(FRESH_KEY, 60)


def left_to_feed(market: str, now: float | None = None) -> set[str]:
    """The symbols of a market whose next minute the feed is about to take; none when nobody can tell."""
    moment = time() if now is None else now
    try:
        told = cast("list[bytes]", broker_redis().hvals(FRESH_KEY))
    except RedisError as error:
        logger.warning("every book is polled: Redis is away (%s)", error)
        return set()
    found: set[str] = set()
    for body in told:
        announced = msgspec.msgpack.decode(body, type=Announced)
        if abs(moment - announced.at) <= TOLD_FOR:
            found |= {symbol for where, symbol in announced.books if where == market}
    return found
