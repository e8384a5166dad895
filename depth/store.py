"""Bulk writes of the depth series: binary COPY into a temporary table, then one INSERT that skips what is there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from psycopg import sql


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

CREATE = "CREATE TEMPORARY TABLE {temporary} (LIKE {table}) ON COMMIT DROP"
COPY = "COPY {temporary} ({columns}) FROM STDIN (FORMAT BINARY)"
INSERT = """
    INSERT INTO {table} ({columns})
    SELECT DISTINCT ON ({key}) {columns} FROM {temporary} ORDER BY {key}
    ON CONFLICT ({key}) DO NOTHING
"""
DROP = "DROP TABLE {temporary}"


def write(table: Table, rows: Iterable[Sequence[Any]]) -> int:
    """Adds rows (values in the order of `table.columns`) that are not there yet; rows that are stay as they are.

    Gives the number added. All or nothing, inside the caller's transaction where there is one."""
    names = {
        "table": sql.Identifier(table.name),
        "temporary": sql.Identifier(f"incoming_{table.name}"),
        "columns": sql.SQL(", ").join(sql.Identifier(name) for name, _ in table.columns),
        "key": sql.SQL(", ").join(sql.Identifier(name) for name in table.key),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.SQL(CREATE).format(**names))
        with connection.wrap_database_errors, cursor.copy(sql.SQL(COPY).format(**names)) as copy:
            copy.set_types([kind for _, kind in table.columns])
            for row in rows:
                copy.write_row(row)
        cursor.execute(sql.SQL(INSERT).format(**names))
        added: int = cursor.rowcount
        cursor.execute(sql.SQL(DROP).format(**names))
    return added
