"""Kept answers, served before Django: the same as Django's, counted like all others, and true after every commit."""

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import redis
from django.core.asgi import get_asgi_application
from django.db import connection

from api import answers, quick
from api.quick import Quick
from candles.services import live_candles, store_klines
from depth import cache, live
from depth.broadcast import publish, state_message, wanted
from depth.live import epoch_ms
from depth.services import SnapshotRow, store_rows
from depth.volumes import BandVolumes
from markets.connections import broker_redis, cache_redis
from markets.models import Symbol
from markets.services import set_collected
from tests.api.conftest import add_symbol
from tests.candles.factories import BTC, MINUTE, kline, klines
from tests.depth.test_broadcast import told

pytestmark = pytest.mark.django_db(transaction=True)
CHART = "/api/v1/chart-data?symbol=BTCUSDT&depth=1"


@pytest.fixture(autouse=True)
def _fresh(same_minute, empty_redis, settings):
    cache._counted.clear()
    live._Redis.away_until = 0.0
    cache._Away.until = answers._Process.away_until = 0.0
    answers.ROOM._taken = 0


class Asker:
    """Asks the web process's application; `through` counts the requests that reached Django."""

    def __init__(self):
        self.through, self.django = 0, get_asgi_application()
        self.application = Quick(self.counted)

    async def counted(self, scope, receive, send):
        self.through += 1
        await self.django(scope, receive, send)

    async def get(self, address, method="GET", application=None, **headers):
        path, _, query = address.partition("?")
        told = {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in told.items()],
            "client": ("127.0.0.1", 5),
            "server": ("localhost", 80),
        }
        sent, incoming = [], asyncio.Queue()
        incoming.put_nowait({"type": "http.request", "body": b""})

        async def send(message):
            sent.append(message)

        await (application or self.application)(scope, incoming.get, send)
        start, *parts = sent
        found = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return start["status"], found, b"".join(part.get("body", b"") for part in parts)


def ask(work):
    """Runs `work(asker)` in an event loop; gives what it gives and how many requests reached Django."""

    async def run():
        asker = Asker()
        try:
            return await work(asker), asker.through
        finally:
            await asker.application.desk().close()

    return asyncio.run(run())


async def twice(asker, address=CHART, **headers):
    await asker.get(address)
    return await asker.get(address, **headers)


def without_moment(body):
    told = json.loads(body)
    moment = "ageMs" if "ageMs" in told else "timestamp"
    return {name: value for name, value in told.items() if name != moment}, told.get(moment)


@pytest.mark.parametrize(
    "address",
    [
        CHART,
        "/api/chart-data/?symbol=btcusdt&depth=5&type=both&marketType=futures",
        "/api/v1/snapshots?symbol=BTCUSDT",
        "/api/v1/analytics/history?symbol=BTCUSDT&depth=1&interval=1h",
        "/api/v1/binance/futures?symbol=BTCUSDT",
        "/api/v1/overview?depth=5&market=FUTURES",
        "/api/v1/candles?symbol=BTCUSDT&timeframe=5",
        "/api/v1/indicators?symbol=BTCUSDT&indicators=sma:5,macd&limit=20",
        "/api/indicators/?symbol=btcusdt&timeframe=1H",
        "/api/v1/analysis?symbol=BTCUSDT&timeframe=1",
    ],
)
def test_the_same_as_djangos_answer_with_every_header(books, candles, settings, address):
    settings.API_RATE_LIMIT = 1000

    async def work(asker):
        return [*[await asker.get(address) for _ in range(2)], await asker.get(address, application=asker.django)]

    (first, second, django), through = ask(work)
    assert through == 1
    assert [answer[0] for answer in (first, second, django)] == [200] * 3
    (made, at), (served, later) = without_moment(first[2]), without_moment(second[2])
    assert made == served == without_moment(django[2])[0]
    assert made["success"]
    assert at is None or at <= later
    own = ("x-request-id", "x-ratelimit-remaining")
    same = [{name: value for name, value in answer[1].items() if name not in own} for answer in (first, second, django)]
    assert same[0] == same[1] == same[2]
    assert [answer[1]["x-ratelimit-remaining"] for answer in (first, second, django)] == ["999", "998", "997"]
    assert len({answer[1]["x-request-id"] for answer in (first, second, django)}) == 3


