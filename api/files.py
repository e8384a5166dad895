"""Series on their way into files: stretches of points to bytes of CSV, JSON or Parquet, part by part. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from api.file_forms import MEDIA_TYPES, WORDS, csv_bytes, json_bytes, parquet_bytes
from api.serializers.fields import band_number
from api.times import epoch_ms, iso
from depth.export import Stretch

COLUMNS = (
    *("timestamp", "symbol", "market", "depth", "bidVolume", "askVolume", "bidVolumeUsd", "askVolumeUsd"),
    *("bidComplete", "askComplete"),
)
REALS = ("bidVolume", "askVolume", "bidVolumeUsd", "askVolumeUsd")
SCHEMA = pa.schema(
    [
        pa.field("timestamp", pa.timestamp("ms", "UTC")),
        pa.field("symbol", pa.string()),
        pa.field("market", pa.string()),
        pa.field("depth", pa.float64()),
        *(pa.field(name, pa.float64()) for name in REALS),
        pa.field("bidComplete", pa.bool_()),
        pa.field("askComplete", pa.bool_()),
    ]
)


@dataclass(frozen=True, slots=True)
class FileKind:
    """A form that files come in: its media type, and what makes its bytes."""

    media_type: str
    parts: Callable[[Iterable[Stretch]], Iterator[bytes]]


def csv_parts(stretches: Iterable[Stretch]) -> Iterator[bytes]:
    """The head, then the rows of each stretch; moments are ISO 8601 in UTC."""
    return csv_bytes(COLUMNS, map(_csv_rows, stretches))


def _csv_rows(stretch: Stretch) -> Iterator[tuple[Any, ...]]:
    symbol, market, band = stretch.symbol, stretch.market, band_number(stretch.band)
    for point in stretch.points:
        sums = (point.bid_volume, point.ask_volume, point.bid_value, point.ask_value)
        yield iso(point.time), symbol, market, band, *sums, WORDS[point.bid_complete], WORDS[point.ask_complete]


def json_parts(stretches: Iterable[Stretch]) -> Iterator[bytes]:
    return json_bytes(map(_json_rows, stretches))


def _json_rows(stretch: Stretch) -> list[dict[str, Any]]:
    fixed = {"symbol": stretch.symbol, "marketType": stretch.market, "depth": band_number(stretch.band)}
    return [
        {
            "timestamp": epoch_ms(point.time),
            **fixed,
            "bidVolume": point.bid_volume,
            "askVolume": point.ask_volume,
            "bidVolumeUsd": point.bid_value,
            "askVolumeUsd": point.ask_value,
            "bidComplete": point.bid_complete,
            "askComplete": point.ask_complete,
        }
        for point in stretch.points
    ]


def parquet_parts(stretches: Iterable[Stretch]) -> Iterator[bytes]:
    """The same columns as CSV, moments as such."""
    return parquet_bytes(SCHEMA, map(_columns, stretches))


def _columns(stretch: Stretch) -> list[list[Any]]:
    points, size = stretch.points, len(stretch.points)
    return [
        [epoch_ms(point.time) for point in points],
        [stretch.symbol] * size,
        [stretch.market] * size,
        [float(stretch.band)] * size,
        [point.bid_volume for point in points],
        [point.ask_volume for point in points],
        [point.bid_value for point in points],
        [point.ask_value for point in points],
        [point.bid_complete for point in points],
        [point.ask_complete for point in points],
    ]


KINDS = {
    "csv": FileKind(MEDIA_TYPES["csv"], csv_parts),
    "json": FileKind(MEDIA_TYPES["json"], json_parts),
    "parquet": FileKind(MEDIA_TYPES["parquet"], parquet_parts),
}
