"""Current order books and volumes: the contract's shapes, numbers that agree with the maths, and every refusal."""

import pytest

from depth.volumes import diff, measure
from markets.models import Symbol
from tests.api.conftest import add_symbol
from tests.depth.factories import collected

BOOK_FIELDS = ["success", "type", "symbol", "timestamp", "midPrice", "spread", "bestBid", "bestAsk", "bids", "asks"]
BOOK_FIELDS += ["depthVolumes", "diffs", "wsStatus", "coverage", "source", "ageMs"]


def newest(books, market):
    return max((book for key, book in books.items() if key[0] == market), key=lambda book: book.received_at)


@pytest.mark.parametrize(("resource", "market"), [("spot", "SPOT"), ("futures", "FUTURES")])
def test_a_book_is_told_flat_and_whole(client, books, settings, resource, market):
    read = newest(books, market)
    body = client.get(f"/api/v1/binance/{resource}?symbol=BTCUSDT").json()
    assert list(body) == BOOK_FIELDS
    assert (body["success"], body["type"], body["symbol"], body["source"]) == (True, market, "BTCUSDT", "rest")
    assert body["timestamp"] == int(read.received_at.timestamp() * 1000)
    assert 29_000 <= body["ageMs"] <= 60_000
    assert body["wsStatus"] == "off"
    bid, ask = read.book.bids.prices[0], read.book.asks.prices[0]
    assert body["midPrice"] == pytest.approx((bid + ask) / 2)
    assert body["spread"] == pytest.approx(ask - bid)
    assert body["bestBid"] == {"price": bid, "volume": read.book.bids.quantities[0]} == body["bids"][0]
    assert (len(body["bids"]), len(body["asks"])) == (20, 20)
    assert body["coverage"]["bidLevels"] == 50
    assert body["coverage"]["bidPercent"] == pytest.approx(4.905, rel=1e-3)
    assert [row["depth"] for row in body["depthVolumes"]] == [float(band) for band in settings.DEPTH_BANDS]
    for row, change, truth in zip(
        body["depthVolumes"], body["diffs"], measure(read.book, settings.DEPTH_BANDS), strict=True
    ):
        assert row["bidVolume"] == pytest.approx(truth.bid_volume, rel=1e-6)
        assert row["totalAskValue"] == pytest.approx(truth.ask_value, rel=1e-6)
        assert (row["bidComplete"], row["askComplete"]) == (truth.bid_complete, truth.ask_complete)
        assert (change["bidComplete"], change["askComplete"]) == (truth.bid_complete, truth.ask_complete)
        assert (change["diff"], change["percentage"]) == pytest.approx(diff(row["bidVolume"], row["askVolume"]))
        assert (row["currentPrice"], row["timestamp"]) == (body["midPrice"], body["timestamp"])


def test_bands_are_numbers_without_needless_zeros(client, books):
    text = client.get("/api/v1/binance/spot?symbol=BTCUSDT").content.decode()
    assert '"depth":5,' in text
    assert '"depth":0.1,' in text
    assert '"depth":5.0' not in text


def test_a_whole_side_has_null_coverage(client, registry, now):
    from depth.services import store_books

    store_books([collected(now, whole=True)])
    body = client.get("/api/v1/binance/spot?symbol=btcusdt").json()
    assert body["coverage"] == {"bidPercent": None, "askPercent": None, "bidLevels": 50, "askLevels": 50}
    assert all(row["bidComplete"] and row["askComplete"] for row in body["depthVolumes"])


