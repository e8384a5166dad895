"""Answers that both markets give: a request's context and parameters in, a JSON body out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from simulator import encode, errors
from simulator.candles import INTERVALS, number_at, trade_ids
from simulator.exchange import Exchange
from simulator.faults import Fault
from simulator.listings import Listing, Market
from simulator.market import UnknownSymbol
from simulator.parameters import Parameters
from simulator.trades import Trades

_HOUR = 3_600_000
_OLDEST = 48 * _HOUR  # futures tell no older trades


@dataclass(frozen=True, slots=True)
class Context:
    """One request: who answers, on which market, when (ms, the market's clock), meeting which faults of books."""

    exchange: Exchange
    market: Market
    now: int
    parameters: Parameters
    book_faults: list[Fault]

    def listing(self) -> Listing:
        """The listing that `symbol` names. Raises ApiError."""
        return self.named(self.parameters.required_symbol())

    def named(self, symbol: str) -> Listing:
        try:
            return self.exchange.listing(symbol, self.market)
        except UnknownSymbol:
            raise errors.invalid_symbol() from None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path's answer, its weight by the sent parameters, and the parameters that it knows."""

    answer: Callable[[Context], bytes]
    weight: Callable[[Mapping[str, str]], int]
    known: tuple[str, ...] = ()


def constant(weight: int) -> Callable[[Mapping[str, str]], int]:
    return lambda sent: weight


def by_symbol(one: int, every: int) -> Callable[[Mapping[str, str]], int]:
    return lambda sent: one if sent.get("symbol") else every


def ping(context: Context) -> bytes:
    return b"{}"


def server_time(context: Context) -> bytes:
    return msgspec.json.encode({"serverTime": context.now})


def klines(context: Context, default: int, most: int) -> bytes:
    """Candles of one symbol, oldest first. Spot answers an upside-down range with nothing, futures with an error."""
    parameters = context.parameters
    listing = context.listing()
    interval = parameters.text("interval")
    if interval is None:
        raise errors.missing("interval")
    if interval not in INTERVALS or (interval == "1s" and context.market == "futures"):
        raise errors.invalid_interval()
    limit, start, end = parameters.limit(default, most), parameters.number("startTime"), parameters.number("endTime")
    if start is not None and end is not None and start > end:
        if context.market == "futures":
            raise errors.start_after_end()
        return b"[]"
    newest = number_at(interval, context.now)
    if start is not None and (start > context.now or number_at(interval, start) > newest):
        return b"[]"
    rows = context.exchange.market.candles(listing, interval, context.now, limit, start, end)
    return msgspec.json.encode([encode.kline(listing, row) for row in rows])


def agg_trades(context: Context, rows: Callable[[Listing, Trades], list[dict[str, Any]]]) -> bytes:
    """Aggregated trades of one symbol, oldest first: from an id or a time on, else the newest before a time."""
    parameters, listing, source = context.parameters, context.listing(), context.exchange.market
    limit, first = parameters.limit(500, 1000), parameters.number("fromId")
    start, end = parameters.number("startTime"), parameters.number("endTime")
    if first is not None and context.market == "spot" and not (start is None and end is None):
        raise errors.bad_combination()
    if start is not None and end is not None and start > end:
        raise errors.start_after_end()
    if start is not None and end is not None and context.market == "futures" and end - start > _HOUR:
        raise errors.more_than_an_hour()
    known = source.next_trade_id(listing, context.now)
    earliest = max(listing.onboard, context.now - _OLDEST if context.market == "futures" else 0)
    oldest = source.trade_id_at(listing, earliest)
    if first is None:
        stop = known if end is None else min(known, source.trade_id_at(listing, _within(end + 1, listing, context.now)))
        if start is not None:
            first = source.trade_id_at(listing, _within(start, listing, context.now))
        else:
            first = max(oldest, stop - limit)
        limit = min(limit, stop - max(first, oldest))
    parts = source.trades_from(listing, max(first, oldest), min(limit, known - max(first, oldest)), context.now)
    return msgspec.json.encode([row for part in parts for row in rows(listing, part)])


def _within(time: int, listing: Listing, now: int) -> int:
    """A time that trades may have, at most a little later than now."""
    return min(max(time, listing.onboard), now + 1000)


def ticker_24hr(context: Context, listing: Listing, full: bool = True) -> dict[str, Any]:
    """The last 24 hours; spot's full form also tells the best prices."""
    market = context.exchange.market
    day, before = market.rolling_day(listing, listing.trades_until(context.now))
    change = day.close - day.open
    unit = 10 ** (listing.quote_decimals - listing.lot_decimals)
    average = day.quote_volume / day.volume / unit / listing.tick
    figures: dict[str, Any] = {"symbol": listing.symbol}
    if full:
        figures["priceChange"] = ("-" if change < 0 else "") + encode.price(listing, abs(change))
        figures["priceChangePercent"] = f"{change / day.open * 100:.3f}"
        figures["weightedAvgPrice"] = encode.price(listing, round(average))
    if full and context.market == "spot":
        figures["prevClosePrice"] = encode.price(listing, before)
    figures["lastPrice"] = encode.price(listing, day.close)
    if full:
        figures["lastQty"] = encode.quantity(listing, max(1, day.volume // max(1, day.trades)))
    if full and context.market == "spot":
        figures |= best(context, listing)
    ends = {"openPrice": day.open, "highPrice": day.high, "lowPrice": day.low}
    figures |= {name: encode.price(listing, ticks) for name, ticks in ends.items()}
    figures |= {
        "volume": encode.quantity(listing, day.volume), "quoteVolume": encode.quote(listing, day.quote_volume),
        "openTime": day.open_time, "closeTime": day.close_time,
    }  # fmt: skip
    first, last = trade_ids(listing, market.seed, day.open_time, listing.trades_until(context.now))
    return figures | {"firstId": first, "lastId": last, "count": day.trades}


def best(context: Context, listing: Listing) -> dict[str, str]:
    """Best prices and their quantities, of the same book that depth tells; zeros when there is none."""
    _, sides = context.exchange.depth(listing, 1, context.now, [])
    body = msgspec.json.decode(b"{" + sides + b"}")
    zero = (encode.price(listing, 0), encode.quantity(listing, 0))
    (bid, bid_quantity), (ask, ask_quantity) = (next(iter(body[side]), zero) for side in ("bids", "asks"))
    return {"bidPrice": bid, "bidQty": bid_quantity, "askPrice": ask, "askQty": ask_quantity}
