"""Candles on their way into files: stretches to bytes of CSV, JSON or Parquet, part by part. Pure."""

import csv
import io
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from api.files import ROW_GROUP, WORDS, Sink
from api.renderers import encode
from api.times import epoch_ms, iso
from candles.candle import Candle
from candles.export import CandleStretch

FIGURES = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume")
COLUMNS = ("timestamp", "symbol", "market", "timeframe", *FIGURES, "trades", "closed", "minutes")
# Analysts' tools want numbers they can compute with; whoever needs every digit takes CSV or JSON.
SCHEMA = pa.schema(
    [
        pa.field("timestamp", pa.timestamp("ms", "UTC")),
        *(pa.field(name, pa.string()) for name in ("symbol", "market", "timeframe")),
        *(pa.field(name, pa.float64()) for name in FIGURES),
        pa.field("trades", pa.int64()),
        pa.field("closed", pa.bool_()),
        pa.field("minutes", pa.int64()),
    ]
)


def csv_parts(stretches: Iterable[CandleStretch]) -> Iterator[bytes]:
    """The head, then the rows of each stretch; moments are ISO 8601 in UTC, decimals exact and written out."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for stretch in stretches:
        writer.writerows(_csv_row(stretch, candle) for candle in stretch.candles)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _csv_row(stretch: CandleStretch, candle: Candle) -> tuple[Any, ...]:
    figures = (f"{getattr(candle, name):f}" for name in FIGURES)
    whose = (stretch.key.symbol, stretch.key.market, stretch.timeframe.name)
    return (iso(candle.open_time), *whose, *figures, candle.trades, WORDS[candle.closed], candle.minutes)


def json_parts(stretches: Iterable[CandleStretch]) -> Iterator[bytes]:
    """One JSON document: `success`, `data` row by row, and at its end their `count`."""
    count, gap = 0, b'{"success":true,"data":['
    for stretch in stretches:
        yield gap + encode([_json_row(stretch, candle) for candle in stretch.candles])[1:-1]
        count, gap = count + len(stretch.candles), b","
    yield (gap if not count else b"") + b'],"count":%d}' % count


def _json_row(stretch: CandleStretch, candle: Candle) -> dict[str, Any]:
    figures: dict[str, Decimal] = {name: getattr(candle, name) for name in FIGURES}
    return {
        "timestamp": epoch_ms(candle.open_time),
        "symbol": stretch.key.symbol,
        "marketType": stretch.key.market,
        "timeframe": stretch.timeframe.name,
        **figures,
        "trades": candle.trades,
        "closed": candle.closed,
        "minutes": candle.minutes,
    }


def parquet_parts(stretches: Iterable[CandleStretch]) -> Iterator[bytes]:
    """Row groups of about ROW_GROUP rows, then the footer; the same columns as CSV, figures as double."""
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


def _batch(stretch: CandleStretch) -> pa.RecordBatch:
    rows, size = stretch.candles, len(stretch.candles)
    columns: list[list[Any]] = [
        [epoch_ms(row.open_time) for row in rows],
        [stretch.key.symbol] * size,
        [stretch.key.market] * size,
        [stretch.timeframe.name] * size,
        *([float(getattr(row, name)) for row in rows] for name in FIGURES),
        [row.trades for row in rows],
        [row.closed for row in rows],
        [row.minutes for row in rows],
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


PARTS = {"csv": csv_parts, "json": json_parts, "parquet": parquet_parts}
