"""GET binance/spot, binance/futures, binance/depth and orderbook: the newest order books and their liquidity."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from api.answers import kept
from api.exceptions import ApiError
from api.schema import operation
from api.serializers.depth import BookAnswer, BookQuery, DepthAnswer, DepthQuery, OrderBookAnswer, OrderBookQuery
from api.serializers.fields import band_number
from api.views.base import ApiView, find_symbol, no_data
from depth.live import ask_for, current, levels
from depth.volumes import diff
from markets.errors import NotCollected
from markets.models import Market
from markets.selectors import find


class BookView(ApiView):
    market = "SPOT"

    @operation("Newest order book of a market", BookAnswer, errors=[400, 404], query=BookQuery)
    @kept
    def get(self, request: Request) -> Response:
        symbol, now = find(BookQuery.read(request)["symbol"], self.market).name, timezone.now()
        ask_for(symbol, self.market, now)
        body = current(symbol, self.market, now)
        if body is None:
            raise no_data(symbol)
        return Response(body)


class OrderBookView(ApiView):
    @operation("Levels of the newest order book", OrderBookAnswer, errors=[400, 404], query=OrderBookQuery)
    def get(self, request: Request) -> Response:
        asked, now = OrderBookQuery.read(request), timezone.now()
        found = find_symbol(asked["symbol"], asked.get("marketType"))
        ask_for(found.name, found.market, now)
        body = levels(found.name, found.market, asked["levels"], now)
        if body is None:
            raise no_data(found.name)
        return Response(body)


class DepthView(ApiView):
    @operation("Liquidity within one band on both markets", DepthAnswer, errors=[400, 404], query=DepthQuery)
    def get(self, request: Request) -> Response:
        asked = DepthQuery.read(request)
        markets = Market.values if asked["type"] == "all" else [asked["type"].upper()]
        name, band, now = asked["symbol"], band_number(asked["depth"]), timezone.now()
        bodies = [body for market in markets if _collected(name, market) and (body := current(name, market, now))]
        rows = {body["type"]: row for body in bodies if (row := _market_depth(body, band))}
        if not rows:
            raise _nothing(name, markets)
        return Response(
            {
                "success": True,
                "depth": band,
                "symbol": name,
                "timestamp": max(body["timestamp"] for body in bodies if body["type"] in rows),
                "spot": rows.get("SPOT"),
                "futures": rows.get("FUTURES"),
                "difference": _difference(rows.get("SPOT"), rows.get("FUTURES")),
            }
        )


def _collected(name: str, market: str) -> bool:
    """Whether the symbol is collected on this market. Raises UnknownSymbol."""
    try:
        find(name, market)
    except NotCollected:
        return False
    return True


def _nothing(name: str, markets: list[str]) -> ApiError | NotCollected:
    if any(_collected(name, market) for market in markets):
        return no_data(name)
    return NotCollected(name, markets[0] if len(markets) == 1 else None)


def _market_depth(body: dict[str, Any], band: float) -> dict[str, Any] | None:
    """One band of a market's body; None when the book was not measured in it."""
    row = next((row for row in body["depthVolumes"] if row["depth"] == band), None)
    if row is None:
        return None
    difference, percentage = diff(row["bidVolume"], row["askVolume"])
    return {
        "bid": row["bidVolume"],
        "ask": row["askVolume"],
        "diff": difference,
        "percentage": percentage,
        "totalBidValue": row["totalBidValue"],
        "totalAskValue": row["totalAskValue"],
        "bidComplete": row["bidComplete"],
        "askComplete": row["askComplete"],
        "source": body["source"],
        "ageMs": body["ageMs"],
    }


def _difference(spot: dict[str, Any] | None, futures: dict[str, Any] | None) -> dict[str, float | None]:
    def percent(side: str) -> float | None:
        if spot is None or futures is None or not spot[side]:
            return None
        return (futures[side] - spot[side]) / spot[side] * 100

    return {"bidPercent": percent("bid"), "askPercent": percent("ask")}
