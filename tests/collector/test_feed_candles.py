"""Candles over the feed against the simulated exchange: every minute as it is, whatever the stream does."""

import json
import os
import time
import urllib.request
from datetime import UTC, datetime

import psycopg
import pytest
from django.db import connection

from candles import services
from candles.candle import MINUTE_MS, SeriesKey
from candles.models import MinuteCandle, SeriesState
from candles.services import store_klines
from collector.feed import candle_line
from collector.feed.candles import CLOSED, CandleKeeper, Candles
from collector.feed.run import Feed
from collector.services import sync_registry
from depth import intake
from depth.services import accept, replay
from tests.candles.factories import BTC, klines
from tests.collector.feeding import NAMES, Subscriber, running, until
from tests.soak import candles as soak

SECONDS = float(os.environ.get(soak.SECONDS, "9"))
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300 + 2 * SECONDS)]
KEYS = [SeriesKey("binance", "SPOT", name) for name in NAMES]


@pytest.fixture
def candles(live, settings):
    settings.STREAM_KINDS = {"SPOT": {"kline"}, "FUTURES": set()}
    settings.CANDLE_MARKETS = ("SPOT",)
    return live


def minute_ends_in(exchange, seconds):
    """Moves the exchange's clock so that its minute ends then; gives that minute's opening time there."""
    ahead = int((60 - seconds - time.time() % 60) % 60 * 1000) + 1
    exchange.fault("skew", offset_ms=ahead)
    sync_registry()
    return int(time.time() * 1000 + ahead) // MINUTE_MS * MINUTE_MS


class Told(Subscriber):
    """What is published of candles."""

    def __init__(self):
        super().__init__("candles:*USDT", "candles:all")

    def of(self, symbol, since=0.0):
        return [body for at, channel, body in list(self.messages) if channel == f"candles:{symbol}" and at > since]

    def closed(self, opening):
        return {
            body["symbol"]
            for _, channel, body in list(self.messages)
            if channel == "candles:all" and body["closed"] and body["timestamp"] == opening
        }


@pytest.fixture
def told(candles):
    listening = Told()
    yield listening
    listening.stop()


def open_minute(told):
    """Once every series has been heard of: the minute that is open, the end of which is still to come."""
    until(lambda: all(told.of(name) for name in NAMES))
    return max(told.of(name)[-1]["timestamp"] for name in NAMES)


def closes(told, opening):
    """Waits until the minute is told as closed; on a machine that is slow the one that was meant may be over before."""
    until(lambda: told.closed(opening) == set(NAMES), 90)


def truth(exchange, symbol, opening):
    query = f"symbol={symbol}&interval=1m&limit=1&startTime={opening}&endTime={opening}"
    with urllib.request.urlopen(f"{exchange.url}/api/v3/klines?{query}", timeout=30) as answer:
        return json.load(answer)[0]


def assert_kept(exchange, opening):
    """The minute is stored for every series as the exchange tells it now."""
    for key in KEYS:
        row = MinuteCandle.objects.get(symbol=key.symbol, timestamp=opening)
        said = truth(exchange, key.symbol, opening)
        texts = (row.open_price, row.high_price, row.low_price, row.close_price, row.volume)
        assert list(map(str, texts)) == said[1:6]
        assert [str(row.quote_volume), row.trades, str(row.taker_buy_volume)] == said[7:10]


@pytest.fixture
def unhurried(monkeypatch):
    """A test process that stood still for a while is no stream that is late or silent."""
    for name, patience in (("LATE_MS", 45_000), ("SILENT", 90.0), ("BEGINNING", 90.0)):
        monkeypatch.setattr(candle_line, name, patience)


def test_the_stream_tells_open_minutes_and_keeps_closed_ones(candles, told, unhurried):
    minute_ends_in(candles, 8)
    with running(Feed()) as feed:
        opening = open_minute(told)
        closes(told, opening)
        until(lambda: all(told.of(name)[-1]["timestamp"] > opening for name in NAMES))
        assert feed._candle_polls.asked == 0
    assert_kept(candles, opening)
    for name in NAMES:
        bodies = told.of(name)
        order = [(body["timestamp"], body["trades"]) for body in bodies if not body["closed"]]
        assert order == sorted(order)
        closing = [body for body in bodies if body["closed"]]
        assert closing[-1]["timestamp"] == opening
        assert {body["market"] for body in bodies} == {"SPOT"}
        assert closing[-1]["close"] == float(truth(candles, name, opening)[4])


