"""The topic of one book: what its clients are told, and how little it claims when the feed says nothing."""

import asyncio
from datetime import UTC, datetime
from time import monotonic, time

import msgspec
import pytest

from depth.broadcast import state_body, status_body
from depth.hub import CONNECTING_SECONDS, BookTopic, flat, whole
from depth.selectors import LatestBook
from tests.depth.test_broadcast import told


class Told:
    """A writer that keeps what it is given."""

    def __init__(self):
        self.messages = []

    def put(self, kind, frame):
        self.messages.append(msgspec.json.decode(frame.body))

    @property
    def last(self):
        return self.messages[-1]


def state(seq, age=0.0, status="connected", mid=100.0):
    now = int((time() - age) * 1000)
    return msgspec.json.encode(state_body(told(mid=mid, read_at=now), status, now, seq))


def status(name):
    return msgspec.json.encode(status_body("SPOT", "BTCUSDT", name))


def stored(age):
    read_at = datetime.fromtimestamp(time() - age, UTC)
    made = told()
    shared = {name: getattr(made, name) for name in LatestBook.__slots__ if hasattr(made, name)}
    other = {"time": read_at, "received_at": read_at, "event_time": None, "depth_limit": 50, "source": "rest"}
    return LatestBook(**shared | other)


class FakeRedis:
    def __init__(self, kept=None):
        self.kept = kept

    async def get(self, key):
        return self.kept


@pytest.fixture
def topic():
    async def make():
        return BookTopic("SPOT", "BTCUSDT")

    return asyncio.run(make())


def test_everybody_gets_the_state_in_the_own_view_encoded_once(topic):
    wholes, flats = [Told(), Told()], [Told()]
    for writer in wholes:
        topic.join(writer, whole, None)
    topic.join(flats[0], flat, None)
    topic.heard(state(1), monotonic())
    assert [writer.last["type"] for writer in wholes] == ["snapshot", "snapshot"]  # their first book
    frames = []
    for writer in wholes:
        writer.put = lambda kind, frame: frames.append(frame)
    topic.heard(state(2), monotonic())
    assert frames[0] is frames[1]
    assert msgspec.json.decode(frames[0].body)["type"] == "update"
    assert flats[0].last["type"] == "orderbook"
    assert flats[0].last["seq"] == 2


@pytest.mark.parametrize(
    ("silence", "expected"),
    [(1, "connected"), (4, "stale"), (16, "disconnected"), (61, "off")],
)
def test_silence_is_worth_less_and_less(topic, silence, expected):
    now = monotonic()
    topic.heard(state(1), now)
    assert topic.status(now + silence) == expected


def test_each_change_of_status_is_told_once(topic):
    client, now = Told(), monotonic()
    topic.heard(state(1), now)
    topic.join(client, whole, None)
    for second in range(70):
        topic.tick(now + second)
    told_statuses = [message["wsStatus"] for message in client.messages if message["type"] == "status"]
    assert told_statuses == ["stale", "disconnected", "off"]
    topic.heard(state(2), now + 71)
    assert [message["type"] for message in client.messages[-2:]] == ["status", "update"]


def test_a_feed_that_is_there_without_a_book_is_believed(topic):
    now = monotonic()
    for status_name in ("connecting", "disconnected", "off"):
        topic.heard(status(status_name), now)
        assert topic.status(now + 2) == status_name
    topic.heard(status("connected"), now)
    assert topic.status(now) == "stale"  # but nothing was published


def test_a_book_that_nobody_publishes_is_off_after_a_while(topic):
    now = monotonic()
    assert topic.status(now) == "connecting"
    assert topic.status(now + CONNECTING_SECONDS + 1) == "off"


def test_without_redis_the_book_is_stale_at_once(topic):
    client, now = Told(), monotonic()
    topic.heard(state(1), now)
    topic.join(client, whole, None)
    topic.lost(now)
    assert client.last["wsStatus"] == "stale"
    asyncio.run(topic.load(FakeRedis(state(2))))
    assert (client.messages[-2]["wsStatus"], client.last["type"], client.last["seq"]) == ("connected", "update", 2)


def test_what_redis_holds_counts_by_its_own_age(topic):
    asyncio.run(topic.load(FakeRedis(state(7, age=20))))
    assert topic.status(monotonic()) == "disconnected"
    client = Told()
    topic.join(client, whole, None)
    assert (client.last["type"], client.last["wsStatus"]) == ("snapshot", "disconnected")
    assert client.last["ageMs"] >= 20_000
    asyncio.run(topic.load(FakeRedis(state(6, age=30))))
    assert topic.head.seq == 7  # what is older changes nothing


def test_what_was_read_from_its_key_is_not_told_again_when_it_is_heard(topic):
    under_way, newest, client = state(1), state(2), Told()
    asyncio.run(topic.load(FakeRedis(newest)))
    topic.join(client, whole, None)
    for late in (under_way, newest, state(3)):
        topic.heard(late, monotonic())
    assert [(message["type"], message["seq"]) for message in client.messages] == [("snapshot", 2), ("update", 3)]


def test_the_newer_of_live_and_stored_comes_first(topic):
    topic.heard(state(3, age=50), monotonic() - 50)
    newer, older = Told(), Told()
    topic.join(newer, whole, stored(age=10))
    assert (newer.last["source"], newer.last["seq"]) == ("rest", 3)
    topic.join(older, whole, stored(age=90))
    assert older.last["source"] == "stream"


def test_a_topic_without_clients_is_empty(topic):
    client = Told()
    topic.join(client, whole, None)
    assert topic.empty_since is None
    topic.leave(client)
    assert topic.empty_since is not None
    topic.leave(client)
