"""Trades, candles, best prices and the contracts' events on the sockets: true to REST and to the functions behind."""

import time
from typing import Any

import pytest

from simulator.market import trades_between
from tests.simulator.conftest import Server
from tests.simulator.local_book import DEPTH, time_of, truth

REST = {"spot": "/api/v3", "futures": "/fapi/v1"}
MARKET_ADDRESS = {"spot": "/stream?streams=", "futures": "/market/stream?streams="}
PUBLIC_ADDRESS = {"spot": "/stream?streams=", "futures": "/public/stream?streams="}
BOTH = pytest.mark.parametrize("market", ["spot", "futures"])


@BOTH
def test_trades_come_once_in_order_and_are_those_of_rest(server: Server, market: str) -> None:
    with server.socket(MARKET_ADDRESS[market] + "btcusdt@aggTrade") as socket:
        told = [one["data"] for one in socket.take(25)]
    ids = [one["a"] for one in told]
    assert ids == list(range(ids[0], ids[0] + 25))
    rows = server.get(f"{REST[market]}/aggTrades", symbol="BTCUSDT", fromId=ids[0], limit=25).json()
    assert [{name: one[name] for name in rows[0]} for one in told] == rows
    names = {"spot": "e E s a p q f l T m M", "futures": "e E a s p q nq f l T m st"}[market]
    assert list(told[0]) == names.split()
    assert all(0 <= one["E"] - one["T"] < 1500 for one in told)
    expected = trades_between("BTCUSDT", market, told[0]["T"], told[-1]["T"] + 1)  # type: ignore[arg-type]
    assert {one["a"]: float(one["q"]) for one in told}.items() <= {one.id: one.quantity for one in expected}.items()


@BOTH
def test_a_candle_grows_and_is_the_sum_of_the_trades(server: Server, market: str) -> None:
    path = MARKET_ADDRESS[market] + "btcusdt@kline_1m/btcusdt@aggTrade"
    with server.socket(path) as socket:
        trades: list[dict[str, Any]] = []

        def is_candle(body: dict[str, Any]) -> bool:
            if "kline" in body["stream"]:
                return True
            trades.append(body["data"])
            return False

        first = socket.until(lambda body: is_candle(body) and not body["data"]["k"]["x"])["data"]
        second = socket.until(lambda body: is_candle(body) and body["data"]["k"]["t"] == first["k"]["t"])["data"]
        while not trades or trades[-1]["l"] < second["k"]["L"]:  # streams do not wait for one another
            is_candle(socket.receive())
    assert first["e"] == "kline"
    between = [one for one in trades if first["k"]["L"] < one["f"] and one["l"] <= second["k"]["L"]]
    grown = float(second["k"]["v"]) - float(first["k"]["v"])
    assert sum(float(one["q"]) for one in between) == pytest.approx(grown, abs=1e-6)
    assert second["k"]["n"] == second["k"]["L"] - second["k"]["f"] + 1
    assert second["k"]["n"] - first["k"]["n"] == sum(one["l"] - one["f"] + 1 for one in between)
    assert float(second["k"]["c"]) == float(between[-1]["p"] if between else first["k"]["c"])


def test_seconds_close_once_each_and_are_those_of_rest(server: Server) -> None:
    with server.socket("/ws/btcusdt@kline_1s") as socket:
        closed = []
        while len(closed) < 3:
            body = socket.receive()
            if body["k"]["x"]:
                closed.append(body)
    opens = [one["k"]["t"] for one in closed]
    assert opens == [opens[0], opens[0] + 1000, opens[0] + 2000]
    rows = server.get("/api/v3/klines", symbol="BTCUSDT", interval="1s", startTime=opens[0], limit=3).json()
    for one, row in zip(closed, rows, strict=True):
        k = one["k"]
        told = [k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["T"], k["q"], k["n"], k["V"], k["Q"], k["B"]]
        assert told == row
        assert one["E"] > k["T"]


@BOTH
def test_candles_of_long_intervals_are_those_of_rest(server: Server, market: str) -> None:
    intervals = ("5m", "1h", "1d", "1w", "1M")
    names = "/".join(f"ethusdt@kline_{interval}" for interval in intervals)
    seen: dict[str, dict[str, Any]] = {}
    with server.socket(MARKET_ADDRESS[market] + names) as socket:
        while len(seen) < len(intervals):
            k = socket.receive()["data"]["k"]
            seen[k["i"]] = k
    for interval, k in seen.items():
        row = server.get(f"{REST[market]}/klines", symbol="ETHUSDT", interval=interval, limit=2).json()[-1]
        assert (row[0], row[1], row[6]) == (k["t"], k["o"], k["T"])
        assert float(row[5]) >= float(k["v"])
        assert k["L"] - k["f"] + 1 == k["n"]
        assert row[8] >= k["n"]


@BOTH
def test_best_prices_are_those_of_the_book_at_their_id(server: Server, market: str) -> None:
    with server.socket(PUBLIC_ADDRESS[market] + "ethusdt@bookTicker") as socket:
        told = [one["data"] for one in socket.take(6)]
    for one in told:
        bids, asks = truth("ETHUSDT", market, one["u"])
        assert (float(one["b"]), float(one["a"])) == (max(bids), min(asks))
        assert (float(one["B"]), float(one["A"])) == (bids[max(bids)], asks[min(asks)])
        assert abs(time_of("ETHUSDT", market, one["u"]) - time.time() * 1000) < 30_000
    assert [(one["b"], one["B"], one["a"], one["A"]) for one in told[:-1]] != [
        (one["b"], one["B"], one["a"], one["A"]) for one in told[1:]
    ]
    names = {"spot": "u s b B a A", "futures": "e u s ps b B a A T E st"}[market]
    assert list(told[0]) == names.split()
    assert server.get(DEPTH[market], symbol="ETHUSDT", limit=5).json()["lastUpdateId"] >= told[-1]["u"]


@BOTH
def test_the_last_day_is_told_as_by_rest(server: Server, market: str) -> None:
    names = "btcusdt@ticker/btcusdt@miniTicker/!ticker@arr/!miniTicker@arr"
    seen: dict[str, Any] = {}
    with server.socket(MARKET_ADDRESS[market] + names, timeout=60) as socket:
        while len(seen) < 4:
            body = socket.receive()
            seen[body["stream"]] = body["data"]
    whole, mini = seen["btcusdt@ticker"], seen["btcusdt@miniTicker"]
    assert {name: whole[name] for name in "ohl"}.items() <= mini.items()
    assert whole["n"] == whole["L"] - whole["F"] + 1
    assert set(whole) == set("eEspPwcQohlvqOCFLn") | set("xbBaA" if market == "spot" else "")
    assert set(mini) == set("eEscohlvq")
    rest = server.get(f"{REST[market]}/ticker/24hr", symbol="BTCUSDT").json()
    assert float(whole["v"]) == pytest.approx(float(rest["volume"]), rel=0.01)
    assert rest["lastId"] >= whole["L"]
    assert len({one["s"] for one in seen["!ticker@arr"]}) > 100
    assert {one["e"] for one in seen["!miniTicker@arr"]} == {"24hrMiniTicker"}
