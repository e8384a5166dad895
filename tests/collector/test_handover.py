"""A minute from a live book or from polling: never lost, never twice, and counted as what it was."""

import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.db import connection

from collector import cycle
from collector.feed import clock as clock_module
from collector.feed.run import Feed
from collector.handover import announce, left_to_feed
from collector.models import CollectionMinute
from depth.models import DepthSnapshot, Snapshot
from depth.services import CollectedBook, minute_of
from depth.volumes import book_from_levels
from tests.collector.feeding import KEYS, running, until, wrong_states
from tests.collector.simulated import NAMES, room, run_minute

BOOK = book_from_levels([("100", "1"), ("99", "2")], [("101", "1"), ("102", "2")])
LIVE = ("BTCUSDT", "ETHUSDT")


@pytest.fixture
def soon(monkeypatch):
    """Pollers take over two seconds after now."""
    now = room(18)
    monkeypatch.setattr(cycle, "TAKEOVER", timedelta(seconds=now.second + 2))


@pytest.fixture
def told(registry):
    """The feed says that LIVE are right, on both markets."""
    announce("1/1", [(market, name) for market in ("SPOT", "FUTURES") for name in LIVE], time.time())
    return registry


def keep(names=LIVE, market="SPOT"):
    """Stores books as the feed does."""
    from collector.feed.keeping import Keeping

    now = datetime.now(UTC)
    keeping = Keeping("binance")
    keeping.minute([CollectedBook(name, market, now, BOOK, 7, now, 1000, "stream") for name in names])
    keeping.store(0.0)


def sources():
    return {
        (row.market_type, row.symbol): row.source
        for row in DepthSnapshot.objects.all()
        if Snapshot.objects.filter(symbol=row.symbol, market_type=row.market_type, timestamp=row.time).count() == 10
    }


def whole(row, rows=12):
    row.refresh_from_db()
    assert (row.expected, row.stored, row.failed, row.overrun, row.rows) == (rows, rows, 0, 0, rows * 10)
    assert DepthSnapshot.objects.count() == rows
    assert Snapshot.objects.count() == rows * 10


@pytest.mark.django_db
def test_what_the_feed_stores_is_not_polled(told, soon):
    keep()
    keep(market="FUTURES")
    row = run_minute(8)
    whole(row)
    assert {key for key, source in sources().items() if source == "stream"} == {
        (market, name) for market in ("SPOT", "FUTURES") for name in LIVE
    }
    assert told.asked("depth") == row.requests == 12 - 4


@pytest.mark.django_db
def test_a_feed_that_ends_at_the_minutes_start_loses_no_minute(told, soon):
    row = run_minute(8)
    whole(row)
    assert set(sources().values()) == {"rest"}


@pytest.mark.django_db
def test_a_feed_that_ends_in_the_middle_of_its_storing_loses_no_minute(told, soon):
    keep(LIVE[:1])
    whole(run_minute(8))
    assert sources()["SPOT", "BTCUSDT"] == "stream"
    assert sources()["SPOT", "ETHUSDT"] == "rest"


@pytest.mark.django_db
def test_books_that_come_after_the_takeover_add_nothing(told, soon):
    row = run_minute(8)
    keep()
    whole(row)
    assert set(sources().values()) == {"rest"}


@pytest.mark.django_db(transaction=True)
def test_a_book_that_is_stored_while_it_is_polled_is_there_once(exchange):
    from collector.services import sync_registry

    sync_registry()
    room(18)

    def store():
        keep(NAMES)
        time.sleep(0.2)
        keep(NAMES, "FUTURES")
        connection.close()

    storing = threading.Thread(target=store)
    storing.start()
    row = run_minute(8)
    storing.join()
    whole(row)


@pytest.mark.django_db
def test_only_fresh_words_of_the_feed_count(registry):
    announce("1/2", [("SPOT", "BTCUSDT"), ("FUTURES", "ETHUSDT")], time.time())
    announce("2/2", [("SPOT", "SOLUSDT")], time.time())
    assert left_to_feed("SPOT") == {"BTCUSDT", "SOLUSDT"}
    assert left_to_feed("SPOT", time.time() + 30) == set()
    announce("1/2", [], time.time())
    assert left_to_feed("SPOT") == {"SOLUSDT"}


@pytest.mark.django_db
def test_without_redis_every_book_is_polled(registry, settings):
    from markets import connections

    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    connections.broker_redis.cache_clear()
    try:
        assert left_to_feed("SPOT") == set()
    finally:
        connections.broker_redis.cache_clear()


@pytest.mark.timeout(240)
@pytest.mark.django_db(transaction=True)
def test_the_running_feed_takes_the_minute_of_every_fresh_book(live, listener, monkeypatch):
    """A minute begins five seconds after the start, by the feed's clock."""
    begun = time.time()
    ahead = 55 - begun % 60
    clock = SimpleNamespace(time=lambda: time.time() + ahead, monotonic=time.monotonic)
    monkeypatch.setattr(clock_module, "time", clock)
    monkeypatch.setattr("collector.websocket.time", clock)
    first = minute_of(datetime.fromtimestamp(begun + ahead, UTC)) + timedelta(minutes=1)
    with running(Feed()) as feed:
        # The first minute, or the next one where not all books were there in time for it.
        minute = until(whole_minute, 90, "no minute is stored whole")
        assert feed.books.minutes.running
    assert minute in {first, first + timedelta(minutes=1)}
    rows = list(DepthSnapshot.objects.filter(time=minute))
    assert {(row.market_type, row.symbol) for row in rows} == set(KEYS)
    assert {(row.time, row.source, row.depth_limit >= 1000) for row in rows} == {(minute, "stream", True)}
    assert all(timedelta(0) <= row.received_at - minute < timedelta(seconds=15) for row in rows)
    assert Snapshot.objects.filter(timestamp=minute).count() == len(KEYS) * 10
    assert not wrong_states([_as_state(row) for row in rows])
    assert CollectionMinute.objects.get(minute=minute).stored == len(KEYS)


def whole_minute():
    """The newest minute, once it holds every book; else None."""
    newest = DepthSnapshot.objects.order_by("time").values_list("time", flat=True).last()
    return newest if DepthSnapshot.objects.filter(time=newest).count() == len(KEYS) else None


def _as_state(row):
    def levels(prices, quantities):
        return [{"price": price, "volume": quantity} for price, quantity in zip(prices, quantities, strict=True)]

    return {
        "marketType": row.market_type,
        "symbol": row.symbol,
        "lastUpdateId": row.last_update_id,
        "bids": levels(row.bid_prices, row.bid_quantities),
        "asks": levels(row.ask_prices, row.ask_quantities),
    }
