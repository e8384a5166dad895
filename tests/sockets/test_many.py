"""A hundred clients at once, Redis that goes away, and a program written for the other platform."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sockets.conftest import SYMBOLS, Feed
from tests.sockets.crowd import gather
from tests.sockets.test_depth import opened, told_by, until
from tests.web_process import ROOT


def test_a_hundred_clients_get_published_states_in_order(site, feed):
    crowd = gather(site, feed, SYMBOLS[20:30], clients=100, rounds=30, pause=0.05)
    assert (crowd.foreign, crowd.disordered) == (0, 0)
    assert crowd.delivered + crowd.skipped >= 100 * 25  # a snapshot may be of a state or two after the first
    assert crowd.skipped_share <= 0.05  # whoever reads gets nearly all


def test_a_client_that_leaves_in_the_middle_harms_nobody(site, feed):
    symbol = SYMBOLS[31]
    feed.publish(symbol)
    with opened(site, f"/ws/depth?symbol={symbol}") as client:
        told_by(client)
        for _ in range(5):
            leaving = opened(site, f"/ws/depth?symbol={symbol}")
            leaving.socket.close()
            feed.publish(symbol)
            assert until(client, lambda message: message["type"] == "update")


@pytest.mark.usefixtures("empty_redis")
def test_redis_goes_away_and_comes_back(site, servers):
    feed, symbol = Feed(), SYMBOLS[32]
    feed.publish(symbol)
    with opened(site, f"/ws/depth?symbol={symbol}") as client:
        assert told_by(client)["wsStatus"] == "connected"
        servers.redis.kill()
        assert until(client, lambda message: message["type"] == "status")["wsStatus"] == "stale"
        with opened(site, f"/ws/depth?symbol={symbol}") as other:  # while it is away
            first = told_by(other)
            assert (first["type"], first["wsStatus"]) == ("snapshot", "stale")
        with opened(site, f"/ws/depth?symbol={SYMBOLS[33]}") as other:
            first = told_by(other)
            assert (first["type"], first["source"]) == ("snapshot", "rest")
        servers.redis.start()
        end = time.monotonic() + 60
        heard = None
        while heard is None:
            assert time.monotonic() < end
            feed.publish(symbol)
            try:
                heard = until(client, lambda message: message["type"] == "update", 0.5)
            except TimeoutError:
                continue
        assert heard["wsStatus"] == "connected"


def node() -> str | None:
    return shutil.which("node") or shutil.which("node", path=str(Path(sys.executable).parent))


def test_a_javascript_client_reads_flat_messages(site, feed):
    """The client of the other platform's documents, with the package `ws`."""
    program = node()
    if program is None or not (ROOT / "node_modules" / "ws").is_dir():
        pytest.skip("no Node.js, or no package ws in node_modules")
    symbol = SYMBOLS[34]
    feed.publish(symbol)
    script = ROOT / "tests" / "sockets" / "client.mjs"
    environment = os.environ | {"NODE_PATH": str(ROOT / "node_modules")}
    command = [program, str(script), f"{site.address}/ws?symbol={symbol}&type=orderbook", "3"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        while process.poll() is None:
            feed.publish(symbol)
            time.sleep(0.1)
    finally:
        process.kill()
    lines = [json.loads(line) for line in process.stdout.read().splitlines()]
    assert [line["symbol"] for line in lines] == [symbol] * 3
    assert all(line["bid"] < line["ask"] and line["levels"] == 20 for line in lines)
    assert process.returncode == 0
