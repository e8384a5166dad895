"""A feed in this process against the simulated exchange, and a checker of everything that it publishes and stores."""

import json
import threading
import time
from collections import Counter, defaultdict
from contextlib import contextmanager

from markets.connections import broker_redis
from simulator.market import book_at
from tests.simulator.local_book import time_of

NAMES = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
MARKETS = ("SPOT", "FUTURES")
KEYS = [(market, name) for market in MARKETS for name in NAMES]


def until(condition, seconds=60.0, what="it does not come to pass"):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.02)
    return found


@contextmanager
def running(feed):
    """The feed at work; ended, and all of its threads with it, at the end."""
    thread = threading.Thread(target=feed.run)
    thread.start()
    try:
        yield feed
    finally:
        feed.stop()
        thread.join(60)
        assert not thread.is_alive()


class Subscriber:
    """Everything that is published on channels of these patterns: when (epoch seconds), channel, body."""

    def __init__(self, *patterns):
        self.messages = []
        self._pubsub = broker_redis().pubsub(ignore_subscribe_messages=True)
        self._pubsub.psubscribe(*patterns)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._end.is_set():
            message = self._pubsub.get_message(timeout=0.1)
            if message:
                self.messages.append((time.time(), message["channel"].decode(), json.loads(message["data"])))

    def stop(self):
        self._end.set()
        self._thread.join()
        self._pubsub.close()


class Listener(Subscriber):
    """Everything that is published of books, by symbol."""

    def __init__(self):
        super().__init__("live:SPOT:*", "live:FUTURES:*", "orderbook:*")

    def updates(self, market=None, symbol=None):
        return [
            body
            for _, channel, body in list(self.messages)
            if body.get("type") == "update"
            and (market is None or (body["marketType"], body["symbol"]) == (market, symbol))
        ]

    def synced(self, market, symbol):
        return [body for body in self.updates(market, symbol) if body["wsStatus"] == "connected"]

    def outside(self):
        return [body for _, channel, body in list(self.messages) if channel == "orderbook:all"]


def top_of(market, symbol, update_id, levels=20):
    when = time_of(symbol, market.lower(), update_id)
    bids, asks = book_at(symbol, market.lower(), when, levels)
    return bids.tolist(), asks.tolist()


def wrong_states(bodies, sample=None):
    """Of published states that say they are right: those whose top is not the exchange's at their id."""
    wrong, step = [], max(1, len(bodies) // sample) if sample else 1
    for body in bodies[::step]:
        bids, asks = top_of(body["marketType"], body["symbol"], body["lastUpdateId"])
        told = [[[level["price"], level["volume"]] for level in body[side]] for side in ("bids", "asks")]
        if told != [bids, asks]:
            wrong.append(body)
    return wrong


def wrong_bands(body):
    """Bands of a published state whose sums are not those of the exchange's whole book: a complete side must be equal,
    another must not be more."""
    when = time_of(body["symbol"], body["marketType"].lower(), body["lastUpdateId"])
    sides = book_at(body["symbol"], body["marketType"].lower(), when, 10**6)
    wrong = []
    for row in body["depthVolumes"]:
        for side, levels, sign in (("bid", sides[0], -1), ("ask", sides[1], 1)):
            bound = levels[0, 0] * (1 + sign * row["depth"] / 100)
            slack = bound * 1e-12  # far above floats' error, far below a tick's share of a price
            inside = levels[:, 0] >= bound - slack if sign < 0 else levels[:, 0] <= bound + slack
            true, told = float(levels[inside, 1].sum()), row[f"{side}Volume"]
            exact = row[f"{side}Complete"]
            if (exact and abs(told - true) > 1e-6 * true) or told > true * (1 + 1e-6):
                wrong.append((row["depth"], side, told, true, exact))
    return wrong


def skipped(bodies):
    """Numbers of states that never came, or came twice, by symbol."""
    found, last = Counter(), defaultdict(int)
    for body in bodies:
        key = body["marketType"], body["symbol"]
        if last[key] and body["seq"] != last[key] + 1:
            found[key] += 1
        last[key] = body["seq"]
    return found