@pytest.fixture
def candles(books, now):
    """A day of BTCUSDT on SPOT up to the minute that has just ended."""
    minute = now.replace(second=0, microsecond=0)
    store_klines([(BTC, klines(minute - 1440 * MINUTE, 1440))])
    return minute


def test_a_candle_that_is_told_or_repaired_shows_at_once(candles):
    """The open one in answers that hold it; an analysis is of closed candles alone."""
    indicators = "/api/v1/indicators?symbol=BTCUSDT&indicators=sma:2&limit=3"
    analysis = "/api/v1/analysis?symbol=BTCUSDT&timeframe=1"

    def told(price):
        live_candles([(BTC, kline(candles, price=price))], datetime.now(UTC))
        connection.close()

    def repaired():
        store_klines([(BTC, [kline(candles - MINUTE, price="555", close="555")])])
        connection.close()

    async def work(asker):
        found = []
        for change in (lambda: None, lambda: told("777"), lambda: told("888"), repaired):
            await asyncio.to_thread(change)
            before = asker.through
            sums = [json.loads((await asker.get(indicators))[2])["indicators"]["sma:2"] for _ in range(2)]
            assert sums[0] == sums[1]
            between = asker.through
            same = [(await asker.get(analysis))[2] for _ in range(2)]
            assert same[0] == same[1]
            found.append((sums[0][-1], between - before, asker.through - between))
        return found

    (first, told_once, told_twice, last), _ = ask(work)
    assert [one[1:] for one in (first, told_once, told_twice, last)] == [(1, 1), (1, 0), (1, 0), (1, 1)]
    assert first[0] < told_once[0] < told_twice[0]
    assert last[0] == (888 + 555) / 2


def test_an_open_minute_that_is_over_stands_no_longer(candles, monkeypatch):
    """Though its key is still there, and nothing has been written."""
    live_candles([(BTC, kline(candles, price="777"))], datetime.now(UTC))
    minute = candles.timestamp()
    marks = []
    for after in (30, 60 + 14, 60 + 16):
        monkeypatch.setattr(answers, "time", lambda after=after: minute + after)
        marks.append(answers.mark_of("open:BTCUSDT"))
    assert marks[0] == marks[1] != marks[2]
    assert None not in marks


def test_the_callers_request_id(books):
    (_, headers, _), through = ask(lambda asker: twice(asker, x_request_id="mine-1"))
    assert (headers["x-request-id"], through) == ("mine-1", 1)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Api-Key wrong"},
        {"accept": "text/xml"},
        {"origin": "http://localhost:5173"},
        {"host": "evil.example"},
        {"method": "HEAD"},
        {"method": "DELETE"},
    ],
)
def test_what_only_django_can_settle(books, headers):
    async def work(asker):
        await asker.get(CHART)
        return await asker.get(CHART, **headers), await asker.get(CHART, application=asker.django, **headers)

    ((status, told, _), (expected, theirs, _)), through = ask(work)
    assert through == 2
    assert status == expected
    assert told.get("access-control-allow-origin") == theirs.get("access-control-allow-origin")


def test_where_reading_is_closed(books, settings):
    async def work(asker):
        await asker.get(CHART)
        settings.API_PUBLIC = False
        return await asker.get(CHART)

    assert ask(work)[0][0] == 401


def test_limits_count_each_request_once(books, settings):
    settings.API_RATE_LIMIT = 5

    async def work(asker):
        found = [await asker.get(CHART) for _ in range(7)]
        return [(status, headers["x-ratelimit-remaining"]) for status, headers, _ in found]

    (found, through) = ask(work)
    assert found == [(200, "4"), (200, "3"), (200, "2"), (200, "1"), (200, "0"), (429, "0"), (429, "0")]
    assert through == 3
    assert cache_redis().get("rate:minute:127.0.0.1") == b"5"


