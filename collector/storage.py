"""What the database holds, read live: sizes, lifetimes, compression, coverage, and what is slow or idle in it.

Shown by `manage.py storage_report`, and free to be shown elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from psycopg import sql

from collector.services import LIFETIMES as COLLECTOR_LIFETIMES
from depth.models import LIFETIMES as DEPTH_LIFETIMES
from derivatives.models import LIFETIMES as EVENTS_LIFETIMES
from derivatives.series import RELATIONS as EVENTS_AGGREGATES
from markets.storage import storage_name

MINUTE = timedelta(minutes=1)
# Table: its time column and its rows' lifetime (None: kept for ever), in the order of the report.
TABLES: dict[str, tuple[str, timedelta | None]] = {
    **DEPTH_LIFETIMES,
    "snapshots_agg_1h": ("bucket", None),
    "snapshots_agg_1d": ("bucket", None),
    "candles": ("open_time", None),
    "candles_15m": ("bucket", None),
    "candles_1h": ("bucket", None),
    "candles_1d": ("bucket", None),
    **EVENTS_LIFETIMES,
    **dict.fromkeys(EVENTS_AGGREGATES, ("bucket", None)),
    "order_events": ("timestamp", None),
    **{name: (column, lifetime) for name, (column, lifetime, _) in COLLECTOR_LIFETIMES.items()},
}
MOST_QUERIES = 10

PLAIN_SIZE = """
    SELECT greatest(reltuples, 0)::bigint, pg_total_relation_size(oid), pg_indexes_size(oid), 0, 0, 0, 0
    FROM pg_class WHERE oid = %(name)s::regclass
"""
# A continuous aggregate's rows are in a hypertable of another name.
HYPERTABLE = """
    SELECT format('%%I.%%I', materialization_hypertable_schema, materialization_hypertable_name)
    FROM timescaledb_information.continuous_aggregates WHERE view_name = %(name)s
    UNION ALL
    SELECT format('%%I.%%I', hypertable_schema, hypertable_name)
    FROM timescaledb_information.hypertables WHERE hypertable_name = %(name)s
"""
HYPERTABLE_SIZE = """
    SELECT approximate_row_count(%(table)s::regclass), size.total_bytes, size.index_bytes, coalesce(chunks, 0),
           coalesce(number_compressed_chunks, 0), coalesce(before_compression_total_bytes, 0)::bigint,
           coalesce(after_compression_total_bytes, 0)::bigint
    FROM (
        SELECT coalesce(sum(total_bytes), 0)::bigint AS total_bytes,
               coalesce(sum(index_bytes), 0)::bigint AS index_bytes
        FROM hypertable_detailed_size(%(table)s::regclass)
    ) AS size
    LEFT JOIN (SELECT count(*) AS chunks FROM show_chunks(%(table)s::regclass)) AS shown ON true
    LEFT JOIN hypertable_compression_stats(%(table)s::regclass) AS compression ON true
"""
BOUNDS = "SELECT min({time}), max({time}) FROM {table}"
# Whole days from the daily sums, the hours of the others from the hourly ones, and what is in neither from the minutes.
# Of a symbol's bands the fullest tells.
COVERAGE = """
    WITH unrolled AS MATERIALIZED (SELECT DISTINCT hour FROM snapshots_unrolled),
    days AS MATERIALIZED (SELECT DISTINCT date_trunc('day', hour, 'UTC') AS day FROM unrolled),
    parts AS (
        SELECT symbol, market_type, depth, count, bucket AS since FROM snapshots_agg_1d
        WHERE bucket NOT IN (SELECT day FROM days)
        UNION ALL
        SELECT symbol, market_type, depth, count, bucket FROM days
        JOIN snapshots_agg_1h ON bucket >= day AND bucket < day + INTERVAL '1 day'
        WHERE bucket NOT IN (SELECT hour FROM unrolled)
        UNION ALL
        SELECT symbol, market_type, depth, count(*), min(timestamp) FROM unrolled
        JOIN snapshots ON timestamp >= hour AND timestamp < hour + INTERVAL '1 hour' GROUP BY 1, 2, 3, hour
    ), series AS (
        SELECT symbol, market_type, depth, sum(count)::bigint AS minutes, min(since) AS since
        FROM parts GROUP BY 1, 2, 3
    ), fullest AS (
        SELECT DISTINCT ON (symbol, market_type) * FROM series ORDER BY symbol, market_type, minutes DESC, depth
    )
    SELECT symbol, market_type, minutes, since, oldest, newest FROM fullest
    LEFT JOIN LATERAL (
        SELECT timestamp AS oldest FROM snapshots AS s
        WHERE (s.symbol, s.market_type, s.depth) = (fullest.symbol, fullest.market_type, fullest.depth)
        ORDER BY timestamp LIMIT 1
    ) AS first ON true
    LEFT JOIN LATERAL (
        SELECT timestamp AS newest FROM snapshots AS s
        WHERE (s.symbol, s.market_type, s.depth) = (fullest.symbol, fullest.market_type, fullest.depth)
        ORDER BY timestamp DESC LIMIT 1
    ) AS last ON true
    ORDER BY symbol, market_type
