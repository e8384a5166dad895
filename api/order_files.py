"""DEX orders on their way into files: stretches to bytes of CSV, JSON or Parquet, part by part. Pure.

Whatever a chain counts in 256 bits stays text: no digit of it goes through a binary number."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from api.file_forms import csv_bytes, json_bytes, parquet_bytes
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
    return csv_bytes(COLUMNS, (map(_csv_row, _rows(stretch)) for stretch in stretches))


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
    return json_bytes([_json_row(row) for row in _rows(stretch)] for stretch in stretches)


def _json_row(row: dict[str, Any]) -> dict[str, Any]:
    moments = {name: row[name] and row[name].isoformat() for name in MOMENTS}
    return {**row, "timestamp": epoch_ms(row["timestamp"]), **moments}


def parquet_parts(stretches: Iterable[OrderStretch]) -> Iterator[bytes]:
    """The same columns as CSV, moments as such, the rest text."""
    return parquet_bytes(SCHEMA, map(_columns, stretches))


def _columns(stretch: OrderStretch) -> list[list[Any]]:
    rows = [{**row, "id": str(row["id"])} for row in _rows(stretch)]
    return [[row[field.name] for row in rows] for field in SCHEMA]


PARTS = {"csv": csv_parts, "json": json_parts, "parquet": parquet_parts}
