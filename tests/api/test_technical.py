"""indicators and analysis: the contract's shapes, values of the stored candles, kept until a candle changes."""

from datetime import UTC, datetime

import pytest

from candles import services
from candles.formulas import rsi, sma
from candles.technical import closed, series_of
from candles.timeframes import read_timeframe
from markets.connections import cache_redis
from tests.candles.factories import BTC, MINUTE, kline, klines


@pytest.fixture
def minute():
    return datetime.now(UTC).replace(second=0, microsecond=0)


@pytest.fixture
def stored(registry, empty_redis, minute):
    """A day of BTCUSDT on SPOT up to the minute that has just ended."""
    services.store_klines([(BTC, klines(minute - 1440 * MINUTE, 1440))])
    return minute


def get(client, path="indicators", **query):
    return client.get(f"/api/v1/{path}", {"symbol": "BTCUSDT", **query})


def test_many_indicators_in_one_answer(client, stored, minute):
    body = get(client, indicators="sma:20,rsi,macd:12:26:9", limit=50).json()
    assert (body["success"], body["symbol"], body["timeframe"], body["marketType"]) == (True, "BTCUSDT", "1", "SPOT")
    assert list(body["indicators"]) == ["sma:20", "rsi", "macd:12:26:9"]
    assert set(body["indicators"]["macd:12:26:9"]) == {"macd", "signal", "histogram"}
    assert len(body["timestamps"]) == len(body["indicators"]["rsi"]) == 50
    assert (body["missing"], body["incomplete"], body["closed"]) == (0, 0, True)
    candles = closed(BTC, read_timeframe("1"), minute, 1440)
    close = series_of(candles, read_timeframe("1")).close
    assert body["indicators"]["sma:20"] == pytest.approx(sma(close, 20)[-50:].tolist(), rel=1e-12)
    assert body["indicators"]["rsi"] == pytest.approx(rsi(close, 14)[-50:].tolist(), rel=1e-7)


def test_warm_up_is_null(client, registry, empty_redis, minute):
    services.store_klines([(BTC, klines(minute - 30 * MINUTE, 30))])
    values = get(client, indicators="sma:20").json()["indicators"]["sma:20"]
    assert values[:19] == [None] * 19
    assert None not in values[19:]


def test_a_range_and_a_long_timeframe(client, stored):
    first = stored - 100 * MINUTE
    body = get(
        client, indicators="ema:12", **{"from": first.timestamp(), "to": (first + 9 * MINUTE).timestamp()}
    ).json()
    assert len(body["timestamps"]) == 10
    assert None not in body["indicators"]["ema:12"]
    body = get(client, timeframe="1h", indicators="volume").json()
    assert body["timeframe"] == "1h"
    assert 24 <= len(body["timestamps"]) <= 25


def test_missing_minutes_are_told(client, registry, empty_redis, minute):
    services.store_klines([(BTC, klines(minute - 60 * MINUTE, 20)), (BTC, klines(minute - 35 * MINUTE, 35))])
    assert get(client, indicators="sma:5").json()["missing"] == 5
    longer = get(client, indicators="sma:5", timeframe="5").json()
    assert longer["missing"] + longer["incomplete"] >= 1


def test_a_repaired_candle_is_in_the_next_answer(client, stored):
    first = get(client, indicators="sma:2", limit=1)
    assert cache_redis().keys("indicators:SPOT:BTCUSDT:1:*")
    assert get(client, indicators="sma:2", limit=1).content == first.content
    services.store_klines([(BTC, [kline(stored - MINUTE, price="999", close="999")])])
    second = get(client, indicators="sma:2", limit=1)
    assert second.json()["indicators"]["sma:2"] != first.json()["indicators"]["sma:2"]


def test_a_kept_answer_asks_the_database_for_nothing_but_the_symbol(client, stored, django_assert_max_num_queries):
    get(client, indicators="sma:20", limit=50)
    with django_assert_max_num_queries(2):
        assert get(client, indicators="sma:20", limit=50).status_code == 200


def test_an_analysis(client, stored):
    body = get(client, "analysis", timeframe="5").json()
    assert body["trend"] in {"bullish", "bearish", "neutral"}
    assert 0 <= body["strength"] <= 100
    assert {vote["rule"] for vote in body["votes"]} >= {"averages", "macd", "adx", "rsi", "slope"}
    assert all({"price", "touches", "strength"} <= set(row) for row in body["support_levels"])
    for signal in body["signals"]:
        assert signal["type"] in {"buy", "sell"}
        assert [one["after"] for one in signal["past"]] == [5, 10, 20]
    assert sum(body["volume_profile"]["volumes"]) > 0
    assert body["tested"] in {0, body["candles"]}
    if body["tested"]:
        assert body["testedFrom"] < body["testedTo"] == body["timestamp"]
        assert body["testedMissing"] == body["missing"] + body["incomplete"]
    else:
        assert (body["testedFrom"], body["testedTo"], body["testedMissing"]) == (None, None, 0)
    assert cache_redis().keys("analysis:SPOT:BTCUSDT:5:*")


def test_too_few_candles_are_said(client, stored):
    answer = get(client, "analysis", timeframe="1D")
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (404, "no_data", "timeframe")


def test_redis_away(client, stored, monkeypatch):
    from redis import ConnectionError as Away

    def away(*_):
        raise Away("away")

    for name in ("mget", "get", "set"):
        monkeypatch.setattr(cache_redis(), name, away)
    assert get(client, indicators="rsi").status_code == 200


@pytest.mark.parametrize(
    ("query", "field", "status"),
    [
        ({"indicators": "nothing"}, "indicators", 400),
        ({"indicators": "sma:0"}, "indicators", 400),
        ({"indicators": ","}, "indicators", 400),
        ({"timeframe": "7"}, "timeframe", 400),
        ({"limit": 1001}, "limit", 400),
        ({"symbol": "NOPE"}, "symbol", 404),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "from", 400),
    ],
)
def test_bad_questions_are_named(client, stored, query, field, status):
    answer = get(client, **query)
    assert (answer.status_code, answer.json()["field"]) == (status, field)


def test_a_symbol_without_candles(client, registry, empty_redis):
    assert get(client).json()["code"] == "no_data"
