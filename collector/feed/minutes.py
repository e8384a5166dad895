"""A live symbol's minute comes from its live book, where that is right, fresh and deep enough; else it is polled.

The feed has the first TAKEOVER seconds of a minute to take its books. What it is going to take is told to pollers, who
leave it out at first and read what is missing after that: so a minute is lost at no change, and whichever comes second
adds nothing."""

import logging
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from time import time
from typing import cast

import msgspec
from redis import RedisError

from collector.feed.followed import Followed
from collector.feed.keeping import Keeping
from depth.broadcast import WsStatus
from depth.services import CollectedBook
from markets.connections import broker_redis

logger = logging.getLogger(__name__)

TAKEOVER = 20  # seconds of a minute after which a symbol's book is read by REST
LAST_TAKE = 15.0  # ... and after which the feed takes none, for what it takes has to be stored by then
FRESH_KEY = "feed:fresh"  # hash of shard to Announced
TOLD_FOR = 4.0  # seconds that an announcement holds
Key = tuple[str, str]  # market, symbol


class Announced(msgspec.Struct):
    """The books that are right at `at`, epoch seconds."""

    at: float
    books: list[Key]


class MinuteBooks:
    """Takes books at the beginning of each minute; belongs to the thread of frames. `running`: collection is on."""

    def __init__(self, keeping: Keeping) -> None:
        self.running = False
        self._keeping = keeping
        self._minute: int | None = None
        self._due: set[Key] = set()

    def look(self, wall: float, followed: Mapping[Key, Followed]) -> None:
        minute = int(wall // 60)
        if minute != self._minute:
            # The rest of the minute in which the feed starts is left to polling.
            begun = self._minute is None or not self.running
            self._minute, self._due = minute, set() if begun else set(followed)
        if self._due and wall % 60 <= LAST_TAKE:
            self._take(wall, followed)

    def _take(self, wall: float, followed: Mapping[Key, Followed]) -> None:
        books: defaultdict[str, list[CollectedBook]] = defaultdict(list)
        for key in list(self._due):
            book = followed.get(key)
            if book is None:
                self._due.discard(key)
            elif is_ready(book, wall):
                self._due.discard(key)
                books[book.market].append(_collected(book, wall))
        for found in books.values():
            self._keeping.minute(found)


def is_ready(book: Followed, wall: float) -> bool:
    """Whether a minute may be taken from this book."""
    return book.status_at(wall) is WsStatus.CONNECTED and book.deep_enough


def _collected(book: Followed, wall: float) -> CollectedBook:
    held = book.sync.book
    assert held is not None  # noqa: S101 - the caller looked
    return CollectedBook(
        symbol=book.symbol,
        market=book.market,
        received_at=datetime.fromtimestamp(wall, UTC),
        book=held.frozen(),
        last_update_id=held.sequence,
        event_time=None if held.event_time is None else datetime.fromtimestamp(held.event_time / 1000, UTC),
        limit=book.limit,
        source="stream",
    )


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
