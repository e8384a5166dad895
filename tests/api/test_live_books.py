"""Answers about live books: from the state in Redis, and from what is stored where that cannot be trusted."""

from datetime import UTC, datetime

import pytest

from depth import live
from depth.broadcast import LiveBook, keep_books, member, pack_side, publish, state_message, wanted
from depth.live import epoch_ms
from depth.services import store_books
from tests.api.test_books import BOOK_FIELDS
from tests.depth.factories import book, collected
from tests.depth.test_broadcast import told


@pytest.fixture(autouse=True)
def _redis_is_there(empty_redis):
    live._Redis.away_until = 0.0
    yield
    empty_redis.flushdb()


@pytest.fixture
def publish_state(empty_redis, client, registry):
    """Publishes a state as the feed would have, `age` milliseconds ago."""

    client.get("/api/v1/binance/spot?symbol=NOPE")  # what the first request loads must not make the state stale

    def make(market="SPOT", status="connected", age=100, mid=200.0, **shape):
        at = epoch_ms(datetime.now(UTC)) - age
        publish(empty_redis, [state_message(told(market=market, mid=mid, read_at=at - 20, **shape), status, at, 5)])

    return make


def test_a_live_book_answers_as_a_stored_one_does(client, books, publish_state):
    publish_state()
    body = client.get("/api/v1/binance/spot?symbol=BTCUSDT").json()
    assert list(body) == BOOK_FIELDS
    assert (body["type"], body["source"], body["wsStatus"]) == ("SPOT", "stream", "connected")
    assert body["midPrice"] == pytest.approx(200)
    assert body["ageMs"] >= 120
    assert client.get("/api/v1/binance/futures?symbol=BTCUSDT").json()["source"] == "rest"


def test_a_live_answer_costs_a_query_or_two(client, books, publish_state, django_assert_num_queries):
    publish_state()
    publish_state(market="FUTURES")
    with django_assert_num_queries(2):
        client.get("/api/v1/binance/spot?symbol=BTCUSDT")
    with django_assert_num_queries(2):
        client.get("/api/v1/binance/depth?symbol=BTCUSDT&depth=5")
    with django_assert_num_queries(1):
        client.get("/api/v1/orderbook?symbol=BTCUSDT&levels=20")


@pytest.mark.parametrize(
    ("status", "age", "told_status"),
    [
        ("connected", 6_000, "stale"),
        ("connected", 20_000, "disconnected"),
        ("stale", 100, "stale"),
        ("connecting", 100, "connecting"),
        ("disconnected", 6_000, "disconnected"),
        ("connected", 70_000, "off"),
    ],
)
def test_what_is_not_fresh_and_synced_gives_way_to_what_is_stored(
    client, books, publish_state, status, age, told_status
):
    publish_state(status=status, age=age)
    body = client.get("/api/v1/binance/spot?symbol=BTCUSDT").json()
    assert (body["source"], body["wsStatus"]) == ("rest", told_status)
    assert body["midPrice"] == pytest.approx(100)


def test_both_markets_live(client, books, publish_state):
    publish_state(quantity=4.0)
    publish_state(market="FUTURES", quantity=6.0)
    body = client.get("/api/v1/binance/depth?symbol=BTCUSDT&depth=5").json()
    assert (body["spot"]["bid"], body["futures"]["bid"]) == (pytest.approx(200), pytest.approx(300))
    assert body["spot"]["source"] == body["futures"]["source"] == "stream"
    assert body["difference"]["bidPercent"] == pytest.approx(50)
    assert body["spot"]["bidComplete"] is False


def test_who_reads_is_noted_for_the_feed(client, books, empty_redis, now):
    client.get("/api/v1/binance/spot?symbol=BTCUSDT")
    client.get("/api/v1/orderbook?symbol=BTCUSDT&marketType=futures")
    client.get("/api/v1/binance/spot?symbol=NOPE")
    assert sorted(wanted(empty_redis, now.timestamp())) == [("FUTURES", "BTCUSDT"), ("SPOT", "BTCUSDT")]
    assert member("SPOT", "BTCUSDT") == "SPOT:BTCUSDT"


