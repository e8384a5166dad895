"""Binance's bytes into the platform's words (pure): order books, listings, volumes, and what an error answer means."""

import logging
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

import msgspec

from candles.candle import Kline
from collector.exchanges.base import (
    Banned,
    Blocked,
    Halted,
    Klines,
    Listings,
    OpenContracts,
    RateLimited,
    RawBook,
    Refused,
    Unavailable,
    VenueError,
)
from collector.exchanges.binance.messages import (
    Depth,
    ErrorBody,
    ExchangeInfo,
    RateLimit,
    RestOpenInterest,
    RestTrade,
    ServerTime,
    SymbolInfo,
    Ticker,
)
from collector.exchanges.binance.urls import FUTURES
from collector.exchanges.streams import AggregateTrade
from markets.listings import SymbolListing

_depth = msgspec.json.Decoder(Depth)
_exchange_info = msgspec.json.Decoder(ExchangeInfo)
_symbol = msgspec.json.Decoder(SymbolInfo)
_tickers = msgspec.json.Decoder(list[Ticker])
_time = msgspec.json.Decoder(ServerTime)
_klines = msgspec.json.Decoder(list[Kline])
_kline = msgspec.json.Decoder(Kline)
_rows = msgspec.json.Decoder(list[msgspec.Raw])
_trades = msgspec.json.Decoder(list[RestTrade])
_open_interest = msgspec.json.Decoder(RestOpenInterest)
_error = msgspec.json.Decoder(ErrorBody)

logger = logging.getLogger(__name__)

BAN_END = re.compile(r"banned until (\d{13})")
LONGEST_BAN = timedelta(days=3)
SHORTEST_BAN = timedelta(minutes=2)
FIREWALL_PAUSE = timedelta(seconds=30)
COUNTRY_PAUSE = timedelta(minutes=5)
TOO_MANY_REQUESTS, OVERLOADED = -1003, -1008
NAME_LENGTH, ASSET_LENGTH = 40, 32


def from_milliseconds(value: int) -> datetime:
    """Raises ValueError or OverflowError for what is no time."""
    return datetime.fromtimestamp(value / 1000, UTC)


def book(body: bytes, received_at: datetime) -> RawBook:
    """Raises Unavailable when the body is not an order book."""
    try:
        message = _depth.decode(body)
        event_time = None if message.E is None else from_milliseconds(message.E)
    except (msgspec.DecodeError, ValueError, OverflowError, OSError) as error:
        raise Unavailable(f"the body is no order book: {error}") from error
    return RawBook(message.bids, message.asks, message.lastUpdateId, event_time, received_at)


def listings(market: str, body: bytes) -> Listings:
    """The market's symbols; on futures only perpetual ones. One that cannot be read is left out, for the others' sake.

    Raises Unavailable when the body is no listing or holds no symbol that can be read."""
    try:
        message = _exchange_info.decode(body)
    except msgspec.DecodeError as error:
        raise Unavailable(f"the body is no exchange information: {error}") from error
    rows = [row for row in (_listing(market, raw) for raw in message.symbols) if row is not None]
    if not rows:
        raise Unavailable("the exchange information names no symbol")
    return Listings(rows, weight_per_minute(message.rateLimits))


def _listing(market: str, raw: msgspec.Raw) -> SymbolListing | None:
    try:
        info = _symbol.decode(raw)
        tick = next(Decimal(f.tickSize) for f in info.filters if f.filterType == "PRICE_FILTER")
        lot = next(Decimal(f.stepSize) for f in info.filters if f.filterType == "LOT_SIZE")
    except (msgspec.DecodeError, InvalidOperation, StopIteration):
        return None
    if market == FUTURES and info.contractType != "PERPETUAL":
        return None
    lengths = len(info.symbol) <= NAME_LENGTH and max(len(info.baseAsset), len(info.quoteAsset)) <= ASSET_LENGTH
    if not lengths or not all(step.is_finite() and 0 <= step < 10**18 for step in (tick, lot)):
        return None
    return SymbolListing(market, info.symbol, info.baseAsset, info.quoteAsset, tick, lot, info.status[:24])


def weight_per_minute(limits: list[RateLimit]) -> int | None:
    """The request weight allowed a minute; None when it is not said."""
    for limit in limits:
        if limit.rateLimitType == "REQUEST_WEIGHT" and limit.interval == "MINUTE" and limit.intervalNum == 1:
            return limit.limit if limit.limit > 0 else None
    return None


