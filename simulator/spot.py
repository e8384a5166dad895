"""The spot market's REST: paths, weights and bodies."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from simulator import answers, encode, errors
from simulator.answers import Context, Endpoint, by_symbol, constant
from simulator.listings import Listing
from simulator.parameters import loose_number


def _depth_weight(sent: Mapping[str, str]) -> int:
    limit = loose_number(sent, "limit", 100)
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


def _ticker_weight(sent: Mapping[str, str]) -> int:
    if sent.get("symbol"):
        return 2
    asked = sent["symbols"].count(",") + 1 if sent.get("symbols") else 101
    return 2 if asked <= 20 else 40 if asked <= 100 else 80


def _rate_limits(weight: int) -> list[dict[str, Any]]:
    return [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61_000},
    ]


def _filters(listing: Listing) -> list[dict[str, Any]]:
    tick, lot = encode.price(listing, 1), encode.quantity(listing, 1)
    most = encode.quantity(listing, 9_000 * 10**listing.lot_decimals)
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": encode.price(listing, 10**8), "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": most, "stepSize": lot},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": most, "stepSize": "0.00000000"},
        {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True,
         "maxNotional": "9000000.00000000", "applyMaxToMarket": False, "avgPriceMins": 5},
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
    ]  # fmt: skip


def _symbol(listing: Listing) -> dict[str, Any]:
    precisions = ("baseAssetPrecision", "quotePrecision", "quoteAssetPrecision",
                  "baseCommissionPrecision", "quoteCommissionPrecision")  # fmt: skip
    return {
        "symbol": listing.symbol, "status": listing.status, "baseAsset": listing.base, "quoteAsset": listing.quote,
        **dict.fromkeys(precisions, encode.SPOT_DECIMALS),
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True, "ocoAllowed": True, "isSpotTradingAllowed": True, "isMarginTradingAllowed": False,
        "filters": _filters(listing), "permissions": [], "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER", "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
    }  # fmt: skip


def exchange_info(context: Context) -> bytes:
    one, some = context.parameters.symbol(), context.parameters.symbols()
    names = [one] if one is not None else some
    found = context.exchange.listings("spot") if names is None else [context.named(name) for name in names]
    status = context.parameters.text("symbolStatus")
    if status is not None:
        if names is not None:
            raise errors.bad_combination()
        found = [listing for listing in found if listing.status == status]
    return msgspec.json.encode({
        "timezone": "UTC", "serverTime": context.now,
        "rateLimits": _rate_limits(context.exchange.limits.rules["spot"].weight),
        "exchangeFilters": [], "symbols": [_symbol(listing) for listing in found],
    })  # fmt: skip


def depth(context: Context) -> bytes:
    listing, limit = context.listing(), context.parameters.limit(100, 5000)
    update_id, sides = context.exchange.depth(listing, limit, context.now, context.book_faults)
    return b'{"lastUpdateId":%d,%b}' % (update_id, sides)


def klines(context: Context) -> bytes:
    return answers.klines(context, 500, 1000)


def agg_trades(context: Context) -> bytes:
    return answers.agg_trades(
        context, lambda listing, trades: [row | {"M": True} for row in encode.agg_trades(listing, trades)]
    )


def _many(context: Context, figures: Callable[[Listing], dict[str, Any]]) -> bytes:
    """One symbol's figures as an object, `symbols=` or all of them as an array."""
    one, some = context.parameters.symbol(), context.parameters.symbols()
    if one is not None:
        return msgspec.json.encode(figures(context.named(one)))
    if some is not None:
        return msgspec.json.encode([figures(context.named(name)) for name in some])
    return msgspec.json.encode([figures(listing) for listing in context.exchange.listings("spot")])


def ticker_24hr(context: Context) -> bytes:
    kind = context.parameters.text("type") or "FULL"
    if kind not in {"FULL", "MINI"}:
        raise errors.not_valid("type")
    return _many(context, lambda listing: answers.ticker_24hr(context, listing, kind == "FULL"))


def ticker_price(context: Context) -> bytes:
    def figures(listing: Listing) -> dict[str, Any]:
        ticks = context.exchange.market.last_price(listing, context.now)
        return {"symbol": listing.symbol, "price": encode.price(listing, ticks)}

    return _many(context, figures)


def book_ticker(context: Context) -> bytes:
    return _many(context, lambda listing: {"symbol": listing.symbol, **answers.best(context, listing)})


ENDPOINTS = {
    "/api/v3/ping": Endpoint(answers.ping, constant(1)),
    "/api/v3/time": Endpoint(answers.server_time, constant(1)),
    "/api/v3/exchangeInfo": Endpoint(
        exchange_info, constant(20), ("symbol", "symbols", "permissions", "showPermissionSets", "symbolStatus")
    ),
    "/api/v3/depth": Endpoint(depth, _depth_weight, ("symbol", "limit")),
    "/api/v3/klines": Endpoint(
        klines, constant(2), ("symbol", "interval", "startTime", "endTime", "timeZone", "limit")
    ),
    "/api/v3/aggTrades": Endpoint(agg_trades, constant(4), ("symbol", "fromId", "startTime", "endTime", "limit")),
    "/api/v3/ticker/24hr": Endpoint(ticker_24hr, _ticker_weight, ("symbol", "symbols", "type")),
    "/api/v3/ticker/price": Endpoint(ticker_price, by_symbol(2, 4), ("symbol", "symbols")),
    "/api/v3/ticker/bookTicker": Endpoint(book_ticker, by_symbol(2, 4), ("symbol", "symbols")),
}
