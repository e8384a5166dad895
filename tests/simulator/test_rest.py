"""The exchange's REST on a real port: bodies, weights and refusals."""

import json
import time
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from simulator.candles import INTERVALS
from simulator.market import market_of
from tests.simulator.conftest import Server

MARKET = market_of()


def error(server: Server, path: str, **params: Any) -> tuple[int, int]:
    answer = server.get(path, **params)
    body = answer.json()
    assert set(body) == {"code", "msg"}
    assert body["msg"]
    return answer.status_code, body["code"]


@pytest.mark.parametrize(
    ("path", "params", "weight"),
    [
        ("/api/v3/ping", {}, 1),
        ("/api/v3/time", {}, 1),
        ("/api/v3/exchangeInfo", {}, 20),
        ("/api/v3/depth", {"symbol": "BTCUSDT"}, 5),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": 100}, 5),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": 101}, 25),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": 500}, 25),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": 1000}, 50),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": 1001}, 250),
        ("/api/v3/klines", {"symbol": "BTCUSDT", "interval": "1m"}, 2),
        ("/api/v3/ticker/24hr", {"symbol": "BTCUSDT"}, 2),
        ("/api/v3/ticker/24hr", {"symbols": '["BTCUSDT","ETHUSDT"]'}, 2),
        ("/api/v3/ticker/24hr", {}, 80),
        ("/api/v3/ticker/price", {"symbol": "BTCUSDT"}, 2),
        ("/api/v3/ticker/bookTicker", {}, 4),
        ("/fapi/v1/ping", {}, 1),
        ("/fapi/v1/time", {}, 1),
        ("/fapi/v1/exchangeInfo", {}, 1),
        ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": 50}, 2),
        ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": 100}, 5),
        ("/fapi/v1/depth", {"symbol": "BTCUSDT"}, 10),
        ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": 1000}, 20),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 99}, 1),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 100}, 2),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 1000}, 5),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 1500}, 10),
        ("/fapi/v1/ticker/24hr", {"symbol": "BTCUSDT"}, 1),
        ("/fapi/v1/ticker/24hr", {}, 40),
        ("/fapi/v1/openInterest", {"symbol": "BTCUSDT"}, 1),
        ("/fapi/v1/premiumIndex", {"symbol": "BTCUSDT"}, 1),
        ("/fapi/v1/premiumIndex", {}, 10),
    ],
)
def test_every_request_has_its_weight(server: Server, path: str, params: dict[str, Any], weight: int) -> None:
    answer = server.get(path, **params)
    assert answer.status_code == 200, answer.text
    state = server.control()
    assert state["counters"]["weight"] == {"spot" if path.startswith("/api") else "futures": weight}
    # Another minute may have begun since the counters were cleared, never more weight.
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == answer.headers["X-MBX-USED-WEIGHT"] == str(weight)


def test_markets_have_budgets_of_their_own(server: Server) -> None:
    server.get("/api/v3/exchangeInfo")
    assert server.get("/fapi/v1/ping").headers["X-MBX-USED-WEIGHT-1M"] == "1"


@pytest.mark.parametrize("limit", [1, 3, 100, 777, 5000])
def test_spot_depth_is_the_book_of_its_moment(server: Server, limit: int) -> None:
    body = server.get("/api/v3/depth", symbol="BTCUSDT", limit=limit).json()
    assert list(body) == ["lastUpdateId", "bids", "asks"]
    assert len(body["bids"]) == len(body["asks"]) == limit
    listing = MARKET.listing("BTCUSDT", "spot")
    step = (body["lastUpdateId"] - MARKET.update_id(listing, 0)) // 23
    assert abs(step * 100 - time.time() * 1000) < 60_000
    levels = MARKET.levels(listing, step * 100, limit)
    assert [Decimal(price) * 100 for price, _ in body["bids"]] == levels.bid_ticks.tolist()
    assert [Decimal(quantity) * 100_000 for _, quantity in body["asks"]] == levels.ask_lots.tolist()
    assert server.get("/api/v3/depth", symbol="BTCUSDT", limit=9999).json().keys() == body.keys()


def test_defaults_and_most_of_depth(server: Server) -> None:
    assert len(server.get("/api/v3/depth", symbol="BTCUSDT").json()["bids"]) == 100
    assert len(server.get("/api/v3/depth", symbol="BTCUSDT", limit=6000).json()["bids"]) == 5000
    body = server.get("/fapi/v1/depth", symbol="BTCUSDT").json()
    assert list(body) == ["lastUpdateId", "E", "T", "bids", "asks"]
    assert len(body["asks"]) == 500
    assert 0 <= body["E"] - body["T"] < 100


