"""What health calls healthy, and the figures for Prometheus; asked in one process with everything at hand."""

import json
import os
import time
from datetime import timedelta

import msgspec
import pytest
from django.conf import settings
from prometheus_client.parser import text_string_to_metric_families

from collector import heartbeat, services, spool_use
from collector.feed.figures import REPORTS, BookReport, ConnectionReport, Report, TapeReport
from collector.gathered import EVENTS
from collector.models import CollectionMinute
from depth import cache, intake
from derivatives.events import IdRange
from derivatives.models import TradeGap
from derivatives.services import store_gaps
from markets.connections import broker_redis
from markets.models import Symbol
from tests.api.conftest import add_symbol


@pytest.fixture
def platform(db, empty_redis, now, own_spool):
    """A platform at work: both processes alive, and the minute before this one stored."""

    def beat(*names):
        for name in names:
            heartbeat.write(name, {})
            heartbeat.task_done(os.getpid())

    def minute(age, **figures):
        begun = now.replace(second=0, microsecond=0) - age
        stored = {"expected": 20, "stored": 19, "failed": 1, "requests": 25, "rows": 190, "network_seconds": 1.5}
        CollectionMinute.objects.create(
            minute=begun, started_at=begun, finished_at=begun + timedelta(seconds=4), **(stored | figures)
        )

    beat.minute = minute
    return beat


def health(client):
    answer = client.get("/api/v1/health")
    return answer.status_code, answer.json()


def test_the_contracts_fields(client, platform):
    status, body = health(client)
    assert list(body) == ["success", "status", "timestamp", "uptime", "components", "storage"]
    assert list(body["components"]) == [
        "database",
        "redis",
        "websockets",
        "collector",
        "worker",
        "beat",
        "feed",
        "events",
        "scanner",
        "spool",
    ]
    assert body["components"]["websockets"] == {"status": "healthy", "active": 0, "clients": 0}
    assert list(body["components"]["collector"]) == ["status", "lastMinute", "lagSeconds", "symbols", "partial"]
    assert body["storage"] in {"timescaledb", "postgresql"}
    assert body["uptime"] > 0
    assert status == 200


def test_nothing_is_healthy_before_the_first_minute(client, platform):
    platform("worker", "beat")
    status, body = health(client)
    assert (status, body["status"]) == (200, "degraded")
    assert body["components"]["collector"]["lastMinute"] is None


def test_healthy_is_a_stored_minute_and_every_process(client, platform, now):
    platform("worker", "beat")
    platform.minute(timedelta(minutes=1))
    status, body = health(client)
    assert (status, body["status"], body["success"]) == (200, "healthy", True)
    minute = int((now.replace(second=0, microsecond=0) - timedelta(minutes=1)).timestamp() * 1000)
    assert body["components"]["collector"]["lastMinute"] == minute
    assert 60 <= body["components"]["collector"]["lagSeconds"] <= 130


@pytest.mark.parametrize("alive", [(), ("worker",), ("beat",)])
def test_a_process_that_died_degrades(client, platform, alive):
    platform(*alive)
    platform.minute(timedelta(minutes=1))
    status, body = health(client)
    assert (status, body["status"]) == (200, "degraded")
    for name in ("worker", "beat"):
        assert body["components"][name]["status"] == ("healthy" if name in alive else "unhealthy")


@pytest.mark.parametrize("age", [timedelta(minutes=4), timedelta(hours=2)])
def test_an_old_minute_degrades(client, platform, age):
    platform("worker", "beat")
    platform.minute(age)
    assert health(client)[1]["status"] == "degraded"


@pytest.mark.parametrize(
    ("stored", "now_stored", "partial", "word"),
    [
        (20, None, False, "healthy"),
        (18, None, True, "healthy"),
        (17, None, True, "degraded"),
        (17, 2, True, "degraded"),
        (17, 19, True, "healthy"),  # the minute in progress has what the last one had not
    ],
)
def test_a_minute_whose_books_are_missing_degrades(client, platform, stored, now_stored, partial, word):
    platform("worker", "beat")
    platform.minute(timedelta(minutes=2))
    platform.minute(timedelta(minutes=1), stored=stored, failed=20 - stored)
    if now_stored is not None:
        platform.minute(timedelta(), stored=now_stored, failed=0)
    _, body = health(client)
    part = body["components"]["collector"]
    assert (body["status"], part["status"], part["partial"]) == (word, word, partial)


