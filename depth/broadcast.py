"""On the way from the feed to people: keys, channels and message shapes of live order books in Redis.

The feed publishes the whole latest state of a symbol, never a change; whoever misses one has the next. The newest state
also stands under a key, so that somebody who comes new, or asks once, need not wait for the next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, cast

import msgspec
import numpy as np
import redis

from depth.volumes import BandVolumes, Floats, diff

STATE_LIFETIME = 60  # seconds that the newest state, and the newest book, outlive the feed
WANTED = "live:wanted"  # sorted set of MARKET:SYMBOL by the epoch second in which a reader asked last
WANTED_SECONDS = 180.0  # how long a symbol counts as wanted after that
SEQUENCES = "live:seq"  # hash of MARKET:SYMBOL to the newest seq; it outlives the states, so that none comes twice
TOP_LEVELS = 20
BOOK_LEVELS = 1000


class WsStatus(StrEnum):
    """What is known of a live book at this moment."""

    CONNECTED = "connected"  # synced and fresh
    CONNECTING = "connecting"  # being subscribed to, or synced for the first time
    STALE = "stale"  # kept, but too old or not known to be right
    DISCONNECTED = "disconnected"  # the connection to the exchange is down
    OFF = "off"  # not live


@dataclass(frozen=True, slots=True)
class ToldBook:
    """What is told of a book, wherever it comes from. `read_at`: epoch milliseconds at which the exchange last told
    anything about it; levels best first, at most TOP_LEVELS; `bid_levels` and `ask_levels` are all that are known;
    reaches are percent from the best price, None when the whole side is known; `source` is stream or rest."""

    symbol: str
    market: str
    read_at: int
    best_bid: float
    best_ask: float
    bids: Sequence[tuple[float, float]]
    asks: Sequence[tuple[float, float]]
    bid_levels: int
    ask_levels: int
    bid_reach: float | None
    ask_reach: float | None
    source: str
    bands: Sequence[BandVolumes]
    last_update_id: int = 0


class LiveBook(msgspec.Struct, frozen=True):
    """Up to BOOK_LEVELS levels a side of a live book, best first, as the feed leaves them each second for those who
    ask for more than a state holds. `bids` and `asks` are little-endian float64: all prices, then all quantities.
    `read_at` and `published_at` are epoch milliseconds."""

    symbol: str
    market: str
    ws_status: str
    read_at: int
    published_at: int
    last_update_id: int
    bids: bytes
    asks: bytes


class Publication(msgspec.Struct, frozen=True):
    """One state on its way out; `body` is the whole JSON text."""

    market: str
    symbol: str
    seq: int
    body: bytes


def member(market: str, symbol: str) -> str:
    """How a symbol on a market is called in WANTED and SEQUENCES."""
    return f"{market}:{symbol}"


def state_key(market: str, symbol: str) -> str:
    return f"live:state:{market}:{symbol}"


def book_key(market: str, symbol: str) -> str:
    return f"live:book:{market}:{symbol}"


def channel(market: str, symbol: str) -> str:
    """Of states and status messages, for the platform's own sockets."""
    return f"live:{market}:{symbol}"


def outside_channels(symbol: str) -> tuple[str, str]:
    """Of `outside_body` once a second, for other programs."""
    return f"orderbook:{symbol}", "orderbook:all"


def band_number(band: Decimal) -> int | float:
    """A band as it stands in answers: 5, never 5.0."""
    return int(band) if band == band.to_integral_value() else float(band)


def book_body(book: ToldBook, ws_status: str, now: int) -> dict[str, Any]:
    """The answer of `binance/spot` and `binance/futures` about one book. `now`: epoch milliseconds."""
    mid = (book.best_bid + book.best_ask) / 2
    bids, asks = _levels(book.bids), _levels(book.asks)
    return {
        "success": True,
        "type": book.market,
        "symbol": book.symbol,
        "timestamp": book.read_at,
        "midPrice": mid,
        # Both are decimals of the exchange; the difference of their binary forms would show its error.
        "spread": float(Decimal(repr(float(book.best_ask))) - Decimal(repr(float(book.best_bid)))),
        "bestBid": bids[0],
        "bestAsk": asks[0],
        "bids": bids,
        "asks": asks,
        "depthVolumes": [_depth_volume(row, mid, book.read_at) for row in book.bands],
        "diffs": [_diff(row) for row in book.bands],
        "wsStatus": str(ws_status),
        "coverage": {
            "bidPercent": book.bid_reach,
            "askPercent": book.ask_reach,
            "bidLevels": book.bid_levels,
            "askLevels": book.ask_levels,
        },
        "source": book.source,
        "ageMs": max(0, now - book.read_at),
    }


def state_body(book: ToldBook, ws_status: str, now: int, seq: int) -> dict[str, Any]:
    """A state as it is published: the body of `binance/spot` or `futures`, whose type names the message, the market
    stands in `marketType`, and `publishedAt` is `now`, epoch milliseconds."""
    body = book_body(book, ws_status, now)
    head = {"type": "update", "marketType": book.market, "symbol": book.symbol, "seq": seq}
    rest = {name: value for name, value in body.items() if name not in head}
    return {**head, **rest, "lastUpdateId": book.last_update_id, "publishedAt": now}


