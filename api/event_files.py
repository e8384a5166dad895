"""Futures events on their way into files: rows of a dataset to bytes of CSV, JSON or Parquet, part by part. Pure.

CSV and JSON tell every digit; Parquet has doubles, as analysts' tools want numbers they can compute with."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from api.files import ROW_GROUP, WORDS, Sink
from api.renderers import encode
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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([name for name, _ in columns])
    for rows in stretches:
        writer.writerows([_word(value, kind) for value, (_, kind) in zip(row, columns, strict=True)] for row in rows)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _word(value: Any, kind: str) -> Any:
    if value is None:
        return ""
    if kind == "moment":
        return iso(value)
    if kind in {"exact", "number"}:
        return f"{value:f}"
    return WORDS[value] if kind == "flag" else value


def json_parts(columns: Columns, stretches: Rows) -> Iterator[bytes]:
    """One JSON document: `success`, `data` row by row, and at its end their `count`. Exact numbers are strings."""
    count, gap = 0, b'{"success":true,"data":['
    for rows in stretches:
        made = [{name: _told(value, kind) for value, (name, kind) in zip(row, columns, strict=True)} for row in rows]
        yield gap + encode(made)[1:-1]
        count, gap = count + len(made), b","
    yield (gap if not count else b"") + b'],"count":%d}' % count


def _told(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "moment":
        return epoch_ms(value)
    return f"{value:f}" if kind == "exact" else value


def parquet_parts(columns: Columns, stretches: Rows) -> Iterator[bytes]:
    """Row groups of about ROW_GROUP rows, then the footer; the same columns as CSV."""
    schema = pa.schema([pa.field(name, TYPES[kind]) for name, kind in columns])
    sink = Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        gathered: list[pa.RecordBatch] = []
        for rows in stretches:
            gathered.append(_batch(columns, schema, rows))
            if sum(batch.num_rows for batch in gathered) >= ROW_GROUP:
                writer.write_table(pa.Table.from_batches(gathered), row_group_size=2 * ROW_GROUP)
                gathered = []
                yield sink.take()
        if gathered:
            writer.write_table(pa.Table.from_batches(gathered))
    yield sink.take()


def _batch(columns: Columns, schema: pa.Schema, rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    arrays = []
    for (_, kind), values, field in zip(columns, zip(*rows, strict=True), schema, strict=True):
        if kind in {"exact", "number"}:
            values = tuple(None if value is None else float(value) for value in values)
        elif kind == "moment":
            values = tuple(None if value is None else epoch_ms(value) for value in values)
        arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


PARTS = {"csv": csv_parts, "json": json_parts, "parquet": parquet_parts}
