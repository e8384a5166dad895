"""DEX orders on their way into files: stretches to bytes of CSV, JSON or Parquet, part by part. Pure.

Whatever a chain counts in 256 bits stays text: no digit of it goes through a binary number."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from api.files import ROW_GROUP, Sink
from api.renderers import encode
from api.times import epoch_ms, iso
from dex.broadcast import order_body
from dex.export import OrderStretch

MOMENTS = ("created_at", "executed_at", "cancelled_at")
TEXTS = (
    *("id", "status", "order_type", "user_address", "token_in", "token_in_symbol", "token_out", "token_out_symbol"),
    *("amount_in", "amount_in_raw", "target_price", "amount_out", "amount_out_raw", "tx_hash"),
)
COLUMNS = ("timestamp", *TEXTS, *MOMENTS)
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute what begins with one of these
SCHEMA = pa.schema(
    [
        pa.field("timestamp", pa.timestamp("ms", "UTC")),
        *(pa.field(name, pa.string()) for name in TEXTS),
        *(pa.field(name, pa.timestamp("ms", "UTC")) for name in MOMENTS),
    ]
)


def _rows(stretch: OrderStretch) -> Iterator[dict[str, Any]]:
    """An order as the API tells it, without the router's word of the moment; times are datetimes, `timestamp` is that
    of the last change."""
    for listed in stretch.page.orders:
        order = listed.order
        body = order_body(order, stretch.page.tokens)
        moments = {name: getattr(order, name) for name in MOMENTS}
        yield {"timestamp": order.changed_at, **{name: body[name] for name in TEXTS}, **moments}


def csv_parts(stretches: Iterable[OrderStretch]) -> Iterator[bytes]:
    """The head, then a row an order; moments are ISO 8601 in UTC, amounts exact, what is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for stretch in stretches:
        writer.writerows(_csv_row(row) for row in _rows(stretch))
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _csv_row(row: dict[str, Any]) -> list[str]:
    return [
        *([iso(row["timestamp"])]),
        *(_plain(row[name]) for name in TEXTS),
        *(iso(row[name]) if row[name] else "" for name in MOMENTS),
    ]


def _plain(value: Any) -> str:
    """A token may call itself anything."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def json_parts(stretches: Iterable[OrderStretch]) -> Iterator[bytes]:
    """One JSON document: `success`, `data` order by order, and at its end their `count`."""
    count, gap = 0, b'{"success":true,"data":['
    for stretch in stretches:
        yield gap + encode([_json_row(row) for row in _rows(stretch)])[1:-1]
        count, gap = count + len(stretch.page.orders), b","
    yield (gap if not count else b"") + b'],"count":%d}' % count


def _json_row(row: dict[str, Any]) -> dict[str, Any]:
    moments = {name: row[name] and row[name].isoformat() for name in MOMENTS}
    return {**row, "timestamp": epoch_ms(row["timestamp"]), **moments}


def parquet_parts(stretches: Iterable[OrderStretch]) -> Iterator[bytes]:
    """Row groups of about ROW_GROUP rows, then the footer; the same columns as CSV, moments as such, the rest text."""
    sink = Sink()
    with pq.ParquetWriter(sink, SCHEMA, compression="zstd") as writer:
        gathered: list[pa.RecordBatch] = []
        for stretch in stretches:
            gathered.append(_batch(stretch))
            if sum(batch.num_rows for batch in gathered) >= ROW_GROUP:
                writer.write_table(pa.Table.from_batches(gathered), row_group_size=2 * ROW_GROUP)
                gathered = []
                yield sink.take()
        if gathered:
            writer.write_table(pa.Table.from_batches(gathered))
    yield sink.take()


def _batch(stretch: OrderStretch) -> pa.RecordBatch:
    rows = [{**row, "id": str(row["id"])} for row in _rows(stretch)]
    arrays = [pa.array([row[field.name] for row in rows], field.type) for field in SCHEMA]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


PARTS = {"csv": csv_parts, "json": json_parts, "parquet": parquet_parts}
