"""Candles, the newest price and their files: shapes to the letter, ranges, limits, spellings, what is kept for whom."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from candles import cache, services
from candles.candle import SeriesKey, milliseconds_of
from candles.models import MinuteCandle
from markets.connections import cache_redis
from tests.candles.factories import BTC, MINUTE, kline, klines

ROW = [
    *("timestamp", "open", "high", "low", "close", "volume", "quote_volume", "trades"),
    *("taker_buy_volume", "taker_buy_quote_volume", "closed"),
]
FUTURES = SeriesKey("binance", "FUTURES", "BTCUSDT")


@pytest.fixture
def minute():
    return datetime.now(UTC).replace(second=0, microsecond=0)


@pytest.fixture
def stored(registry, empty_redis, minute):
    """Three hours of BTCUSDT on SPOT up to the minute that has just ended."""
    services.store_klines([(BTC, klines(minute - 180 * MINUTE, 180))])
    return minute


def get(client, path="candles", **query):
    return client.get(f"/api/v1/{path}", {"symbol": "BTCUSDT", **query})


def test_the_shape(client, stored):
    body = get(client).json()
    assert list(body) == ["success", "symbol", "timeframe", "candles"]
    assert (body["success"], body["symbol"], body["timeframe"]) == (True, "BTCUSDT", "1")
    assert len(body["candles"]) == 180
    assert all(list(row) == ROW for row in body["candles"])
    times = [row["timestamp"] for row in body["candles"]]
    assert times == sorted(times)
    assert times[-1] == milliseconds_of(stored - MINUTE)
    assert all(row["closed"] for row in body["candles"])


def test_numbers_are_exact(client, registry, empty_redis, minute):
    tiny = kline(minute - MINUTE, price="5E-8", close="0.00000007", volume="123456789.123456789123")
    services.store_klines([(BTC, [tiny])])
    (row,) = json.loads(get(client).content, parse_float=Decimal)["candles"]
    assert (row["open"], row["close"], row["volume"]) == tuple(
        map(Decimal, ("0.00000005", "0.00000007", "123456789.123456789123"))
    )


@pytest.mark.parametrize("spelling", ["1", "1m", "45", "1H", "1h", "4h", "1D", "1d", "1W", "1w", "1M"])
def test_the_spelling_that_was_asked_is_repeated(client, stored, spelling):
    body = get(client, timeframe=spelling).json()
    assert body["timeframe"] == spelling
    assert body["candles"]
    assert sum(row["trades"] for row in body["candles"]) == sum(row.trades for row in klines(stored, 180))


def test_the_month_is_no_minute(client, stored):
    assert len(get(client, timeframe="1M").json()["candles"]) <= 2
    assert len(get(client, timeframe="1m").json()["candles"]) == 180


def test_the_open_candle_is_there_and_marked(client, stored):
    services.live_candles([(BTC, kline(stored, price="777", volume="5"))], datetime.now(UTC))
    for timeframe in ("1", "1H", "1M"):
        last = get(client, timeframe=timeframe).json()["candles"][-1]
        assert (last["closed"], last["close"]) == (False, 777)
    price = get(client, "price", timeframe="1D").json()
    assert price["price"] == 777
    assert abs(price["timestamp"] - milliseconds_of(datetime.now(UTC))) < 60_000
    assert not price["stale"]


def test_an_incomplete_candle_says_how_many_minutes_it_has(client, registry, empty_redis, minute):
    start = minute.replace(minute=0) - timedelta(hours=5)
    services.store_klines([(BTC, klines(start, 20) + klines(start + 50 * MINUTE, 70))])
    first, second = get(client, timeframe="1H", to=start.timestamp() + 3600).json()["candles"]
    assert (first["minutes"], first["closed"]) == (30, True)
    assert "minutes" not in second


def test_from_counts_forward_and_to_backward(client, stored):
    start = int((stored - 100 * MINUTE).timestamp())
    forward = get(client, **{"from": start}, limit=10).json()["candles"]
    assert [row["timestamp"] // 1000 for row in forward] == [start + 60 * n for n in range(10)]
    backward = get(client, to=start, limit=10).json()["candles"]
    assert [row["timestamp"] // 1000 for row in backward] == [start - 60 * n for n in reversed(range(10))]
    both = get(client, **{"from": start, "to": (start + 120) * 1000}).json()["candles"]
    assert [row["timestamp"] // 1000 for row in both] == [start, start + 60, start + 120]
    inside = get(client, **{"from": start + 1, "to": start + 60}).json()["candles"]
    assert [row["timestamp"] // 1000 for row in inside] == [start + 60]
    assert get(client, **{"from": start + 10**7}).json()["candles"] == []
    assert get(client, to=0).json()["candles"] == []


def test_candles_on_both_sides_of_a_long_hole_are_told(client, registry, empty_redis, minute):
    services.store_klines([(BTC, klines(minute - timedelta(days=40), 5) + klines(minute - 5 * MINUTE, 5))])
    assert len(get(client).json()["candles"]) == 10
    assert len(get(client, **{"from": 0}).json()["candles"]) == 10
    assert len(get(client, limit=7, timeframe="3").json()["candles"]) in {4, 5, 6}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"timeframe": "7"}, "timeframe"),
        ({"timeframe": ""}, "timeframe"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "0"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"from": "yesterday"}, "from"),
        ({"from": "200", "to": "100"}, "from"),
        ({"marketType": "margin"}, "marketType"),
    ],
)
def test_what_is_refused(client, stored, query, field):
    answer = get(client, **query)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_symbols_and_markets(client, stored):
    assert get(client, symbol="NOPE").json()["code"] == "unknown_symbol"
    assert get(client, symbol="DOGEUSDT").json()["code"] == "not_collected"
    assert get(client, symbol="SOLUSDT", marketType="FUTURES").status_code == 404
    assert get(client, market="futures").json()["candles"] == []
    services.store_klines([(FUTURES, klines(stored - 2 * MINUTE, 2, price=900))])
    assert get(client, market="futures").json()["candles"][0]["open"] == 900.5
    assert get(client, symbol="btcusdt").json()["symbol"] == "BTCUSDT"


def test_price(client, stored):
    body = get(client, "price", timeframe="1H").json()
    assert list(body) == [
        *("success", "symbol", "marketType", "timeframe", "price", "open", "high", "low", "change", "changePercent"),
        *("volume", "trend", "timestamp", "stale"),
    ]
    candle = get(client, timeframe="1H").json()["candles"][-1]
    assert [body[name] for name in ("price", "open", "high", "low", "volume")] == [
        candle[name] for name in ("close", "open", "high", "low", "volume")
    ]
    assert body["change"] == pytest.approx(body["price"] - body["open"])
    assert body["changePercent"] == pytest.approx(body["change"] / body["open"] * 100)
    assert body["trend"] == ("up" if body["change"] > 0 else "down" if body["change"] < 0 else "flat")
    assert body["timestamp"] == milliseconds_of(stored)
    assert body["stale"] is False
    assert get(client, "price", symbol="SOLUSDT").json()["code"] == "no_data"


def test_chart_data_takes_a_timeframe_instead_of_a_band(client, stored):
    body = get(client, "chart-data", timeframe="15").json()
    assert body["candles"] == get(client, timeframe="15").json()["candles"]
    assert (body["marketType"], body["timeframe"], body["count"]) == ("SPOT", "15", len(body["candles"]))
    assert get(client, "chart-data", timeframe="1", depth="5").status_code == 400
    assert get(client, "chart-data").json()["field"] == "depth"
    start = int((stored - 1001 * MINUTE).timestamp())
    assert get(client, "chart-data", timeframe="1", **{"from": start}).json()["field"] == "from"
    assert get(client, "chart-data", timeframe="1", **{"from": start, "to": start + 999 * 60}).status_code == 200
    assert get(client, "chart-data", timeframe="1", **{"from": start, "to": start + 1000 * 60}).status_code == 400
    assert get(client, "chart-data", timeframe="3", **{"from": start}).status_code == 200


@pytest.mark.parametrize("path", ["candles", "price"])
def test_the_root_addresses_answer_the_same(client, stored, path):
    assert client.get(f"/{path}?symbol=BTCUSDT").json() == get(client, path).json()
    assert client.get(f"/api/{path}/?symbol=BTCUSDT").json() == get(client, path).json()


def test_a_price_that_is_old_says_so(client, registry, empty_redis, minute):
    services.store_klines([(BTC, klines(minute - 10 * MINUTE, 5))])
    assert get(client, "price").json()["stale"] is True


def test_queries_are_few_and_none_when_the_answer_is_kept(same_minute, client, stored, django_assert_num_queries):
    with django_assert_num_queries(4):  # the answer's mark, the symbol, how far the series reaches, its candles
        first = get(client, timeframe="1H").json()
    with django_assert_num_queries(1):
        assert get(client, timeframe="1H").json() == first
    with django_assert_num_queries(3):
        get(client, "price", timeframe="4H")


def test_kept_answers_live_a_minute_and_end_with_a_repair(client, stored):
    get(client, timeframe="1H")
    keys = cache_redis().keys("candles:SPOT:BTCUSDT:1H:*")
    assert len(keys) == 1
    assert 0 < cache_redis().ttl(keys[0]) <= 60
    before = get(client).json()["candles"]
    changed = kline(stored - 90 * MINUTE, price="5000")
    services.store_answers([services.KlineAnswer(BTC, stored - 90 * MINUTE, stored - 89 * MINUTE, [changed])])
    after = get(client).json()["candles"]
    assert [row["close"] for row in after if row not in before] == [5000]
    assert max(row["high"] for row in get(client, timeframe="1H").json()["candles"]) == 5000


def test_an_answer_read_before_a_repair_is_not_kept_after_it(stored):
    """The reader looks, a writer writes, the reader keeps: what is kept then is of a version that is gone."""
    from candles.selectors import SPELLINGS, candles

    now = datetime.now(UTC)
    old = candles(BTC, SPELLINGS["1"], now)
    question = cache.Question(BTC, SPELLINGS["1"], None, stored, 1000)
    _, version, _ = cache.look(question, now)
    services.store_klines([(BTC, [kline(stored - 50 * MINUTE, price="4000")])])
    cache.keep(question, version, cache.Stored(stored, old))
    assert max(candle.high for candle in candles(BTC, SPELLINGS["1"], now)) == 4000


def test_without_redis_everything_comes_from_the_database(client, stored, monkeypatch):
    import redis

    def away(*arguments, **options):
        raise redis.ConnectionError("away")

    expected = get(client).json()
    monkeypatch.setattr(redis.Redis, "execute_command", away)
    assert get(client).json() == expected
    services.store_klines([(FUTURES, klines(stored - 2 * MINUTE, 2))])
    assert MinuteCandle.objects.filter(market_type="FUTURES").count() == 2


def test_status_tells_how_far_history_is(client, stored):
    services.begin([BTC], stored - timedelta(hours=6))
    services.note_available(BTC, stored - timedelta(hours=6), milliseconds_of(stored - timedelta(hours=6)))
    end = stored - timedelta(hours=1)
    services.store_answers([services.KlineAnswer(BTC, end - 60 * MINUTE, end, klines(end - 60 * MINUTE, 50))])
    told = client.get("/api/v1/status").json()["candles"]
    assert (told["series"], told["realtime"], told["done"], told["candles"]) == (1, 0, 60, 180)
    assert told["total"] in {360, 361}
    assert told["lackedMinutes"] == 10
    assert (told["oldest"], told["newest"]) == tuple(map(milliseconds_of, (stored - 180 * MINUTE, stored - MINUTE)))


# --- files -------------------------------------------------------------------------------------------------------

HEAD = (
    "timestamp,symbol,market,timeframe,open,high,low,close,volume,quote_volume,taker_buy_volume,"
    "taker_buy_quote_volume,trades,closed,minutes"
)


def file(client, **query):
    answer = client.get("/api/v1/export", {"symbol": "BTCUSDT", "dataset": "candles", **query})
    assert answer.status_code == 200
    return answer, b"".join(answer.streaming_content)


def test_csv_of_candles(client, stored):
    answer, body = file(client, timeframe="15", **{"from": 0})
    assert answer["Content-Disposition"] == 'attachment; filename="BTCUSDT-SPOT-candles-15.csv"'
    assert body.decode().splitlines()[0] == HEAD
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    told = json.loads(get(client, timeframe="15").content, parse_float=Decimal)["candles"]
    assert [Decimal(row["close"]) for row in rows] == [row["close"] for row in told]
    assert sum(int(row["minutes"]) for row in rows) == 180


def test_json_and_parquet_of_candles(client, stored):
    rows = json.loads(file(client, format="json", interval="1h", **{"from": 0})[1])
    assert rows["count"] == len(rows["data"]) in {4, 3}
    assert {row["timeframe"] for row in rows["data"]} == {"1H"}
    table = pq.read_table(io.BytesIO(file(client, format="parquet", **{"from": 0})[1]))
    assert table.num_rows == 180
    assert table.column_names == HEAD.split(",")
    assert json.loads(file(client, format="json", symbol="SOLUSDT")[1]) == {"success": True, "data": [], "count": 0}


def test_files_longer_than_a_stretch_are_whole(client, stored, monkeypatch):
    from candles import export

    monkeypatch.setattr(export, "STRETCH", 7)
    rows = json.loads(file(client, format="json", **{"from": 0})[1])["data"]
    assert [row["timestamp"] for row in rows] == [milliseconds_of(stored - n * MINUTE) for n in range(180, 0, -1)]
