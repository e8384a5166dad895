"""A client that stops reading, beside readers that go on: what a web process does for either."""

import re
import socket
import time

import psutil
import requests

from markets.clients import FIGURES
from markets.connections import broker_redis
from tests.sockets.conftest import wait_for
from tests.sockets.test_depth import until

MOST_HELD = 6000  # states that kernels may hold for a reader that stalls
PACE = 0.05  # seconds between states while the web process waits for a reader that stalls
PATIENCE = 60.0  # for it to wait no longer


def figures(site):
    """The web process's own numbers as Prometheus reads them."""
    name = f"{socket.gethostname()}:{site.process.pid}"
    wait_for(lambda: broker_redis().hexists(FIGURES, name))  # an emptied Redis has it again soon
    text = requests.get(f"{site.http}/metrics", timeout=30).text
    found = re.findall(rf'^trading_socket_(\w+){{process="{name}"}} (\S+)$', text, re.MULTILINE)
    return {figure.removesuffix("_total"): float(number) for figure, number in found}


def connected(site, client):
    """Whether the web process has the raw client's connection; the client itself, not reading, cannot know."""
    own = client.socket.getsockname()
    return any(one.raddr == own for one in psutil.Process(site.process.pid).net_connections("tcp"))


def tell(feed, symbol, readers, states=1):
    """Each of the readers gets each state, before the next is published."""
    for _ in range(states):
        feed.publish(symbol)
        for reader in readers:
            message = until(reader, lambda message: message["type"] == "update")
            assert message["seq"] == len(feed.published["SPOT", symbol])


def stall(site, feed, symbol, readers=()):
    """States, until 50 of them were skipped for whoever does not read."""
    before = figures(site)["frames_skipped"]
    while figures(site)["frames_skipped"] - before < 50:
        tell(feed, symbol, readers, 20)
        assert len(feed.published["SPOT", symbol]) < MOST_HELD


def stall_to_the_end(site, feed, symbol, slow, readers):
    """And on, until the connection of the one that does not read has ended without its help."""
    end = time.monotonic() + PATIENCE
    stall(site, feed, symbol, readers)
    while connected(site, slow):
        assert time.monotonic() < end, "the web process holds on to a client that does not read"
        tell(feed, symbol, readers)
        time.sleep(PACE)


def catch_up(feed, symbol, slow):
    """The numbers that the one that stalled reads, up to the newest; then it gets the next as everybody does."""
    newest = len(feed.published["SPOT", symbol])
    seen = [slow.update()]
    while seen[-1] < newest:
        seen.append(slow.update())
    assert seen == sorted(set(seen))
    assert len(seen) < newest - 50
    feed.publish(symbol)
    assert slow.update() == newest + 1
    return seen
