"""GET candles, price, and chart-data by timeframe: candles of one symbol."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework.request import Request
from rest_framework.response import Response

from api.answers import kept
from api.schema import operation
from api.serializers.candles import (
    CandleChartAnswer,
    CandleChartQuery,
    CandlesAnswer,
    CandlesQuery,
    ChartDataQuery,
    PriceAnswer,
    TimeframeQuery,
)
from api.serializers.chart import ChartAnswer
from api.times import epoch_ms
from api.views.base import ApiView, find_symbol, no_data
from api.views.chart import ChartView
from candles.candle import Candle, SeriesKey, told
from candles.selectors import candles, newest
from markets.models import Symbol

CHART_ANSWERS = PolymorphicProxySerializer(
    component_name="ChartDataAnswer", serializers=[ChartAnswer, CandleChartAnswer], resource_type_field_name=None
)


class CandlesView(ApiView):
    @operation("Candles", CandlesAnswer, errors=[400, 404], query=CandlesQuery)
    @kept
    def get(self, request: Request) -> Response:
        asked = CandlesQuery.read(request)
        symbol = find_symbol(asked["symbol"], asked.get("marketType"))
        moments = (asked.get("from"), asked.get("to"))
        found = candles(key_of(symbol), asked["length"], timezone.now(), *moments, asked["limit"])
        return Response(
            {
                "success": True,
                "symbol": symbol.name,
                "timeframe": asked["timeframe"],
                "candles": [candle_row(candle) for candle in found],
            }
        )


PRICE_GOOD_FOR = timedelta(seconds=90)  # one minute's candle, and the time it takes to be told


class PriceView(ApiView):
    @operation("Newest price", PriceAnswer, errors=[400, 404], query=TimeframeQuery)
    def get(self, request: Request) -> Response:
        asked = TimeframeQuery.read(request)
        symbol = find_symbol(asked["symbol"], asked.get("marketType"))
        now = timezone.now()
        found = newest(key_of(symbol), asked["length"], now)
        if found is None:
            raise no_data(symbol.name)
        candle = found.candle
        change = candle.close - candle.open
        return Response(
            {
                "success": True,
                "symbol": symbol.name,
                "marketType": symbol.market,
                "timeframe": asked["timeframe"],
                "price": candle.close,
                "open": candle.open,
                "high": candle.high,
                "low": candle.low,
                "change": change,
                "changePercent": float(change / candle.open * 100),
                "volume": candle.volume,
                "trend": "up" if change > 0 else "down" if change < 0 else "flat",
                "timestamp": epoch_ms(found.at),
                "stale": now - found.at > PRICE_GOOD_FOR,
            }
        )


class ChartDataView(ChartView):
    """One address for both kinds of charts: with `timeframe` candles, else the history of one band."""

    @operation("History for charts", CHART_ANSWERS, errors=[400, 404], query=ChartDataQuery)
    def get(self, request: Request) -> Response:
        if "timeframe" in request.query_params and "depth" not in request.query_params:
            return self.candles(request)
        return super().get(request)

    def candles(self, request: Request) -> Response:
        asked, now = CandleChartQuery.read(request), timezone.now()
        symbol = find_symbol(asked["symbol"], asked.get("marketType"))
        found = candles(key_of(symbol), asked["length"], now, asked.get("from"), asked.get("to"))
        return Response(
            {
                "success": True,
                "symbol": symbol.name,
                "timeframe": asked["timeframe"],
                "candles": [candle_row(candle) for candle in found],
                "marketType": symbol.market,
                "count": len(found),
                "timestamp": epoch_ms(now),
            }
        )


def key_of(symbol: Symbol) -> SeriesKey:
    return SeriesKey(symbol.exchange, symbol.market, symbol.name)


def candle_row(candle: Candle) -> dict[str, Any]:
    """A candle as answers tell it; exact numbers. Where minutes are missing it says how many there are."""
    row = told(candle)
    if not candle.complete:
        row["minutes"] = candle.minutes
    return row
