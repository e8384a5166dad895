"""The feed while PostgreSQL or Redis is away over a minute's beginning: its books go on, nothing of them is lost."""

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace

import pytest
from django.db import connection

from collector.feed import clock as clock_module
from collector.feed.run import Feed
from depth import intake
from depth.models import DepthSnapshot, OrderBookSecond, Snapshot
from depth.services import minute_of, spool_state
from tests.collector.conftest import forgetful, listener, live, simulator  # noqa: F401 - fixtures
from tests.collector.feeding import KEYS, running, skipped, until, wrong_states

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def durable(servers, monkeypatch):
    """Servers that remember all that was told to them when they are killed."""
    for name, seconds in (("BACK_OFF", (0.05, 0.1, 0.2)), ("PATIENCE", 1.5), ("READ_PATIENCE", 1.0)):
        monkeypatch.setattr(intake, name, seconds)
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {connection.ops.quote_name(name)} SET synchronous_commit = on")
    connection.close()
    yield servers
    servers.postgres.start()
    servers.redis.start()
    connection.close()


@pytest.mark.parametrize("away", ["postgres", "redis"])
def test_a_minute_that_begins_without_a_server_is_kept(live, listener, durable, monkeypatch, away):  # noqa: F811
    ahead = 50 - time.time() % 60  # ten seconds before the minute, by the feed's clock
    clock = SimpleNamespace(time=lambda: time.time() + ahead, monotonic=time.monotonic)
    monkeypatch.setattr(clock_module, "time", clock)
    monkeypatch.setattr("collector.websocket.time", clock)
    server = getattr(durable, away)
    with running(Feed()) as feed:
        until(lambda: all(len(listener.synced(*key)) > 2 for key in KEYS))
        until(lambda: OrderBookSecond.objects.exists() and feed.books.minutes.running)
        connection.close()
        if away == "redis":
            listener.stop()
        left = clock.time()
        server.kill()
        until(lambda: clock.time() % 60 < 30 and clock.time() - left > 2, 60)  # the minute has begun
        until(lambda: feed.keeping.minutes == len(KEYS), 60, "the minute was not taken")
        taken_at = clock.time()
        assert all(book.sync.synced for book in feed.books.followed.values())
        if away == "postgres":
            until(lambda: spool_state().batches > 0)
            assert (
                listener.synced(*KEYS[0])[-1]["publishedAt"] > (time.time() - 5) * 1000
            )  # people see it all the while
        server.start()
        back = clock.time()
        published = feed.publisher.published
        until(lambda: DepthSnapshot.objects.count() == len(KEYS), 60, "the minute is not stored")
        until(lambda: feed.publisher.published > published + 20)
        until(lambda: OrderBookSecond.objects.filter(time__gt=datetime.fromtimestamp(back, UTC)).exists())
        assert {book.sync.resyncs for book in feed.books.followed.values()} == {0}
        assert feed.keeping.lost == 0
    minute = minute_of(datetime.fromtimestamp(taken_at, UTC))
    assert set(DepthSnapshot.objects.values_list("time", flat=True)) == {minute}
    assert Snapshot.objects.count() == len(KEYS) * 10
    assert spool_state().batches == 0
    for market, symbol in KEYS:  # seconds come in batches of five: of a lost one six would lie between two
        rows = OrderBookSecond.objects.filter(market_type=market, symbol=symbol).order_by("time")
        times = [row.time for row in rows]
        assert times[0] < datetime.fromtimestamp(left, UTC) < datetime.fromtimestamp(back, UTC) < times[-1]
        assert max(after - before for before, after in pairwise(times)) <= timedelta(seconds=5)
    assert not skipped(listener.updates())
    assert not wrong_states([body for body in listener.updates() if body["wsStatus"] == "connected"])