def test_the_first_minute_need_not_be_over(client, platform):
    platform("worker", "beat")
    platform.minute(timedelta(), stored=1, failed=0)
    _, body = health(client)
    assert (body["status"], body["components"]["collector"]["partial"]) == ("healthy", None)


def test_what_the_cache_answered(client, platform):
    cache._counted.clear()
    cache._Away.until = 0.0
    for hit in (True, True, True, False):
        cache.count("answers", hit)
    found = figures(client)
    assert found["trading_cache_requests_total", "answers", "hit"] == 3
    assert found["trading_cache_requests_total", "answers", "miss"] == 1
    told = client.get("/api/v1/status").json()["cache"]
    assert told == [{"name": "answers", "hits": 3, "misses": 1, "hitPercent": 75.0}]


def test_stopped_on_purpose_is_healthy(client, platform):
    platform("worker", "beat")
    platform.minute(timedelta(hours=2))
    services.stop("somebody")
    _, body = health(client)
    assert (body["status"], body["components"]["collector"]["status"]) == ("healthy", "stopped")


def test_what_waits_in_the_spool_degrades_until_it_is_stored(client, platform):
    platform("worker", "beat")
    platform.minute(timedelta(minutes=1))
    _, body = health(client)
    empty = {"status": "healthy", "bytes": 0, "batches": 0, "limit": settings.SPOOL_LIMIT, "oldest": None}
    assert body["components"]["spool"] == empty
    intake.breaker.failed()
    intake.accept(EVENTS, [])
    _, body = health(client)
    part = body["components"]["spool"]
    assert (body["status"], part["status"], part["batches"]) == ("degraded", "degraded", 1)
    assert part["bytes"] > 0
    assert abs(part["oldest"] / 1000 - time.time()) < 60
    assert figures(client)["trading_spool_batches",] == 1
    assert figures(client)["trading_spool_bytes",] == part["bytes"]
    spool = client.get("/api/v1/collector").json()["stats"]["spool"]
    assert spool == {name: part[name] for name in ("bytes", "batches", "limit", "status")}
    intake.replay()
    assert health(client)[1]["status"] == "healthy"


def test_a_full_spool_of_another_machine_is_told(client, platform, empty_redis):
    other = {"batches": 7, "bytes": 100, "limit": 100, "oldest": 1700000000.0, "aside": 0, "full": True}
    empty_redis.set("spool:elsewhere", json.dumps(other))
    spool_use.publish()
    part = health(client)[1]["components"]["spool"]
    assert (part["status"], part["batches"], part["bytes"]) == ("unhealthy", 7, 100)
    assert (part["limit"], part["oldest"]) == (settings.SPOOL_LIMIT + 100, 1700000000000)


def figures(client):
    answer = client.get("/metrics")
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.content.decode())
    samples = [sample for family in families for sample in family.samples]
    return {(s.name, *(v for k, v in s.labels.items() if k not in {"host", "pid"})): s.value for s in samples}


def test_figures_of_the_newest_minute_and_of_every_process(client, platform):
    platform("worker", "beat")
    platform.minute(timedelta(minutes=1))
    found = figures(client)
    assert found["trading_up", "database"] == found["trading_up", "worker"] == 1
    assert found["trading_minute_books", "stored"] == 19
    assert found["trading_minute_books", "failed"] == 1
    assert found["trading_minute_rows",] == 190
    assert found["trading_minute_seconds",] == 4
    assert found["trading_minute_stage_seconds", "network"] == 1.5
    assert 60 <= found["trading_book_age_seconds",] <= 130
    assert found["trading_request_weight_limit", "SPOT"] > 0
    processes = {key[1] for key in found if key[0] == "trading_process_memory_bytes"}
    assert processes == {"worker", "beat"}
    assert all(value > 0 for key, value in found.items() if key[0] == "trading_process_memory_bytes")


def test_figures_of_a_platform_that_never_ran(client, platform):
    found = figures(client)
    assert (found["trading_up", "collector"], found["trading_collector_running",]) == (0, 1)
    assert not any(key[0].startswith("trading_minute") for key in found)


def test_statistics_of_the_newest_cycle(client, platform, now):
    platform.minute(timedelta(minutes=1))
    cycle = client.get("/api/v1/collector").json()["stats"]["lastCycle"]
    assert cycle == {"seconds": 4, "symbols": 19, "failed": 1, "partial": True}


def book(symbol="BTCUSDT", status="connected", since=0.0):
    return BookReport(symbol, "SPOT", status, since, 0.2, 900, 950, 0.8, None, 3)


