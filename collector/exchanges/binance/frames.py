"""Binance's socket frames into the platform's words (pure): order-book diffs, candles, trades, liquidations.

Frames of combined streams are decoded in one pass, by the stream's name at their head. What is of COIN-M, in streams
that tell of both, is left out."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from collector.exchanges.binance import messages as its
from collector.exchanges.binance.urls import FUTURES, SPOT
from collector.exchanges.streams import (
    AggregateTrade,
    Answer,
    BestPrices,
    CandleUpdate,
    DepthUpdate,
    Frame,
    Liquidation,
    MarkPrice,
    Message,
    Shutdown,
    Unreadable,
)
from depth.book import DepthDiff

HEAD = b'{"stream":"'
SEEMS_OF = re.compile(rb'"stream"\s*:\s*"([^"\\]{1,80})"')
SHUTDOWN = "serverShutdown"
REMEMBERED = 8192  # streams' names

Make = Callable[[str, Any], Sequence[Message]]


class _Reader:
    """Reads one kind of payload, within a combined frame or alone."""

    def __init__(self, market: str, payload: Any, make: Make) -> None:
        self._market = market
        self._make = make
        # Not strict: numbers come as text.
        self._combined = msgspec.json.Decoder(its.Combined[payload], strict=False)
        self._alone = msgspec.json.Decoder(payload, strict=False)

    def combined(self, frame: bytes) -> Sequence[Message]:
        return self._make(self._market, self._combined.decode(frame).data)

    def alone(self, payload: bytes | msgspec.Raw) -> Sequence[Message]:
        return self._make(self._market, self._alone.decode(payload))


def parse_frame(market: str, frame: bytes | str) -> Frame:
    """What one frame of a market's socket tells. Raises Unreadable."""
    data = frame.encode(errors="surrogatepass") if isinstance(frame, str) else frame
    stream = None
    try:
        if data.startswith(HEAD):
            stream, reader = _of_stream(market, data[len(HEAD) : data.find(b'"', len(HEAD))])
            if reader is not None and b"serverShutdown" not in data[:200]:
                return Frame(stream, reader.combined(data))
        return _any_frame(market, data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        seems = SEEMS_OF.search(data, 0, 1000)
        stream = stream or (seems[1].decode(errors="replace") if seems else None)
        raise Unreadable(str(error), stream) from error


def with_payloads(market: str, frame: bytes | str, parsed: Frame, raw_depth: bool) -> Frame:
    """What a frame of a combined stream tells, `parsed` already: events with their payloads, a diff also as DepthUpdate
    where `raw_depth` is set."""
    data = ANY.decode(frame).data
    made: list[Message] = []
    for payload in RAW_LIST.decode(data) if bytes(data).lstrip().startswith(b"[") else [data]:
        text = bytes(payload).decode()
        messages = parse_frame(market, text).messages
        for message in messages:
            if isinstance(message, AggregateTrade | MarkPrice | Liquidation):
                message = msgspec.structs.replace(message, payload=text)
            made.append(message)
            if raw_depth and isinstance(message, DepthDiff):
                made.append(_depth_update(message, text))
    return Frame(parsed.stream, made)


def _depth_update(diff: DepthDiff, text: str) -> DepthUpdate:
    ids = DEPTH_IDS.decode(text)
    return DepthUpdate(diff.symbol, diff.market, ids.U, ids.u, ids.pu, diff.event_time, text)


@lru_cache(maxsize=REMEMBERED)
def _of_stream(market: str, name: bytes) -> tuple[str, _Reader | None]:
    """The stream's name as text, and what reads its frames: None when it is of no known kind."""
    stream = name.decode()
    if stream.startswith("!markPrice@arr"):
        return stream, READERS[market].get("!markPrice")
    kind = stream[1:].partition("@")[0] if stream.startswith("!") else stream.partition("@")[2]
    return stream, READERS[market].get(re.split("[@_]", kind)[0])


def _any_frame(market: str, data: bytes) -> Frame:
    """Frames of another form: a payload alone, an answer, the keys in another order."""
    if data.lstrip().startswith(b"["):
        return Frame(None, READERS[market]["!markPrice"].alone(data))
    found = ANY.decode(data)
    if found.stream is not None:
        _, reader = _of_stream(market, found.stream.encode())
        inner = ANY.decode(found.data)
        if reader is None or inner.e == SHUTDOWN:
            return Frame(found.stream, _payload(market, inner, found.data))
        return Frame(found.stream, reader.alone(found.data))
    return Frame(None, _payload(market, found, data))


def _payload(market: str, found: its.AnyFrame, data: bytes | msgspec.Raw) -> Sequence[Message]:
    if found.e == SHUTDOWN:
        return (Shutdown(SHUTDOWN_DECODER.decode(data).E),)
    if found.e in EVENTS:
        return READERS[market][EVENTS[found.e]].alone(data)
    if found.e is None and found.s is not None and found.u is not None:
        return READERS[market]["bookTicker"].alone(data)
    if found.e is None and (found.id is not None or found.code is not None or found.error is not None):
        return (_answer(found),)
    raise ValueError("a message of no known kind")


def _answer(found: its.AnyFrame) -> Answer:
    error = found.error or (its.ErrorBody(found.code, found.msg) if found.code is not None else None)
    number = found.id if isinstance(found.id, int) else None
    return Answer(number, f"{error.code}: {error.msg}"[:300] if error else None)


# --- payloads -----------------------------------------------------------------------------------------------------


def _spot_depth(market: str, it: its.SpotDepthUpdate) -> Sequence[Message]:
    if it.u < it.U:
        raise ValueError(f"the ids go backwards: U {it.U}, u {it.u}")
    return (DepthDiff(it.s, market, it.U - 1, it.u, it.E, it.b, it.a, checked=True),)


def _futures_depth(market: str, it: its.FuturesDepthUpdate) -> Sequence[Message]:
    if it.u <= it.pu:
        raise ValueError(f"the ids go backwards: pu {it.pu}, u {it.u}")
    return (DepthDiff(it.s, market, it.pu, it.u, it.E, it.b, it.a, checked=True),)


def _candle(market: str, it: its.Kline) -> Sequence[Message]:
    k = it.k
    return (
        CandleUpdate(it.s, market, k.i, k.t, k.T, k.o, k.h, k.l, k.c, k.v, k.q, k.n, k.V, k.Q, k.x, it.E),
    )  # fmt: skip


def _trade(market: str, it: its.AggTrade) -> Sequence[Message]:
    return (AggregateTrade(it.s, market, it.a, it.p, it.q, it.f, it.l, it.T, it.m, it.E),)


def _mark_price(market: str, it: its.MarkPriceUpdate) -> Sequence[Message]:
    if it.st != its.USD_M:
        return ()
    return (MarkPrice(it.s, market, it.p, it.i, it.P, it.r or None, it.T or None, it.E),)


def _mark_prices(market: str, them: list[its.MarkPriceUpdate]) -> Sequence[Message]:
    return [message for it in them for message in _mark_price(market, it)]


def _liquidation(market: str, it: its.ForceOrder) -> Sequence[Message]:
    o = it.o
    kinds = {it.st, o.st} - {None}
    if kinds and kinds != {its.USD_M}:
        return ()
    return (Liquidation(o.s, market, o.S, o.o, o.f, o.X, o.p, o.ap, o.q, o.l, o.z, o.T, it.E),)


def _best_prices(market: str, it: its.BookTicker) -> Sequence[Message]:
    return (BestPrices(it.s, market, it.u, it.b, it.B, it.a, it.A, it.E),)


# By the kind in a stream's name.
READERS = {
    market: {
        "depth": _Reader(market, *depth),
        "kline": _Reader(market, its.Kline, _candle),
        "aggTrade": _Reader(market, its.AggTrade, _trade),
        "markPrice": _Reader(market, its.MarkPriceUpdate, _mark_price),
        "!markPrice": _Reader(market, list[its.MarkPriceUpdate], _mark_prices),
        "forceOrder": _Reader(market, its.ForceOrder, _liquidation),
        "bookTicker": _Reader(market, its.BookTicker, _best_prices),
    }
    for market, depth in (
        (SPOT, (its.SpotDepthUpdate, _spot_depth)),
        (FUTURES, (its.FuturesDepthUpdate, _futures_depth)),
    )
}
EVENTS = {
    "depthUpdate": "depth",
    "kline": "kline",
    "aggTrade": "aggTrade",
    "markPriceUpdate": "markPrice",
    "forceOrder": "forceOrder",
    "bookTicker": "bookTicker",
}
ANY = msgspec.json.Decoder(its.AnyFrame)
RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])
DEPTH_IDS = msgspec.json.Decoder(its.DepthIds)
SHUTDOWN_DECODER = msgspec.json.Decoder(its.ServerShutdown)
