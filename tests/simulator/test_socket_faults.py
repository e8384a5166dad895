"""Faults of the sockets: each one is seen to happen, to whom it was meant for and to nobody else."""

import json
import time
from itertools import pairwise
from typing import Any

import pytest
import websocket

from tests.simulator.conftest import Server
from tests.simulator.local_book import ADDRESS, DEPTH, Gap, LocalBook

STREAM = "/ws/ethusdt@depth@100ms"


def heal(server: Server) -> None:
    server.session.delete(f"{server.url}/control/faults", timeout=40)


def ids(diffs: list[dict[str, Any]]) -> list[int]:
    return [one["u"] for one in diffs]


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_dropped_messages_leave_gaps_that_a_book_notices(server: Server, market: str) -> None:
    with server.socket(f"{ADDRESS[market]}/ethusdt@depth@100ms") as socket:
        first = socket.receive()
        book = LocalBook(market, server.get(DEPTH[market], symbol="ETHUSDT", limit=1000).json())
        book.apply(first)
        server.fault(kind="drop", market=market, probability=0.5, seconds=30)
        diffs = socket.take(12)
        with pytest.raises(Gap):
            [book.apply(diff) for diff in diffs]
        assert server.streams()["connections"][0]["lost"] >= 1


def test_a_share_of_messages_is_dropped(server: Server) -> None:
    names = "/".join(f"{one}usdt@depth@100ms" for one in ("btc", "eth", "sol", "xrp", "ada", "bnb"))
    server.fault(kind="drop", probability=0.3)
    with server.socket(f"/stream?streams={names}") as socket:
        socket.take(80)
        [one] = server.streams()["connections"]
    assert 0.12 < one["lost"] / (one["lost"] + one["sent"]) < 0.5


def test_messages_come_twice_or_in_another_order(server: Server) -> None:
    with server.socket(STREAM) as socket:
        fault = server.fault(kind="double", stream="@depth@100ms", count=2)
        diffs = socket.take(6)
        assert sum(one["u"] == after["u"] for one, after in pairwise(diffs)) == 2
        assert fault["kind"] == "double"
        server.fault(kind="reorder", symbol="ETHUSDT", count=1)
        found = ids(socket.take(6))
        assert found != sorted(found)
        assert sum(after < one for one, after in pairwise(found)) == 1
        assert len(set(found)) == 6


def test_texts_are_spoilt(server: Server) -> None:
    with server.socket(STREAM) as socket:
        socket.receive()
        server.fault(kind="corrupt", how="json", count=1)
        texts = [socket.socket.recv() for _ in range(4)]
        broken = [text for text in texts if not text.endswith("}")]
        assert len(broken) == 1
        with pytest.raises(json.JSONDecodeError):
            json.loads(broken[0])
        server.fault(kind="corrupt", how="types", count=1)
        [spoilt] = [one for one in socket.take(4) if not isinstance(one["u"], int)]
        assert spoilt["e"] == "depthUpdate"
        assert isinstance(spoilt["b"], int)


def test_a_fault_meets_only_those_whom_it_names(server: Server) -> None:
    with server.socket(STREAM) as one, server.socket("/public/ws/ethusdt@depth@100ms") as other:
        one.receive()
        other.receive()
        spot, futures = server.streams()["connections"]
        server.fault(kind="stall", connection=spot["id"])
        one.silent(0.3)
        assert one.silent(0.4)
        other.take(3)
        heal(server)
        server.fault(kind="stall", market="futures", stream="btcusdt@depth@100ms")
        server.fault(kind="stall", path="/stream")
        server.fault(kind="stall", symbol="BTCUSDT")
        one.take(2)
        other.take(2)
        assert futures["market"] == "futures"


def test_a_stalled_connection_is_open_and_says_nothing_until_it_is_over(server: Server) -> None:
    with server.socket(STREAM) as socket:
        socket.receive()
        before = socket.receive()["u"]
        server.rules(ping_seconds=0.1)
        server.fault(kind="stall", seconds=0.8)
        stalled = time.time() * 1000
        socket.socket.settimeout(0.15)
        deadline = time.monotonic() + 0.7
        heard = []
        while time.monotonic() < deadline:
            try:
                heard.append(socket.socket.recv_data(control_frame=True))
            except websocket.WebSocketTimeoutException:
                socket.socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": 1}))
                break
        assert all(json.loads(data)["E"] <= stalled for opcode, data in heard if opcode == websocket.ABNF.OPCODE_TEXT)
        socket.socket.settimeout(30)
        after = socket.until(lambda body: "u" in body and body["u"] > before + 23 * 5)
        assert after["U"] > before + 1


def test_a_stalled_stream_is_silent_and_its_neighbour_is_not(server: Server) -> None:
    with server.socket("/stream?streams=ethusdt@depth@100ms/btcusdt@depth@100ms") as socket:
        socket.take(4)
        server.fault(kind="stall", stream="ethusdt@depth@100ms")
        assert socket.ask("LIST_SUBSCRIPTIONS")["id"] == 1
        socket.take(2)
        assert {one["stream"] for one in socket.take(4)} == {"btcusdt@depth@100ms"}


