"""The feed while its exchange fails: no wrong book ever says that it is right, right ones come back by themselves."""

import os
import time
from collections import Counter

import pytest

from collector import links
from collector.feed import followed
from collector.feed.run import Feed
from collector.models import StreamEvent
from markets.models import Symbol
from tests.collector.feeding import KEYS, NAMES, running, skipped, until, wrong_bands, wrong_states

SECONDS = float(os.environ.get("FEED_FAULT_SECONDS", "5"))
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300 + 2 * SECONDS)]


def synced_after(listener, moment, keys=KEYS):
    """Every one of these books was published as right after that moment."""

    def found():
        at = {
            (body["marketType"], body["symbol"])
            for when, _, body in list(listener.messages)
            if when > moment and body.get("wsStatus") == "connected"
        }
        return set(keys) <= at

    return found


@pytest.fixture
def unhurried(monkeypatch):
    """A test process that stood still for a while has not fallen behind: what follows must not hang on its speed."""
    monkeypatch.setattr(followed, "BEHIND_SECONDS", 60.0)
    monkeypatch.setattr(followed, "FRESH_SECONDS", 60.0)


def statuses(listener, moment, market, symbol):
    told = [
        body["wsStatus"]
        for when, _, body in list(listener.messages)
        if when > moment and (body.get("marketType"), body.get("symbol")) == (market, symbol)
    ]
    return [now for before, now in zip([None, *told], told, strict=False) if now != before]


