"""GET trades, mark-prices, liquidations, open-interest, funding: what happened, newest first, or hours and days of it;
and GET derivatives/summary."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from api import event_buckets as buckets
from api.paging import paged
from api.schema import operation
from api.serializers.derivatives import (
    ContractQuery,
    FlowAnswer,
    FundingAnswer,
    FundingQuery,
    InterestAnswer,
    InterestBucketsAnswer,
    LiquidatedAnswer,
    LiquidationsAnswer,
    LiquidationsQuery,
    MarkBucketsAnswer,
    MarksAnswer,
    SummaryAnswer,
    TradesAnswer,
    TradesQuery,
    either,
)
from api.times import epoch_ms, ms_or_none
from api.views.base import ApiView, find_symbol
from derivatives import selectors
from derivatives.selectors import InterestRow, LiquidationRow, MarkRow, TradeRow
from markets.selectors import collected_symbols, find

FUTURES = "FUTURES"


class TradesView(ApiView):
    @operation(
        "Trades of a symbol", either("TradesOrFlow", TradesAnswer, FlowAnswer), errors=[400, 404], query=TradesQuery
    )
    def get(self, request: Request) -> Response:
        asked = TradesQuery.read(request)
        symbol = find_symbol(asked["symbol"], asked.get("marketType"))
        if "interval" in asked:
            flow = selectors.flow(symbol.market, symbol.name, *_range(asked))
            newest = ms_or_none(selectors.newest_trade_time(symbol.market, symbol.name))
            named = {"symbol": symbol.name, "marketType": symbol.market, "newest": newest}
            return _buckets(asked, [buckets.flow(one) for one in flow], **named)
        found = selectors.trades(
            symbol.market,
            symbol.name,
            asked["limit"] + 1,
            start=asked.get("from"),
            end=asked.get("to"),
            taker_side=asked.get("side", ""),
            least_quantity=asked.get("minQuantity"),
            after=asked.get("cursor"),
        )
        answer = paged(found, asked["limit"], lambda row: [row.trade_time, row.id], _trade)
        gaps = selectors.open_gap_count(symbol.market, symbol.name)
        return Response({**answer, "symbol": symbol.name, "marketType": symbol.market, "openGaps": gaps})


class MarkPricesView(ApiView):
    @operation(
        "Mark prices of a contract",
        either("MarksOrBuckets", MarksAnswer, MarkBucketsAnswer),
        errors=[400, 404],
        query=ContractQuery,
    )
    def get(self, request: Request) -> Response:
        asked = ContractQuery.read(request)
        symbol = find(asked["symbol"], FUTURES).name
        if "interval" in asked:
            return _buckets(
                asked, [buckets.mark(one) for one in selectors.marks(symbol, *_range(asked))], symbol=symbol
            )
        found = selectors.mark_prices(symbol, asked["limit"] + 1, **_bounds(asked))
        return Response({**paged(found, asked["limit"], lambda row: [row.event_time], _mark), "symbol": symbol})


class LiquidationsView(ApiView):
    @operation(
        "Liquidations",
        either("LiquidationsOrBuckets", LiquidationsAnswer, LiquidatedAnswer),
        errors=[400, 404],
        query=LiquidationsQuery,
    )
    def get(self, request: Request) -> Response:
        asked = LiquidationsQuery.read(request)
        symbol = find(asked["symbol"], FUTURES).name if "symbol" in asked else ""
        if "interval" in asked:
            rows = [buckets.liquidated(one) for one in selectors.liquidated(symbol, *_range(asked))]
            return _buckets(asked, rows, symbol=symbol or None, lowerBound=True)
        found = selectors.liquidations(
            asked["limit"] + 1,
            symbol=symbol,
            position=asked.get("side", ""),
            least_notional=asked.get("minNotional"),
            start=asked.get("from"),
            end=asked.get("to"),
            after=asked.get("cursor"),
        )
        answer = paged(found, asked["limit"], lambda row: [row.trade_time, row.symbol, row.content], _liquidation)
        return Response({**answer, "lowerBound": True})


class OpenInterestView(ApiView):
    @operation(
        "Open interest of a contract",
        either("InterestOrBuckets", InterestAnswer, InterestBucketsAnswer),
        errors=[400, 404],
        query=ContractQuery,
    )
    def get(self, request: Request) -> Response:
        asked = ContractQuery.read(request)
        symbol = find(asked["symbol"], FUTURES).name
        if "interval" in asked:
            rows = [buckets.interest(one) for one in selectors.interest(symbol, *_range(asked))]
            return _buckets(asked, rows, symbol=symbol)
        found = selectors.open_interest(symbol, asked["limit"] + 1, **_bounds(asked))
        return Response({**paged(found, asked["limit"], lambda row: [row.time], _interest), "symbol": symbol})


class FundingView(ApiView):
    @operation(
        "Funding and basis, the newest known",
        either("FundingOrBuckets", FundingAnswer, MarkBucketsAnswer),
        errors=[400, 404],
        query=FundingQuery,
    )
    def get(self, request: Request) -> Response:
        asked = FundingQuery.read(request)
        if "interval" in asked:
            symbol = find(asked["symbol"], FUTURES).name
            return _buckets(
                asked, [buckets.mark(one) for one in selectors.marks(symbol, *_range(asked))], symbol=symbol
            )
        names = (
            [find(asked["symbol"], FUTURES).name]
            if "symbol" in asked
            else [row.name for row in collected_symbols(FUTURES)]
        )
        data = [_funding(*row) for row in selectors.funding(names)]
        return Response({"success": True, "data": data, "count": len(data), "next": None})


class SummaryView(ApiView):
    @operation("Every collected contract at a glance", SummaryAnswer)
    def get(self, request: Request) -> Response:
        now = timezone.now()
        rows = selectors.market_table([row.name for row in collected_symbols(FUTURES)], now)
        answer = {"success": True, "timestamp": epoch_ms(now), "lowerBound": True}
        return Response({**answer, "data": [buckets.contract(row) for row in rows], "count": len(rows)})


def _range(asked: dict[str, Any]) -> tuple[datetime, datetime, str, datetime]:
    return asked["start"], asked["end"], asked["interval"], timezone.now()


def _buckets(asked: dict[str, Any], rows: list[dict[str, Any]], **named: Any) -> Response:
    return Response({"success": True, **named, "interval": asked["interval"], "data": rows, "count": len(rows)})


def _bounds(asked: dict[str, Any]) -> dict[str, datetime | None]:
    cursor = asked.get("cursor")
    return {"start": asked.get("from"), "end": asked.get("to"), "after": cursor[0] if cursor else None}


def _exact(value: Decimal) -> str:
    return f"{value:f}"


def _trade(row: TradeRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "timestamp": epoch_ms(row.trade_time),
        "eventTime": ms_or_none(row.event_time),
        "price": _exact(row.price),
        "quantity": _exact(row.quantity),
        "side": "sell" if row.buyer_is_maker else "buy",
        "firstTradeId": row.first_trade_id,
        "lastTradeId": row.last_trade_id,
    }


def _mark(row: MarkRow) -> dict[str, Any]:
    return {
        "timestamp": epoch_ms(row.event_time),
        "markPrice": _exact(row.mark_price),
        "indexPrice": _exact(row.index_price),
        "settlePrice": _exact(row.settle_price),
        "fundingRate": None if row.funding_rate is None else _exact(row.funding_rate),
        "nextFundingTime": ms_or_none(row.next_funding_time),
    }


def _liquidation(row: LiquidationRow) -> dict[str, Any]:
    return {
        "symbol": row.symbol,
        "timestamp": epoch_ms(row.trade_time),
        "liquidated": row.position,
        "side": row.side,
        "price": _exact(row.price),
        "averagePrice": _exact(row.average_price),
        "quantity": _exact(row.quantity),
        "filledQuantity": _exact(row.filled_quantity),
        "notional": _exact(row.notional),
        "status": row.status,
    }


def _interest(row: InterestRow) -> dict[str, Any]:
    return {
        "timestamp": epoch_ms(row.time),
        "openInterest": _exact(row.open_interest),
        "notional": None if row.notional is None else _exact(row.notional),
    }


def _funding(
    symbol: str,
    time: datetime,
    mark: Decimal,
    index: Decimal,
    rate: Decimal | None,
    next_time: datetime | None,
) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "timestamp": epoch_ms(time),
        "markPrice": _exact(mark),
        "indexPrice": _exact(index),
        "basisPercent": float((mark - index) / index * 100) if index else None,
        "fundingRate": None if rate is None else _exact(rate),
        "nextFundingTime": ms_or_none(next_time),
    }
