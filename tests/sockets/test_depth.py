"""/ws/depth and /ws?type=orderbook against a real web process: what a client is told, and what it is refused."""

import json
import time
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from depth.broadcast import WANTED, publish_status, state_key
from tests.api.test_books import BOOK_FIELDS
from tests.sockets.conftest import SYMBOLS

FIRST = SYMBOLS[0]
FRESH = 2.0  # seconds in which a state is not old, nor nearly so


def opened(site, path, **options):
    return connect(f"{site.address}{path}", compression=None, open_timeout=60, **options)


def told_by(client, seconds=40.0):
    return json.loads(client.recv(timeout=seconds))


def until(client, wanted, seconds=40.0):
    """The first message that `wanted` accepts."""
    end = time.monotonic() + seconds
    while True:
        message = told_by(client, max(0.1, end - time.monotonic()))
        if wanted(message):
            return message


@contextmanager
def begun(site, feed, symbol, path="/ws/depth?symbol={}"):
    """A client and its first message, of a state that was still fresh when it came."""
    for _ in range(10):
        feed.publish(symbol)
        published = time.monotonic()
        with opened(site, path.format(symbol)) as client:
            first = told_by(client)
            if first["wsStatus"] == "connected" or time.monotonic() - published < FRESH:
                yield client, first
                return
    raise AssertionError("this machine opens no socket within seconds")


def close_code(client, seconds=40.0):
    """The code with which the server closes, and what it said before."""
    said = []
    try:
        while True:
            said.append(told_by(client, seconds))
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None, said


def test_a_client_gets_the_newest_state_at_once_then_every_next(site, feed):
    with begun(site, feed, FIRST, "/ws/depth?symbol={}&market=SPOT") as (client, first):
        count = len(feed.published["SPOT", FIRST])
        assert set(BOOK_FIELDS) <= set(first)
        assert (first["type"], first["marketType"], first["symbol"], first["seq"]) == ("snapshot", "SPOT", FIRST, count)
        assert (first["wsStatus"], first["source"]) == ("connected", "stream")
        for seq in (count + 1, count + 2, count + 3):
            feed.publish(FIRST)
            message = until(client, lambda message: message["type"] == "update")
            assert message == json.loads(feed.published["SPOT", FIRST][-1])
            assert message["seq"] == seq


def test_markets_do_not_mix(site, feed):
    feed.publish(FIRST)
    feed.publish(FIRST, market="FUTURES", mid=500.0)
    with opened(site, f"/ws/depth?symbol={FIRST.lower()}&market=futures") as client:
        assert told_by(client)["marketType"] == "FUTURES"
        feed.publish(FIRST)
        feed.publish(FIRST, market="FUTURES", mid=501.0)
        message = until(client, lambda message: message["type"] == "update")
        assert (message["marketType"], message["midPrice"]) == ("FUTURES", pytest.approx(501))


def test_without_a_market_it_is_the_one_on_which_the_symbol_is_collected(site, feed):
    with opened(site, "/ws/depth?symbol=ONLYUSDT") as client:
        assert told_by(client)["marketType"] == "FUTURES"


def test_an_older_state_is_told_with_its_true_age_and_status(site, feed, empty_redis):
    symbol = SYMBOLS[1]
    body = json.loads(feed.message(symbol).body)
    at = int(time.time() * 1000) - 4_000
    empty_redis.set(state_key("SPOT", symbol), json.dumps(body | {"publishedAt": at, "timestamp": at}), ex=50)
    with opened(site, f"/ws/depth?symbol={symbol}") as client:
        first = told_by(client)
        assert (first["type"], first["wsStatus"], first["source"]) == ("snapshot", "stale", "stream")
        assert 4_000 <= first["ageMs"] < 15_000


