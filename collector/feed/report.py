"""The feed tells of itself: figures of its connections, books and process, every two seconds."""

from collections.abc import Callable
from time import time
from typing import cast

import msgspec
import psutil

from collector.feed.books import Books
from collector.feed.engine import Engine
from collector.feed.figures import REPORTS, BookReport, ConnectionReport, Report, TapeReport
from collector.feed.keeping import Keeping
from collector.feed.publisher import Publisher
from collector.feed.snapshots import SnapshotDesk
from markets.connections import broker_redis

HISTORIES = "feed:uptime"
DAY = 24 * 3600  # seconds


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
        self.tape: Callable[[], list[TapeReport]] = list

    def write(self) -> None:
        """Raises redis.RedisError."""
        client = broker_redis()
        client.hset(REPORTS, self._shard, msgspec.msgpack.encode(self.make(time())))
        client.expire(REPORTS, 300)
        now = time()
        histories = {link.name: link.history(now) for link in self._engine.links.all()}
        if histories:
            client.set(f"{HISTORIES}:{self._shard}", msgspec.msgpack.encode(histories), ex=DAY)

    def remember(self) -> None:
        """What connections were before this process began. Raises redis.RedisError."""
        found = cast("bytes | None", broker_redis().get(f"{HISTORIES}:{self._shard}"))
        if found:
            holds = dict[str, tuple[float, list[list[float]]]]
            self._engine.links.histories = msgspec.msgpack.decode(found, type=holds)

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
            tape=self.tape(),
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
                    failures=0 if link.state == "connected" else link.failures,
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
                    audited=book.audited_at or None,
                    audit_compared=audit.compared if (audit := book.audited) else 0,
                    audit_equal=audit.equal if audit else 0,
                )
            )
        return found