def row(minute, amount):
    return SnapshotRow("BTCUSDT", "SPOT", minute, BandVolumes(Decimal(1), amount, amount, amount, 1.0, True, True))


def test_a_commit_and_a_change_of_the_registry_show_at_once(books, now):
    minute = now.replace(second=0, microsecond=0)

    async def work(asker):
        found = [json.loads((await asker.get(CHART))[2])["count"] for _ in range(2)]
        await asyncio.to_thread(stored, [row(minute - timedelta(minutes=30), 5.0)])
        found += [json.loads((await asker.get(CHART))[2])["count"] for _ in range(2)]
        await asyncio.to_thread(collected_no_more)
        return found, (await asker.get(CHART))[0], (await asker.get(CHART))[0]

    (counts, *statuses), through = ask(work)
    assert counts == [10, 10, 11, 11]
    assert statuses == [404, 404]
    assert through == 4


def stored(rows):
    try:
        store_rows(rows)
    finally:
        connection.close()


def collected_no_more():
    try:
        set_collected(["BTCUSDT"], False)
    finally:
        connection.close()


def test_a_symbol_that_comes_to_spot_takes_the_place_of_its_futures(registry, now):
    address = "/api/v1/chart-data?symbol=1000PEPEUSDT&depth=1"

    async def work(asker):
        found = [json.loads((await twice(asker, address))[2])["marketType"]]
        await asyncio.to_thread(added)
        return [*found, json.loads((await asker.get(address))[2])["marketType"]]

    def added():
        add_symbol("1000PEPEUSDT", "SPOT")
        connection.close()

    assert ask(work)[0] == ["FUTURES", "SPOT"]
    assert Symbol.objects.filter(name="1000PEPEUSDT").count() == 2


SPOT = "/api/v1/binance/spot?symbol=BTCUSDT"


def state(mid, age=100, status="connected"):
    at = epoch_ms(datetime.now(UTC)) - age
    publish(broker_redis(), [state_message(told(mid=mid, read_at=at - 20), status, at, 5)])


def test_a_live_book_is_told_as_it_is_now(books):
    async def work(asker):
        found = []
        for mid in (200, 300, 400):
            state(mid)
            found.append(json.loads((await asker.get(SPOT))[2]))
        state(500, age=6000)
        return [*found, json.loads((await asker.get(SPOT))[2])], (await asker.get(SPOT, application=asker.django))[2]

    (found, django), through = ask(work)
    assert [round(body["midPrice"]) for body in found] == [200, 300, 400, 100]
    assert [body["wsStatus"] for body in found] == ["connected"] * 3 + ["stale"]
    assert all(list(body) == list(json.loads(django)) for body in found)
    assert [body["source"] for body in found] == ["stream"] * 3 + ["rest"]
    assert through == 2
    assert ("SPOT", "BTCUSDT") in wanted(broker_redis(), answers.time())


def test_a_book_that_becomes_live_and_goes_again(books):
    async def work(asker):
        found = [(await twice(asker, SPOT))[2]]
        state(200)
        found.append((await asker.get(SPOT))[2])
        broker_redis().flushdb()
        cache_redis().flushdb()
        return [json.loads(body) for body in [*found, (await asker.get(SPOT))[2]]]

    found, _ = ask(work)
    assert [(body["source"], body["wsStatus"]) for body in found] == [
        ("rest", "off"),
        ("stream", "connected"),
        ("rest", "off"),
    ]


def test_the_age_of_a_stored_book_goes_on(books):
    async def work(asker):
        first = json.loads((await asker.get(SPOT))[2])
        await asyncio.sleep(0.05)
        return first, json.loads((await asker.get(SPOT))[2])

    (first, second), through = ask(work)
    assert through == 1
    assert second["timestamp"] == first["timestamp"]
    assert second["ageMs"] - first["ageMs"] >= 50