def never_wrong(listener):
    states = [body for body in listener.updates() if body["wsStatus"] == "connected"]
    assert not wrong_states(states)
    assert not skipped(listener.updates())
    for body in states[:: max(1, len(states) // 30)]:
        assert not wrong_bands(body), body["symbol"]


def test_all_faults_at_once(live, listener):
    """Some seconds of losses, doubles, disorder, nonsense and late snapshots, with cuts, silence and announced ends
    between; FEED_FAULT_SECONDS makes it longer, as the soak does."""
    for kind, share in (("drop", 0.03), ("double", 0.05), ("reorder", 0.03), ("corrupt", 0.02)):
        live.fault(kind, probability=share)
    live.fault("late_snapshot", age_ms=1500, probability=0.5)
    begun = time.monotonic()
    with running(Feed()) as feed:
        until(synced_after(listener, 0))
        end, turn = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            time.sleep(2.4)
            turn += 1
            market = ("spot", "futures")[turn % 2]
            if turn % 3 == 0:
                live.fault("stall", market=market, stream=f"{NAMES[turn % 3].lower()}@depth@100ms", seconds=3)
            else:
                live.fault(*(("cut",) if turn % 3 == 1 else ("shutdown",)), market=market)
        live.heal()
        healed = time.time()
        until(synced_after(listener, healed + 1), 90)
        resyncs = sum(book.sync.resyncs for book in feed.books.followed.values())
    never_wrong(listener)
    assert resyncs > 5
    kinds = Counter(StreamEvent.objects.values_list("event_type", flat=True))
    assert {"GAP_DETECTED", "UPDATE_FAILED", "SNAPSHOT_LOADED", "RECONNECTING"} <= set(kinds)
    assert kinds.total() < 600 * (1 + (time.monotonic() - begun) / 60)
    right = sum(body["wsStatus"] == "connected" for body in listener.updates())
    print(f"{SECONDS:.0f} s of faults: {len(listener.updates())} states, {right} right, 0 wrong; {resyncs} resyncs")
    print("  ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())))


def test_a_cut_is_told_at_once_and_mended(live, listener):
    with running(Feed()):
        until(synced_after(listener, 0))
        cut = time.time()
        live.fault("cut")
        until(lambda: all("disconnected" in statuses(listener, cut, *key) for key in KEYS))
        until(synced_after(listener, cut + 0.8))
    never_wrong(listener)
    for key in KEYS:
        assert statuses(listener, cut, *key)[-1] == "disconnected"  # the feed's own end
        assert "connected" in statuses(listener, cut, *key)[1:]
    assert StreamEvent.objects.filter(event_type="RECONNECTING").count() == 2


def test_a_silent_stream_goes_stale_alone(live, listener, monkeypatch, unhurried):
    monkeypatch.setattr(links, "SILENT_AFTER", 4.0)
    with running(Feed()) as feed:
        until(synced_after(listener, 0))
        stalled = time.time()
        live.fault("stall", stream="ethusdt@depth@100ms", market="spot")
        until(lambda: "stale" in statuses(listener, stalled, "SPOT", "ETHUSDT"))
        assert [link.state for link in feed.engine.links.all()] == ["connected", "connected"]
        live.heal()
        until(synced_after(listener, time.time(), [("SPOT", "ETHUSDT")]))
    never_wrong(listener)
    others = [key for key in KEYS if key != ("SPOT", "ETHUSDT")]
    for key in others:
        assert set(statuses(listener, stalled, *key)) <= {"connected", "disconnected"}
        assert statuses(listener, stalled, *key)[0] == "connected"
    assert StreamEvent.objects.filter(event_type="ERROR", message__contains="silent").exists()


def test_a_silent_socket_is_left(live, listener, monkeypatch):
    monkeypatch.setattr(links, "SILENT_AFTER", 2.5)
    with running(Feed()):
        until(synced_after(listener, 0))
        live.fault("stall", market="spot")
        until(lambda: StreamEvent.objects.filter(event_type="DISCONNECTED", market_type="SPOT").exists())
        live.heal()
        until(synced_after(listener, time.time() + 1))
    never_wrong(listener)


def test_an_announced_end_costs_no_book(live, listener, unhurried):
    """The second connection is there before the first one ends: no state but right ones, and no new snapshot."""
    with running(Feed()) as feed:
        until(synced_after(listener, 0))
        announced = time.time()
        live.fault("shutdown", market="spot", delay=30)
        renewed = StreamEvent.objects.filter(event_type="CONNECTED", message__startswith="renewed")
        until(renewed.exists)
        time.sleep(1)
        resyncs = {key: book.sync.resyncs for key, book in feed.books.followed.items()}
        told = {key: statuses(listener, announced, *key) for key in KEYS}
    assert set(resyncs.values()) == {0}
    assert all(states == ["connected"] for states in told.values()), told
    never_wrong(listener)


def test_a_connection_is_renewed_within_its_life(live, listener, monkeypatch, unhurried):
    monkeypatch.setattr("collector.feed.engine.LIFE_SHARE", 2.0 / 86_400)  # two seconds of the server's day
    monkeypatch.setattr(links, "RENEW_EVERY", 1.0)
    with running(Feed()) as feed:
        until(synced_after(listener, 0))
        renewed = StreamEvent.objects.filter(event_type="CONNECTED", message__startswith="renewed")
        until(lambda: renewed.count() >= 3)
        assert {book.sync.resyncs for book in feed.books.followed.values()} == {0}
    never_wrong(listener)
    states = {body["wsStatus"] for body in listener.updates()}
    assert states == {"connected", "disconnected"}  # the last word at the feed's end


def test_refused_connections_are_tried_again(live, listener):
    live.fault("refuse", market="spot")
    with running(Feed()):
        until(StreamEvent.objects.filter(event_type="RECONNECTING", market_type="SPOT").exists)
        live.heal()
        until(synced_after(listener, 0))
    never_wrong(listener)


def test_books_follow_the_registry_and_the_readers(live, listener, settings, empty_redis):
    """A symbol comes and goes with the registry's switch; another for as long as somebody asks."""
    Symbol.objects.filter(name="SOLUSDT").update(live=False)
    from depth.broadcast import WANTED, WANTED_SECONDS, want

    with running(Feed()) as feed:
        until(synced_after(listener, 0, [key for key in KEYS if key[1] != "SOLUSDT"]))
        assert not listener.updates("SPOT", "SOLUSDT")
        want(empty_redis, "SPOT", "SOLUSDT", time.time())
        want(empty_redis, "SPOT", "NOSUCHUSDT", time.time())
        until(lambda: listener.synced("SPOT", "SOLUSDT"))
        empty_redis.zadd(WANTED, {"SPOT:SOLUSDT": time.time() - WANTED_SECONDS - 1})
        Symbol.objects.filter(name="ETHUSDT").update(live=False)
        until(lambda: "off" in statuses(listener, 0, "SPOT", "SOLUSDT"))
        until(lambda: "off" in statuses(listener, 0, "FUTURES", "ETHUSDT"))
        assert empty_redis.get("live:state:SPOT:SOLUSDT") is None
        until(
            lambda: (
                live.control("GET", "/streams")["streams"]
                == {
                    "spot btcusdt@depth@100ms": 1,
                    "futures btcusdt@depth@100ms": 1,
                }
            )
        )
        assert set(feed.books.followed) == {("SPOT", "BTCUSDT"), ("FUTURES", "BTCUSDT")}
        assert not StreamEvent.objects.filter(event_type="DISCONNECTED").exists()


def test_numbers_of_states_go_on_over_restarts(live, listener):
    for _ in range(2):
        begun = time.time()
        with running(Feed()):
            until(synced_after(listener, begun))
    assert not skipped(listener.updates())