def test_what_is_not_live_begins_with_what_is_collected(site, feed, empty_redis):
    symbol = SYMBOLS[2]
    with opened(site, f"/ws/depth?symbol={symbol}") as client:
        first = told_by(client)
        assert (first["type"], first["source"], first["wsStatus"]) == ("snapshot", "rest", "connecting")
        assert first["ageMs"] >= 40_000
        assert empty_redis.zscore(WANTED, f"SPOT:{symbol}") == pytest.approx(time.time(), abs=60)
        feed.publish(symbol)
        assert until(client, lambda message: message["type"] == "status")["wsStatus"] == "connected"
        assert until(client, lambda message: message["type"] == "update")["source"] == "stream"


def test_a_symbol_without_any_book_begins_with_its_status(site, feed):
    with opened(site, "/ws/depth?symbol=NEWUSDT") as client:
        assert told_by(client) == {
            "type": "status",
            "marketType": "SPOT",
            "symbol": "NEWUSDT",
            "wsStatus": "connecting",
        }
        feed.publish("NEWUSDT")
        assert until(client, lambda message: message["type"] == "snapshot")["seq"] == 1
        feed.publish("NEWUSDT")
        assert until(client, lambda message: message["type"] != "status")["type"] == "update"


def test_a_status_is_told_when_it_changes(site, feed, empty_redis):
    symbol = SYMBOLS[3]
    feed.publish(symbol)
    with opened(site, f"/ws/depth?symbol={symbol}") as client:
        told_by(client)
        publish_status(empty_redis, "SPOT", symbol, "disconnected")
        publish_status(empty_redis, "SPOT", symbol, "disconnected")
        until(client, lambda message: message["wsStatus"] == "disconnected")
        feed.publish(symbol)
        assert told_by(client) == {"type": "status", "marketType": "SPOT", "symbol": symbol, "wsStatus": "connected"}
        assert told_by(client)["type"] == "update"


def test_a_feed_that_falls_silent_is_stale(site, feed):
    symbol = SYMBOLS[4]
    with begun(site, feed, symbol) as (client, first):
        assert first["wsStatus"] == "connected"
        assert told_by(client) == {"type": "status", "marketType": "SPOT", "symbol": symbol, "wsStatus": "stale"}


def test_flat_messages_for_order_books(site, feed):
    symbol = SYMBOLS[5]
    feed.publish(symbol)
    with opened(site, f"/ws?symbol={symbol}&type=orderbook") as client:
        for _ in range(2):
            message = until(client, lambda message: message["type"] != "status")
            assert (message["type"], message["symbol"]) == ("orderbook", symbol)
            assert len(message["bids"]) == len(message["asks"]) == 20
            assert message["bids"][0] == [message["bestBid"]["price"], message["bestBid"]["volume"]]
            feed.publish(symbol)


@pytest.mark.parametrize(
    ("path", "close", "code"),
    [
        ("/ws/depth", 4400, "missing_parameter"),
        (f"/ws/depth?symbol={FIRST}&market=margin", 4400, "invalid_parameter"),
        ("/ws/depth?symbol=NOPE", 4404, "unknown_symbol"),
        ("/ws/depth?symbol=%00%F0%9F%92%A9", 4404, "unknown_symbol"),
        ("/ws/depth?symbol=IDLEUSDT", 4404, "not_collected"),
        ("/ws?symbol=BTCUSDT&type=weather", 4400, "invalid_parameter"),
    ],
)
def test_what_cannot_be_served_is_said_and_closed(site, path, close, code):
    with opened(site, path) as client:
        closed, said = close_code(client)
    assert closed == close
    assert [(message["type"], message["code"]) for message in said] == [("error", code)]


@pytest.mark.parametrize(
    ("text", "code"),
    [("{", "invalid_json"), ("[1]", "invalid_message"), ('{"type":"buy"}', "unknown_message"), ("", "invalid_json")],
)
def test_a_bad_message_is_answered_and_the_socket_stays_open(site, feed, text, code):
    feed.publish(FIRST)
    with opened(site, f"/ws/depth?symbol={FIRST}") as client:
        client.send(text)
        assert until(client, lambda message: message["type"] == "error")["code"] == code
        client.send('{"type":"pong"}')
        client.send('{"type":"ping"}')
        assert until(client, lambda message: message["type"] not in {"update", "status"}) == {"type": "pong"}
