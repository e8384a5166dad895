"""The only way in for order books and their volumes: measured, then stored, all or nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import monotonic

import msgspec
from django.conf import settings
from django.db import connection, transaction
from psycopg import sql

from depth import cache, rollups, store
from depth.intake import accept, guarded, kind, replay, retried, set_aside, spool_identity, spool_state
from depth.models import LIFETIMES
from depth.spool import SpoolFull, SpoolState
from depth.volumes import BandVolumes, Book, measure, reach_percent
from markets.storage import storage_name

__all__ = [
    "CollectedBook",
    "MeasuredBooks",
    "SnapshotRow",
    "SpoolFull",
    "SpoolState",
    "StoredCount",
    "accept",
    "guarded",
    "kind",
    "measured",
    "minute_of",
    "replay",
    "retain",
    "set_aside",
    "spool_identity",
    "spool_state",
    "store_books",
    "store_measured",
    "store_rows",
]

TOP_LEVELS = 20
CONTESTED = timedelta(
    minutes=3
)  # of this age minutes are still stored by several: the feed, its successor, the polling
# Rows as `depth.store` writes them, in the order of its columns.
VolumeRow = tuple[str, str, Decimal, datetime, float, float, float, float, bool, bool]
BookRow = tuple[
    str,
    str,
    datetime,
    datetime,
    datetime | None,
    int,
    Decimal,
    Decimal,
    list[float],
    list[float],
    list[float],
    list[float],
    int,
    int,
    float | None,
    float | None,
    int,
    str,
]
DELETE_BATCH = 20_000
DELETE_OLD = """
    DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE {time} < %s LIMIT %s))
"""


@dataclass(frozen=True, slots=True)
class CollectedBook:
    """An order book as it was read. `received_at` (aware) decides the minute that it belongs to; `limit` is the
    number of levels asked for on each side; `source` is "rest" or "stream"."""

    symbol: str
    market: str
    received_at: datetime
    book: Book
    last_update_id: int
    event_time: datetime | None
    limit: int
    source: str


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """One band of one minute, as a row of `snapshots`. Values are in the quote asset."""

    symbol: str
    market: str
    minute: datetime
    volumes: BandVolumes


@dataclass(frozen=True, slots=True)
class StoredCount:
    """What was added: order books, and rows of `snapshots`."""

    books: int
    rows: int


def minute_of(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


class MeasuredBooks(msgspec.Struct, frozen=True):
    """Order books and their volumes, ready to be stored: now, or from the spool."""

    books: list[BookRow] = []
    volumes: list[VolumeRow] = []


def measured(books: Sequence[CollectedBook], bands: Sequence[Decimal] | None = None) -> MeasuredBooks:
    """The books with their volumes within `bands` (default: the configured ones)."""
    chosen = settings.DEPTH_BANDS if bands is None else bands
    volumes = [_values(row) for book in books for row in _measured(book, chosen)]
    return MeasuredBooks([_book_row(book) for book in books], volumes)


def store_measured(rows: MeasuredBooks) -> StoredCount:
    """Stores volumes and books, all or nothing. One book a symbol, market and minute: a second one of the same minute
    is left out, with its rows."""
    now = datetime.now(UTC)
    contested = any(row[2] > now - CONTESTED for row in rows.books)
    with transaction.atomic():
        books = store.write(store.DEPTH_SNAPSHOTS, rows.books, contested)
        added = StoredCount(books, store.write(store.SNAPSHOTS, rows.volumes, contested))
        if added.books or added.rows:
            _changed({row[:2] for row in rows.books} | {row[:2] for row in rows.volumes}, rows.volumes, added.rows)
        return added


def _changed(series: set[tuple[str, str]], rows: Sequence[VolumeRow], added: int) -> None:
    """The last step of a transaction that added rows: their series have another version, and once it is committed the
    cache knows them too."""
    raised = store.raise_versions(series)
    whole, now = added == len(rows), datetime.now(UTC)
    transaction.on_commit(lambda: cache.advance(raised, rows, whole, now), robust=True)


def store_books(books: Sequence[CollectedBook], bands: Sequence[Decimal] | None = None) -> StoredCount:
    """Measures the books and stores them, as `measured` and `store_measured` say."""
    return store_measured(measured(books, bands))


def store_rows(rows: Sequence[SnapshotRow]) -> int:
    """Adds rows of `snapshots` that are not there yet, all or nothing; gives how many were added.

    They are stored when this returns, never spooled: only the database can tell which of them are new. Tried four
    times while it fails; raises one of DATABASE_AWAY then."""
    values = [_values(row) for row in rows]

    def stored() -> int:
        with transaction.atomic():
            added = store.write(store.SNAPSHOTS, values)
            if added:
                _changed({row[:2] for row in values}, values, added)
            return added

    return retried(stored)


def _measured(read: CollectedBook, bands: Sequence[Decimal]) -> Iterator[SnapshotRow]:
    minute = minute_of(read.received_at)
    return (SnapshotRow(read.symbol, read.market, minute, row) for row in measure(read.book, bands))


def _values(row: SnapshotRow) -> VolumeRow:
    v = row.volumes
    figures = (v.bid_volume, v.ask_volume, v.bid_value, v.ask_value, v.bid_complete, v.ask_complete)
    return (row.symbol, row.market, v.band, row.minute, *figures)


def _book_row(read: CollectedBook) -> BookRow:
    bids, asks = read.book.bids, read.book.asks
    return (
        read.symbol,
        read.market,
        minute_of(read.received_at),
        read.received_at,
        read.event_time,
        read.last_update_id,
        Decimal(repr(float(bids.prices[0]))),
        Decimal(repr(float(asks.prices[0]))),
        bids.prices[:TOP_LEVELS].tolist(),
        bids.quantities[:TOP_LEVELS].tolist(),
        asks.prices[:TOP_LEVELS].tolist(),
        asks.quantities[:TOP_LEVELS].tolist(),
        bids.prices.size,
        asks.prices.size,
        reach_percent(bids),
        reach_percent(asks),
        read.limit,
        read.source,
    )


def retain(now: datetime, seconds: float = 40.0) -> int:
    """Deletes rows past their lifetime in batches, for `seconds` at most; gives how many. TimescaleDB drops whole
    chunks by its own policy, so nothing is left to do there. Minutes go only after their hours are made."""
    if storage_name() == "timescaledb":
        return 0
    deleted, until = 0, monotonic() + seconds
    rollups.roll_up(now, seconds / 2)
    with connection.cursor() as cursor:
        for table, (column, lifetime) in LIFETIMES.items():
            before = rollups.raw_kept_from(now) if table == "snapshots" else now - lifetime
            waits = table == "snapshots" and rollups.behind(before)
            statement = sql.SQL(DELETE_OLD).format(table=sql.Identifier(table), time=sql.Identifier(column))
            batch = 0 if waits else DELETE_BATCH
            while batch == DELETE_BATCH and monotonic() < until:
                cursor.execute(statement, [before, DELETE_BATCH])
                batch = cursor.rowcount
                deleted += batch
    return deleted
