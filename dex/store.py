"""Bulk writes of orders and their events: binary COPY into a temporary table, then one upsert each."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from psycopg import sql


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is written in bulk: its columns with their PostgreSQL types, its key, and what an upsert leaves
    alone. Rows in a batch have different keys."""

    name: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]


ORDERS = Table(
    "orders",
    (
        ("chain_id", "int8"),
        ("contract", "varchar"),
        ("id", "numeric"),
        ("user_address", "varchar"),
        ("token_in", "varchar"),
        ("token_out", "varchar"),
        ("amount_in", "numeric"),
        ("target_price", "numeric"),
        ("order_type", "varchar"),
        ("status", "varchar"),
        ("tx_hash", "varchar"),
        ("created_at", "timestamptz"),
        ("changed_at", "timestamptz"),
        ("executed_at", "timestamptz"),
        ("cancelled_at", "timestamptz"),
        ("amount_out", "numeric"),
        ("changed_block", "int8"),
        ("changed_index", "int4"),
    ),
    ("chain_id", "contract", "id"),
)
ORDER_EVENTS = Table(
    "order_events",
    (
        ("timestamp", "timestamptz"),
        ("chain_id", "int8"),
        ("block_hash", "varchar"),
        ("log_index", "int4"),
        ("contract", "varchar"),
        ("order_id", "numeric"),
        ("event_type", "varchar"),
        ("old_status", "varchar"),
        ("new_status", "varchar"),
        ("block_number", "int8"),
        ("tx_hash", "varchar"),
        ("user_address", "varchar"),
        ("token_in", "varchar"),
        ("token_out", "varchar"),
        ("amount_in", "numeric"),
        ("amount_out", "numeric"),
        ("target_price", "numeric"),
        ("order_type", "varchar"),
        ("anomaly", "varchar"),
        ("orphaned", "bool"),
    ),
    ("timestamp", "chain_id", "block_hash", "log_index"),
)
PROCESSED_EVENTS = Table(
    "processed_events",
    (
        ("chain_id", "int8"),
        ("block_hash", "varchar"),
        ("tx_hash", "varchar"),
        ("log_index", "int4"),
        ("contract", "varchar"),
        ("block_number", "int8"),
        ("event_type", "varchar"),
        ("anomaly", "varchar"),
        ("orphaned", "bool"),
        ("processed_at", "timestamptz"),
    ),
    ("chain_id", "block_hash", "tx_hash", "log_index"),
)
SCANNED_BLOCKS = Table(
    "scanned_blocks",
    (("chain_id", "int8"), ("contract", "varchar"), ("number", "int8"), ("hash", "varchar")),
    ("chain_id", "contract", "number"),
)

CREATE = "CREATE TEMPORARY TABLE IF NOT EXISTS {temporary} (LIKE {table}) ON COMMIT DELETE ROWS"
EMPTY = "TRUNCATE {temporary}"
COPY = "COPY {temporary} ({columns}) FROM STDIN (FORMAT BINARY)"
UPSERT = """
    INSERT INTO {table} AS kept ({columns}) SELECT {columns} FROM {temporary} ORDER BY {key}
    ON CONFLICT ({key}) DO UPDATE SET {updates} {condition}
"""
ONLY_ORPHANS = "WHERE kept.orphaned"


def write(table: Table, rows: Collection[Sequence[Any]], only_orphans: bool = False) -> int:
    """Adds rows (values in the order of `table.columns`), and makes those that are there what the new ones say, with
    `only_orphans` only where they are marked as orphaned. Gives the number of rows added or changed. Inside the
    caller's transaction."""
    if not rows:
        return 0
    names = {
        "table": sql.Identifier(table.name),
        "temporary": sql.Identifier(f"incoming_{table.name}"),
        "columns": sql.SQL(", ").join(sql.Identifier(name) for name, _ in table.columns),
        "key": sql.SQL(", ").join(sql.Identifier(name) for name in table.key),
        "updates": sql.SQL(", ").join(
            sql.SQL("{name} = EXCLUDED.{name}").format(name=sql.Identifier(name))
            for name, _ in table.columns
            if name not in table.key
        ),
        "condition": sql.SQL(ONLY_ORPHANS if only_orphans else ""),
    }
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(CREATE).format(**names))
        cursor.execute(sql.SQL(EMPTY).format(**names))
        with connection.wrap_database_errors, cursor.copy(sql.SQL(COPY).format(**names)) as copy:
            copy.set_types([kind for _, kind in table.columns])
            for row in rows:
                copy.write_row(row)
        cursor.execute(sql.SQL(UPSERT).format(**names))
        changed: int = cursor.rowcount
    return changed