@pytest.mark.parametrize("limit", [5, 10, 20, 50, 100, 500, 1000])
def test_futures_depth_has_fixed_limits(server: Server, limit: int) -> None:
    body = server.get("/fapi/v1/depth", symbol="ETHUSDT", limit=limit).json()
    assert len(body["bids"]) == len(body["asks"]) == limit


def test_depth_prices_are_multiples_of_the_tick_that_exchange_info_tells(server: Server) -> None:
    for path, info in (("/api/v3/depth", "/api/v3/exchangeInfo"), ("/fapi/v1/depth", "/fapi/v1/exchangeInfo")):
        symbols = {one["symbol"]: one for one in server.get(info).json()["symbols"]}
        for name in ("BTCUSDT", "DOGEUSDT", "1INCHUSDT"):
            filters = {one["filterType"]: one for one in symbols[name]["filters"]}
            tick, lot = Decimal(filters["PRICE_FILTER"]["tickSize"]), Decimal(filters["LOT_SIZE"]["stepSize"])
            for price, quantity in server.get(path, symbol=name, limit=100).json()["bids"]:
                assert Decimal(price) % tick == 0
                assert Decimal(quantity) % lot == 0
                assert Decimal(quantity) > 0


def test_exchange_info_lists_what_is_needed_to_choose_symbols(server: Server) -> None:
    spot, futures = (server.get(path).json() for path in ("/api/v3/exchangeInfo", "/fapi/v1/exchangeInfo"))
    for body, limit in ((spot, 6000), (futures, 2400)):
        assert {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": limit} in body[
            "rateLimits"
        ]
    assert len([one for one in spot["symbols"] if one["status"] == "TRADING"]) >= 120
    assert {"TRADING", "BREAK"} == {one["status"] for one in spot["symbols"]}
    assert {one["filterType"] for one in spot["symbols"][0]["filters"]} >= {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL"}
    assert "币安人生USDT" in {one["symbol"] for one in futures["symbols"]}
    assert {one["contractType"] for one in futures["symbols"]} > {"PERPETUAL", "CURRENT_QUARTER"}
    one = server.get("/api/v3/exchangeInfo", symbol="ETHUSDT").json()["symbols"]
    assert [row["symbol"] for row in one] == ["ETHUSDT"]
    two = server.get("/api/v3/exchangeInfo", symbols='["ETHUSDT","BTCUSDT"]').json()["symbols"]
    assert [row["symbol"] for row in two] == ["ETHUSDT", "BTCUSDT"]
    broken = server.get("/api/v3/exchangeInfo", symbolStatus="BREAK").json()["symbols"]
    assert {row["status"] for row in broken} == {"BREAK"}


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("/api/v3/depth", {}, -1102),
        ("/api/v3/depth", {"symbol": ""}, -1105),
        ("/api/v3/depth", {"symbol": "NOPEUSDT"}, -1121),
        ("/api/v3/depth", {"symbol": "btcusdt"}, -1100),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "many"}, -1100),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "-5"}, -1100),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "0"}, -1130),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "depth": "5"}, -1104),
        ("/api/v3/klines", {"symbol": "BTCUSDT"}, -1102),
        ("/api/v3/klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ("/api/v3/klines", {"interval": "1m"}, -1102),
        ("/api/v3/exchangeInfo", {"symbol": "NOPEUSDT"}, -1121),
        ("/api/v3/exchangeInfo", {"symbols": "BTCUSDT"}, -1100),
        ("/api/v3/exchangeInfo", {"symbols": '["NOPEUSDT"]'}, -1121),
        ("/api/v3/exchangeInfo", {"symbol": "BTCUSDT", "symbols": '["BTCUSDT"]'}, -1128),
        ("/api/v3/ticker/24hr", {"symbol": "BTCUSDT", "type": "TINY"}, -1130),
        ("/fapi/v1/depth", {}, -1102),
        ("/fapi/v1/depth", {"symbol": "PEPEUSDT"}, -1121),
        ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "7"}, -4021),
        ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "5000"}, -4021),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1s"}, -1120),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": "1501"}, -1130),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "startTime": "2", "endTime": "1"}, -1023),
        ("/fapi/v1/openInterest", {}, -1102),
        ("/fapi/v1/openInterest", {"symbol": "NOPE"}, -1121),
        ("/fapi/v1/premiumIndex", {"symbol": "NOPE"}, -1121),
    ],
)
def test_bad_requests_get_the_codes_of_the_exchange(
    server: Server, path: str, params: dict[str, str], code: int
) -> None:
    assert error(server, path, **params) == (400, code)


