"""What was read, into the database: books, counters, registry and events of a batch in one transaction."""

import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from time import monotonic

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from psycopg.types.json import Jsonb

from collector.events import Event, Type, record
from collector.models import RunState
from collector.polling import BUDGET, OVERRUN, REFUSED, UNAVAILABLE, Reading
from depth.services import CollectedBook, minute_of, store_books
from depth.volumes import InvalidBook, book_from_levels, reach_percent
from markets.models import Market
from markets.services import CollectionOutcome, record_collection

logger = logging.getLogger(__name__)

BATCH_BOOKS = 25
BATCH_SECONDS = 2.0  # a killed process loses no more than this
RETRY = 0.5
REJECTED, LATE = "rejected", "late"

ADD = """
    UPDATE collector_minutes SET
        stored = stored + %(stored)s, failed = failed + %(failed)s, overrun = overrun + %(overrun)s,
        requests = requests + %(requests)s, successful_requests = successful_requests + %(successful)s,
        failed_requests = failed_requests + %(unanswered)s, weight_spot = weight_spot + %(weight_spot)s,
        weight_futures = weight_futures + %(weight_futures)s, rows = rows + %(rows)s,
        network_seconds = network_seconds + %(network)s, compute_seconds = compute_seconds + %(compute)s,
        store_seconds = store_seconds + %(store)s, finished_at = GREATEST(finished_at, %(finished)s),
        causes = COALESCE((
            SELECT jsonb_object_agg(key, total) FROM (
                SELECT key, sum(value::int) AS total
                FROM (SELECT * FROM jsonb_each_text(causes) UNION ALL SELECT * FROM jsonb_each_text(%(causes)s)) AS each
                GROUP BY key) AS sums), '{}')
    WHERE minute = %(minute)s
"""


@dataclass(slots=True)
class _Counts:
    """What a batch adds to its minute."""

    failed: int = 0
    overrun: int = 0
    requests: int = 0
    unanswered: int = 0
    weight: int = 0
    compute: float = 0.0
    causes: Counter[str] = field(default_factory=Counter)


class Batch:
    """Collects readings of one part of `minute` and stores them now and then; `until` (aware) is how long it goes on
    trying while the database is away."""

    def __init__(self, exchange: str, market: str, minute: datetime, until: datetime) -> None:
        self.stored = self.failed = self.overrun = 0
        self._exchange = exchange
        self._market = market
        self._minute = minute
        self._until = until.timestamp()
        self._since = monotonic()
        self._clear()

    def _clear(self) -> None:
        self._books: list[CollectedBook] = []
        self._outcomes: list[CollectionOutcome] = []
        self._events: list[Event] = []
        self._counts = _Counts()
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
        self._counts.requests += reading.asked
        self._counts.unanswered += reading.unanswered
        self._counts.weight += reading.asked * reading.target.weight

    def event(self, event: Event) -> None:
        self._events.append(event)

    def missing(self, name: str, cause: str, message: str) -> None:
        """Notes that a symbol's book of this minute is not there, and why."""
        if cause in {OVERRUN, BUDGET, LATE}:
            self._counts.overrun += 1
        else:
            self._counts.failed += 1
        self._counts.causes[cause] += 1
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
            self._counts.unanswered += 1
            self.missing(target.name, REJECTED, str(error))
            return
        finally:
            self._counts.compute += time.perf_counter() - began
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
        """Stores what was added. While the database is away it tries again; raises its error when time is over."""
        if self._first is None and not self._outcomes and not self._events:
            return
        began = monotonic()
        network = max(0.0, began - self._since - self._counts.compute)
        for attempt in count():
            try:
                added = self._store(network, began)
                break
            except (OperationalError, InterfaceError) as error:
                connection.close()
                if time.time() >= self._until:
                    raise
                if attempt == 0:
                    logger.warning("the database is away, %d books wait for it: %s", len(self._books), error)
                time.sleep(RETRY)
        self.stored += added
        self.failed += self._counts.failed
        self.overrun += self._counts.overrun
        self._since = monotonic()
        self._clear()

    def _store(self, network: float, began: float) -> int:
        counts = self._counts
        with transaction.atomic():
            added = store_books(self._books)
            record_collection(self._outcomes)
            record(self._events)
            numbers = {
                "minute": self._minute,
                "stored": added.books,
                "failed": counts.failed,
                "overrun": counts.overrun,
                "requests": counts.requests,
                "successful": counts.requests - counts.unanswered,
                "unanswered": counts.unanswered,
                "weight_spot": counts.weight if self._market == Market.SPOT else 0,
                "weight_futures": counts.weight if self._market == Market.FUTURES else 0,
                "rows": added.rows,
                "network": network,
                "compute": counts.compute,
                "store": monotonic() - began,
                "finished": datetime.now(UTC),
                "causes": Jsonb(counts.causes),
            }
            with connection.cursor() as cursor:
                cursor.execute(ADD, numbers)
            count_requests(counts.requests, counts.unanswered)
        return added.books


def count_requests(requests: int, unanswered: int) -> None:
    """Adds to the totals since the beginning."""
    RunState.objects.filter(pk=1).update(
        total_requests=F("total_requests") + requests,
        successful_requests=F("successful_requests") + requests - unanswered,
        failed_requests=F("failed_requests") + unanswered,
    )
