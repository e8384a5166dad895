"""The whole feed against the simulated exchange: what it publishes is the exchange's book, whatever happens."""

import pytest

from collector.feed.run import Feed
from collector.models import StreamEvent
from markets.models import Symbol
from tests.collector.feeding import (
    KEYS,
    MARKETS,
    NAMES,
    Listener,
    running,
    skipped,
    until,
    wrong_bands,
    wrong_states,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def live(simulator, settings, forgetful, empty_redis, transactional_db):
    """The simulated exchange over both of its ways; NAMES are collected and live on both markets."""
    from collector.services import sync_registry

    simulator.reset()
    simulator.control("DELETE", "/streams")
    socket = simulator.url.replace("http", "ws")
    settings.VENUE_URLS = {"binance": {market: {"rest": simulator.url, "ws": socket} for market in MARKETS}}
    settings.SYMBOLS, settings.LIVE_SYMBOLS = ",".join(NAMES), ",".join(NAMES)
    sync_registry()
    yield simulator
    simulator.reset()
    simulator.control("DELETE", "/streams")


@pytest.fixture
def listener(live):
    listening = Listener()
    yield listening
    listening.stop()


def all_synced(listener, count):
    return lambda: all(len(listener.synced(*key)) >= count for key in KEYS)


def test_every_state_is_the_exchanges(live, listener):
    assert Symbol.objects.filter(live=True).count() == len(KEYS)
    with running(Feed()):
        until(all_synced(listener, 8))
        until(lambda: len(listener.outside()) >= len(KEYS))
    states = listener.updates()
    assert not wrong_states([state for state in states if state["wsStatus"] == "connected"])
    assert not skipped(states)
    for key in KEYS:
        assert not wrong_bands(listener.synced(*key)[-1])
    kinds = StreamEvent.objects.values_list("event_type", flat=True)
    assert {"CONNECTED", "SNAPSHOT_LOADED", "DISCONNECTED"} == set(kinds)