def test_unknown_paths_and_methods_are_not_there(server: Server) -> None:
    for path in ("/", "/api/v3/nope", "/fapi/v1/nope", "/fapi/v2/depth", "/control/nope"):
        assert server.get(path).status_code == 404
    assert server.session.post(f"{server.url}/api/v3/depth", timeout=30).status_code == 404


def test_klines_have_twelve_columns_and_close_in_order(server: Server) -> None:
    for path, most in (("/api/v3/klines", 1000), ("/fapi/v1/klines", 1500)):
        rows = server.get(path, symbol="BTCUSDT", interval="1m", limit=most).json()
        assert len(rows) == most
        assert all(len(row) == 12 for row in rows)
        assert all(second[0] == first[6] + 1 == first[0] + 60_000 for first, second in pairwise(rows))
        assert len(server.get(path, symbol="BTCUSDT", interval="1h").json()) == 500
        for row in rows[-5:]:
            opened, high, low, close = map(Decimal, row[1:5])
            assert low <= min(opened, close) <= max(opened, close) <= high
            assert low <= Decimal(row[7]) / Decimal(row[5]) <= high or row is rows[-1]
    assert len(server.get("/api/v3/klines", symbol="BTCUSDT", interval="1m", limit=5000).json()) == 1000
    assert server.get("/api/v3/klines", symbol="BTCUSDT", interval="1m", startTime=2, endTime=1).json() == []
    future = int(time.time() * 1000) + 3_600_000
    assert server.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1m", startTime=future).json() == []


@pytest.mark.parametrize("interval", INTERVALS)
def test_every_interval_is_served_and_its_last_candle_is_open(server: Server, interval: str) -> None:
    last = server.get("/api/v3/klines", symbol="ETHUSDT", interval=interval, limit=2).json()[-1]
    assert last[0] <= time.time() * 1000 <= last[6] + 2000


def test_tickers_tell_the_candles_day(server: Server) -> None:
    for path in ("/api/v3", "/fapi/v1"):
        one = server.get(f"{path}/ticker/24hr", symbol="BTCUSDT").json()
        assert Decimal(one["lowPrice"]) <= Decimal(one["weightedAvgPrice"]) <= Decimal(one["highPrice"])
        assert Decimal(one["priceChange"]) == Decimal(one["lastPrice"]) - Decimal(one["openPrice"])
        assert one["lastId"] - one["firstId"] + 1 == one["count"] > 0
        every = {row["symbol"]: row for row in server.get(f"{path}/ticker/24hr").json()}
        assert len(every) >= 115
        assert all(Decimal(row["quoteVolume"]) > 0 for row in every.values())
    spot = server.get("/api/v3/ticker/24hr", symbols='["ETHUSDT","PEPEUSDT"]', type="MINI").json()
    assert [row["symbol"] for row in spot] == ["ETHUSDT", "PEPEUSDT"]
    assert "bidPrice" not in spot[0]
    best = server.get("/api/v3/ticker/bookTicker", symbol="BTCUSDT").json()
    assert 0 < Decimal(best["bidPrice"]) < Decimal(best["askPrice"])
    price = server.get("/api/v3/ticker/price", symbol="BTCUSDT").json()
    assert abs(Decimal(price["price"]) / Decimal(best["bidPrice"]) - 1) < Decimal("0.01")


def test_futures_figures(server: Server) -> None:
    interest = server.get("/fapi/v1/openInterest", symbol="BTCUSDT").json()
    assert set(interest) == {"openInterest", "symbol", "time"}
    assert 1000 < Decimal(interest["openInterest"]) < 1_000_000
    premium = server.get("/fapi/v1/premiumIndex", symbol="BTCUSDT").json()
    assert abs(Decimal(premium["markPrice"]) / Decimal(premium["indexPrice"]) - 1) < Decimal("0.005")
    assert 0 < premium["nextFundingTime"] - premium["time"] <= 8 * 3_600_000
    thousand = server.get("/fapi/v1/premiumIndex", symbol="1000PEPEUSDT").json()
    assert abs(Decimal(thousand["markPrice"]) / Decimal(thousand["indexPrice"]) - 1) < Decimal("0.005")
    assert len(server.get("/fapi/v1/premiumIndex").json()) > 115