@pytest.mark.parametrize(("how", "code"), [("abort", None), ("close", 1001)])
def test_connections_are_cut(server: Server, how: str, code: int | None) -> None:
    with server.socket(STREAM) as spot, server.socket("/public/ws/ethusdt@depth@100ms") as futures:
        spot.receive()
        answer = server.fault(kind="cut", how=how, market="spot")
        assert answer["met"] == 1
        assert spot.closed() == code
        futures.take(2)
        assert server.control()["faults"] == []
    with server.socket(STREAM) as again:
        assert again.receive()["s"] == "ETHUSDT"


def test_a_cut_can_choose_streams_and_numbers(server: Server) -> None:
    with server.socket(STREAM) as one, server.socket(STREAM) as two, server.socket("/ws/btcusdt@depth") as third:
        assert server.fault(kind="cut", symbol="ETHUSDT", count=1)["met"] == 1
        assert one.closed() is None
        assert two.receive()["s"] == "ETHUSDT"
        assert third.ask("LIST_SUBSCRIPTIONS")["result"] == ["btcusdt@depth"]


def test_handshakes_are_refused(server: Server) -> None:
    server.fault(kind="refuse", market="spot", count=1)
    with pytest.raises(websocket.WebSocketBadStatusException, match="503"):
        server.socket(STREAM)
    server.fault(kind="refuse", path="/public/ws", how="abort", count=1)
    with pytest.raises((ConnectionError, websocket.WebSocketException)):
        server.socket("/public/ws")
    server.fault(kind="refuse", how="hang", count=1)
    with pytest.raises(websocket.WebSocketTimeoutException):
        server.socket("/public/ws", timeout=0.3)
    server.socket("/public/ws").socket.shutdown()
    assert server.streams()["counters"]["refused"] == 3


def test_the_server_says_that_it_will_go_and_goes(server: Server) -> None:
    with server.socket(STREAM) as socket, server.socket("/market/ws") as other:
        server.fault(kind="shutdown", market="spot", delay=3)
        event = socket.until(lambda body: body["e"] == "serverShutdown")
        assert abs(event["E"] - time.time() * 1000) < 20_000
        assert socket.receive()["e"] == "depthUpdate"
        assert socket.closed() == 1001
        assert other.ask("LIST_SUBSCRIPTIONS")["result"] == []


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_a_snapshot_can_be_older_than_the_stream(server: Server, market: str) -> None:
    with server.socket(f"{ADDRESS[market]}/ethusdt@depth@100ms") as socket:
        first = socket.receive()
        server.fault(kind="late_snapshot", age_ms=20_000, symbol="ETHUSDT", count=1)
        late = server.get(DEPTH[market], symbol="ETHUSDT", limit=1000).json()
        assert late["lastUpdateId"] < first["U"] - 1
        with pytest.raises(Gap):
            LocalBook(market, late).apply(first)
        assert server.get(DEPTH[market], symbol="ETHUSDT", limit=1000).json()["lastUpdateId"] >= first["u"]


@pytest.mark.parametrize(
    "fault", [{"kind": "cut", "how": "json"}, {"kind": "drop", "how": "abort"}, {"kind": "late_snapshot", "age_ms": 0}]
)
def test_faults_that_cannot_be_are_refused(server: Server, fault: dict[str, Any]) -> None:
    answer = server.session.post(f"{server.url}/control/faults", json=fault, timeout=40)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_rules_that_cannot_be_are_refused(server: Server) -> None:
    for rules in ({"streams": -1}, {"colour": 1}, {"market": "forward"}):
        assert server.session.post(f"{server.url}/control/streams", json=rules, timeout=40).status_code == 400


def test_a_clock_that_jumps_leaves_ids_that_make_sense(server: Server) -> None:
    with server.socket(STREAM) as socket:
        before = socket.receive()
        server.fault(kind="skew", market="spot", offset_ms=60_000)
        ahead = socket.until(lambda body: body["E"] > before["E"] + 50_000)
        assert ahead["U"] > before["u"]
        assert ahead["u"] >= ahead["U"] + 23 * 400
        heal(server)
        back = socket.until(lambda body: body["E"] < ahead["E"] - 50_000)
        assert back["U"] <= back["u"] < ahead["u"]
        assert socket.receive()["U"] == back["u"] + 1


def test_a_symbol_that_vanished_is_silent(server: Server) -> None:
    with server.socket("/stream?streams=ethusdt@depth@100ms/btcusdt@depth@100ms") as socket:
        socket.take(2)
        server.fault(kind="unknown_symbol", symbol="ETHUSDT")
        socket.ask("LIST_SUBSCRIPTIONS")  # what was on its way before has come
        socket.take(2)
        assert {one["stream"] for one in socket.take(4)} == {"btcusdt@depth@100ms"}
