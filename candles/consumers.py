"""Live clients of candles: `/ws/chart-data` with subscriptions, and `/ws?type=candles`, the flat one."""

from dataclasses import dataclass
from time import monotonic
from typing import Any

import msgspec
from channels.db import database_sync_to_async
from django.conf import settings

from candles.broadcast import channel
from candles.candle import SeriesKey
from candles.hub import CandleTopic, TooManyIndicators, Watch, Watched
from candles.indicators import InvalidIndicator, Request, parse
from candles.timeframes import Timeframe, read_timeframe
from markets.consumers import BAD_REQUEST, NOT_FOUND, POLICY, TRY_LATER, Refused, Socket
from markets.errors import NotCollected, UnknownSymbol
from markets.hub import hub
from markets.models import Market
from markets.selectors import find
from markets.sockets import COUNTERS, Frame
from markets.storage import DATABASE_AWAY

WELCOME = Frame(b'{"type":"welcome","message":"Connected to ChartGenius WebSocket"}')
MOST_SUBSCRIPTIONS = 50  # of one client
MOST_WAITING = 5000  # messages; more than all subscriptions have to tell when their candles close together
DEFAULT_TIMEFRAME = "1"
DEFAULT_INDICATORS = "sma,ema,bollinger,rsi,macd"  # of a client that names none, with their usual periods
KNOWN_SECONDS = 30.0  # for which a series that was found is not looked up again
LONGEST = 1000  # letters of what a client asks for

_known: dict[tuple[str, str | None], tuple[SeriesKey, float]] = {}


@dataclass(frozen=True, slots=True)
class Subscription:
    """One series that a client watches."""

    topic: CandleTopic
    watched: Watched
    watch: Watch

    def end(self) -> None:
        self.topic.leave(self.watched, self.watch)


class CandleSocket(Socket):
    """Closes clients that take too little: of each candle that has closed every message waits, not only the newest."""

    def tick(self, now: float) -> None:
        if self.writer.waiting > MOST_WAITING and self._closing is None:
            COUNTERS.slow += 1
            self.end(POLICY)
        else:
            super().tick(now)


class FlatCandleSocket(CandleSocket):
    """Told the newest candle of the address's symbol and timeframe, at once and on every change."""

    subscription: Subscription | None = None

    async def opened(self) -> None:
        try:
            asked = {name: self.query.get(name) for name in ("symbol", "timeframe", "market", "markettype")}
            key, timeframe, spelling = await _series(asked)
            watch = Watch(self.writer, spelling, flat=True)
            self.subscription = await _joined(key, timeframe, watch)
        except Refused as error:
            close = {"unavailable": TRY_LATER, "unknown_symbol": NOT_FOUND, "not_collected": NOT_FOUND}
            raise Refused(error.code, str(error), close.get(error.code, BAD_REQUEST)) from error

    def gone(self) -> None:
        if self.subscription is not None:
            self.subscription.end()


class ChartSocket(CandleSocket):
    """Told of as many series as it subscribes to, with the indicators that it names."""

    async def opened(self) -> None:
        self.subscriptions: dict[tuple[str, str, str], Subscription] = {}
        self.writer.put("welcome", WELCOME)

    def gone(self) -> None:
        for subscription in getattr(self, "subscriptions", {}).values():
            subscription.end()

    async def received(self, message: dict[str, Any]) -> None:
        action = message.get("action", message.get("type"))
        if action == "subscribe":
            await self._subscribe(message)
        elif action == "unsubscribe":
            await self._unsubscribe(message)
        else:
            raise Refused("unknown_action", "action must be subscribe or unsubscribe")

    async def _subscribe(self, message: dict[str, Any]) -> None:
        requests = _indicators(message.get("indicators"))
        key, timeframe, spelling = await _series(message)
        place = (key.market, key.symbol, spelling)
        if place not in self.subscriptions and len(self.subscriptions) >= MOST_SUBSCRIPTIONS:
            raise Refused("too_many_subscriptions", f"At most {MOST_SUBSCRIPTIONS} subscriptions a connection")
        told = {**_named(key, spelling), "indicators": [request.label for request in requests]}
        frame = Frame(msgspec.json.encode({"type": "subscribed", **told}))
        before = self.subscriptions.get(place)

        def confirm() -> None:
            if before is not None:
                before.end()
            self.writer.put(("subscribed", place), frame)

        watch = Watch(self.writer, spelling, requests)
        self.subscriptions[place] = await _joined(key, timeframe, watch, confirm)

    async def _unsubscribe(self, message: dict[str, Any]) -> None:
        key, _, spelling = await _series(message)
        ended = self.subscriptions.pop((key.market, key.symbol, spelling), None)
        if ended is None:
            raise Refused("not_subscribed", f"There is no subscription to {key.symbol} {key.market} {spelling}")
        ended.end()
        body = {"type": "unsubscribed", **_named(key, spelling)}
        self.writer.put(("unsubscribed", key, spelling), Frame(msgspec.json.encode(body)))