@pytest.fixture
def feed(platform, now):
    """Writes what a feed tells of itself."""
    platform("worker", "beat")
    platform.minute(timedelta(minutes=1))

    def write(*books, at=None, tape=()):
        moment = now.timestamp()
        links = [ConnectionReport("spot-1", "SPOT", "connected", moment - 9, 2, 0, 20.0, 4, 99.5)]
        report = Report(
            moment if at is None else at,
            moment - 60,
            77,
            links,
            list(books),
            *(1200, 20.0, 0, 0, 300, 0.02, 5, 1, 40, 0, 12.5, 90_000_000),
            list(tape),
        )
        broker_redis().hset(REPORTS, "1/1", msgspec.msgpack.encode(report))

    return write


def test_a_feed_whose_books_are_right_is_healthy(client, feed):
    feed(book(), book("ETHUSDT"))
    body = health(client)[1]
    assert body["status"] == "healthy"
    told = {"status": "healthy", "processes": 1, "connections": 1, "books": 2, "synced": 2}
    assert body["components"]["feed"] == told
    assert body["components"]["websockets"]["active"] == 1


def test_a_book_that_stays_wrong_degrades(client, feed, now):
    feed(book(), book("ETHUSDT", "stale", now.timestamp() - 30))
    assert health(client)[1]["components"]["feed"]["status"] == "degraded"
    assert health(client)[1]["status"] == "degraded"
    feed(book(), book("ETHUSDT", "stale", now.timestamp() - 2), book("XRPUSDT", "connecting", now.timestamp() - 20))
    assert health(client)[1]["components"]["feed"]["status"] == "healthy"
    feed(book(status="disconnected"))
    assert health(client)[1]["components"]["feed"]["status"] == "unhealthy"


def test_a_feed_that_is_gone_is_a_fault_where_books_are_to_be_live(client, feed, now):
    feed(book(), at=now.timestamp() - 60)
    assert health(client)[1]["components"]["feed"]["status"] == "stopped"
    add_symbol("BTCUSDT", "SPOT")
    Symbol.objects.update(live=True)
    assert health(client)[1]["components"]["feed"]["status"] == "unhealthy"


def test_the_feeds_figures(client, feed):
    feed(book(), book("ETHUSDT", "stale"))
    figures = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").content.decode())
        for sample in family.samples
    }
    assert figures["trading_feed_books", "SPOT", "stale"] == 1
    assert figures["trading_feed_connection_up", "spot-1"] == 1
    assert figures["trading_feed_resyncs", "SPOT"] == 6
    assert figures["trading_feed_book_age_seconds", "SPOT", "BTCUSDT"] == 0.2
    assert figures["trading_feed_slowest_seconds", "77"] == 0.02
    (told,) = client.get("/api/v1/status").json()["feed"]
    assert [one["uptimePercent"] for one in told["connections"]] == [99.5]
    assert [(one["symbol"], one["status"], one["ageMs"]) for one in told["books"]] == [
        ("BTCUSDT", "connected", 200),
        ("ETHUSDT", "stale", 200),
    ]


def test_events_on_their_way(client, feed, now):
    feed(book())
    assert health(client)[1]["components"]["events"]["status"] == "off"
    trades, marks = TapeReport("trades", 812.5, 40, 9000, 10, 3, 1.2), TapeReport("marks", 100.0, 2, 80, 0, 0, None)
    feed(book(), tape=[trades, marks])
    store_gaps([IdRange("SPOT", "BTCUSDT", 5, 8)])
    _, body = health(client)
    assert body["status"] == "healthy"
    told = {"status": "healthy", "rate": 912.5, "waiting": 42, "dropped": 3, "lagSeconds": 1.2}
    assert body["components"]["events"] == told | {"openGaps": 1, "missingTrades": 4, "lostTrades": 0}
    figures = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").content.decode())
        for sample in family.samples
    }
    assert figures["trading_events_per_second", "trades", "77"] == 812.5
    assert figures["trading_events_lag_seconds", "trades", "77"] == 1.2
    assert figures["trading_events_stored_total", "marks", "77"] == 80
    assert (figures["trading_trade_gaps_open",], figures["trading_trades_missing",]) == (1, 4)
    TradeGap.objects.update(found_at=now - timedelta(hours=1))
    assert health(client)[1]["components"]["events"]["status"] == "degraded"
    TradeGap.objects.all().delete()
    feed(book(), tape=[TapeReport("trades", 1.0, 0, 1, 0, 0, 400.0)])
    assert health(client)[1]["components"]["events"]["status"] == "degraded"
