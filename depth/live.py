"""Out of Redis for those who ask once: the newest live state of a book where it can be trusted, else the stored one."""

import logging
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, cast

import msgspec
import redis

from depth.broadcast import (
    TOP_LEVELS,
    LiveBook,
    ToldBook,
    WsStatus,
    book_body,
    book_key,
    state_key,
    unpack_side,
    want,
)
from depth.selectors import LatestBook, latest
from markets.connections import broker_redis

logger = logging.getLogger(__name__)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FRESH_MS = 3_000  # a synced book is published once a second: without a new state for this long it is stale
CUT_MS = 15_000  # ... and the feed, or the way from it, is not there
OFF_MS = 60_000  # ... and nobody keeps the book live
MESSAGE_ONLY = {"success", "type", "marketType", "symbol", "seq", "lastUpdateId", "publishedAt"}
AWAY_SECONDS = 5.0  # how long a Redis that failed is not asked again


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
        last_update_id=book.last_update_id,
    )


def epoch_ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def status_at(ws_status: str, age_ms: float) -> WsStatus:
    """What a status that the feed told is worth `age_ms` after the feed's last word."""
    if age_ms > OFF_MS:
        return WsStatus.OFF
    if age_ms > CUT_MS and ws_status != WsStatus.OFF:
        return WsStatus.DISCONNECTED
    if age_ms > FRESH_MS and ws_status == WsStatus.CONNECTED:
        return WsStatus.STALE
    return WsStatus(ws_status)


class _Redis:
    """Whether Redis is worth asking: one that is away must not cost every answer its time-out."""

    away_until = 0.0


def _ask(key: str) -> bytes | None:
    if monotonic() < _Redis.away_until:
        return None
    try:
        return cast("bytes | None", broker_redis().get(key))
    except redis.RedisError as error:
        _Redis.away_until = monotonic() + AWAY_SECONDS
        logger.warning("live states are not asked for: Redis is away (%s)", error)
        return None


def ask_for(symbol: str, market: str, now: datetime) -> None:
    """Tells the feed that somebody reads this symbol; nothing without Redis."""
    if monotonic() >= _Redis.away_until:
        try:
            want(broker_redis(), market, symbol, now.timestamp())
        except redis.RedisError:
            _Redis.away_until = monotonic() + AWAY_SECONDS


def current(symbol: str, market: str, now: datetime) -> dict[str, Any] | None:
    """The body of `binance/spot` and `binance/futures`: of the live state where it is synced and fresh, else of the
    newest stored book; None when there is neither. No query with a live state, else two."""
    moment, state = epoch_ms(now), _state(symbol, market)
    status = _status(state, moment)
    if state is not None and status == WsStatus.CONNECTED:
        return _live_body(state, moment)
    book = latest(symbol, market)
    return None if book is None else book_body(told(book), status, moment)


def live_answer(state: bytes, now: int) -> dict[str, Any] | None:
    """As `current`, of a state as it stands in Redis; None where it cannot be trusted. `now`: epoch milliseconds."""
    told: dict[str, Any] = msgspec.json.decode(state)
    return _live_body(told, now) if _status(told, now) == WsStatus.CONNECTED else None


def levels(symbol: str, market: str, count: int, now: datetime) -> dict[str, Any] | None:
    """The body of `orderbook`: the best `count` levels of each side; None when there is no book. Up to a thousand are
    kept of a live book, the top 20 of a stored one: there may be fewer than asked for. At most two queries."""
    moment, state = epoch_ms(now), _state(symbol, market)
    if count > TOP_LEVELS and (deep := _deep(symbol, market, moment)) is not None:
        sides = unpack_side(deep.bids, count), unpack_side(deep.asks, count)
        return _levels_body(symbol, market, deep.read_at, deep.last_update_id, *sides, "stream", "connected", moment)
    status = _status(state, moment)
    if state is not None and status == WsStatus.CONNECTED:
        bids, asks = ([(row["price"], row["volume"]) for row in state[side][:count]] for side in ("bids", "asks"))
        update, read_at = state["lastUpdateId"], state["timestamp"]
        return _levels_body(symbol, market, read_at, update, bids, asks, state["source"], status, moment)
    book = latest(symbol, market)
    if book is None:
        return None
    read_at, sides = epoch_ms(book.received_at), (book.bids[:count], book.asks[:count])
    return _levels_body(symbol, market, read_at, book.last_update_id, *sides, book.source, status, moment)


def _state(symbol: str, market: str) -> dict[str, Any] | None:
    found = _ask(state_key(market, symbol))
    return None if found is None else cast("dict[str, Any]", msgspec.json.decode(found))


def _status(state: dict[str, Any] | None, now: int) -> WsStatus:
    return WsStatus.OFF if state is None else status_at(state["wsStatus"], now - state["publishedAt"])


def _deep(symbol: str, market: str, now: int) -> LiveBook | None:
    """The live book with all its levels, where it can be trusted."""
    found = _ask(book_key(market, symbol))
    if found is None:
        return None
    book = msgspec.msgpack.decode(found, type=LiveBook)
    return book if status_at(book.ws_status, now - book.published_at) == WsStatus.CONNECTED else None


def _live_body(state: dict[str, Any], now: int) -> dict[str, Any]:
    """A state as an answer: without what makes it a message."""
    head = {"success": True, "type": state["marketType"], "symbol": state["symbol"]}
    rest = {name: value for name, value in state.items() if name not in MESSAGE_ONLY}
    return {**head, **rest, "ageMs": max(0, now - state["timestamp"])}


def _levels_body(
    symbol: str,
    market: str,
    read_at: int,
    last_update_id: int,
    bids: list[tuple[float, float]],
    asks: list[tuple[float, float]],
    source: str,
    ws_status: str,
    now: int,
) -> dict[str, Any]:
    return {
        "success": True,
        "symbol": symbol,
        "marketType": market,
        "timestamp": read_at,
        "last_update_id": last_update_id,
        "bids": bids,
        "asks": asks,
        "source": source,
        "wsStatus": str(ws_status),
        "ageMs": max(0, now - read_at),
    }
