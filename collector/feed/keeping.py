"""From the feed to the database: minutes and seconds of live books, and what happened, by a thread of its own.

While the database is away they go to the spool, as everything that is collected."""

import logging
import threading
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from time import monotonic

from django.db import connection

from collector.audits import BOOK_AUDITS, Compared
from collector.events import Event, Type, record
from collector.gathered import GATHERED, Figures, Gathered
from depth.seconds import SECONDS, BookSecond
from depth.services import CollectedBook, SpoolFull, accept, kind, measured, minute_of
from depth.volumes import reach_percent
from markets.services import CollectionOutcome

logger = logging.getLogger(__name__)

EVENTS_EVERY = 2.0
SECONDS_EVERY = 5.0
LOOK_EVERY = 0.25
MOST_EVENTS = 500  # that wait
MOST_OF_A_TYPE = 30  # of one type and market in one minute; what is beyond is told as a number
LEVELS = {
    Type.SNAPSHOT_LOADED: logging.DEBUG,
    Type.AUDIT_FAILED: logging.ERROR,
    Type.ERROR: logging.WARNING,
    Type.UPDATE_FAILED: logging.WARNING,
}
MOST_SECONDS = 20_000  # rows that wait
MOST_AUDITS = 2_000


def _record_all(events: list[Event]) -> None:
    record(events, most=len(events))


STREAM_EVENTS = kind("collector.stream_events", list[Event], _record_all)


class EventLog:
    """Bounds what is kept of what happens: so many of a type and market a minute, the rest as a number. Safe for
    threads."""

    def __init__(self, most: int = MOST_OF_A_TYPE) -> None:
        self._most = most
        self._waiting: deque[Event] = deque(maxlen=MOST_EVENTS)
        self._minute: datetime | None = None
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def add(self, event: Event) -> None:
        with self._lock:
            self._turn(event.time)
            self._counts[event.type, event.market] += 1
            if self._counts[event.type, event.market] <= self._most:
                self._waiting.append(event)

    def take(self, now: datetime) -> list[Event]:
        """What is to be stored now."""
        with self._lock:
            self._turn(now)
            found = list(self._waiting)
            self._waiting.clear()
        return found

    def _turn(self, now: datetime) -> None:
        """With a new minute: how many of the last one were left out."""
        minute = minute_of(now)
        if self._minute is not None and minute > self._minute:
            for (kind, market), count in self._counts.items():
                if count > self._most:
                    left = count - self._most
                    facts = {"count": left, "minute": self._minute.isoformat()}
                    self._waiting.append(Event(kind, f"and {left} more of the same", market=market, metadata=facts))
            self._counts.clear()
        if self._minute is None or minute > self._minute:
            self._minute = minute


class Keeping:
    """Takes what is to be stored, from any thread, and stores it in its own."""

    def __init__(self, exchange: str) -> None:
        self.minutes = 0  # books stored, or put into the spool
        self.lost = 0
        self._exchange = exchange
        self._events = EventLog()
        self._books: deque[list[CollectedBook]] = deque()
        self._seconds: deque[BookSecond] = deque(maxlen=MOST_SECONDS)
        self._audits: deque[Compared] = deque(maxlen=MOST_AUDITS)
        self._events_at = self._seconds_at = 0.0
        self._filled = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeping", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self, seconds: float = 4.0) -> None:
        """Stores what waits."""
        self._ended.set()
        self._filled.set()
        self._thread.join(seconds)

    def event(self, event: Event) -> None:
        logger.log(
            LEVELS.get(event.type, logging.INFO), "%s %s %s %s", event.type, event.market, event.symbol, event.message
        )
        self._events.add(event)

    def minute(self, books: list[CollectedBook]) -> None:
        """Books of one market that were read in one minute."""
        self._books.append(books)
        self._filled.set()

    def seconds(self, rows: Iterable[BookSecond]) -> None:
        self._seconds.extend(rows)

    def audit(self, row: Compared) -> None:
        """What came of comparing a book with the exchange's."""
        self._audits.append(row)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._filled.wait(LOOK_EVERY)
            self._filled.clear()
            self.store(monotonic())
        self.store(monotonic(), last=True)
        connection.close()

    def store(self, now: float, last: bool = False) -> None:
        """What is due: minutes at once, the rest in batches."""
        try:
            while self._books:
                self._store_minute(self._books.popleft())
            if last or now >= self._events_at:
                self._events_at = now + EVENTS_EVERY
                if events := self._events.take(datetime.now(UTC)):
                    accept(STREAM_EVENTS, events, note=True)
                if audits := [self._audits.popleft() for _ in range(len(self._audits))]:
                    accept(BOOK_AUDITS, audits)
            if last or now >= self._seconds_at:
                self._seconds_at = now + SECONDS_EVERY
                rows = [self._seconds.popleft() for _ in range(len(self._seconds))]
                if rows:
                    accept(SECONDS, rows)
        except SpoolFull as error:
            self.lost += 1
            logger.critical("what the feed keeps is lost: the database is away, and the spool is full: %s", error)
        except Exception:
            logger.exception("something that the feed keeps was not stored")

    def _store_minute(self, books: Sequence[CollectedBook]) -> None:
        began = monotonic()
        minute, market = minute_of(books[0].received_at), books[0].market
        rows = measured(books)
        figures = Figures(compute=monotonic() - began)
        outcomes = [self._outcome(book, minute) for book in books]
        accept(GATHERED, Gathered(market, minute, datetime.now(UTC), figures, rows, outcomes))
        self.minutes += len(books)

    def _outcome(self, read: CollectedBook, minute: datetime) -> CollectionOutcome:
        bids, asks = read.book.bids, read.book.asks
        return CollectionOutcome(
            self._exchange,
            read.market,
            read.symbol,
            minute,
            read.received_at,
            bid_reach=reach_percent(bids),
            ask_reach=reach_percent(asks),
            bid_levels=bids.prices.size,
            ask_levels=asks.prices.size,
        )
