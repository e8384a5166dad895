"""Each fault on a real port: what a client meets, and that it ends."""

import time
from decimal import Decimal
from typing import Any

import pytest
import requests

from simulator.faults import Faults
from tests.simulator.conftest import Server

DEPTH = {"symbol": "BTCUSDT", "limit": 100}


def depth(server: Server, timeout: float = 40) -> requests.Response:
    return server.get("/api/v3/depth", timeout=timeout, **DEPTH)


def test_429_with_and_without_retry_after(server: Server) -> None:
    server.fault(kind="429", count=1, retry_after=7)
    server.fault(kind="429", count=1, retry_after=None)
    first, second, third = depth(server), depth(server), depth(server)
    assert [one.status_code for one in (first, second, third)] == [429, 429, 200]
    assert first.json()["code"] == second.json()["code"] == -1003
    assert first.headers["Retry-After"] == "7"
    assert "Retry-After" not in second.headers
    server.fault(kind="429", count=1)
    assert 1 <= int(depth(server).headers["Retry-After"]) <= 60


def test_418_tells_its_end_and_is_over_then(server: Server) -> None:
    server.fault(kind="418", ban_seconds=4)
    spot, futures = depth(server), server.get("/fapi/v1/ping")
    ends = [int(one.json()["msg"].partition("banned until ")[2].partition(".")[0]) for one in (spot, futures)]
    assert spot.status_code == futures.status_code == 418
    assert abs(ends[0] - ends[1]) <= 2  # each is now plus what is left, in whole milliseconds
    assert ends[0] - time.time() * 1000 <= 4000
    assert int(spot.headers["Retry-After"]) in {1, 2, 3, 4}
    assert "Retry-After" not in futures.headers
    time.sleep(max(0.0, ends[0] / 1000 - time.time()) + 0.1)
    assert depth(server).status_code == 200
    assert server.control()["faults"] == []


@pytest.mark.parametrize(
    ("fault", "status"),
    [({"kind": "403"}, 403), ({"kind": "451"}, 451), ({"kind": "5xx"}, 503), ({"kind": "5xx", "status": 502}, 502)],
)
def test_other_refusals(server: Server, fault: dict[str, Any], status: int) -> None:
    server.fault(**fault, count=1)
    answer = depth(server)
    assert answer.status_code == status
    assert "X-MBX-USED-WEIGHT-1M" in answer.headers
    if status == 403:
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "<html>" in answer.text
    assert depth(server).status_code == 200


def test_timeouts_and_slow_answers(server: Server) -> None:
    server.fault(kind="timeout", count=1)
    with pytest.raises(requests.exceptions.ReadTimeout):
        depth(server, timeout=0.4)
    server.fault(kind="slow", count=1, delay=0.5)
    before = time.monotonic()
    assert depth(server).status_code == 200
    assert time.monotonic() - before >= 0.5


def test_broken_bodies(server: Server) -> None:
    server.fault(kind="truncate", count=1)
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
        depth(server)
    server.fault(kind="malformed", count=1)
    answer = depth(server)
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()
    assert depth(server).json()["bids"]


def test_a_connection_that_is_cut(server: Server) -> None:
    server.fault(kind="disconnect", count=1)
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(f"{server.url}/api/v3/ping", timeout=30)
    assert depth(server).status_code == 200


def test_a_symbol_that_is_suddenly_unknown(server: Server) -> None:
    fault = server.fault(kind="unknown_symbol", symbol="ETHUSDT", market="spot")
    answer = server.get("/api/v3/depth", symbol="ETHUSDT")
    assert (answer.status_code, answer.json()) == (400, {"code": -1121, "msg": "Invalid symbol."})
    assert "ETHUSDT" not in {one["symbol"] for one in server.get("/api/v3/exchangeInfo").json()["symbols"]}
    assert depth(server).status_code == 200
    assert server.get("/fapi/v1/depth", symbol="ETHUSDT").status_code == 200
    assert server.session.delete(f"{server.url}/control/faults/{fault['id']}", timeout=30).json() == {"cleared": 1}
    assert server.get("/api/v3/depth", symbol="ETHUSDT").status_code == 200


@pytest.mark.parametrize(("path", "market"), [("/api/v3/depth", "spot"), ("/fapi/v1/depth", "futures")])
def test_books_that_cannot_be(server: Server, path: str, market: str) -> None:
    server.fault(kind="crossed", market=market)
    body = server.get(path, **DEPTH).json()
    assert Decimal(body["bids"][0][0]) > Decimal(body["asks"][0][0])
    for side, sign in (("bids", -1), ("asks", 1)):
        prices = [sign * Decimal(price) for price, _ in body[side]]
        assert len(prices) == 100
        assert prices == sorted(set(prices))
    server.reset()
    server.fault(kind="empty_side", market=market)
    body = server.get(path, **DEPTH).json()
    assert (len(body["bids"]), len(body["asks"])) == (0, 100)
    server.reset()
    server.fault(kind="empty_side", market=market, side="ask")
    body = server.get(path, **DEPTH).json()
    assert (len(body["bids"]), len(body["asks"])) == (100, 0)
    assert server.get(path.replace("depth", "ping")).json() == {}