def test_the_order_book_of_what_is_stored(client, books):
    body = client.get("/api/v1/orderbook?symbol=btcusdt").json()
    fields = ["success", "symbol", "marketType", "timestamp", "last_update_id", "bids", "asks"]
    assert list(body) == [*fields, "source", "wsStatus", "ageMs"]
    assert (body["symbol"], body["marketType"], body["last_update_id"], body["source"]) == (
        "BTCUSDT",
        "SPOT",
        7,
        "rest",
    )
    assert (len(body["bids"]), len(body["asks"])) == (20, 20)
    assert body["bids"][0][0] < body["asks"][0][0]
    assert body["bids"] == sorted(body["bids"], reverse=True)
    deeper = client.get("/api/v1/orderbook?symbol=BTCUSDT&levels=1000").json()
    assert len(deeper["bids"]) == 20
    assert len(client.get("/orderbook?symbol=BTCUSDT&levels=3").json()["asks"]) == 3


def test_the_order_book_of_what_is_live(client, books, publish_state, empty_redis):
    publish_state()
    top = client.get("/api/v1/orderbook?symbol=BTCUSDT&levels=5").json()
    assert (top["source"], top["wsStatus"], len(top["bids"])) == ("stream", "connected", 5)
    assert top["bids"][0][0] == pytest.approx(199.8)
    whole = book(mid=300.0, levels=800, step=0.01)
    sides = [pack_side(side.prices, side.quantities) for side in (whole.bids, whole.asks)]
    at = epoch_ms(datetime.now(UTC))
    keep_books(empty_redis, [LiveBook("BTCUSDT", "SPOT", "connected", at - 50, at, 99, *sides)])
    deep = client.get("/api/v1/orderbook?symbol=BTCUSDT&levels=1000").json()
    assert (len(deep["bids"]), len(deep["asks"]), deep["last_update_id"]) == (800, 800, 99)
    assert deep["bids"][-1] == [whole.bids.prices[-1], 1.0]
    keep_books(empty_redis, [LiveBook("BTCUSDT", "SPOT", "stale", at - 50, at, 99, *sides)])
    assert len(client.get("/api/v1/orderbook?symbol=BTCUSDT&levels=1000").json()["bids"]) == 20


def test_without_a_market_it_is_the_one_on_which_the_symbol_is_collected(client, registry, now):
    store_books([collected(now, symbol="1000PEPEUSDT", market="FUTURES")])
    assert client.get("/api/v1/orderbook?symbol=1000PEPEUSDT").json()["marketType"] == "FUTURES"


@pytest.mark.parametrize(
    ("address", "status", "code", "field"),
    [
        ("orderbook", 400, "missing_parameter", "symbol"),
        ("orderbook?symbol=BTCUSDT&levels=1001", 400, "invalid_parameter", "levels"),
        ("orderbook?symbol=BTCUSDT&levels=0", 400, "invalid_parameter", "levels"),
        ("orderbook?symbol=BTCUSDT&marketType=margin", 400, "invalid_parameter", "marketType"),
        ("orderbook?symbol=NOPE", 404, "unknown_symbol", "symbol"),
        ("orderbook?symbol=DOGEUSDT", 404, "not_collected", "symbol"),
        ("orderbook?symbol=SOLUSDT", 404, "no_data", "symbol"),
    ],
)
def test_refusals(client, books, address, status, code, field):
    answer = client.get(f"/api/v1/{address}")
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (status, code, field)


def test_without_redis_the_stored_book_answers(client, books, publish_state, settings, monkeypatch):
    publish_state()

    def away():
        raise live.redis.ConnectionError("away")

    monkeypatch.setattr(live, "broker_redis", away)
    assert client.get("/api/v1/binance/spot?symbol=BTCUSDT").json()["source"] == "rest"
    monkeypatch.undo()
    assert client.get("/api/v1/binance/spot?symbol=BTCUSDT").json()["source"] == "rest"  # not asked again so soon
    live._Redis.away_until = 0.0
    assert client.get("/api/v1/binance/spot?symbol=BTCUSDT").json()["source"] == "stream"
