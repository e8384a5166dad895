"""What operators see of what is kept, as rows for the admin's tables: read live from database, Redis and spool."""

import time
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils import timezone

from collector import records
from collector.spool_use import spool_use
from collector.status import failing
from collector.storage import SeriesReport, StorageReport, TableReport, storage_report

LATE = 0.999  # coverage below which a series is marked
ORDERS = ("coverage", "symbol")


def storage(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Context of the page; `series` orders the coverage by what lacks most (`coverage`, the default) or by `symbol`."""
    begun = time.monotonic()
    report = storage_report()
    order = parameters.get("series", "") if parameters.get("series") in ORDERS else ORDERS[0]
    return {
        "report": report,
        "tables": [_table(one, report) for one in report.tables],
        "series": [_series(one) for one in _ordered(report.series, order)],
        "series_order": order,
        "totals": _totals(report),
        "spool": spool_use(),
        "spool_folder": settings.SPOOL_DIR,
        "failing": failing(),
        **records.budget_and_schedule(),
        "read_at": timezone.now(),
        "read_seconds": time.monotonic() - begun,
    }


def _table(one: TableReport, report: StorageReport) -> dict[str, Any]:
    """`rows` as text: the planner knows nothing of a table until it has been looked through."""
    share = round(one.total_bytes / report.database_bytes * 100, 1) if report.database_bytes else 0.0
    rows = f"{one.rows:,}" if one.rows or one.oldest is None else "not counted yet"
    return {"table": one, "share": share, "rows": rows}


def _percent(share: float) -> str:
    """A share in percent that is never rounded up to the whole."""
    return "100" if share >= 1 else f"{min(share * 100, 99.99):.2f}"


def _ordered(series: list[SeriesReport], order: str) -> list[SeriesReport]:
    if order == "symbol":
        return sorted(series, key=lambda one: (one.symbol, one.market))
    return sorted(series, key=lambda one: (one.coverage, one.symbol, one.market))


def _series(one: SeriesReport) -> dict[str, Any]:
    missing = max(0, one.expected - one.minutes)
    counts = {"minutes": f"{one.minutes:,}", "expected": f"{one.expected:,}", "missing": f"{missing:,}"}
    shown = _percent(one.coverage)
    return {"series": one, **counts, "percent": one.coverage * 100, "shown": shown, "late": one.coverage < LATE}


def _totals(report: StorageReport) -> dict[str, Any]:
    expected = sum(one.expected for one in report.series)
    minutes = sum(min(one.minutes, one.expected) for one in report.series)
    before = sum(one.uncompressed_bytes for one in report.tables)
    after = sum(one.compressed_bytes for one in report.tables)
    return {
        "series": len(report.series),
        "coverage": _percent(minutes / expected) if expected else None,
        "compression": before / after if after else None,
        "chunks": sum(one.chunks for one in report.tables),
    }
