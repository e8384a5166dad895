"""GET analytics/history and analytics/stats: what the kept rows add up to, and what is missing of them."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from api.answers import kept
from api.gaps import MINUTE, Gap, Period, gaps, minutes
from api.schema import operation
from api.serializers.analytics import MOST_GAPS, HistoryAnswer, HistoryQuery, StatsAnswer, StatsQuery
from api.times import iso
from api.views.base import ApiView, find_symbol
from api.views.chart import check_length
from collector.absences import absences
from collector.selectors import stopped_periods, working_periods
from depth.selectors import HistoryBucket, Spread, history, stored_periods
from depth.services import minute_of


class HistoryView(ApiView):
    @operation("Hours or days of one band", HistoryAnswer, errors=[400, 404], query=HistoryQuery)
    @kept
    def get(self, request: Request) -> Response:
        asked = HistoryQuery.read(request)
        interval, start, end = asked["interval"], asked["start"], asked["end"]
        check_length(start, end, interval)
        symbol = find_symbol(asked["symbol"], asked.get("marketType"))
        found = history(symbol.name, symbol.market, asked["depth"], start, end, interval)
        return Response({"success": True, "interval": interval, "data": [_bucket(bucket) for bucket in found]})


class StatsView(ApiView):
    @operation("What is stored of a symbol, and what is missing", StatsAnswer, errors=[400, 404], query=StatsQuery)
    def get(self, request: Request) -> Response:
        asked = StatsQuery.read(request)
        symbol = find_symbol(asked["symbol"], asked.get("marketType"))
        return Response({"success": True, "stats": _stats(symbol.name, symbol.market)})


def _bucket(bucket: HistoryBucket) -> dict[str, Any]:
    return {
        "bucket": iso(bucket.time),
        **_spread("BidVolume", bucket.bid_volume),
        **_spread("AskVolume", bucket.ask_volume),
        **_spread("BidVolumeUsd", bucket.bid_value),
        **_spread("AskVolumeUsd", bucket.ask_value),
        "count": bucket.count,
        "bidComplete": bucket.bid_complete,
        "askComplete": bucket.ask_complete,
    }


def _spread(name: str, figure: Spread) -> dict[str, float]:
    return {f"avg{name}": figure.mean, f"max{name}": figure.most, f"min{name}": figure.least}


def _missing(stored: list[Period], now: datetime) -> list[Gap]:
    known = absences(stored[0][0])
    return gaps(stored, minute_of(now), working_periods(), stopped_periods(now), known)


def _stats(symbol: str, market: str) -> dict[str, Any]:
    """All of it counts from the oldest stored minute; the minute that is running now is not missed yet."""
    now = timezone.now()
    held = stored_periods(symbol, market)
    stored = [(period.start, period.end) for period in held]
    missing = _missing(stored, now) if held else []
    lacking = minutes((gap.start, gap.end) for gap in missing)
    oldest, newest = (stored[0][0], stored[-1][1] - MINUTE) if held else (None, None)
    return {
        "totalSnapshots": sum(period.rows for period in held),
        "oldestSnapshot": iso(oldest) if oldest else None,
        "newestSnapshot": iso(newest) if newest else None,
        "dataAvailableDays": (newest - oldest).days if oldest and newest else 0,
        "expectedMinutes": minutes(stored) + lacking,
        "missingMinutes": lacking,
        "gaps": [{"from": iso(gap.start), "to": iso(gap.end), "cause": gap.cause} for gap in missing[-MOST_GAPS:]],
    }
