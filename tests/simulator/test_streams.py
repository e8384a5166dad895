"""The exchange's sockets: books that clients build from them, names, routes, requests and limits."""

import time
from itertools import pairwise
from typing import Any

import pytest
import websocket

from simulator.connections import frame
from tests.simulator.conftest import Server
from tests.simulator.local_book import ADDRESS, follow, truth

BOTH = pytest.mark.parametrize("market", ["spot", "futures"])


@pytest.mark.parametrize(
    ("market", "symbol", "stream"),
    [
        ("spot", "SUIUSDT", "depth@100ms"),
        ("spot", "1INCHUSDT", "depth"),
        ("futures", "1000PEPEUSDT", "depth@100ms"),
        ("futures", "币安人生USDT", "depth"),
        ("futures", "ADAUSDT", "depth@500ms"),
    ],
)
def test_a_book_built_by_the_published_rules_is_the_exchanges_book(
    server: Server, market: str, symbol: str, stream: str
) -> None:
    book = follow(server, market, symbol, stream, 5000 if market == "spot" else 1000, 12 if "100" in stream else 4)
    bids, asks = truth(symbol, market, book.last)
    whole = market == "spot" or len(bids) < 990
    for found, expected in zip(book.numbers(), (bids, asks), strict=True):
        if whole:
            assert found == expected
        assert found.items() <= expected.items()


@BOTH
def test_of_a_large_book_whatever_the_snapshot_reached_is_right(server: Server, market: str) -> None:
    book = follow(server, market, "BTCUSDT", "depth@100ms", 1000, 15)
    found, expected = book.numbers(), truth("BTCUSDT", market, book.last)
    for number, side in enumerate(found):
        assert side.items() <= expected[number].items()
        nearest = sorted(expected[number], reverse=number == 0)[:700]
        assert [price for price in nearest if price not in side] == []
    assert max(found[0]) < min(found[1])


@BOTH
def test_ids_of_diffs_follow_one_another_as_on_their_market(server: Server, market: str) -> None:
    with server.socket(f"{ADDRESS[market]}/btcusdt@depth@100ms") as socket:
        diffs = socket.take(8)
    for one, following in pairwise(diffs):
        if market == "spot":
            assert following["U"] == one["u"] + 1
        else:
            assert following["pu"] == one["u"]
            assert following["u"] >= following["U"] > one["u"] + 1
    names = {"spot": "e E s U u b a", "futures": "e E T s ps U u pu b a st"}[market]
    assert set(diffs[0]) == set(names.split())
    assert abs(diffs[-1]["E"] - time.time() * 1000) < 20_000


def test_two_listeners_hear_the_same(server: Server) -> None:
    with (
        server.socket("/ws/ethusdt@depth@100ms") as one,
        server.socket("/stream?streams=ethusdt@depth@100ms/btcusdt@depth@100ms") as other,
    ):
        both = other.until(lambda body: body["stream"] == "ethusdt@depth@100ms")
        assert one.until(lambda body: body["u"] == both["data"]["u"]) == both["data"]
        assert server.streams()["streams"]["spot ethusdt@depth@100ms"] == 2


SILENT = [
    "/ws/btcusdt@depth@250ms", "/ws/btcusdt@depth@500ms", "/ws/btcusdt@depth@1000ms", "/ws/BTCUSDT@depth@100ms",
    "/ws/btcusdt@dept@100ms", "/ws/nopeusdt@depth@100ms", "/ws/btcusdt@forceOrder", "/public/ws/btcusdt@depth@1000ms",
    "/public/ws/btcusdt@depth@250ms", "/public/ws/btcusdt@aggTrade", "/market/ws/btcusdt@depth@100ms",
    "/market/ws/btcusdt@bookTicker", "/public/ws/btcusdt@kline_1m", "/ws", "/stream", "/public/ws", "/ws/",
]  # fmt: skip


def test_whatever_means_nothing_where_it_is_asked_for_is_accepted_and_silent(server: Server) -> None:
    sockets = [server.socket(path) for path in SILENT]
    try:
        for socket, path in zip(sockets, SILENT, strict=True):
            assert socket.silent(1.4 if path == SILENT[0] else 0.001), path
        names = [one["streams"] for one in server.streams()["connections"]]
        assert names[0] == ["btcusdt@depth@250ms"]
    finally:
        for socket in sockets:
            socket.socket.shutdown()


def test_streams_come_and_go_by_request(server: Server) -> None:
    with server.socket("/ws") as socket:
        assert socket.ask("SUBSCRIBE", "btcusdt@depth@100ms", "btcusdt@depth@33ms") == {"result": None, "id": 1}
        assert socket.receive()["s"] == "BTCUSDT"
        listed = socket.ask("LIST_SUBSCRIPTIONS", number="a")
        assert listed == {"result": ["btcusdt@depth@100ms", "btcusdt@depth@33ms"], "id": "a"}
        assert socket.ask("UNSUBSCRIBE", "btcusdt@depth@100ms", "never@asked", number=None) == {
            "result": None, "id": None,
        }  # fmt: skip
        assert socket.silent(0.4)