def test_while_the_stream_is_down_the_exchange_is_asked_until_it_is_back(candles, told, unhurried):
    minute_ends_in(candles, 10)
    with running(Feed()) as feed:
        opening = open_minute(told)
        candles.fault("refuse", market="spot")
        candles.fault("cut", market="spot")
        cut, asked = time.time(), feed._candle_polls.asked
        until(lambda: feed._candle_polls.asked >= asked + 12)
        until(lambda: all(told.of(name, cut) for name in NAMES))
        closes(told, opening)
        refusing = next(one for one in candles.control("GET", "/faults")["faults"] if one["kind"] == "refuse")
        candles.control("DELETE", f"/faults/{refusing['id']}")
        until(lambda: not any(line.is_down for line in feed.candles.lines.values()))
        until(lambda: not any(line.polling for line in feed.candles.lines.values()))
        quiet, back = feed._candle_polls.asked, time.time()
        until(lambda: all(told.of(name, back) for name in NAMES))
        assert feed._candle_polls.asked == quiet
    assert_kept(candles, opening)


def test_a_minute_that_the_stream_loses_is_asked_for(candles, told):
    minute_ends_in(candles, 8)
    with running(Feed()) as feed:
        opening = open_minute(told)
        candles.fault("stall", stream="@kline_1m", market="spot")
        closes(told, opening)
        until(lambda: feed._candle_polls.asked >= len(NAMES))
    assert_kept(candles, opening)


def test_the_budget_bounds_the_questions(candles, told):
    candles.fault("refuse", market="spot")
    with running(Feed()) as feed:
        until(lambda: feed.candles.lines)
        for line in feed.candles.lines.values():
            line.lost(0.0)
        budget = feed._budget("SPOT")
        until(lambda: feed._candle_polls.asked >= 3)
        budget.limit = 60  # of which a fifth is six questions a minute, one in ten seconds
        until(lambda: feed._candle_polls._free_at["SPOT"] > time.monotonic() + 5)
        until(lambda: not any(line.polling for line in feed.candles.lines.values()))
        before, begun = feed._candle_polls.asked, time.monotonic()
        time.sleep(2.0)
        assert feed._candle_polls.asked <= before + 1 + (time.monotonic() - begun) / 10


def test_with_collection_switched_off_nothing_is_followed(candles):
    from collector.models import RunState

    RunState.objects.update_or_create(pk=1, defaults={"running": False})
    with running(Feed()) as feed:
        until(lambda: "_follow_candles" in feed._due)
        time.sleep(0.5)
        assert not feed.candles.lines


@pytest.mark.usefixtures("own_spool")
def test_closed_minutes_wait_in_the_spool_while_the_database_is_away(empty_redis, told, monkeypatch):
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    rows = klines(start, 3)
    part = Candles()
    keeper = CandleKeeper(part, pytest.fail)
    for kline in rows:
        part.closed.put((BTC, kline))
    monkeypatch.setattr(intake.breaker, "allows", lambda: False)
    keeper.store()
    assert not MinuteCandle.objects.exists()
    until(lambda: len([body for body in told.of("BTCUSDT") if body["closed"]]) == 3)
    monkeypatch.undo()
    assert replay() == 1
    assert [row.timestamp for row in MinuteCandle.objects.order_by("timestamp")] == [row.open_time for row in rows]
    state = SeriesState.objects.get(symbol="BTCUSDT")
    assert state.count == 3
    accept(CLOSED, [(BTC, rows)])  # once more changes nothing
    assert store_klines([(BTC, rows)]).changed == 0
    until(lambda: len([body for body in told.of("BTCUSDT") if body["closed"]]) == 6)  # again once it is stored


def test_listeners_are_told_when_what_they_are_told_can_be_read(own_spool, told):
    """Whoever reads at once reads what is committed."""
    seen = []
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def read(*arguments, **options):
        with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
            seen.append(other.execute("SELECT count(*) FROM candles").fetchone()[0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services.broadcast, "publish", read)
        accept(CLOSED, [(BTC, klines(start, 4))])
    assert seen == [4]


def test_every_minute_is_right_when_everything_fails(candles):
    """Some seconds of the soak, across the end of a minute; CANDLE_FAULT_SECONDS makes it longer."""
    seed = int(os.environ.get("SOAK_SEED", time.time_ns() % 10**6))
    minute_ends_in(candles, 6)
    outcome = soak.campaign(candles, NAMES, SECONDS, seed)
    print(f"\nseed {seed}")
    soak.show(outcome)
    assert outcome.well, outcome
    assert outcome.minutes >= 30 * len(NAMES)
