"""The USD-M futures market's REST: paths, weights and bodies."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from simulator import answers, encode, errors
from simulator.answers import Context, Endpoint, by_symbol, constant
from simulator.listings import Listing
from simulator.market import Premium
from simulator.parameters import loose_number

DEPTH_LIMITS = (5, 10, 20, 50, 100, 500, 1000)


def _depth_weight(sent: Mapping[str, str]) -> int:
    limit = loose_number(sent, "limit", 500)
    return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20


def _klines_weight(sent: Mapping[str, str]) -> int:
    limit = loose_number(sent, "limit", 500)
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10


def _rate_limits(weight: int) -> list[dict[str, Any]]:
    return [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
    ]


def _filters(listing: Listing) -> list[dict[str, Any]]:
    tick, lot = encode.price(listing, 1), encode.quantity(listing, 1)
    most = encode.quantity(listing, 9_000 * 10**listing.lot_decimals)
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": encode.price(listing, 10**8), "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": most, "stepSize": lot},
        {"filterType": "MARKET_LOT_SIZE", "minQty": lot, "maxQty": most, "stepSize": lot},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500", "multiplierDecimal": "4"},
    ]


def _symbol(listing: Listing, now: int) -> dict[str, Any]:
    over = listing.closed_at and now >= listing.closed_at
    return {
        "symbol": listing.symbol, "pair": listing.base + listing.quote, "contractType": listing.contract_type,
        "deliveryDate": listing.delivery, "onboardDate": listing.onboard,
        "status": "SETTLING" if over else listing.status,
        "baseAsset": listing.base, "quoteAsset": listing.quote, "marginAsset": listing.quote,
        "pricePrecision": listing.price_decimals, "quantityPrecision": listing.lot_decimals,
        "baseAssetPrecision": 8, "quotePrecision": 8, "underlyingType": "COIN", "underlyingSubType": [],
        "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000", "triggerProtect": "0.0500",
        "filters": _filters(listing),
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }  # fmt: skip


def exchange_info(context: Context) -> bytes:
    found = context.exchange.listings("futures")
    return msgspec.json.encode({
        "timezone": "UTC", "serverTime": context.now, "futuresType": "U_MARGINED",
        "rateLimits": _rate_limits(context.exchange.limits.rules["futures"].weight),
        "exchangeFilters": [], "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": [_symbol(listing, context.now) for listing in found],
    })  # fmt: skip


def depth(context: Context) -> bytes:
    listing, limit = context.listing(), context.parameters.number("limit")
    limit = 500 if limit is None else limit
    if limit not in DEPTH_LIMITS:
        raise errors.invalid_depth_limit(limit)
    update_id, sides = context.exchange.depth(listing, limit, context.now, context.book_faults)
    changed = context.now // 100 * 100
    return b'{"lastUpdateId":%d,"E":%d,"T":%d,%b}' % (update_id, context.now, changed, sides)


def klines(context: Context) -> bytes:
    return answers.klines(context, 500, 1500)


def agg_trades(context: Context) -> bytes:
    return answers.agg_trades(context, lambda listing, trades: list(encode.agg_trades(listing, trades)))


def _many(context: Context, figures: Callable[[Listing], dict[str, Any]]) -> bytes:
    """One symbol's figures as an object, else those of all symbols that trade as an array."""
    one = context.parameters.symbol()
    if one is not None:
        return msgspec.json.encode(figures(context.named(one)))
    every = (one for one in context.exchange.listings("futures") if not one.closed_at or one.closed_at > context.now)
    return msgspec.json.encode([figures(one) for one in every])


def ticker_24hr(context: Context) -> bytes:
    return _many(context, lambda listing: answers.ticker_24hr(context, listing))


def ticker_price(context: Context) -> bytes:
    def figures(listing: Listing) -> dict[str, Any]:
        ticks = context.exchange.market.last_price(listing, context.now)
        return {"symbol": listing.symbol, "price": encode.price(listing, ticks), "time": context.now}

    return _many(context, figures)


def book_ticker(context: Context) -> bytes:
    def figures(listing: Listing) -> dict[str, Any]:
        update_id = context.exchange.market.update_id(listing, context.now)
        best = answers.best(context, listing)
        return {"symbol": listing.symbol, **best, "time": context.now, "lastUpdateId": update_id}

    return _many(context, figures)


def open_interest(context: Context) -> bytes:
    listing = context.listing()
    contracts = context.exchange.market.open_interest(listing, context.now)
    text = encode.quantity(listing, contracts)
    return msgspec.json.encode({"openInterest": text, "symbol": listing.symbol, "time": context.now})


def _premium(listing: Listing, premium: Premium, now: int) -> dict[str, Any]:
    ends = listing.contract_type.endswith("QUARTER")
    return {
        "symbol": listing.symbol, "markPrice": f"{premium.mark_price:.8f}", "indexPrice": f"{premium.index_price:.8f}",
        "estimatedSettlePrice": f"{premium.index_price:.8f}",
        "lastFundingRate": "" if ends else f"{premium.funding_rate:.8f}",
        "interestRate": "" if ends else "0.00010000",
        "nextFundingTime": 0 if ends else premium.next_funding_time, "time": now,
    }  # fmt: skip


def premium_index(context: Context) -> bytes:
    market, now = context.exchange.market, context.now
    return _many(context, lambda listing: _premium(listing, market.premium(listing, now), now))


ENDPOINTS = {
    "/fapi/v1/ping": Endpoint(answers.ping, constant(1)),
    "/fapi/v1/time": Endpoint(answers.server_time, constant(1)),
    "/fapi/v1/exchangeInfo": Endpoint(exchange_info, constant(1)),
    "/fapi/v1/depth": Endpoint(depth, _depth_weight),
    "/fapi/v1/klines": Endpoint(klines, _klines_weight),
    "/fapi/v1/aggTrades": Endpoint(agg_trades, constant(20)),
    "/fapi/v1/ticker/24hr": Endpoint(ticker_24hr, by_symbol(1, 40)),
    "/fapi/v1/ticker/price": Endpoint(ticker_price, by_symbol(1, 2)),
    "/fapi/v1/ticker/bookTicker": Endpoint(book_ticker, by_symbol(2, 5)),
    "/fapi/v1/openInterest": Endpoint(open_interest, constant(1)),
    "/fapi/v1/premiumIndex": Endpoint(premium_index, by_symbol(1, 10)),
}
