"""Changes of orders as others hear of them in Redis."""

import json

import pytest

from dex import broadcast, services
from dex.services import Cursor
from markets import connections
from tests.dex.factories import ALICE, BOB, DECODER, DEPLOYMENT, block_hash, log, store, stretch

pytestmark = pytest.mark.django_db


@pytest.fixture
def heard(empty_redis):
    """What was published since, by channel."""
    listener = empty_redis.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(broadcast.CHANNEL, broadcast.user_channel(ALICE), broadcast.user_channel(BOB))
    listener.get_message(timeout=1)

    def messages():
        found = {}
        while (told := listener.get_message(timeout=0.3)) or listener.connection.can_read(timeout=0):
            if told:
                found.setdefault(told["channel"].decode(), []).append(json.loads(told["data"]))
        return found

    for _ in range(2):
        listener.get_message(timeout=1)
    yield messages
    listener.close()


def test_a_change_tells_the_order_as_it_is_now(heard):
    cursor = store([log("OrderCreated", 1, 5)])
    assert heard() == {}  # the past is not news
    services.apply(DEPLOYMENT, DECODER, cursor, stretch(6, [log("OrderCancelled", 1, 6)]), tell=True)
    told = heard()
    assert set(told) == {"orders:all", f"orders:{ALICE}"}
    message = told["orders:all"][0]
    assert (message["type"], message["event"], message["reorg"]) == ("order", "OrderCancelled", False)
    assert (message["order"]["id"], message["order"]["status"]) == (1, "CANCELLED")
    assert message["timestamp"] > 10**12


def test_a_reorganisation_tells_what_is_left(heard):
    cursor = store([log("OrderCreated", 1, 5), log("OrderCancelled", 1, 6), log("OrderCreated", 2, 6, 1, user=BOB)])
    services.take_back(DEPLOYMENT, cursor, Cursor(5, block_hash(5)))
    changed, removed = heard()["orders:all"]
    assert (changed["reorg"], changed["event"], changed["order"]["status"]) == (True, None, "PENDING")
    assert (removed["type"], removed["id"]) == ("order_removed", 2)


def test_refused_events_are_no_news(heard):
    cursor = store([log("OrderCreated", 1, 5)])
    services.apply(DEPLOYMENT, DECODER, cursor, stretch(6, [log("OrderExecuted", 9, 6)]), tell=True)
    assert heard() == {}


def test_orders_do_not_wait_for_redis(monkeypatch):
    import redis

    monkeypatch.setattr(broadcast, "broker_redis", lambda: redis.Redis(host="127.0.0.1", port=9))
    cursor = services.begin(DEPLOYMENT)
    change = services.apply(DEPLOYMENT, DECODER, cursor, stretch(5, [log("OrderCreated", 1, 5)]), tell=True)
    assert change.cursor.block == 5
    assert connections.broker_redis() is not None
