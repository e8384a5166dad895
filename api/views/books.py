"""GET binance/spot, binance/futures and binance/depth: the newest order books and their liquidity."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from api.exceptions import ApiError
from api.schema import operation
from api.serializers.depth import BookAnswer, BookQuery, DepthAnswer, DepthQuery
from api.serializers.fields import band_number
from api.times import epoch_ms
from api.views.base import ApiView, no_data
from depth.broadcast import ToldBook, WsStatus, book_body
from depth.selectors import LatestBook, latest
from depth.volumes import diff
from markets.errors import NotCollected
from markets.models import Market
from markets.selectors import find


class BookView(ApiView):
    market = "SPOT"

    @operation("Newest order book of a market", BookAnswer, errors=[400, 404], query=BookQuery)
    def get(self, request: Request) -> Response:
        symbol = find(BookQuery.read(request)["symbol"], self.market).name
        book = latest(symbol, self.market)
        if book is None:
            raise no_data(symbol)
        return Response(book_body(told(book), WsStatus.OFF, epoch_ms(timezone.now())))


class DepthView(ApiView):
    @operation("Liquidity within one band on both markets", DepthAnswer, errors=[400, 404], query=DepthQuery)
    def get(self, request: Request) -> Response:
        asked = DepthQuery.read(request)
        markets = Market.values if asked["type"] == "all" else [asked["type"].upper()]
        name, band, now = asked["symbol"], asked["depth"], timezone.now()
        books = [book for market in markets if _collected(name, market) and (book := latest(name, market))]
        rows = {book.market: row for book in books if (row := _market_depth(book, band, now))}
        if not rows:
            raise _nothing(name, markets)
        return Response(
            {
                "success": True,
                "depth": band_number(band),
                "symbol": name,
                "timestamp": max(epoch_ms(book.received_at) for book in books if book.market in rows),
                "spot": rows.get("SPOT"),
                "futures": rows.get("FUTURES"),
                "difference": _difference(rows.get("SPOT"), rows.get("FUTURES")),
            }
        )


def told(book: LatestBook) -> ToldBook:
    """What is told of a stored book."""
    return ToldBook(
        symbol=book.symbol,
        market=book.market,
        read_at=epoch_ms(book.received_at),
        best_bid=book.best_bid,
        best_ask=book.best_ask,
        bids=book.bids,
        asks=book.asks,
        bid_levels=book.bid_levels,
        ask_levels=book.ask_levels,
        bid_reach=book.bid_reach,
        ask_reach=book.ask_reach,
        source=book.source,
        bands=book.bands,
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


def _market_depth(book: LatestBook, band: Decimal, now: datetime) -> dict[str, Any] | None:
    row = next((row for row in book.bands if row.band == band), None)
    if row is None:
        return None
    difference, percentage = diff(row.bid_volume, row.ask_volume)
    return {
        "bid": row.bid_volume,
        "ask": row.ask_volume,
        "diff": difference,
        "percentage": percentage,
        "totalBidValue": row.bid_value,
        "totalAskValue": row.ask_value,
        "bidComplete": row.bid_complete,
        "askComplete": row.ask_complete,
        "source": book.source,
        "ageMs": max(0, epoch_ms(now) - epoch_ms(book.received_at)),
    }


def _difference(spot: dict[str, Any] | None, futures: dict[str, Any] | None) -> dict[str, float | None]:
    def percent(side: str) -> float | None:
        if spot is None or futures is None or not spot[side]:
            return None
        return (futures[side] - spot[side]) / spot[side] * 100

    return {"bidPercent": percent("bid"), "askPercent": percent("ask")}