def volumes(body: bytes) -> dict[str, float]:
    """24 h quote volumes by symbol; what is no number is left out. Raises Unavailable for another body."""
    try:
        tickers = _tickers.decode(body)
    except msgspec.DecodeError as error:
        raise Unavailable(f"the body is no list of tickers: {error}") from error
    found = {}
    for ticker in tickers:
        try:
            volume = float(ticker.quoteVolume)
        except ValueError:
            continue
        if math.isfinite(volume) and volume >= 0:
            found[ticker.symbol] = volume
    return found


def klines(body: bytes) -> Klines:
    """One-minute candles in the order of the body; a row that is none is left out, for the others' sake, and logged.
    Raises Unavailable for another body."""
    try:
        return Klines(_klines.decode(body))
    except msgspec.DecodeError:
        pass
    try:
        rows = _rows.decode(body)
    except msgspec.DecodeError as error:
        raise Unavailable(f"the body is no list of candles: {error}") from error
    read = [row for row in map(_kline_of, rows) if row is not None]
    return Klines(read, len(rows) - len(read))


def _kline_of(raw: msgspec.Raw) -> Kline | None:
    try:
        return _kline.decode(raw)
    except msgspec.DecodeError as error:
        logger.error("a candle is refused: %s in %s", error, bytes(raw)[:300].decode("utf-8", "replace"))
        return None


def trades(market: str, symbol: str, body: bytes) -> list[AggregateTrade]:
    """Aggregate trades in the order of the body. Raises Unavailable for another body."""
    try:
        rows = _trades.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise Unavailable(f"the body is no list of trades: {error}") from error
    return [AggregateTrade(symbol, market, it.a, it.p, it.q, it.f, it.l, it.T, it.m, it.T) for it in rows]


def open_interest(body: bytes) -> OpenContracts:
    """Raises Unavailable for another body."""
    try:
        it = _open_interest.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise Unavailable(f"the body tells no open interest: {error}") from error
    return OpenContracts(it.symbol, it.time, it.openInterest)


def server_time(body: bytes) -> int:
    """The exchange's clock, epoch milliseconds. Raises Unavailable for another body."""
    try:
        return _time.decode(body).serverTime
    except msgspec.DecodeError as error:
        raise Unavailable(f"the body is no time: {error}") from error


def used_weight(headers: Mapping[str, str]) -> int | None:
    text = headers.get("X-MBX-USED-WEIGHT-1M", "")
    return int(text) if re.fullmatch(r"\d{1,9}", text) else None


def error(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> VenueError:
    """What an answer that is not 200 means. `now` (aware, ours) is when it came."""
    code, message = _code_and_message(body)
    found = _meaning(status, code, message or f"HTTP {status}", headers, now)
    found.used_weight = used_weight(headers)
    return found


def _meaning(status: int, code: int | None, message: str, headers: Mapping[str, str], now: datetime) -> VenueError:
    if status in {418, 429} or (code == TOO_MANY_REQUESTS and status < 500):
        return _halted(status, message, headers, now)
    if status == 403:
        return Blocked(f"HTTP 403: turned away by the exchange's firewall ({message})", now + FIREWALL_PAUSE)
    if status == 451:
        return Blocked(f"HTTP 451: the exchange does not serve this country ({message})", now + COUNTRY_PAUSE)
    if 400 <= status < 500 and code != OVERLOADED:
        return Refused(code, message)
    return Unavailable(f"HTTP {status}: {message}")


def _halted(status: int, message: str, headers: Mapping[str, str], now: datetime) -> Halted:
    until = _halt_end(message, headers, now)
    if status == 418 or BAN_END.search(message):
        return Banned(message, until or now + SHORTEST_BAN)
    return RateLimited(message, until)


def _halt_end(message: str, headers: Mapping[str, str], now: datetime) -> datetime | None:
    """The later of what Retry-After and the message say; None when neither does. An end beyond the longest ban that
    the exchange gives is cut to that, so that one wrong answer cannot stop the market for ever."""
    ends = []
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,7}", text):
        ends.append(now + timedelta(seconds=int(text)))
    if match := BAN_END.search(message):
        ends.append(from_milliseconds(int(match[1])))
    return min(max(ends), now + LONGEST_BAN) if ends else None


def _code_and_message(body: bytes) -> tuple[int | None, str]:
    try:
        found = _error.decode(body)
    except (msgspec.DecodeError, ValueError):
        return None, ""
    return found.code, found.msg[:500]
