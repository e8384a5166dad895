"""What keeps live sockets alive for everybody: origins, the limit, floods, sizes, slow readers, ends."""

import json
from contextlib import ExitStack

import pytest
import requests
from websockets.exceptions import InvalidStatus

from tests.sockets.conftest import MOST_CLIENTS, SYMBOLS, running, wait_for
from tests.sockets.raw import RawClient
from tests.sockets.stalled import catch_up, figures, stall
from tests.sockets.test_depth import close_code, opened, told_by, until
from tests.web_process import run_python

SYMBOL = SYMBOLS[10]
PATH = f"/ws/depth?symbol={SYMBOL}"


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("own", True),
        ("http://localhost:5173", True),
        ("http://evil.example", False),
        ("null", False),
        ("http://127.0.0.1:9", False),
        ("http://[", False),
    ],
)
def test_foreign_pages_are_refused(site, feed, origin, allowed):
    feed.publish(SYMBOL)
    own = site.http if origin == "own" else origin
    if allowed:
        with opened(site, PATH, origin=own) as client:
            assert told_by(client)["type"] == "snapshot"
    else:
        with pytest.raises(InvalidStatus) as refused, opened(site, PATH, origin=own):
            pass
        assert refused.value.response.status_code == (400 if origin == "http://[" else 403)


def test_unknown_paths_are_refused(site):
    for path in ("/ws/nothing", "/nothing", "/ws/depth/more"):
        with pytest.raises(InvalidStatus), opened(site, path):
            pass


def test_a_flood_is_closed(site, feed):
    feed.publish(SYMBOL)
    with opened(site, PATH) as client, opened(site, PATH) as other:
        for _ in range(200):
            client.send('{"type":"pong"}')
        code, said = close_code(client)
        assert code == 1008
        assert said[-1]["code"] == "too_many_messages"
        told_by(other)
        feed.publish(SYMBOL)
        assert until(other, lambda message: message["type"] == "update")


def test_a_message_that_is_too_large_is_closed(site, feed):
    feed.publish(SYMBOL)
    with opened(site, PATH) as client:
        client.send(json.dumps({"type": "pong", "filler": "x" * 70_000}))
        assert close_code(client)[0] == 1009
    with opened(site, PATH) as client:
        client.send("\udc80".encode("utf-8", "surrogatepass"), text=True)
        assert close_code(client)[0] == 1007
    with opened(site, PATH) as client:
        client.send(json.dumps({"type": "pong", "filler": "x" * 60_000}))
        feed.publish(SYMBOL)
        assert until(client, lambda message: message["type"] == "update")


def test_a_slow_reader_skips_and_harms_nobody_and_is_closed_at_last(site, feed):
    """A stalled client's states are replaced by newer ones; whoever reads beside it gets every one."""
    feed.publish(SYMBOL)
    slow = RawClient(site, PATH)
    before = figures(site)["closed_slow"]
    with opened(site, PATH) as client:
        told_by(client)
        stall(site, feed, SYMBOL, [client])
        wait_for(lambda: figures(site)["closed_slow"] > before)
        texts, code = slow.rest()
        assert code in {1008, None}  # None: it was cut before it read the close
        updates = [text for text in texts if json.loads(text)["type"] == "update"]
        assert set(updates) <= set(feed.published["SPOT", SYMBOL])
        numbers = [json.loads(text)["seq"] for text in updates]
        assert numbers == sorted(numbers)
        assert len(numbers) < len(feed.published["SPOT", SYMBOL]) / 2  # what was held for it was bounded


def test_a_slow_reader_that_catches_up_goes_on_with_the_latest(site, feed):
    feed.publish(SYMBOL)
    slow = RawClient(site, PATH)
    stall(site, feed, SYMBOL)
    catch_up(feed, SYMBOL, slow)
    slow.socket.close()


def test_connections_beyond_the_limit_are_told_to_try_later(site, feed):
    feed.publish(SYMBOL)
    wait_for(lambda: figures(site)["clients"] == 0)
    with ExitStack() as stack:
        clients = [stack.enter_context(opened(site, PATH)) for _ in range(MOST_CLIENTS)]
        assert told_by(clients[-1])["type"] == "snapshot"
        with opened(site, PATH) as beyond:
            assert close_code(beyond) == (1013, [])
        health = f"{site.http}/api/v1/health"
        wait_for(lambda: requests.get(health, timeout=30).json()["components"]["websockets"]["clients"] == MOST_CLIENTS)
    wait_for(lambda: requests.get(health, timeout=30).json()["components"]["websockets"]["clients"] == 0)
    with opened(site, PATH) as client:
        assert told_by(client)["type"] == "snapshot"


def test_the_end_of_the_server_is_told(environment, feed):
    feed.publish(SYMBOL)
    with running(environment) as site, opened(site, PATH) as client:
        told_by(client)
        with opened(site, f"/ws?symbol={SYMBOL}&type=orderbook") as flat:
            told_by(flat)
            site.process.terminate()
            assert close_code(client)[0] == 1001
            assert close_code(flat)[0] == 1001


def test_where_reading_is_closed_a_key_or_a_session_opens(environment, feed):
    feed.publish(SYMBOL)
    key = run_python(environment, "manage.py", "create_api_key", "sockets", "--scope", "snapshots:write").split()[-1]
    with running(environment, API_PUBLIC="false") as site:
        for headers in ({}, {"Authorization": "Api-Key wrong"}, {"Cookie": f"sessionid_{site.port}=wrong"}):
            with pytest.raises(InvalidStatus), opened(site, PATH, additional_headers=headers):
                pass
        with opened(site, PATH, additional_headers={"Authorization": f"Api-Key {key}"}) as client:
            assert told_by(client)["type"] == "snapshot"
