"""Prints what the database holds: sizes, chunks, compression, coverage, slow queries, unused indexes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand

from collector.storage import StorageReport, storage_report


class Command(BaseCommand):
    help = "Sizes, chunks and compression of the tables, coverage of every series, slow queries and unused indexes."

    def handle(self, *args: Any, **options: Any) -> None:
        report = storage_report()
        self.stdout.write(f"storage: {report.storage}, {size(report.database_bytes)} in all\n\n")
        self.show(
            ("table", "rows", "size", "indexes", "chunks", "compressed", "ratio", "oldest", "newest", "kept"),
            tables(report),
        )
        self.stdout.write("\n")
        self.show(("symbol", "market", "minutes", "of", "coverage", "since", "oldest", "newest"), series(report))
        self.stdout.write("\n")
        if report.slow_queries is None:
            self.stdout.write("slow queries: unknown, pg_stat_statements is not installed in this database\n\n")
        else:
            rows = [(f"{q.mean_ms:.1f} ms", q.calls, q.text[:120]) for q in report.slow_queries]
            self.show(("mean", "calls", "query"), rows)
            self.stdout.write("\n")
        self.show(("unused index", "of", "size"), [(i.name, i.table, size(i.bytes)) for i in report.unused_indexes])

    def show(self, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        texts = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in (head, *rows)]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        for row in texts:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())


def tables(report: StorageReport) -> list[Sequence[object]]:
    return [
        (
            table.name,
            table.rows,
            size(table.total_bytes),
            size(table.index_bytes),
            table.chunks or "-",
            table.compressed_chunks or "-",
            f"{table.compression:.1f}" if table.compression else "-",
            minute(table.oldest),
            minute(table.newest),
            f"{table.lifetime.days} days" if table.lifetime else "for ever",
        )
        for table in report.tables
    ]


def series(report: StorageReport) -> list[Sequence[object]]:
    return [
        (
            one.symbol,
            one.market,
            one.minutes,
            one.expected,
            f"{one.coverage:.2%}",
            minute(one.since),
            minute(one.oldest),
            minute(one.newest),
        )
        for one in report.series
    ]


def size(count: float) -> str:
    """Bytes for people: 8.2 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"


def minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "-"