def test_a_connections_form_can_be_changed(server: Server) -> None:
    with server.socket("/public/ws/ethusdt@depth@100ms") as socket:
        assert socket.ask("GET_PROPERTY", "combined")["result"] is False
        assert socket.ask("SET_PROPERTY", "combined", True)["result"] is None
        assert socket.receive()["stream"] == "ethusdt@depth@100ms"
        assert socket.ask("GET_PROPERTY", "combined")["result"] is True


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("{", 3, "Invalid JSON"),
        ("[]", 2, "object"),
        ('{"id":1}', 2, "missing field `method`"),
        ('{"method":"SUBSCRIPE","id":1}', 2, "unknown variant `SUBSCRIPE`"),
        ('{"method":"SUBSCRIBE","id":1}', 2, "params"),
        ('{"method":"SUBSCRIBE","params":"x","id":1}', 2, "array"),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2, "string"),
        ('{"method":"SUBSCRIBE","params":["a"],"id":[1]}', 2, "request ID"),
        ('{"method":"SET_PROPERTY","params":["colour",true],"id":1}', 0, "Unknown property"),
        ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', 1, "Boolean"),
        ('{"method":"GET_PROPERTY","params":[7],"id":1}', 2, "string"),
        ('{"method":"GET_PROPERTY","params":["combined",7],"id":1}', 2, "too many"),
    ],
)
def test_wrong_requests_are_answered_with_an_error_and_the_socket_stays(
    server: Server, text: str, code: int, words: str
) -> None:
    with server.socket("/ws") as socket:
        socket.socket.send(text)
        error = socket.receive()["error"]
        assert error["code"] == code
        assert words in error["msg"]
        assert socket.ask("LIST_SUBSCRIPTIONS")["result"] == []


@pytest.mark.parametrize(("path", "limit"), [("/ws", 5), ("/market/ws", 10)])
def test_a_client_that_talks_too_much_is_sent_away(server: Server, path: str, limit: int) -> None:
    with server.socket(path) as socket:
        for number in range(limit):
            if number % 2:
                socket.socket.pong(b"nothing asked for")
            else:
                socket.ask("LIST_SUBSCRIPTIONS")
        assert server.streams()["counters"].get("too_many_messages") is None
        for _ in range(3):
            socket.socket.ping(b"x")
        assert socket.closed() == 1008
    assert server.streams()["counters"]["too_many_messages"] >= 1


def test_more_streams_than_allowed_end_the_connection(server: Server) -> None:
    server.rules(market="spot", streams=3)
    with server.socket("/ws/a@depth/b@depth/c@depth/d@depth") as socket:
        assert socket.closed() == 1008
    with server.socket("/ws/a@depth/b@depth") as socket:
        assert socket.ask("SUBSCRIBE", "b@depth", "c@depth")["result"] is None
        assert len(socket.ask("LIST_SUBSCRIPTIONS")["result"]) == 3
        socket.ask("SUBSCRIBE", "d@depth")
        assert socket.closed() == 1008


def test_too_many_attempts_to_connect_are_refused(server: Server) -> None:
    server.rules(market="spot", attempts=2)
    for _ in range(2):
        server.socket("/ws").socket.shutdown()
    with pytest.raises(Exception, match="429"):
        server.socket("/ws")
    server.socket("/public/ws").socket.shutdown()


def test_pings_carry_the_time_and_must_be_answered_by_a_copy(server: Server) -> None:
    server.rules(ping_seconds=0.2, pong_seconds=3)
    for answer, survives in ((None, True), (b"other", False)):
        with server.socket("/public/ws/btcusdt@depth@100ms") as socket:
            ends, pings = time.monotonic() + 4, 0
            code: Any = None
            while time.monotonic() < ends and code is None:
                opcode, data = socket.socket.recv_data(control_frame=True)
                if opcode == 9:
                    pings += 1
                    assert abs(int(data) - time.time() * 1000) < 20_000
                    # websocket-client has answered by itself; a wrong answer besides means nothing.
                    if answer:
                        socket.socket.pong(answer)
                elif opcode == 8:
                    code = data
            assert pings >= 3
            assert code is None
            assert survives or answer
    assert server.streams()["counters"].get("no_pong") is None


def test_a_client_that_never_answers_a_ping_is_sent_away(server: Server) -> None:
    server.rules(market="futures", ping_seconds=0.2, pong_seconds=0.5)
    with server.socket("/market/ws") as socket:
        socket.socket.pong = lambda data: None  # type: ignore[method-assign]
        assert socket.closed() == 1008
    assert server.streams()["counters"]["no_pong"] == 1


def test_a_connections_life_ends(server: Server) -> None:
    server.rules(market="spot", life_seconds=0.4)
    with server.socket("/ws/btcusdt@depth@100ms") as socket, server.socket("/public/ws") as other:
        assert socket.closed() == 1001
        assert other.ask("LIST_SUBSCRIPTIONS")["result"] == []


def test_a_client_that_does_not_read_is_cut_off_and_others_hear_on(server: Server) -> None:
    names = [f"{one}usdt@depth@100ms" for one in ("btc", "eth", "sol", "xrp", "doge", "bnb", "link", "ada")]
    path = "/stream?streams=" + "/".join(names)
    server.rules(market="spot", waiting_bytes=20_000)
    with server.socket(path, receive_buffer=4096), server.socket(path) as quick:
        quick.until(lambda body: server.streams()["counters"].get("too_slow") == 1, seconds=60)
        assert len(server.streams()["connections"]) == 1
        assert quick.receive()["stream"] in names


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 300_000])
def test_frames_of_every_length_are_the_protocols(length: int) -> None:
    payload = b"x" * length
    expected = websocket.ABNF.create_frame(payload, websocket.ABNF.OPCODE_TEXT)
    expected.mask_value = 0
    assert frame(payload) == expected.format()
