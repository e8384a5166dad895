"""Bulk writes of the depth series: binary COPY, and rows that are there already stay as they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any

from django.db import IntegrityError, connection, transaction
from psycopg import sql
from psycopg.errors import UniqueViolation


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is written in bulk: its name, its columns with their PostgreSQL types, and its key."""

    name: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]


SNAPSHOTS = Table(
    "snapshots",
    (
        ("symbol", "varchar"),
        ("market_type", "varchar"),
        ("depth", "numeric"),
        ("timestamp", "timestamptz"),
        ("bid_volume", "float4"),
        ("ask_volume", "float4"),
        ("bid_volume_usd", "float4"),
        ("ask_volume_usd", "float4"),
        ("bid_complete", "bool"),
        ("ask_complete", "bool"),
    ),
    ("symbol", "market_type", "depth", "timestamp"),
)
DEPTH_SNAPSHOTS = Table(
    "depth_snapshots",
    (
        ("symbol", "varchar"),
        ("market_type", "varchar"),
        ("time", "timestamptz"),
        ("received_at", "timestamptz"),
        ("event_time", "timestamptz"),
        ("last_update_id", "int8"),
        ("best_bid", "numeric"),
        ("best_ask", "numeric"),
        ("bid_prices", "float8[]"),
        ("bid_quantities", "float8[]"),
        ("ask_prices", "float8[]"),
        ("ask_quantities", "float8[]"),
        ("bid_levels", "int4"),
        ("ask_levels", "int4"),
        ("bid_reach", "float4"),
        ("ask_reach", "float4"),
        ("depth_limit", "int4"),
        ("source", "varchar"),
    ),
    ("symbol", "market_type", "time"),
)

# Rows that are all new, which is nearly always, go straight into the table: half the work for the database.
COPY = "COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)"
# Where some are there already, all go by way of a temporary table, which stays with the connection and is empty at each
# transaction's end: making one costs more than filling it. Of two with the same key one stays.
CREATE = "CREATE TEMPORARY TABLE IF NOT EXISTS {temporary} (LIKE {table}) ON COMMIT DELETE ROWS"
EMPTY = "TRUNCATE {temporary}"
COPY_TEMPORARY = "COPY {temporary} ({columns}) FROM STDIN (FORMAT BINARY)"
INSERT = """
    INSERT INTO {table} ({columns})
    SELECT {columns} FROM {temporary} ORDER BY {key}
    ON CONFLICT ({key}) DO NOTHING
"""
# Locked in one order, and the new number drawn under the lock: of one series a later state has a higher version.
RAISE = """
    WITH series AS MATERIALIZED (
        SELECT DISTINCT symbol, market_type FROM unnest(%s::varchar[], %s::varchar[]) AS s (symbol, market_type)
    ), old AS MATERIALIZED (
        SELECT v.symbol, v.market_type, v.version FROM series_versions v JOIN series USING (symbol, market_type)
        ORDER BY v.symbol, v.market_type FOR UPDATE OF v
    ), raised AS (
        INSERT INTO series_versions AS v (symbol, market_type, version)
        SELECT symbol, market_type, nextval('series_version') FROM series LEFT JOIN old USING (symbol, market_type)
        ORDER BY symbol, market_type
        ON CONFLICT (symbol, market_type) DO UPDATE SET version = nextval('series_version')
        RETURNING v.symbol, v.market_type, v.version
    )
    SELECT symbol, market_type, old.version, raised.version FROM raised LEFT JOIN old USING (symbol, market_type)
"""


def write(table: Table, rows: Sequence[Sequence[Any]], contested: bool = False) -> int:
    """Adds rows (values in the order of `table.columns`) that are not there yet; rows that are stay as they are.
    `contested`: somebody else may be storing the same ones now, which is no error and shall not look like one in the
    database's log.

    Gives the number added. All or nothing, inside the caller's transaction where there is one."""
    if not rows:
        return 0
    names = [name for name, _ in table.columns]
    ordered = sorted(rows, key=itemgetter(*map(names.index, table.key)))  # everybody's order: no deadlocks
    with transaction.atomic():
        if contested:
            return _add_missing(table, ordered)
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                _copy(cursor, _statement(COPY, table), table, ordered)
                return len(ordered)
        except IntegrityError as error:
            if not isinstance(error.__cause__, UniqueViolation):
                raise
        return _add_missing(table, ordered)


def _add_missing(table: Table, rows: Sequence[Sequence[Any]]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_statement(CREATE, table))
        cursor.execute(_statement(EMPTY, table))
        _copy(cursor, _statement(COPY_TEMPORARY, table), table, rows)
        cursor.execute(_statement(INSERT, table))
        added: int = cursor.rowcount
        return added


def _copy(cursor: Any, statement: sql.Composed, table: Table, rows: Iterable[Sequence[Any]]) -> None:
    with connection.wrap_database_errors, cursor.copy(statement) as copy:
        copy.set_types([kind for _, kind in table.columns])
        for row in rows:
            copy.write_row(row)


@cache
def _statement(text: str, table: Table) -> sql.Composed:
    names = {
        "table": sql.Identifier(table.name),
        "temporary": sql.Identifier(f"incoming_{table.name}"),
        "columns": sql.SQL(", ").join(sql.Identifier(name) for name, _ in table.columns),
        "key": sql.SQL(", ").join(sql.Identifier(name) for name in table.key),
    }
    return sql.SQL(text).format(**names)


@dataclass(frozen=True, slots=True)
class Raised:
    """A series whose version rose, from `old` (None: it had none) to `new`."""

    symbol: str
    market: str
    old: int | None
    new: int


def raise_versions(series: Iterable[tuple[str, str]]) -> list[Raised]:
    """Gives every (symbol, market) a new version, in the transaction of the rows that it stands for. Other writers of
    these series wait until it ends, so let it be the last step."""
    symbols, markets = zip(*set(series), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(RAISE, [list(symbols), list(markets)])
        return [Raised(*row) for row in cursor.fetchall()]
