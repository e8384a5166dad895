"""Parts of the feed by themselves: events that do not flood, minutes by the clock, an inbox that overflows, shards."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from collector.events import Event
from collector.exchanges.streams import Kind
from collector.feed.books import BookRules, Books, LiveSymbol
from collector.feed.followed import Followed
from collector.feed.inbox import Inbox
from collector.feed.keeping import MOST_OF_A_TYPE, EventLog, Keeping
from collector.feed.leases import Shard
from collector.feed.minutes import MinuteBooks
from collector.feed.parts import Wish
from collector.feed.run import Feed
from collector.feed.snapshots import Fetched
from collector.models import StreamEvent
from depth.book import DepthDiff, snapshot_from_levels
from depth.models import OrderBookSecond
from tests.collector.feeding import KEYS, MARKETS, running, top_of, until, wrong_states
from tests.collector.simulated import ROOT

MINUTE = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
SNAPSHOT = snapshot_from_levels([("100", "1"), ("99", "2")], [("101", "1"), ("102", "2")], 1000, 10)


def diff(before, to, bids=((100.0, 3.0),), asks=()):
    return DepthDiff("BTCUSDT", "SPOT", before, to, 0, list(bids), list(asks))


def right_book(wall, planned=1000):
    """A book that is right at `wall`, epoch seconds."""
    book = Followed("SPOT", "BTCUSDT", planned, 5000)
    book.offer(diff(9, 11), wall, True)
    assert book.next_fetch(0.0) == (1000, True)
    assert book.next_fetch(0.0) is None  # one at a time
    book.fetched(Fetched(SNAPSHOT, 1000), True, 0.0, wall)
    assert book.sync.synced
    return book


# --- events ------------------------------------------------------------------------------------------------------


def test_events_of_a_minute_are_bounded_and_the_rest_counted():
    log = EventLog()
    for number in range(100):
        log.add(Event("GAP_DETECTED", str(number), "BTCUSDT", "SPOT", time=MINUTE + timedelta(seconds=number / 10)))
    log.add(Event("GAP_DETECTED", "other", "BTCUSDT", "FUTURES", time=MINUTE))
    kept = log.take(MINUTE + timedelta(seconds=30))
    assert len(kept) == MOST_OF_A_TYPE + 1
    assert log.take(MINUTE + timedelta(seconds=59)) == []
    (rest,) = log.take(MINUTE + timedelta(seconds=61))
    assert (rest.type, rest.market, rest.metadata["count"]) == ("GAP_DETECTED", "SPOT", 100 - MOST_OF_A_TYPE)
    log.add(Event("GAP_DETECTED", "next", "BTCUSDT", "SPOT", time=MINUTE + timedelta(seconds=62)))
    assert len(log.take(MINUTE + timedelta(seconds=63))) == 1


@pytest.mark.django_db
def test_events_are_stored_in_full(own_spool):
    keeping = Keeping("binance")
    for number in range(10):
        keeping.event(Event("SNAPSHOT_LOADED", str(number), "BTCUSDT", "SPOT"))
    keeping.store(0.0)
    assert StreamEvent.objects.filter(event_type="SNAPSHOT_LOADED").count() == 10


def test_every_kind_of_batch_is_known_to_those_who_store_what_waits():
    """One that is not would be set aside, for nobody to see."""
    import re

    made = "import collector.{}, depth.intake; print(*depth.intake._KINDS)"
    folders = (ROOT / name for name in ("collector", "depth", "derivatives", "candles"))
    texts = (path.read_text() for folder in folders for path in folder.rglob("*.py"))
    kinds = {name for text in texts for name in re.findall(r' = kind\("([a-z_.]+)"', text)}
    assert len(kinds) > 8
    for module in ("watch", "feed.run"):
        code = f"import django; django.setup(); {made.format(module)}"
        environ = os.environ | {"DJANGO_SETTINGS_MODULE": "tradingplatform.settings"}
        known = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, check=True)
        assert kinds <= set(known.stdout.decode().split()), module


# --- minutes -----------------------------------------------------------------------------------------------------


class Taken:
    def __init__(self):
        self.books = []

    def minute(self, books):
        self.books.extend(books)


@pytest.fixture
def minutes():
    taking = MinuteBooks(Taken())
    taking.running = True
    taking.look(MINUTE.timestamp() - 30, {})  # the feed begins in the minute before
    return taking


def look(taking, second, book, key=("SPOT", "BTCUSDT")):
    """What is taken at this second of the minute, from a book that is right then (or None)."""
    before = len(taking._keeping.books)
    wall = MINUTE.timestamp() + second
    followed = {key: book if book is not None else Followed(*key, 1000, 5000)}
    taking.look(wall, followed)
    return taking._keeping.books[before:]


def test_a_fresh_book_is_taken_once_at_the_minutes_start(minutes):
    book = right_book(MINUTE.timestamp())
    (taken,) = look(minutes, 0.05, book)
    assert taken.received_at == MINUTE + timedelta(seconds=0.05)
    assert (taken.limit, taken.source, taken.last_update_id) == (1000, "stream", 11)
    assert taken.book.bids.quantities.tolist() == [3.0, 2.0]
    book.offer(diff(11, 12, [(100.0, 9.0)]), MINUTE.timestamp() + 1, True)
    assert taken.book.bids.quantities.tolist() == [3.0, 2.0]  # it stays as it was
    assert look(minutes, 1, book) == []
    assert len(look(minutes, 60.02, right_book(MINUTE.timestamp() + 60))) == 1


def test_a_book_that_becomes_right_in_time_is_taken_then(minutes):
    assert look(minutes, 0.1, None) == []
    assert len(look(minutes, 9, right_book(MINUTE.timestamp() + 9))) == 1


def test_after_the_takeover_nothing_is_taken(minutes):
    assert look(minutes, 0.1, None) == []
    assert look(minutes, 25, right_book(MINUTE.timestamp() + 25)) == []


def test_a_symbol_that_becomes_live_within_a_minute_begins_with_the_next(minutes):
    minutes.look(MINUTE.timestamp() + 0.1, {})
    assert look(minutes, 5, right_book(MINUTE.timestamp() + 5)) == []
    assert len(look(minutes, 60.1, right_book(MINUTE.timestamp() + 60))) == 1


@pytest.mark.parametrize("why", ["stopped", "stale", "old", "behind", "shallow"])
def test_what_is_not_fit_is_left_to_polling(minutes, why):
    book = right_book(MINUTE.timestamp() - (30 if why == "old" else 0), planned=5000 if why == "shallow" else 1000)
    minutes.running = why != "stopped"
    book.lag = 5.0 if why == "behind" else 0.0
    if why == "stale":
        book.lost(down=True)
    assert look(minutes, 0.1, book) == []


# --- what goes wrong inside --------------------------------------------------------------------------------------


def test_an_inbox_that_overflows_says_so_before_what_follows():
    told = []
    inbox = Inbox(told.append, most=3)
    line, other = SimpleNamespace(), SimpleNamespace()
    for number in range(6):
        inbox.frame(line, b"%d" % number, 0.0)
    inbox.frame(other, b"x", 0.0)
    items = inbox.take(0.1)
    assert [item[1] for item in items[:3]] == [b"0", b"1", b"2"]
    for call in items[3:]:
        call()
    assert told == [line, other]
    assert inbox.dropped == 4
    inbox.frame(line, b"7", 0.0)
    assert [item[1] for item in inbox.take(0.1)] == [b"7"]


def test_what_comes_over_a_second_connection_waits_for_the_first():
    book = right_book(0.0)
    assert book.offer(diff(13, 14), 0.0, main=False)[0] is False
    assert book.offer(diff(14, 15), 0.0, main=False)[0] is False
    assert (book.sync.synced, book.sync.book.sequence) == (True, 11)
    book.offer(diff(11, 12), 0.0, main=True)
    assert book.sync.book.sequence == 12
    book.offer(diff(12, 13), 0.0, main=True)
    assert (book.sync.synced, book.sync.book.sequence) == (True, 15)
    assert book.offer(diff(12, 13), 0.0, main=False)[0] is True  # behind the first: nothing new, and no gap


def test_a_second_connection_takes_over_what_it_holds_when_the_first_is_lost():
    book = right_book(0.0)
    book.offer(diff(11, 12), 0.0, main=False)
    assert book.sync.book.sequence == 12
    book.lost(down=False)
    assert not book.sync.synced
    book.offer(diff(12, 13), 1.0, main=True)
    assert (book.sync.synced, book.sync.book.sequence) == (True, 13)


def test_a_failed_snapshot_is_asked_for_again_after_growing_pauses():
    book = Followed("SPOT", "BTCUSDT", 1000, 5000)
    book.offer(diff(9, 11), 0.0, True)
    now, pauses = 0.0, []
    for _ in range(9):
        begun = now
        while book.next_fetch(now) is None:
            now += 0.05
        pauses.append(now - begun)
        book.fetched(Fetched(None, 1000, "away"), True, now, 0.0)
    assert pauses[0] == 0
    assert pauses[2] < pauses[4] < pauses[6] <= 30
    book.fetched(Fetched(None, 1000, "no leave", retry_at=90.0), True, now, 50.0)
    assert book.next_fetch(now + 39) is None
    assert book.next_fetch(now + 41) == (1000, True)


def test_streams_of_what_is_followed_are_wanted():
    publisher = SimpleNamespace(gone=lambda *key: gone.append(key))
    gone = []
    books = Books(BookRules((), 4, 20, 1), None, publisher, Taken(), None)
    books.follow({("SPOT", "BTCUSDT"): LiveSymbol(500, 5000), ("FUTURES", "BTCUSDT"): LiveSymbol(1000, 1000)})
    assert set(books.wishes()) == {Wish(market, Kind.DEPTH, "BTCUSDT") for market in MARKETS}
    books.follow({("SPOT", "BTCUSDT"): LiveSymbol(500, 5000)})
    assert gone == [("FUTURES", "BTCUSDT")]


def test_shards_share_every_symbol_once():
    shards = [Shard(index, 3) for index in (1, 2, 3)]
    names = [f"S{number}USDT" for number in range(60)]
    assert all(sum(shard.holds(name) for shard in shards) == 1 for name in names)
    assert all(any(shard.holds(name) for name in names) for shard in shards)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/"])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(CommandError, match="i/n"):
        call_command("run_feed", "--shard", text)


# --- with everything around --------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_feed_that_is_told_to_end_stores_what_it_has_and_exits_0(live, listener, tmp_path):
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    addresses = {f"BINANCE_{market}_REST_URL": live.url for market in MARKETS}
    addresses |= {f"BINANCE_{market}_WS_URL": live.url.replace("http", "ws") for market in MARKETS}
    environ = os.environ | addresses | {"DATABASE_URL": database.geturl(), "PLATFORM_PROCESS": "feed"}
    with (tmp_path / "log").open("wb") as log:
        feed = subprocess.Popen([sys.executable, "manage.py", "run_feed"], cwd=ROOT, env=environ, stderr=log)
    try:
        until(lambda: all(len(listener.synced(*key)) > 4 for key in KEYS), 90)
        feed.send_signal(signal.SIGTERM)
        assert feed.wait(40) == 0
    finally:
        feed.kill()
    assert OrderBookSecond.objects.count() >= len(KEYS)
    assert set(StreamEvent.objects.values_list("event_type", flat=True)) >= {"CONNECTED", "DISCONNECTED"}
    for row in OrderBookSecond.objects.all()[:20]:
        bids, asks = top_of(row.market_type, row.symbol, row.last_update_id)
        assert row.bid_prices == [price for price, _ in bids]
        assert row.ask_prices == [price for price, _ in asks]
        # Quantities are kept with seven digits.
        assert row.bid_quantities == pytest.approx([quantity for _, quantity in bids], rel=1e-6)
        assert row.ask_quantities == pytest.approx([quantity for _, quantity in asks], rel=1e-6)


@pytest.mark.django_db(transaction=True)
def test_books_stay_right_while_redis_is_away(live, listener, servers):
    with running(Feed()) as feed:
        until(lambda: all(len(listener.synced(*key)) > 2 for key in KEYS))
        listener.stop()
        servers.redis.kill()
        books = feed.books.followed
        sequences = {key: book.sync.book.sequence for key, book in books.items()}
        time.sleep(1.5)
        until(lambda: all(book.sync.book.sequence > sequences[key] for key, book in books.items()))
        assert all(book.sync.synced for book in books.values())
        servers.redis.start()
        published = feed.publisher.published
        until(lambda: feed.publisher.published > published + 20)
        resyncs = {book.sync.resyncs for book in feed.books.followed.values()}
    assert resyncs == {0}
    assert not wrong_states([body for body in listener.updates() if body["wsStatus"] == "connected"])
