"""What files of every dataset have in common: rows to bytes of CSV, JSON or Parquet, part by part. Pure."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from api.renderers import encode

ROW_GROUP = 50_000  # rows of Parquet that are gathered in memory and written at once
WORDS = {True: "true", False: "false"}
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}


def csv_bytes(head: Sequence[str], stretches: Iterable[Iterable[Sequence[Any]]]) -> Iterator[bytes]:
    """The head, then the rows of each stretch."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for rows in stretches:
        writer.writerows(rows)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def json_bytes(stretches: Iterable[Sequence[dict[str, Any]]]) -> Iterator[bytes]:
    """One JSON document: `success`, `data` row by row, and at its end their `count`."""
    count, gap = 0, b'{"success":true,"data":['
    for rows in stretches:
        if rows:
            yield gap + encode(rows)[1:-1]
            count, gap = count + len(rows), b","
    yield (gap if not count else b"") + b'],"count":%d}' % count


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


def parquet_bytes(schema: pa.Schema, stretches: Iterable[Sequence[Sequence[Any]]]) -> Iterator[bytes]:
    """Row groups of about ROW_GROUP rows, then the footer. A stretch is its columns, in the order of the schema."""
    sink = Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        gathered: list[pa.RecordBatch] = []
        for columns in stretches:
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            gathered.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
            if sum(batch.num_rows for batch in gathered) >= ROW_GROUP:
                writer.write_table(pa.Table.from_batches(gathered), row_group_size=2 * ROW_GROUP)
                gathered = []
                yield sink.take()
        if gathered:
            writer.write_table(pa.Table.from_batches(gathered))
    yield sink.take()
