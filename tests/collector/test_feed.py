"""The whole feed against the simulated exchange: what it publishes is the exchange's book, whatever happens."""

import pytest

from collector.feed.run import Feed
from collector.models import StreamEvent
from markets.models import Symbol
from tests.collector.feeding import (
    KEYS,
    running,
    skipped,
    until,
    wrong_bands,
    wrong_states,
)

pytestmark = pytest.mark.django_db(transaction=True)


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