def state_message(book: ToldBook, ws_status: str, now: int, seq: int) -> Publication:
    return Publication(book.market, book.symbol, seq, msgspec.json.encode(state_body(book, ws_status, now, seq)))


def status_body(market: str, symbol: str, ws_status: str) -> dict[str, Any]:
    """What goes over the same channel when only the status changes."""
    return {"type": "status", "marketType": market, "symbol": symbol, "wsStatus": str(ws_status)}


def outside_body(book: ToldBook, last_update_id: int) -> dict[str, Any]:
    """What other programs read of `orderbook:{symbol}`: the top levels of one market."""
    return {
        "symbol": book.symbol,
        "market": book.market,
        "timestamp": book.read_at,
        "last_update_id": last_update_id,
        "bids": [[price, quantity] for price, quantity in book.bids[:TOP_LEVELS]],
        "asks": [[price, quantity] for price, quantity in book.asks[:TOP_LEVELS]],
    }


def pack_side(prices: Floats, quantities: Floats) -> bytes:
    """One side of a LiveBook from arrays, best price first; what is beyond BOOK_LEVELS is left out."""
    both = np.concatenate((prices[:BOOK_LEVELS], quantities[:BOOK_LEVELS]))
    return both.astype("<f8", copy=False).tobytes()


def unpack_side(packed: bytes, levels: int) -> list[tuple[float, float]]:
    """The best `levels` of one side of a LiveBook as (price, quantity)."""
    prices, quantities = np.frombuffer(packed, "<f8").reshape(2, -1)[:, :levels].tolist()
    return list(zip(prices, quantities, strict=True))


def publish(client: redis.Redis, states: Iterable[Publication]) -> None:
    """Leaves each state under its key and sends it to whoever listens, in one trip. Raises redis.RedisError."""
    pipe = client.pipeline(transaction=False)
    newest: dict[str, int] = {}
    for state in states:
        pipe.set(state_key(state.market, state.symbol), state.body, ex=STATE_LIFETIME)
        pipe.publish(channel(state.market, state.symbol), state.body)
        newest[member(state.market, state.symbol)] = state.seq
    if newest:
        pipe.hset(SEQUENCES, mapping=cast("dict[Any, Any]", newest))
        pipe.execute()


def publish_status(client: redis.Redis, market: str, symbol: str, ws_status: str) -> None:
    """Sends a status to whoever listens; states tell theirs themselves. While a symbol has no states to publish, its
    status is to be repeated every ten seconds or so: it is the sign that the feed is there. Raises redis.RedisError."""
    client.publish(channel(market, symbol), msgspec.json.encode(status_body(market, symbol, ws_status)))


def keep_books(client: redis.Redis, books: Iterable[LiveBook]) -> None:
    """Leaves the deep levels of books, in one trip. Raises redis.RedisError."""
    pipe = client.pipeline(transaction=False)
    for book in books:
        pipe.set(book_key(book.market, book.symbol), msgspec.msgpack.encode(book), ex=STATE_LIFETIME)
    pipe.execute()


def last_sequences(client: redis.Redis) -> dict[tuple[str, str], int]:
    """The newest seq by (market, symbol): a feed that starts goes on after it. Raises redis.RedisError."""
    found = cast("dict[bytes, bytes]", client.hgetall(SEQUENCES))
    return {_member_of(name): int(seq) for name, seq in found.items()}


def wanted(client: redis.Redis, now: float) -> list[tuple[str, str]]:
    """(market, symbol) of what readers asked for lately, newest first; older marks are removed. `now`: epoch seconds.
    Raises redis.RedisError."""
    client.zremrangebyscore(WANTED, "-inf", now - WANTED_SECONDS)
    return [_member_of(name) for name in cast("list[bytes]", client.zrevrange(WANTED, 0, -1))]


def want(client: redis.Redis, market: str, symbol: str, now: float) -> None:
    """Marks that somebody asks for this symbol. `now`: epoch seconds. Raises redis.RedisError."""
    client.zadd(WANTED, {member(market, symbol): now})


def _member_of(name: bytes) -> tuple[str, str]:
    market, _, symbol = name.decode().partition(":")
    return market, symbol


def _levels(levels: Sequence[tuple[float, float]]) -> list[dict[str, float]]:
    return [{"price": price, "volume": quantity} for price, quantity in levels[:TOP_LEVELS]]


def _depth_volume(row: BandVolumes, mid: float, read_at: int) -> dict[str, Any]:
    return {
        "depth": band_number(row.band),
        "bidVolume": row.bid_volume,
        "askVolume": row.ask_volume,
        "totalBidValue": row.bid_value,
        "totalAskValue": row.ask_value,
        "currentPrice": mid,
        "timestamp": read_at,
        "bidComplete": row.bid_complete,
        "askComplete": row.ask_complete,
    }


def _diff(row: BandVolumes) -> dict[str, Any]:
    difference, percentage = diff(row.bid_volume, row.ask_volume)
    return {
        "depth": band_number(row.band),
        "diff": difference,
        "percentage": percentage,
        "bidComplete": row.bid_complete,
        "askComplete": row.ask_complete,
    }