def _named(key: SeriesKey, spelling: str) -> dict[str, str]:
    return {"symbol": key.symbol, "timeframe": spelling, "marketType": key.market}


async def _joined(key: SeriesKey, timeframe: Timeframe, watch: Watch, before: Any = lambda: None) -> Subscription:
    try:
        async with hub().joining(channel(key.symbol), lambda: CandleTopic(key.symbol)) as topic:
            return Subscription(topic, await topic.join(key, timeframe, watch, before), watch)
    except DATABASE_AWAY as error:
        raise Refused("unavailable", "The database does not answer; try again") from error
    except TooManyIndicators as error:
        raise Refused("too_many_indicators", "Too many different indicators are computed for this series") from error


async def _series(asked: dict[str, Any]) -> tuple[SeriesKey, Timeframe, str]:
    """The series of a request, its timeframe and the client's name for that. Raises Refused."""
    symbol, market = asked.get("symbol"), asked.get("marketType", asked.get("market", asked.get("markettype")))
    spelling = asked.get("timeframe")
    if not symbol or not isinstance(symbol, str) or len(symbol) > LONGEST:
        raise Refused("missing_parameter", "symbol is missing")
    if market is not None and str(market).upper() not in Market.values:
        raise Refused("invalid_parameter", f"marketType must be {' or '.join(Market.values)}")
    spelling = DEFAULT_TIMEFRAME if spelling is None or spelling == "" else str(spelling)[:LONGEST]
    try:
        timeframe = read_timeframe(spelling)
    except ValueError as error:
        raise Refused("invalid_parameter", f"timeframe {error}") from error
    return (
        await _found(symbol.strip().upper(), str(market).upper() if market is not None else None),
        timeframe,
        spelling,
    )


async def _found(symbol: str, market: str | None) -> SeriesKey:
    known, until = _known.get((symbol, market), (None, 0.0))
    if known is not None and monotonic() < until:
        return known
    try:
        found = await database_sync_to_async(_collected, thread_sensitive=False)(symbol, market)
    except UnknownSymbol as error:
        raise Refused("unknown_symbol", str(error)) from error
    except NotCollected as error:
        raise Refused("not_collected", str(error)) from error
    except DATABASE_AWAY as error:
        if known is not None:
            return known
        raise Refused("unavailable", "The database does not answer; try again") from error
    _known[symbol, market] = found, monotonic() + KNOWN_SECONDS
    return found


def _collected(symbol: str, market: str | None) -> SeriesKey:
    """The series of a symbol on this market, or on the first one whose candles are collected. Raises UnknownSymbol and
    NotCollected."""
    markets = [one for one in Market.values if one in settings.CANDLE_MARKETS and market in (None, one)]
    problem: Exception = NotCollected(symbol, market or markets[0])
    for one in markets:
        try:
            row = find(symbol, one)
        except NotCollected as error:
            problem = error
        else:
            return SeriesKey(row.exchange, row.market, row.name)
    if not markets:
        find(symbol, str(market))  # an unknown name is told as such
    raise problem


def _indicators(asked: Any) -> tuple[Request, ...]:
    """A client's choice: a text with commas, or a list; none at all is the default. Raises Refused."""
    if asked is None:
        return parse(DEFAULT_INDICATORS)
    labels = ",".join(asked) if isinstance(asked, list) and all(isinstance(one, str) for one in asked) else asked
    if not isinstance(labels, str) or len(labels) > LONGEST:
        raise Refused("invalid_parameter", "indicators must be a text such as rsi,macd or a list of such names")
    if not labels.strip():
        return ()
    try:
        return parse(labels)
    except InvalidIndicator as error:
        raise Refused("invalid_parameter", str(error)) from error
