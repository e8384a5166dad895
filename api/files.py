"""Series on their way into files: stretches of points to bytes of CSV, JSON or Parquet, part by part. Pure."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from api.renderers import encode
from api.serializers.fields import band_number
from api.times import epoch_ms, iso
from depth.export import Stretch

COLUMNS = (
    *("timestamp", "symbol", "market", "depth", "bidVolume", "askVolume", "bidVolumeUsd", "askVolumeUsd"),
    *("bidComplete", "askComplete"),
)
ROW_GROUP = 50_000  # rows of Parquet that are gathered in memory and written at once
WORDS = {True: "true", False: "false"}
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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for stretch in stretches:
        writer.writerows(_csv_rows(stretch))
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _csv_rows(stretch: Stretch) -> Iterator[tuple[Any, ...]]:
    symbol, market, band = stretch.symbol, stretch.market, band_number(stretch.band)
    for point in stretch.points:
        sums = (point.bid_volume, point.ask_volume, point.bid_value, point.ask_value)
        yield iso(point.time), symbol, market, band, *sums, WORDS[point.bid_complete], WORDS[point.ask_complete]


def json_parts(stretches: Iterable[Stretch]) -> Iterator[bytes]:
    """One JSON document: `success`, `data` row by row, and at its end their `count`."""
    count, gap = 0, b'{"success":true,"data":['
    for stretch in stretches:
        yield gap + encode(_json_rows(stretch))[1:-1]
        count, gap = count + len(stretch.points), b","
    yield (gap if not count else b"") + b'],"count":%d}' % count


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


class Sink(io.RawIOBase):
    """A file that forgets what was taken from it; the writer never looks back."""

    def __init__(self) -> None:
        self.written, self.size = bytearray(), 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: Any) -> int:
        self.written += data
        self.size += len(data)
        return len(data)

    def take(self) -> bytes:
        taken, self.written = bytes(self.written), bytearray()
        return taken


def parquet_parts(stretches: Iterable[Stretch]) -> Iterator[bytes]:
    """Row groups of about ROW_GROUP rows, then the footer; the same columns as CSV, moments as such."""
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


def _batch(stretch: Stretch) -> pa.RecordBatch:
    points, size = stretch.points, len(stretch.points)
    columns = [
        [epoch_ms(point.time) for point in points],
        list(repeat(stretch.symbol, size)),
        list(repeat(stretch.market, size)),
        list(repeat(float(stretch.band), size)),
        [point.bid_volume for point in points],
        [point.ask_volume for point in points],
        [point.bid_value for point in points],
        [point.ask_value for point in points],
        [point.bid_complete for point in points],
        [point.ask_complete for point in points],
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


KINDS = {
    "csv": FileKind("text/csv; charset=utf-8", csv_parts),
    "json": FileKind("application/json", json_parts),
    "parquet": FileKind("application/vnd.apache.parquet", parquet_parts),
}
