"""What the collector gathers, as batches that are stored whole: at once, or from the spool when the database is back.

Every figure of a minute is added in the transaction that stores its books, so both are there, once, or neither."""

from collections import Counter
from datetime import datetime
from time import monotonic

import msgspec
from django.db import transaction
from django.db.models import F

from collector.events import Event, record
from collector.metrics import UNREAD
from collector.models import CollectionMinute, Outage, RunState
from depth.services import MeasuredBooks, StoredCount, kind, store_measured
from markets.models import Market
from markets.services import CollectionOutcome, record_collection


class Figures(msgspec.Struct):
    """What a batch adds to its minute. Times are seconds; `weight` is request weight on the batch's market."""

    failed: int = 0
    overrun: int = 0
    requests: int = 0
    unanswered: int = 0
    weight: int = 0
    network: float = 0.0
    compute: float = 0.0
    store: float = 0.0
    causes: dict[str, int] = {}


class Gathered(msgspec.Struct):
    """Some books of one market and minute with everything that is told of them."""

    market: str
    minute: datetime
    finished_at: datetime
    figures: Figures
    books: MeasuredBooks
    outcomes: list[CollectionOutcome] = []
    events: list[Event] = []


class Opening(msgspec.Struct):
    """What a minute sets out to read; `causes` of those that it will not."""

    minute: datetime
    started_at: datetime
    expected: int
    unplanned: int
    causes: dict[str, int] = {}


class Absence(msgspec.Struct):
    """Something that collection needs was away. `cause`: platform, redis or database."""

    cause: str
    start: datetime
    end: datetime


def _store_gathered(batch: Gathered) -> StoredCount:
    began = monotonic()
    added = store_measured(batch.books)
    record_collection(batch.outcomes)
    record(batch.events)
    batch.figures.store = monotonic() - began
    _add(batch, added)
    count_requests(batch.figures.requests, batch.figures.unanswered)
    return added


def _add(batch: Gathered, added: StoredCount) -> None:
    """To the minute's row. A minute that was closed before this batch came had counted its books as unread."""
    row, figures = _locked(batch.minute), batch.figures
    row.stored += added.books
    row.rows += added.rows
    row.failed += figures.failed
    row.overrun += figures.overrun
    row.requests += figures.requests
    row.successful_requests += figures.requests - figures.unanswered
    row.failed_requests += figures.unanswered
    weight = "weight_spot" if batch.market == Market.SPOT else "weight_futures"
    setattr(row, weight, getattr(row, weight) + figures.weight)
    row.network_seconds += figures.network
    row.compute_seconds += figures.compute
    row.store_seconds += figures.store
    row.finished_at = max(row.finished_at or batch.finished_at, batch.finished_at)
    causes = Counter(row.causes) + Counter(figures.causes)
    if row.closed:
        late = min(causes[UNREAD], added.books + figures.failed + figures.overrun)
        row.overrun -= late
        causes -= Counter({UNREAD: late})
    row.causes = dict(causes)
    row.save()


def _locked(minute: datetime) -> CollectionMinute:
    """The minute's row, kept from others until the transaction ends."""
    rows = CollectionMinute.objects.select_for_update()
    found: CollectionMinute | None = rows.filter(minute=minute).first()
    if found is None:  # of many who see this at once, one makes it
        CollectionMinute.objects.bulk_create(
            [CollectionMinute(minute=minute, started_at=minute)], ignore_conflicts=True
        )
        found = rows.get(minute=minute)
    return found


def _open(opening: Opening) -> None:
    with transaction.atomic():
        row = _locked(opening.minute)
        if not row.expected:  # the first word of it; what comes again changes nothing but the number
            row.started_at = opening.started_at
            row.overrun += opening.unplanned
            row.causes = dict(Counter(row.causes) + Counter(opening.causes))
        row.expected = max(row.expected, opening.expected)
        row.save(update_fields=["expected", "started_at", "overrun", "causes"])


def _store_absence(absence: Absence) -> None:
    Outage.objects.create(cause=absence.cause, start=absence.start, end=absence.end)


def count_requests(requests: int, unanswered: int) -> None:
    """Adds to the totals since the beginning."""
    RunState.objects.filter(pk=1).update(
        total_requests=F("total_requests") + requests,
        successful_requests=F("successful_requests") + requests - unanswered,
        failed_requests=F("failed_requests") + unanswered,
    )


GATHERED = kind("collector.books", Gathered, _store_gathered)
OPENING = kind("collector.minute", Opening, _open)
ABSENCE = kind("collector.absence", Absence, _store_absence)
EVENTS = kind("collector.events", list[Event], record)
