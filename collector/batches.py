"""From readings to batches: books, counters, registry and events that belong together."""

import logging
import time
from datetime import UTC, datetime
from time import monotonic

from collector.events import Event, Type
from collector.gathered import GATHERED, Figures, Gathered
from collector.polling import BUDGET, OVERRUN, REFUSED, UNAVAILABLE, Reading
from depth.services import CollectedBook, MeasuredBooks, SpoolFull, StoredCount, accept, measured, minute_of
from depth.volumes import InvalidBook, book_from_levels, reach_percent
from markets.services import CollectionOutcome

logger = logging.getLogger(__name__)

BATCH_BOOKS = 25
BATCH_SECONDS = 2.0  # a killed process loses no more than this
REJECTED, LATE, UNSTORED = "rejected", "late", "unstored"


class Batch:
    """Collects readings of one part of `minute` and stores them now and then."""

    def __init__(self, exchange: str, market: str, minute: datetime) -> None:
        self.stored = self.failed = self.overrun = 0
        self._exchange = exchange
        self._market = market
        self._minute = minute
        self._since = monotonic()
        self._clear()

    def _clear(self) -> None:
        self._books: list[CollectedBook] = []
        self._outcomes: list[CollectionOutcome] = []
        self._events: list[Event] = []
        self._figures = Figures()
        self._first: float | None = None

    def add(self, reading: Reading) -> None:
        """Takes a reading in: its book, or why there is none."""
        self.count(reading)
        if reading.raw is not None:
            self._measure(reading)
        else:
            self.missing(reading.target.name, reading.cause, reading.message)

    def count(self, reading: Reading) -> None:
        """Takes in the requests of a reading whose target is tried again later."""
        self._first = self._first or monotonic()
        self._figures.requests += reading.asked
        self._figures.unanswered += reading.unanswered
        self._figures.weight += reading.asked * reading.target.weight

    def event(self, event: Event) -> None:
        self._events.append(event)

    def missing(self, name: str, cause: str, message: str) -> None:
        """Notes that a symbol's book of this minute is not there, and why."""
        if cause in {OVERRUN, BUDGET, LATE}:
            self._figures.overrun += 1
        else:
            self._figures.failed += 1
        self._figures.causes[cause] = self._figures.causes.get(cause, 0) + 1
        told = f"{cause}: {message}"
        now = datetime.now(UTC)
        self._outcomes.append(CollectionOutcome(self._exchange, self._market, name, self._minute, now, told[:1000]))
        kind = {REFUSED: Type.SYMBOL_REFUSED, REJECTED: Type.BOOK_REJECTED, UNAVAILABLE: Type.ERROR}.get(cause)
        if kind and message:
            self._events.append(Event(kind, message, name, self._market, {"minute": self._minute.isoformat()}))

    def _measure(self, reading: Reading) -> None:
        raw, target = reading.raw, reading.target
        assert raw is not None  # noqa: S101 - the caller looked
        began = time.perf_counter()
        try:
            if minute_of(raw.received_at) != self._minute:
                self.missing(target.name, LATE, f"the answer came at {raw.received_at:%H:%M:%S}, out of its minute")
                return
            book = book_from_levels(raw.bids, raw.asks, target.limit)
        except InvalidBook as error:
            self._figures.unanswered += 1
            self.missing(target.name, REJECTED, str(error))
            return
        finally:
            self._figures.compute += time.perf_counter() - began
        key = (target.name, self._market, raw.received_at)
        self._books.append(CollectedBook(*key, book, raw.last_update_id, raw.event_time, target.limit, "rest"))
        self._outcomes.append(
            CollectionOutcome(
                self._exchange,
                self._market,
                target.name,
                self._minute,
                raw.received_at,
                bid_reach=reach_percent(book.bids),
                ask_reach=reach_percent(book.asks),
                bid_levels=book.bids.prices.size,
                ask_levels=book.asks.prices.size,
            )
        )

    def due(self) -> bool:
        """Whether it is time to store."""
        waited = self._first is not None and monotonic() - self._first >= BATCH_SECONDS
        return waited or len(self._books) >= BATCH_BOOKS

    def flush(self) -> None:
        """Stores what was added, or puts it in the spool while the database is away. When even that cannot take it,
        the books are lost and counted as such."""
        if self._first is None and not self._outcomes and not self._events:
            return
        began = monotonic()
        self._figures.network = max(0.0, began - self._since - self._figures.compute)
        batch = self._gathered()
        try:
            added: StoredCount | None = accept(GATHERED, batch)
            self.stored += added.books if added else len(self._books)
        except SpoolFull as error:
            self._lose(batch, str(error))
        self.failed += self._figures.failed
        self.overrun += self._figures.overrun
        self._since = monotonic()
        self._clear()

    def _gathered(self) -> Gathered:
        began = time.perf_counter()
        books = measured(self._books)
        self._figures.compute += time.perf_counter() - began
        key = (self._market, self._minute, datetime.now(UTC))
        return Gathered(*key, self._figures, books, self._outcomes, self._events)

    def _lose(self, batch: Gathered, reason: str) -> None:
        """What remains of books that nothing could take: their number, and why."""
        lost = len(self._books)
        logger.critical("%d order books are lost: the database is away, and the spool is full: %s", lost, reason)
        self._figures.failed += lost
        self._figures.causes[UNSTORED] = self._figures.causes.get(UNSTORED, 0) + lost
        told = Event(Type.ERROR, f"{lost} order books lost: the spool is full ({reason})", market=self._market)
        try:
            key = (batch.market, batch.minute, batch.finished_at)
            accept(GATHERED, Gathered(*key, self._figures, MeasuredBooks(), [], [told] if lost else []), note=True)
        except SpoolFull:
            logger.critical("not even their number is kept")
