"""GET chart-data: the history of one band, for charts."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from api.answers import kept
from api.exceptions import ApiError
from api.schema import operation
from api.serializers.chart import ChartAnswer, ChartQuery
from api.serializers.fields import band_number
from api.times import epoch_ms, epoch_seconds
from api.views.base import ApiView, find_symbol
from depth.selectors import INTERVALS, SeriesPoint, choose_interval, series
from depth.volumes import diff

MOST_POINTS = 3600


class ChartView(ApiView):
    @operation("History of one band", ChartAnswer, errors=[400, 404], query=ChartQuery)
    @kept
    def get(self, request: Request) -> Response:
        asked, now = ChartQuery.read(request), timezone.now()
        start, end, band, side = asked["start"], asked["end"], asked["depth"], asked["type"]
        interval = fitting_interval(start, end, now)
        symbol = find_symbol(asked["symbol"], asked.get("marketType"))
        # A range that is no longer than allowed may still touch one bucket more than it is long.
        points = series(symbol.name, symbol.market, band, start, end, interval)[-MOST_POINTS:]
        return Response(
            {
                "success": True,
                "symbol": symbol.name,
                "marketType": symbol.market,
                "depth": band_number(band),
                "type": side,
                "data": [SHAPES[side](point) for point in points],
                "count": len(points),
                "timestamp": epoch_ms(now),
                "interval": interval,
            }
        )


def fitting_interval(start: datetime, end: datetime, now: datetime) -> str:
    """The interval that the range comes in. Raises ApiError when even that makes too many points."""
    interval = choose_interval(start, end, now)
    check_length(start, end, interval)
    return interval


def check_length(start: datetime, end: datetime, interval: str) -> None:
    """Raises ApiError when the range holds more points than an answer may."""
    if end - start > INTERVALS[interval] * MOST_POINTS:
        message = f"The range holds more than {MOST_POINTS} points of {interval}; ask for a shorter one"
        raise ApiError(400, "range_too_long", message, "from")


def _bid(point: SeriesPoint) -> dict[str, Any]:
    return {"time": epoch_seconds(point.time), "value": point.bid_value, "complete": point.bid_complete}


def _ask(point: SeriesPoint) -> dict[str, Any]:
    return {"time": epoch_seconds(point.time), "value": point.ask_value, "complete": point.ask_complete}


def _mean(point: SeriesPoint) -> dict[str, Any]:
    return {
        "time": epoch_seconds(point.time),
        "value": (point.bid_value + point.ask_value) / 2,
        "complete": point.bid_complete and point.ask_complete,
    }


def _both(point: SeriesPoint) -> dict[str, Any]:
    difference, percentage = diff(point.bid_value, point.ask_value)
    return {
        "time": epoch_seconds(point.time),
        "bid": point.bid_value,
        "ask": point.ask_value,
        "diff": difference,
        "percentage": percentage,
        "bidComplete": point.bid_complete,
        "askComplete": point.ask_complete,
    }


SHAPES: dict[str | None, Callable[[SeriesPoint], dict[str, Any]]] = {
    "bid": _bid,
    "ask": _ask,
    "both": _both,
    None: _mean,
}