"""
HAS_STATEMENTS = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements')"
SLOW_QUERIES = """
    SELECT regexp_replace(query, '\\s+', ' ', 'g'), calls, mean_exec_time, total_exec_time FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY mean_exec_time DESC LIMIT %s
"""
# Unique ones guard even where nobody reads by them. An index of a hypertable is read through those of its chunks.
UNUSED_INDEXES = """
    SELECT found.relname, found.indexrelname,
           pg_relation_size(found.indexrelid) + coalesce(sum(pg_relation_size(part.indexrelid)), 0)::bigint
    FROM pg_stat_user_indexes AS found JOIN pg_index ON pg_index.indexrelid = found.indexrelid
    LEFT JOIN pg_stat_user_indexes AS part ON part.schemaname = '_timescaledb_internal'
        AND part.indexrelname LIKE '%%\\_chunk\\_' || replace(found.indexrelname, '_', '\\_')
    WHERE found.schemaname = 'public' AND NOT indisunique
    GROUP BY found.relname, found.indexrelname, found.indexrelid, found.idx_scan
    HAVING found.idx_scan + coalesce(sum(part.idx_scan), 0) = 0
    ORDER BY 3 DESC, 1, 2
"""


@dataclass(frozen=True, slots=True)
class TableReport:
    """One relation. `rows` is the planner's estimate; bytes are on disk, `index_bytes` among `total_bytes`."""

    name: str
    rows: int
    total_bytes: int
    index_bytes: int
    chunks: int
    compressed_chunks: int
    uncompressed_bytes: int  # of the compressed chunks, before
    compressed_bytes: int  # and after
    oldest: datetime | None
    newest: datetime | None
    lifetime: timedelta | None

    @property
    def compression(self) -> float | None:
        """How many times smaller the compressed chunks are; None where there are none."""
        return self.uncompressed_bytes / self.compressed_bytes if self.compressed_bytes else None


@dataclass(frozen=True, slots=True)
class SeriesReport:
    """One symbol on one market: the minutes that are known of it, and of how many. `since` counts from the aggregates
    (a day, an hour or a minute); `oldest` and `newest` are minutes that are stored still."""

    symbol: str
    market: str
    minutes: int
    since: datetime
    oldest: datetime | None
    newest: datetime | None

    @property
    def expected(self) -> int:
        """Minutes from the first to the newest."""
        if self.oldest is None or self.newest is None:
            return self.minutes
        first = self.oldest if self.oldest - self.since < timedelta(days=1) else self.since
        return (self.newest - first) // MINUTE + 1

    @property
    def coverage(self) -> float:
        """The share of the expected minutes that is there, 0 to 1."""
        return min(1.0, self.minutes / self.expected) if self.expected else 0.0


@dataclass(frozen=True, slots=True)
class SlowQuery:
    text: str
    calls: int
    mean_ms: float
    total_ms: float

    @property
    def total_s(self) -> float:
        return self.total_ms / 1000


@dataclass(frozen=True, slots=True)
class UnusedIndex:
    table: str
    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class StorageReport:
    """`slow_queries` is None where pg_stat_statements is not installed; unused means since statistics began."""

    storage: str
    database_bytes: int
    tables: list[TableReport]
    series: list[SeriesReport]
    slow_queries: list[SlowQuery] | None
    unused_indexes: list[UnusedIndex]


def storage_report() -> StorageReport:
    """All of it, read now. Takes a second or two on a full database: not for every page view."""
    statements = bool(_rows(HAS_STATEMENTS)[0][0])
    return StorageReport(
        storage=storage_name(),
        database_bytes=_rows("SELECT pg_database_size(current_database())")[0][0],
        tables=table_reports(),
        series=[SeriesReport(*row) for row in _rows(COVERAGE)],
        slow_queries=[SlowQuery(*row) for row in _rows(SLOW_QUERIES, [MOST_QUERIES])] if statements else None,
        unused_indexes=[UnusedIndex(*row) for row in _rows(UNUSED_INDEXES, {})],
    )


def table_reports() -> list[TableReport]:
    """Every relation with a lifetime: size, chunks, oldest and newest. Quick enough to be shown on a page."""
    timescale = storage_name() == "timescaledb"
    return [_table(name, *kept, timescale) for name, kept in TABLES.items()]


def _table(name: str, column: str, lifetime: timedelta | None, timescale: bool) -> TableReport:
    hypertable = _rows(HYPERTABLE, {"name": name}) if timescale else []
    size = _rows(HYPERTABLE_SIZE, {"table": hypertable[0][0]}) if hypertable else _rows(PLAIN_SIZE, {"name": name})
    # Of a continuous aggregate what is made; its view would sum up the minutes of the open hour as well.
    relation = sql.Identifier(*hypertable[0][0].split(".")) if hypertable else sql.Identifier(name)
    [bounds] = _rows(sql.SQL(BOUNDS).format(time=sql.Identifier(column), table=relation))
    return TableReport(*(name, *size[0], *bounds, lifetime))


def _rows(statement: str | sql.Composed, parameters: Sequence[Any] | dict[str, Any] | None = None) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()