def test_names_outside_ascii_can_be_asked_for(server: Server) -> None:
    answer = server.get("/fapi/v1/depth", symbol="币安人生USDT", limit=5)
    assert len(answer.json()["bids"]) == 5
    assert len(server.get("/fapi/v1/klines", symbol="币安人生USDT", interval="1m", limit=5).json()) == 5


def test_an_ended_symbol_is_known_but_has_no_book(server: Server) -> None:
    body = server.get("/api/v3/depth", symbol="XMRUSDT").json()
    assert (body["bids"], body["asks"]) == ([], [])


def test_times_agree(server: Server) -> None:
    for path in ("/api/v3/time", "/fapi/v1/time"):
        assert abs(server.get(path).json()["serverTime"] - time.time() * 1000) < 20_000


def test_a_restart_goes_on_with_the_same_market(server: Server, start: Any) -> None:
    query = {"symbol": "SOLUSDT", "interval": "5m", "limit": 200, "endTime": int(time.time() * 1000) - 600_000}
    first = server.get("/api/v3/klines", **query)
    with start() as again:
        assert again.get("/api/v3/klines", **query).content == first.content
    with start("--seed", "8", "--symbols", "200") as other:
        assert other.get("/api/v3/klines", **query).content != first.content
        symbols = other.get("/api/v3/exchangeInfo").json()["symbols"]
        assert sum(one["quoteAsset"] == "USDT" and one["status"] == "TRADING" for one in symbols) == 200


def test_above_the_limit_comes_429_then_418(server: Server) -> None:
    server.limits(market="spot", weight=100, tolerance=3, ban_seconds=4)
    if time.time() % 60 > 45:
        time.sleep(60 - time.time() % 60)  # all that follows belongs to one minute
    answers = [server.get("/api/v3/exchangeInfo") for _ in range(11)]
    statuses = [answer.status_code for answer in answers]
    assert statuses[:4] == [200] * 4
    assert {429, 418} <= set(statuses)
    assert statuses == sorted(statuses, key=[200, 429, 418].index)
    refused = answers[statuses.index(429)]
    assert refused.json()["code"] == -1003
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert int(refused.headers["X-MBX-USED-WEIGHT-1M"]) > 100
    banned = answers[-1]
    until = int(banned.json()["msg"].partition("banned until ")[2].partition(".")[0])
    assert until - time.time() * 1000 <= 4000
    assert 1 <= int(banned.headers["Retry-After"]) <= 4
    assert server.get("/fapi/v1/ping").status_code == 200
    counted = server.control()["counters"]["answers"]
    assert (counted["spot:429"], counted["spot:418"]) == (3, statuses.count(418))
    time.sleep(max(0.0, until / 1000 - time.time()) + 0.05)
    assert server.get("/api/v3/ping").status_code in {200, 429}


def test_a_futures_ban_names_its_end_in_the_message_only(server: Server) -> None:
    server.limits(market="futures", weight=0, tolerance=0)
    answer = server.get("/fapi/v1/depth", symbol="BTCUSDT")
    assert answer.status_code == 418
    assert "Retry-After" not in answer.headers
    assert f"banned until {server.control()['usage']['futures 127.0.0.1']['bannedUntil']}" in answer.json()["msg"]


def test_limits_can_be_switched_off_and_told(server: Server, start: Any) -> None:
    server.limits(market="spot", weight=1200)
    limits = server.get("/api/v3/exchangeInfo").json()["rateLimits"]
    assert [one["limit"] for one in limits if one["rateLimitType"] == "REQUEST_WEIGHT"] == [1200]
    with start("--weights", "off") as free:
        answers = [free.get("/api/v3/depth", symbol="ETHUSDT", limit=5000) for _ in range(26)]
        assert {answer.status_code for answer in answers} == {200}
        assert int(free.control()["counters"]["weight"]["spot"]) == 26 * 250 > 6000


def test_bodies_are_json_with_text_numbers(server: Server) -> None:
    answer = server.get("/api/v3/depth", symbol="BTCUSDT", limit=2)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert all(isinstance(text, str) for level in json.loads(answer.content)["bids"] for text in level)
