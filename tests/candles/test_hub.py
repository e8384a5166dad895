"""One symbol's candles on the way to live clients: while the store is asked, and when it does not answer."""

import asyncio
import json
from datetime import UTC, datetime
from time import monotonic

import msgspec
import pytest
from django.db import OperationalError

from candles import consumers, hub
from candles.broadcast import candle_body
from candles.candle import candle_of
from candles.hub import CandleTopic, Watch
from candles.indicators import parse
from candles.live import LiveSeries
from candles.timeframes import MINUTE, read_timeframe
from markets.sockets import OUTLET, Frame, Writer
from tests.candles.factories import BTC, klines

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
KLINES = klines(START, 120)
SETTLED = START + 100 * MINUTE
EACH = read_timeframe("1")


class Outlet:
    """Takes frames, or none while it is full."""

    def __init__(self, full=False):
        self.full, self.said = full, []
        self.drained = lambda: None

    def write(self, frame):
        self.said.append(json.loads(frame.body))

    def close(self):
        pass


class Store:
    """Stands for the database: answers at once, when it is let, or not at all."""

    def __init__(self):
        self.error, self.gate = None, None

    async def answer(self, key, timeframe, count, requests):
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return LiveSeries(timeframe, [candle_of(kline) for kline in KLINES[:100]], SETTLED, requests), None


@pytest.fixture
def store(monkeypatch):
    made = Store()
    monkeypatch.setattr(hub, "_loading", made.answer)
    return made


def watch(labels):
    outlet = Outlet()
    return outlet, Watch(Writer(outlet), "1", parse(labels))


def say(topic, number):
    topic.heard(msgspec.json.encode(candle_body(BTC, KLINES[number], False)), monotonic())


def kinds(outlet):
    return [message.get("indicator", message["type"]) for message in outlet.said]


def test_an_indicator_that_could_not_be_begun_harms_nobody_and_can_be_asked_for_again(store):
    async def play():
        topic = CandleTopic("BTCUSDT")
        first, own = watch("sma:3")
        await topic.join(BTC, EACH, own, lambda: None)
        other, late = watch("rsi:4")
        store.error = OperationalError("away")
        for _ in range(2):
            with pytest.raises(OperationalError):
                await topic.join(BTC, EACH, late, lambda: None)
        say(topic, 100)
        assert kinds(first) == ["price_update", "sma:3"] * 2
        store.error = None
        await topic.join(BTC, EACH, late, lambda: None)
        assert kinds(other)[-2:] == ["price_update", "rsi:4"]
        (found,) = topic.watched.values()
        assert found.watches == {own, late}

    asyncio.run(play())


def test_a_client_that_waits_for_the_store_keeps_topic_and_series(store):
    """However long that takes: given up meanwhile, nothing would ever be told to it again."""

    async def play():
        topic, store.gate = CandleTopic("BTCUSDT"), asyncio.Event()
        topic.empty_since, topic.joining = None, 1  # as the hub gives it out
        outlet, own = watch("sma:3")
        joining = asyncio.create_task(topic.join(BTC, EACH, own, lambda: None))
        await asyncio.sleep(0)
        for seconds in (1, 10, 100):
            topic.tick(monotonic() + seconds)
            assert topic.empty_since is None
        store.gate.set()
        await joining
        topic.joining = 0
        say(topic, 100)
        assert kinds(outlet) == ["price_update", "sma:3"] * 2
        topic.leave(next(iter(topic.watched.values())), own)
        assert topic.empty_since is not None

    asyncio.run(play())


def test_who_waits_behind_one_whom_the_store_failed_is_told(store):
    async def play():
        topic, store.gate, store.error = CandleTopic("BTCUSDT"), asyncio.Event(), OperationalError("away")
        outlet, own = watch("sma:3")

        async def failing():
            with pytest.raises(OperationalError):
                await topic.join(BTC, EACH, watch("sma:3")[1], lambda: None)
            store.error = None
            topic.tick(monotonic() + 100)  # the lock is free, and the next one has not taken it yet

        before = asyncio.create_task(failing())
        await asyncio.sleep(0)
        joining = asyncio.create_task(topic.join(BTC, EACH, own, lambda: None))
        await asyncio.sleep(0)
        store.gate.set()
        await asyncio.gather(before, joining)
        say(topic, 100)
        assert kinds(outlet) == ["price_update", "sma:3"] * 2

    asyncio.run(play())


@pytest.mark.parametrize("error", [OperationalError("away"), ValueError("what nobody thought of")])
def test_a_repair_that_could_not_be_read_is_read_later(store, error):
    async def play():
        topic = CandleTopic("BTCUSDT")
        _, own = watch("sma:3")
        found = await topic.join(BTC, EACH, own, lambda: None)
        found.dirty_since, store.error = 0.0, error
        await topic._reload(found)
        assert not found.due(monotonic())
        assert found.due(monotonic() + hub.SHORT_EVERY + 1)

    asyncio.run(play())


def test_a_client_that_takes_too_little_is_closed(monkeypatch):
    """One that takes a frame now and then is never blocked for long; what waits for it is bounded all the same."""
    monkeypatch.setattr(consumers, "MOST_WAITING", 10)
    sent = []

    async def send(message):
        sent.append(message)

    async def play():
        outlet = Outlet(full=True)
        scope = {"query_string": b"", "extensions": {OUTLET: outlet}}
        socket = consumers.FlatCandleSocket(scope, None, send)
        for number in range(11):
            socket.tick(monotonic())
            assert socket._closing is None
            socket.writer.put(number, Frame(b"{}"))
        socket.tick(monotonic())
        await socket._closing
        assert sent == [{"type": "websocket.close", "code": 1008}]

    asyncio.run(play())
