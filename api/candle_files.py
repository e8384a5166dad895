"""Candles on their way into files: stretches to bytes of CSV, JSON or Parquet, part by part. Pure."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa

from api.file_forms import WORDS, csv_bytes, json_bytes, parquet_bytes
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
    return csv_bytes(COLUMNS, ([_csv_row(stretch, candle) for candle in stretch.candles] for stretch in stretches))


def _csv_row(stretch: CandleStretch, candle: Candle) -> tuple[Any, ...]:
    figures = (f"{getattr(candle, name):f}" for name in FIGURES)
    whose = (stretch.key.symbol, stretch.key.market, stretch.timeframe.name)
    return (iso(candle.open_time), *whose, *figures, candle.trades, WORDS[candle.closed], candle.minutes)


def json_parts(stretches: Iterable[CandleStretch]) -> Iterator[bytes]:
    return json_bytes([_json_row(stretch, candle) for candle in stretch.candles] for stretch in stretches)


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
    """The same columns as CSV, figures as double."""
    return parquet_bytes(SCHEMA, map(_columns, stretches))


def _columns(stretch: CandleStretch) -> list[list[Any]]:
    rows, size = stretch.candles, len(stretch.candles)
    return [
        [epoch_ms(row.open_time) for row in rows],
        [stretch.key.symbol] * size,
        [stretch.key.market] * size,
        [stretch.timeframe.name] * size,
        *([float(getattr(row, name)) for row in rows] for name in FIGURES),
        [row.trades for row in rows],
        [row.closed for row in rows],
        [row.minutes for row in rows],
    ]


PARTS = {"csv": csv_parts, "json": json_parts, "parquet": parquet_parts}
