"""What the feed tells of itself through Redis, for health, the status page and metrics."""

from time import time
from typing import cast

import msgspec
import psutil

from collector.feed.books import Books
from collector.feed.engine import Engine
from collector.feed.keeping import Keeping
from collector.feed.publisher import Publisher
from collector.feed.snapshots import SnapshotDesk
from markets.connections import broker_redis

REPORTS = "feed:reports"  # hash of shard to Report
DEAD_AFTER = 10.0  # seconds without a report


class ConnectionReport(msgspec.Struct):
    """One connection. `state` is connecting, connected or disconnected, `since` epoch seconds; `uptime` is percent of
    the last day, or of the time that the feed runs."""

    id: str
    market: str
    state: str
    since: float
    streams: int
    silent: int
    rate: float  # messages a second
    reconnects: int
    uptime: float


class BookReport(msgspec.Struct):
    """One live book. `age` is seconds since the exchange last told of it (None: never); reaches are percent, None when
    there is no book or the side is known whole."""

    symbol: str
    market: str
    status: str
    since: float
    age: float | None
    bid_levels: int
    ask_levels: int
    bid_reach: float | None
    ask_reach: float | None
    resyncs: int


class Report(msgspec.Struct):
    """One feed process at `at` (epoch seconds). `slowest` is the longest time in seconds from a message to its
    publication in the last period; `cpu` percent of one core; `memory` bytes."""

    at: float
    started: float
    pid: int
    connections: list[ConnectionReport]
    books: list[BookReport]
    messages: int
    rate: float
    waiting: int
    dropped: int
    published: int
    slowest: float
    snapshots: int
    snapshots_failed: int
    stored: int
    lost: int
    cpu: float
    memory: int


class Reporter:
    """Makes and writes reports; belongs to one thread. It reads what other threads change: figures may be of slightly
    different moments."""

    def __init__(
        self, shard: str, engine: Engine, books: Books, publisher: Publisher, desk: SnapshotDesk, keeping: Keeping
    ) -> None:
        self._shard = shard
        self._engine = engine
        self._books = books
        self._publisher = publisher
        self._desk = desk
        self._keeping = keeping
        self._process = psutil.Process()
        self._process.cpu_percent()
        self._started = self._at = time()
        self._counts: dict[str, int] = {}
        self._messages = 0

    def write(self) -> None:
        """Raises redis.RedisError."""
        client = broker_redis()
        client.hset(REPORTS, self._shard, msgspec.msgpack.encode(self.make(time())))
        client.expire(REPORTS, 300)

    def withdraw(self) -> None:
        """The feed ends on purpose. Raises redis.RedisError."""
        broker_redis().hdel(REPORTS, self._shard)

    def make(self, now: float) -> Report:
        passed, self._at = max(now - self._at, 1e-3), now
        messages, before = self._engine.messages, self._messages
        slowest, self._publisher.slowest = self._publisher.slowest, 0.0
        self._messages = messages
        return Report(
            at=now,
            started=self._started,
            pid=self._process.pid,
            connections=self._connections(now, passed),
            books=self._book_reports(now),
            messages=messages,
            rate=round((messages - before) / passed, 1),
            waiting=len(self._engine.inbox),
            dropped=self._engine.inbox.dropped,
            published=self._publisher.published,
            slowest=round(slowest, 4),
            snapshots=self._desk.asked,
            snapshots_failed=self._desk.failed,
            stored=self._keeping.minutes,
            lost=self._keeping.lost,
            cpu=self._process.cpu_percent(),
            memory=self._process.memory_info().rss,
        )

    def _connections(self, now: float, passed: float) -> list[ConnectionReport]:
        found, counts = [], {}
        for link in self._engine.links.all():
            counts[link.name] = frames = link.total_frames
            found.append(
                ConnectionReport(
                    id=link.name,
                    market=self._engine.market_of(link),
                    state=link.state,
                    since=link.since,
                    streams=len(link.streams),
                    silent=len(link.dead()) if link.state == "connected" else len(link.streams),
                    rate=round((frames - self._counts.get(link.name, 0)) / passed, 1),
                    reconnects=link.reconnects,
                    uptime=link.uptime(now),
                )
            )
        self._counts = counts
        return found

    def _book_reports(self, now: float) -> list[BookReport]:
        found = []
        for book in list(self._books.followed.values()):
            told, heard = book.told, book.sync.received_at
            found.append(
                BookReport(
                    symbol=book.symbol,
                    market=book.market,
                    status=str(book.status_at(now)),
                    since=book.since,
                    age=round(max(0.0, now - heard), 3) if heard else None,
                    bid_levels=told.bid_levels if told else 0,
                    ask_levels=told.ask_levels if told else 0,
                    bid_reach=told.bid_reach if told else None,
                    ask_reach=told.ask_reach if told else None,
                    resyncs=book.sync.resyncs,
                )
            )
        return found


def reports(now: float | None = None) -> list[Report]:
    """Of the feeds that are alive, by shard. Raises redis.RedisError."""
    moment = time() if now is None else now
    found = sorted(cast("dict[bytes, bytes]", broker_redis().hgetall(REPORTS)).items())
    decoded = (msgspec.msgpack.decode(body, type=Report) for _, body in found)
    return [one for one in decoded if moment - one.at <= DEAD_AFTER]
