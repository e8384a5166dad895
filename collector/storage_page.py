"""What operators see of what is kept, as rows for the admin's tables: read live from database, Redis and spool."""

import time
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils import timezone

from collector import records
from collector.spool_use import spool_use
from collector.status import failing
from collector.storage import SeriesReport, StorageReport, storage_report

LATE = 0.999  # coverage below which a series is marked
ORDERS = ("coverage", "symbol")


def storage(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Context of the page; `series` orders the coverage by what lacks most (`coverage`, the default) or by `symbol`."""
    begun = time.monotonic()
    report = storage_report()
    order = parameters.get("series", "") if parameters.get("series") in ORDERS else ORDERS[0]
    return {
        "report": report,
        "tables": [{"table": one, "share": _share(one.total_bytes, report)} for one in report.tables],
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


def _share(size: int, report: StorageReport) -> float:
    return round(size / report.database_bytes * 100, 1) if report.database_bytes else 0.0


def _ordered(series: list[SeriesReport], order: str) -> list[SeriesReport]:
    if order == "symbol":
        return sorted(series, key=lambda one: (one.symbol, one.market))
    return sorted(series, key=lambda one: (one.coverage, one.symbol, one.market))


def _series(one: SeriesReport) -> dict[str, Any]:
    missing = max(0, one.expected - one.minutes)
    percent = one.coverage * 100
    shown = "100" if not missing else f"{min(percent, 99.99):.2f}"  # never rounded up to the whole
    return {"series": one, "missing": missing, "percent": percent, "shown": shown, "late": one.coverage < LATE}


def _totals(report: StorageReport) -> dict[str, Any]:
    expected = sum(one.expected for one in report.series)
    minutes = sum(min(one.minutes, one.expected) for one in report.series)
    before = sum(one.uncompressed_bytes for one in report.tables)
    after = sum(one.compressed_bytes for one in report.tables)
    return {
        "series": len(report.series),
        "coverage": minutes / expected * 100 if expected else None,
        "compression": before / after if after else None,
        "chunks": sum(one.chunks for one in report.tables),
    }