@pytest.mark.parametrize(
    ("address", "status", "code", "field"),
    [
        ("binance/spot", 400, "missing_parameter", "symbol"),
        ("binance/spot?symbol=", 400, "invalid_parameter", "symbol"),
        ("binance/spot?symbol=NOPE", 404, "unknown_symbol", "symbol"),
        ("binance/spot?symbol=a%00b", 404, "unknown_symbol", "symbol"),
        ("binance/spot?symbol=%F0%9F%92%A9", 404, "unknown_symbol", "symbol"),
        ("binance/spot?symbol=DOGEUSDT", 404, "not_collected", "symbol"),
        ("binance/futures?symbol=SOLUSDT", 404, "not_collected", "symbol"),
        ("binance/spot?symbol=SOLUSDT", 404, "no_data", "symbol"),
        ("binance/depth?symbol=BTCUSDT", 400, "missing_parameter", "depth"),
        ("binance/depth?depth=5", 400, "missing_parameter", "symbol"),
        ("binance/depth?symbol=BTCUSDT&depth=4", 400, "invalid_parameter", "depth"),
        ("binance/depth?symbol=BTCUSDT&depth=nan", 400, "invalid_parameter", "depth"),
        ("binance/depth?symbol=BTCUSDT&depth=1e9999999", 400, "invalid_parameter", "depth"),
        ("binance/depth?symbol=BTCUSDT&depth=%D9%A5", 400, "invalid_parameter", "depth"),
        ("binance/depth?symbol=BTCUSDT&depth=5&type=margin", 400, "invalid_parameter", "type"),
        ("binance/depth?symbol=NOPE&depth=5", 404, "unknown_symbol", "symbol"),
        ("binance/depth?symbol=DOGEUSDT&depth=5", 404, "not_collected", "symbol"),
        ("binance/depth?symbol=SOLUSDT&depth=5", 404, "no_data", "symbol"),
        ("binance/depth?symbol=SOLUSDT&depth=5&type=futures", 404, "not_collected", "symbol"),
    ],
)
def test_refusals(client, books, address, status, code, field):
    answer = client.get(f"/api/v1/{address}")
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"]) == (status, code, field)
    assert body["requestId"] == answer["X-Request-ID"]


def test_a_wrong_band_names_those_that_there_are(client, registry):
    error = client.get("/api/binance/depth?symbol=BTCUSDT&depth=4").json()["error"]
    assert "0.1, 0.25, 0.5, 1, 1.5, 3, 5, 8, 15, 30" in error


@pytest.mark.parametrize("spelling", ["5", "5.0", "5.00", "05"])
def test_both_markets_side_by_side(client, books, spelling):
    body = client.get(f"/api/v1/binance/depth?symbol=BTCUSDT&depth={spelling}").json()
    assert list(body) == ["success", "depth", "symbol", "timestamp", "spot", "futures", "difference"]
    assert body["depth"] == 5
    spot, futures = body["spot"], body["futures"]
    assert spot["diff"] == pytest.approx(spot["bid"] - spot["ask"])
    assert spot["bid"] == pytest.approx(100)  # fifty levels of two
    assert futures["bid"] == pytest.approx(150)
    assert futures["totalBidValue"] > spot["totalBidValue"]
    assert body["difference"] == {"bidPercent": pytest.approx(50), "askPercent": pytest.approx(50)}
    assert spot["bidComplete"] is False


def test_a_market_without_the_symbol_is_null(client, books, now):
    from depth.services import store_books

    store_books([collected(now, symbol="SOLUSDT"), collected(now, symbol="1000PEPEUSDT", market="FUTURES")])
    body = client.get("/api/v1/binance/depth?symbol=SOLUSDT&depth=1&type=all").json()
    assert body["spot"]["bid"] == 10
    assert body["futures"] is None
    assert body["difference"] == {"bidPercent": None, "askPercent": None}
    assert client.get("/api/v1/binance/depth?symbol=1000PEPEUSDT&depth=1").json()["spot"] is None


def test_one_market_alone(client, books):
    body = client.get("/api/v1/binance/depth?symbol=BTCUSDT&depth=1&type=SPOT").json()
    assert body["spot"] is not None
    assert body["futures"] is None


def test_a_band_that_was_not_kept_then_is_no_data(client, registry, now, settings):
    from depth.services import store_books

    store_books([collected(now)], bands=settings.DEPTH_BANDS[:3])
    answer = client.get("/api/v1/binance/depth?symbol=BTCUSDT&depth=30")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_data")


def test_a_symbol_of_other_letters(client, books, now):
    from depth.services import store_books

    add_symbol("币安人生USDT", "SPOT")
    store_books([collected(now, symbol="币安人生USDT")])
    assert client.get("/api/v1/binance/spot", {"symbol": "币安人生USDT"}).json()["symbol"] == "币安人生USDT"


def test_queries_are_few(same_minute, client, books, django_assert_num_queries):
    with django_assert_num_queries(5):
        client.get("/api/v1/binance/spot?symbol=BTCUSDT")
    with django_assert_num_queries(3):  # the registry, twice, and whether the cache still tells what is stored
        client.get("/api/v1/binance/spot?symbol=BTCUSDT")
    with django_assert_num_queries(6):
        client.get("/api/v1/binance/depth?symbol=BTCUSDT&depth=5")
    Symbol.objects.filter(name="BTCUSDT").delete()
    with django_assert_num_queries(1):
        client.get("/api/v1/binance/depth?symbol=BTCUSDT&depth=5")