def test_an_overview_that_the_caller_has_is_not_sent_again(books, now):
    address = "/api/v1/overview?market=SPOT"

    async def work(asker):
        tag = (await asker.get(address))[1]["etag"]
        found = [await asker.get(address, if_none_match=tag), await asker.get(address, if_none_match='"other"')]
        found.append(await asker.get(address, application=asker.django, if_none_match=tag))
        await asyncio.to_thread(stored, [row(now.replace(second=0, microsecond=0) - timedelta(minutes=30), 5.0)])
        return [*found, await asker.get(address, if_none_match=tag)]

    (same, other, django, _), through = ask(work)
    assert (same[0], same[2], other[0], django[0]) == (304, b"", 200, 304)
    assert {"etag", "cache-control"} <= same[1].keys()
    assert "content-type" not in same[1]
    assert through == 2


def test_no_longer_than_the_minute(books, monkeypatch):
    minute = answers.time() // 60 * 60
    for begun in (minute, minute + 60):
        monkeypatch.setattr(quick, "time", lambda begun=begun: begun + 1)
        monkeypatch.setattr(answers, "time", lambda begun=begun: begun + 1)
        assert ask(twice)[1] == 1
    (left,) = (cache_redis().pttl(key) for key in cache_redis().scan_iter("answer:*"))
    assert 0 < left <= 59_000


def test_redis_or_the_database_away_leave_it_to_django(books, monkeypatch):
    async def work(asker):
        await asker.get(CHART)
        desk = asker.application.desk()
        desk._database = {"host": "/nowhere", "dbname": "x"}
        one = await asker.get(CHART)
        desk._away_until = 0.0
        monkeypatch.setattr(desk._redis.connection_pool.connection_class, "connect", away)
        await desk._redis.aclose()
        two = await asker.get(CHART)
        return one[0], two[0]

    async def away(*_):
        raise OSError("away")

    assert ask(work) == ((200, 200), 3)


def test_a_silent_redis_is_waited_for_once_in_a_while(books, monkeypatch):
    asked = []

    def away():
        asked.append(1)
        raise redis.TimeoutError

    monkeypatch.setattr(answers, "cache_redis", away)
    assert [answers.mark_of("open:BTCUSDT") for _ in range(5)] == [None] * 5
    assert len(asked) == 1
    assert answers.mark_of("symbol:BTCUSDT")  # of what the database tells alone


def test_one_process_keeps_so_much_a_minute(books, monkeypatch):
    monkeypatch.setattr(answers.ROOM, "most", 10)
    assert ask(twice)[1] == 2
    assert not list(cache_redis().scan_iter("answer:*"))


def test_hits_and_misses_are_counted(books):
    async def work(asker):
        for _ in range(5):
            await asker.get(CHART)

    ask(work)
    assert cache.counts()["answers"] == (4, 1)


def test_readers_and_writers_race(books, now):
    """What was committed before a question is in its answer."""
    minute = now.replace(second=0, microsecond=0) - timedelta(minutes=50)
    committed, failures, done = [10], [], threading.Event()

    def write():
        try:
            for n in range(30):
                store_rows([row(minute + timedelta(minutes=n), n)])
                committed[0] += 1
        finally:
            connection.close()
            done.set()

    async def read(asker):
        while not done.is_set():
            least = committed[0]
            count = json.loads((await asker.get(CHART))[2])["count"]
            if not least <= count <= committed[0] + 1:
                failures.append((least, count, committed[0]))

    async def work(asker):
        writer = asyncio.create_task(asyncio.to_thread(write))
        await asyncio.gather(*(read(asker) for _ in range(4)))
        await writer
        return [json.loads((await asker.get(CHART))[2])["count"] for _ in range(2)]

    assert ask(work)[0] == [40, 40]
    assert failures == []
