"""Futures events on their way into files: rows of a dataset to bytes of CSV, JSON or Parquet, part by part. Pure.

CSV and JSON tell every digit; Parquet has doubles, as analysts' tools want numbers they can compute with."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from api.file_forms import WORDS, csv_bytes, json_bytes, parquet_bytes
from api.times import epoch_ms, iso

Columns = Sequence[tuple[str, str]]  # name, and what it holds: moment, text, whole, exact, number, flag
Rows = Iterable[Sequence[Sequence[Any]]]
TYPES = {
    "moment": pa.timestamp("ms", "UTC"),
    "text": pa.string(),
    "whole": pa.int64(),
    "exact": pa.float64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
}


def csv_parts(columns: Columns, stretches: Rows) -> Iterator[bytes]:
    """The head, then the rows; moments are ISO 8601 in UTC, what is not known is empty."""
    return csv_bytes(
        [name for name, _ in columns],
        (
            [[_word(value, kind) for value, (_, kind) in zip(row, columns, strict=True)] for row in rows]
            for rows in stretches
        ),
    )


def _word(value: Any, kind: str) -> Any:
    if value is None:
        return ""
    if kind == "moment":
        return iso(value)
    if kind in {"exact", "number"}:
        return f"{value:f}" if isinstance(value, Decimal) else value
    return WORDS[value] if kind == "flag" else value


def json_parts(columns: Columns, stretches: Rows) -> Iterator[bytes]:
    """Exact numbers are strings."""
    return json_bytes(
        [{name: _told(value, kind) for value, (name, kind) in zip(row, columns, strict=True)} for row in rows]
        for rows in stretches
    )


def _told(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "moment":
        return epoch_ms(value)
    return f"{value:f}" if kind == "exact" else value


def parquet_parts(columns: Columns, stretches: Rows) -> Iterator[bytes]:
    """The same columns as CSV."""
    schema = pa.schema([pa.field(name, TYPES[kind]) for name, kind in columns])
    return parquet_bytes(schema, (_turned(columns, rows) for rows in stretches))


def _turned(columns: Columns, rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Rows as columns of what Parquet holds."""
    told: dict[str, Callable[[Any], Any]] = {"exact": float, "number": float, "moment": epoch_ms}
    turned = []
    for (_, kind), values in zip(columns, zip(*rows, strict=True), strict=True):
        made = told.get(kind)
        turned.append([None if value is None else made(value) for value in values] if made else list(values))
    return turned


PARTS = {"csv": csv_parts, "json": json_parts, "parquet": parquet_parts}