def test_a_clock_that_is_off(server: Server) -> None:
    server.fault(kind="skew", market="futures", offset_ms=-90_000)
    spot, futures = (server.get(path).json()["serverTime"] for path in ("/api/v3/time", "/fapi/v1/time"))
    assert abs(spot - futures - 90_000) < 2000
    assert abs(server.get("/fapi/v1/depth", symbol="BTCUSDT").json()["E"] - futures) < 2000
    server.fault(kind="skew", offset_ms=600_000)
    assert server.get("/api/v3/time").json()["serverTime"] - spot >= 600_000


def test_faults_meet_whom_they_were_made_for(server: Server) -> None:
    server.fault(kind="5xx", market="spot", symbol="ETHUSDT", path="/depth")
    assert server.get("/api/v3/depth", symbol="ETHUSDT").status_code == 503
    assert server.get("/api/v3/klines", symbol="ETHUSDT", interval="1m").status_code == 200
    assert server.get("/fapi/v1/depth", symbol="ETHUSDT").status_code == 200
    assert depth(server).status_code == 200
    assert server.control()["faults"][0]["met"] == 1


def test_faults_end_by_count_by_time_and_by_request(server: Server) -> None:
    server.fault(kind="5xx", count=2)
    assert [depth(server).status_code for _ in range(3)] == [503, 503, 200]
    server.fault(kind="5xx", seconds=3)
    assert depth(server).status_code == 503
    time.sleep(3.1)
    assert depth(server).status_code == 200
    server.fault(kind="5xx")
    server.fault(kind="slow", delay=30)
    assert server.session.delete(f"{server.url}/control/faults", timeout=30).json() == {"cleared": 2}
    assert depth(server).status_code == 200


def test_a_probable_fault_meets_some(server: Server) -> None:
    server.fault(kind="5xx", probability=0.5)
    met = sum(server.get("/api/v3/ping").status_code == 503 for _ in range(120))
    assert 20 < met < 100


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b'{"kind":"rain"}', b'{"kind":"5xx","status":200}', b'{"kind":"5xx","probability":0}',
        b'{"kind":"5xx","probability":1.5}', b'{"kind":"429","count":0}', b'{"kind":"skew"}',
        b'{"kind":"unknown_symbol"}',
        b'{"kind":"slow","delay":-1}', b'{"kind":"slow","colour":"red"}', b'{"kind":"5xx","market":"margin"}', b"\xff",
    ],
)  # fmt: skip
def test_faults_that_cannot_be_are_refused(server: Server, body: bytes) -> None:
    answer = server.session.post(f"{server.url}/control/faults", data=body, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert server.control()["faults"] == []


@pytest.mark.parametrize("body", [b"", b'{"weight":-1}', b'{"weight":"x"}', b'{"market":"margin"}', b'{"speed":1}'])
def test_limits_that_cannot_be_are_refused(server: Server, body: bytes) -> None:
    before = server.control()["limits"]
    answer = server.session.post(f"{server.url}/control/limits", data=body, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert server.control()["limits"] == before


def test_counters_tell_what_was_asked_and_answered(server: Server) -> None:
    server.fault(kind="429", count=1)
    depth(server)
    depth(server)
    server.get("/fapi/v1/ping")
    server.get("/api/v3/nope")
    assert server.get("/api/v3/depth", symbol="NOPE").status_code == 400
    counters = server.control()["counters"]
    assert counters["requests"] == {"/api/v3/depth": 3, "/fapi/v1/ping": 1, "unknown": 1}
    assert counters["weight"] == {"spot": 15, "futures": 1}
    assert counters["answers"] == {"spot:429": 1, "spot:200": 1, "spot:400": 1, "futures:200": 1, "unknown:404": 1}


def test_faults_without_a_server() -> None:
    """By a clock of our own: what is over by time meets nobody, and order is that of the asking."""
    faults = Faults()
    faults.add(b'{"kind":"slow","delay":0.1,"seconds":10}', 1000)
    faults.add(b'{"kind":"5xx","symbol":"BTCUSDT"}', 1000)
    met = lambda now, symbol: [one.kind for one in faults.meet("spot", "/api/v3/depth", symbol, now)]  # noqa: E731
    assert met(2000, "BTCUSDT") == ["slow", "5xx"]
    assert met(2000, None) == ["slow"]
    assert met(11_000, "BTCUSDT") == ["5xx"]
    assert faults.clear(99) == 0
    assert faults.clear() == 1
