"""A live book is never wrong while it says that it is right: feeds that lose, double, reorder and garble."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depth.book import DepthDiff, snapshot_from_levels
from depth.sync import GAP_DETECTED, MOST_DIFFS, MOST_KEPT_LEVELS, SNAPSHOT_LOADED, UPDATE_FAILED, BookSync, State
from tests.depth.truth import BASE, Exchange

BANDS = tuple(Decimal(text) for text in ("0.2", "0.5", "1", "2", "4", "8", "20"))


def assert_right(book, exchange):
    """What the book tells is what the exchange had at the book's id: levels, best prices, sums and flags."""
    truth = exchange.at(book.sequence)
    frozen = book.frozen()
    for side, real, direction in ((frozen.bids, truth[0], -1), (frozen.asks, truth[1], 1)):
        held = dict(zip(side.prices.tolist(), side.quantities.tolist(), strict=True))
        assert list(held) == sorted(held, reverse=direction < 0)
        assert held.items() <= real.items()
        known = [p for p in real if side.whole or (p - side.known_to) * direction <= 0]
        assert set(known) <= set(held)
        assert side.prices[0] == (max(real) if direction < 0 else min(real))
    best_bid, best_ask = max(truth[0]), min(truth[1])
    for row in book.measure(BANDS):
        bid = sum(q for p, q in truth[0].items() if p * 100 >= best_bid * (100 - row.band))
        ask = sum(q for p, q in truth[1].items() if p * 100 <= best_ask * (100 + row.band))
        assert row.bid_volume == bid if row.bid_complete else row.bid_volume <= bid
        assert row.ask_volume == ask if row.ask_complete else row.ask_volume <= ask


class Feed:
    """Plays an exchange into a sync, badly."""

    def __init__(self, random, exchange, limits, most_levels, trouble):
        self.random, self.exchange, self.limits, self.trouble = random, exchange, limits, trouble
        self.sync = BookSync("X", "M", most_levels)
        self.sent = 0  # diffs that the exchange has sent
        self.now = 50.0
        self.snapshots = []  # under way
        self.checked = 0

    def run(self):
        while self.sent < len(self.exchange.diffs):
            self.step()
            self.check()

    def check(self):
        if self.sync.synced:
            assert_right(self.sync.book, self.exchange)
            self.checked += 1
        assert self.sync.corrections == 0  # a book that was right is not called wrong

    def step(self):
        random, diffs = self.random, self.exchange.diffs
        self.now += 0.1
        diff = diffs[self.sent]
        self.sent += 1
        fate = random.random() / self.trouble if self.trouble else 1.0
        if fate < 0.04:
            pass  # lost
        elif fate < 0.08:
            self.offer(diff)
            self.offer(diff)
        elif fate < 0.12 and self.sent < len(diffs):
            self.offer(diffs[self.sent])
            self.offer(diff)
            self.sent += 1
        elif fate < 0.15:
            self.sync.suspend()
            self.sent = min(self.sent + random.randint(0, 2), len(diffs))
        elif fate < 0.17:
            self.sync.fail("it could not be read")
        elif fate < 0.20:
            self.offer(garbled(random, diff))
        elif fate < 0.23:
            self.offer(diffs[random.randint(0, self.sent - 1)])  # an old one, out of nowhere
        else:
            self.offer(diff)
        self.snapshot()

    def offer(self, diff):
        self.sync.offer(diff, self.now)
        self.check()

    def snapshot(self):
        """Asks for one where it is wanted, or to merge it; it comes later, and may be old."""
        random, latest = self.random, self.exchange.state_after(self.sent)
        wanted = self.sync.wants_snapshot and not self.snapshots
        if wanted or (not self.snapshots and random.random() < 0.1 and self.sync.begin_merge()):
            state = latest
            if random.random() < 0.3 * bool(self.trouble):
                state = max(latest - random.randint(1, 30), 0)
            elif random.random() < 0.5:  # the snapshot is ahead of the stream, maybe in the middle of a diff
                state = min(latest + random.randint(0, 12), len(self.exchange.states) - 1)
            self.snapshots.append((self.sent + random.randint(0, 6), state))
        if self.snapshots and self.snapshots[0][0] <= self.sent:
            _, state = self.snapshots.pop(0)
            if random.random() < 0.1:
                self.sync.cancel_merge()
            else:
                self.sync.snapshot(self.exchange.snapshot(state, random.choice(self.limits)))


def garbled(random, diff):
    bad = random.choice(
        [(float("nan"), 1.0), (1.0, float("nan")), (-1.0, 1.0), (5.0, -1.0), (float("inf"), 1.0), (0.0, 1.0)]
    )
    sides = (diff.bids, [*diff.asks, bad]) if random.random() < 0.5 else ([*diff.bids, bad], diff.asks)
    return DepthDiff(diff.symbol, diff.market, diff.prev_sequence, diff.sequence, diff.event_time, *sides)


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    futures=st.booleans(),
    drift=st.sampled_from([0.0, 0.6, -0.6]),
    limits=st.sampled_from([(5,), (3, 8), (100,), (4, 15, 100)]),
    most_levels=st.sampled_from([6, 12, 10_000]),
)
def test_no_feed_makes_a_wrong_book_that_says_synced(seed, futures, drift, limits, most_levels):
    random = Random(seed)
    exchange = Exchange(random, random.randint(20, 250), futures, drift=drift)
    feed = Feed(random, exchange, limits, most_levels, trouble=1.0)
    feed.run()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), futures=st.booleans(), drift=st.sampled_from([0.0, 0.6]))
def test_after_any_trouble_a_book_is_synced_again(seed, futures, drift):
    random = Random(seed)
    exchange = Exchange(random, 300, futures, drift=drift)
    feed = Feed(random, exchange, (100,), 10_000, trouble=1.0)
    while feed.sent < len(exchange.diffs) // 2:
        feed.step()
    feed.trouble, feed.snapshots = 0.0, []
    feed.sync.cancel_merge()
    for _ in range(25):
        feed.step()
    assert feed.sync.synced
    resyncs = feed.sync.resyncs
    feed.run()
    assert feed.sync.synced
    assert feed.sync.resyncs == resyncs
    assert feed.checked


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    futures=st.booleans(),
    limits=st.sampled_from([(5,), (4, 15, 100)]),
    drift=st.sampled_from([0.0, 0.6]),
)
def test_a_clean_feed_is_never_resynced(seed, futures, limits, drift):
    random = Random(seed)
    exchange = Exchange(random, 200, futures, drift=drift)
    feed = Feed(random, exchange, limits, 10_000, trouble=0.0)
    feed.run()
    assert feed.sync.resyncs == 0
    assert feed.checked


# --- one thing at a time ------------------------------------------------------------------------------------------


@pytest.fixture
def exchange():
    return Exchange(Random(5), 400, futures=False, longest=3)


def synced(exchange, diffs=3, limit=100):
    """A sync that has the first `diffs` diffs."""
    sync = BookSync("X", "M")
    for diff in exchange.diffs[:diffs]:
        sync.offer(diff, 1.0)
    outcome = sync.snapshot(exchange.snapshot(exchange.state_after(1), limit))
    assert outcome.changed
    assert [event.type for event in outcome.events] == [SNAPSHOT_LOADED]
    assert sync.book.sequence == exchange.diffs[diffs - 1].sequence
    return sync


def types(outcome):
    return [event.type for event in outcome.events]


def test_from_the_first_diff_to_a_book(exchange):
    sync = BookSync("X", "M")
    assert (sync.state, sync.wants_snapshot, sync.book) == (State.WAITING, False, None)
    assert not sync.snapshot(exchange.snapshot(0, 100)).changed  # nothing came yet that it could be compared with
    sync.offer(exchange.diffs[5], 1.0)
    assert (sync.state, sync.wants_snapshot, sync.book) == (State.BUFFERING, True, None)
    too_old = sync.snapshot(exchange.snapshot(exchange.state_after(5) - 1, 100))
    assert types(too_old) == [UPDATE_FAILED]
    assert (sync.state, sync.wants_snapshot) == (State.BUFFERING, True)
    sync.offer(exchange.diffs[6], 2.0)
    assert types(sync.snapshot(exchange.snapshot(exchange.state_after(5), 100))) == [SNAPSHOT_LOADED]
    assert (sync.state, sync.wants_snapshot, sync.received_at) == (State.SYNCED, False, 2.0)
    assert sync.book.sequence == exchange.diffs[6].sequence
    assert sync.book.event_time == exchange.diffs[6].event_time
    assert_right(sync.book, exchange)


def test_a_snapshot_newer_than_every_diff_is_right_at_once(exchange):
    sync = BookSync("X", "M")
    sync.offer(exchange.diffs[0], 1.0)
    state = exchange.state_after(4)
    sync.snapshot(exchange.snapshot(state, 100))
    assert sync.synced
    assert sync.book.sequence == BASE + state
    for diff in exchange.diffs[1:6]:
        sync.offer(diff, 2.0)
        assert_right(sync.book, exchange)
    assert sync.book.sequence == exchange.diffs[5].sequence
    assert sync.resyncs == 0


def test_a_gap_keeps_the_old_book_and_the_diffs_since(exchange):
    sync = synced(exchange)
    book = sync.book
    outcome = sync.offer(exchange.diffs[4], 3.0)
    assert types(outcome) == [GAP_DETECTED]
    assert outcome.changed
    assert (sync.state, sync.wants_snapshot, sync.resyncs) == (State.STALE, True, 1)
    assert sync.book is book
    assert book.sequence == exchange.diffs[2].sequence
    sync.offer(exchange.diffs[5], 4.0)
    assert types(sync.snapshot(exchange.snapshot(exchange.state_after(4) - 1, 100))) == [UPDATE_FAILED]
    assert sync.state is State.STALE
    sync.snapshot(exchange.snapshot(exchange.state_after(4), 100))
    assert sync.synced
    assert sync.book is not book
    assert sync.book.sequence == exchange.diffs[5].sequence
    assert_right(sync.book, exchange)


def test_a_lost_connection_goes_on_where_it_ended_when_nothing_was_missed(exchange):
    sync = synced(exchange)
    assert sync.suspend().changed
    assert (sync.state, sync.wants_snapshot) == (State.STALE, False)
    assert not sync.offer(exchange.diffs[2], 5.0).changed
    assert sync.offer(exchange.diffs[3], 5.0).changed
    assert (sync.state, sync.resyncs) == (State.SYNCED, 0)
    assert_right(sync.book, exchange)


def test_a_lost_connection_that_missed_something_is_a_gap(exchange):
    sync = synced(exchange)
    sync.suspend()
    assert types(sync.offer(exchange.diffs[4], 5.0)) == [GAP_DETECTED]
    assert (sync.state, sync.wants_snapshot) == (State.STALE, True)


@pytest.mark.parametrize("bad", [(float("nan"), 1.0), (1.0, float("inf")), (-1.0, 1.0), (1.0, -2.0), (0.0, 1.0)])
def test_levels_that_are_none_leave_the_book_as_it_was(exchange, bad):
    sync = synced(exchange)
    before = sync.book.top(100)
    diff = exchange.diffs[3]
    outcome = sync.offer(DepthDiff("X", "M", diff.prev_sequence, diff.sequence, 1, [(400.0, 1.0), bad], []), 3.0)
    assert types(outcome) == [UPDATE_FAILED]
    assert (sync.state, sync.book.top(100)) == (State.STALE, before)
    assert not sync.wants_snapshot  # what the lost diff led to is known from the next one
    sync.offer(exchange.diffs[4], 4.0)
    assert sync.wants_snapshot
    assert not sync.snapshot(exchange.snapshot(exchange.state_after(4) - 1, 100)).changed
    assert sync.snapshot(exchange.snapshot(exchange.state_after(4), 100)).changed
    assert_right(sync.book, exchange)


def test_a_crossed_book_is_resynced(exchange):
    sync = synced(exchange)
    ask = sync.book.best_ask
    diff = exchange.diffs[3]
    outcome = sync.offer(DepthDiff("X", "M", diff.prev_sequence, diff.sequence, 1, [(ask, 1.0)], []), 3.0)
    assert types(outcome) == [UPDATE_FAILED]
    assert (sync.state, sync.wants_snapshot) == (State.STALE, True)
    sync.offer(exchange.diffs[4], 3.1)
    sync.snapshot(exchange.snapshot(exchange.state_after(5), 100))
    assert sync.synced
    assert_right(sync.book, exchange)


def test_an_exchange_that_counts_anew_is_noticed(exchange):
    sync = synced(exchange, diffs=60)
    assert not sync.offer(exchange.diffs[0], 5.0).events
    assert types(sync.offer(exchange.diffs[1], 12.0)) == [GAP_DETECTED]
    sync.offer(exchange.diffs[2], 12.1)
    sync.snapshot(exchange.snapshot(exchange.state_after(2), 100))
    assert sync.synced
    assert sync.book.sequence == exchange.diffs[2].sequence
    assert_right(sync.book, exchange)


def test_the_buffer_is_bounded_and_a_later_snapshot_still_fits():
    exchange = Exchange(Random(3), MOST_DIFFS + 200, futures=False, longest=1)
    sync = BookSync("X", "M")
    for diff in exchange.diffs:
        sync.offer(diff, 1.0)
    lost = len(exchange.diffs) - MOST_DIFFS
    assert types(sync.snapshot(exchange.snapshot(lost - 1, 100))) == [UPDATE_FAILED]
    assert types(sync.snapshot(exchange.snapshot(lost, 100))) == [SNAPSHOT_LOADED]
    assert_right(sync.book, exchange)


def test_the_buffer_is_bounded_by_levels_too():
    sync = BookSync("X", "M")
    many = [(float(price), 1.0) for price in range(1, MOST_KEPT_LEVELS // 4)]
    for number in range(8):
        sync.offer(DepthDiff("X", "M", number, number + 1, 1, many, []), 1.0)
    texts = [("100000", "1")], [("100001", "1")]
    assert types(sync.snapshot(snapshot_from_levels(*texts, 2, 3))) == [UPDATE_FAILED]
    assert types(sync.snapshot(snapshot_from_levels(*texts, 2, 4))) == [SNAPSHOT_LOADED]
    assert sync.book.sequence == 8


@pytest.fixture
def narrow():
    """A sync that knows one level a side, and that level's price and the book's id."""
    exchange = Exchange(Random(5), 3, futures=False)
    sync = BookSync("X", "M")
    sync.offer(exchange.diffs[0], 1.0)
    sync.snapshot(exchange.snapshot(exchange.state_after(1), 1))
    assert sync.synced
    return sync, sync.book.best_bid, sync.book.sequence


def bids(after, *levels):
    return DepthDiff("X", "M", after, after + 1, 1, levels, [])


def test_a_price_beyond_the_known_range_is_not_trusted_until_it_is_back(narrow):
    sync, best, at = narrow
    assert types(sync.offer(bids(at, (best, 0.0), (best - 30, 1.0)), 2.0)) == [UPDATE_FAILED]
    assert (sync.state, sync.wants_snapshot, sync.resyncs) == (State.STALE, True, 0)
    assert sync.offer(bids(at + 1, (best, 2.0)), 3.0).changed
    assert (sync.state, sync.wants_snapshot) == (State.SYNCED, False)
    assert types(sync.offer(bids(at + 2, (best, 0.0)), 4.0)) == [UPDATE_FAILED]
    assert (sync.state, sync.wants_snapshot) == (State.STALE, True)


def deep(sync, sequence):
    """A whole book that is as the sync knows it, and more."""
    asks = [(str(price), str(quantity)) for price, quantity in sync.book.top(1)[1]]
    return snapshot_from_levels([("498", "1"), ("400", "2")], [*asks, ("700", "4")], 3, sequence)


def test_a_price_beyond_the_known_range_is_cured_by_a_snapshot_without_a_resync(narrow):
    sync, best, at = narrow
    sync.offer(bids(at, (best, 0.0), (300.0, 1.0)), 2.0)
    assert sync.offer(bids(at + 1, (301.0, 1.0)), 2.1).changed
    assert not sync.snapshot(deep(sync, at + 3)).changed
    assert not sync.wants_snapshot  # the one that came waits for its diffs
    assert types(sync.offer(bids(at + 2, (498.0, 5.0)), 2.2)) == [SNAPSHOT_LOADED]
    sync.offer(bids(at + 3, (497.0, 5.0)), 2.3)
    assert (sync.state, sync.resyncs) == (State.SYNCED, 0)
    assert sync.book.top(9)[0] == [(498, 1), (497, 5), (400, 2)]


@pytest.mark.parametrize("lost", ["connection", "snapshot", "at once", "all levels"])
def test_a_price_that_stays_beyond_the_known_range_is_cured_after_other_troubles(narrow, lost):
    sync, best, at = narrow
    if lost == "at once":  # the snapshot and the diffs after it leave the range together
        sync = BookSync("X", "M")
        sync.offer(bids(at, (499.0, 1.0)), 2.0)
        sync.offer(bids(at + 1, (499.0, 0.0)), 2.0)
        sync.snapshot(snapshot_from_levels([("499", "1")], [("600", "3")], 1, at + 1))
    else:
        sync.offer(bids(at, (best, 0.0), (300.0, 1.0)), 2.0)
        sync.offer(bids(at + 1, (301.0, 1.0)), 2.0)
    if lost == "all levels":
        sync.offer(bids(at + 2, (300.0, 0.0), (301.0, 0.0)), 2.0)
        assert sync.book.levels[0] == 0
    elif lost == "connection":
        sync.suspend()
    elif lost == "snapshot":
        sync.cancel_merge()
    assert sync.state is State.STALE
    if lost in {"connection", "snapshot"}:
        sync.offer(bids(at + 2, (302.0, 1.0)), 2.1)
    assert (sync.state, sync.wants_snapshot) == (State.STALE, True)
    assert types(sync.snapshot(deep(sync, sync.book.sequence))) == [SNAPSHOT_LOADED]
    assert (sync.state, sync.resyncs) == (State.SYNCED, 0)


def test_merging_never_narrows_what_is_known(exchange):
    state = exchange.state_after(40)
    fewest = min(map(len, exchange.states[state]))
    sync = BookSync("X", "M")
    sync.offer(exchange.diffs[39], 1.0)
    sync.snapshot(exchange.snapshot(state, fewest - 1))
    reach = sync.book.reach()
    assert None not in reach
    sync.begin_merge()
    sync.snapshot(exchange.snapshot(state, 2))
    assert sync.book.reach() == reach
    assert_right(sync.book, exchange)
    sync.begin_merge()
    sync.snapshot(exchange.snapshot(state, fewest))
    assert all(now is None or now > before for now, before in zip(sync.book.reach(), reach, strict=True))
    assert_right(sync.book, exchange)


def test_a_merged_book_holds_no_more_levels_than_it_may(exchange):
    sync = BookSync("X", "M", most_levels=4)
    sync.offer(exchange.diffs[0], 1.0)
    sync.snapshot(exchange.snapshot(exchange.state_after(1), 3))
    sync.begin_merge()
    sync.snapshot(exchange.snapshot(exchange.state_after(1), 1000))
    assert sync.book.levels == (4, 4)
    assert None not in sync.book.reach()
    assert_right(sync.book, exchange)


def test_a_deeper_snapshot_is_merged_under_what_came_since(exchange):
    sync = synced(exchange, diffs=10, limit=3)
    assert None not in sync.book.reach()
    assert sync.begin_merge()
    for diff in exchange.diffs[10:20]:
        sync.offer(diff, 2.0)
    outcome = sync.snapshot(exchange.snapshot(exchange.state_after(12), 1000))
    assert types(outcome) == [SNAPSHOT_LOADED]
    assert not sync.merging
    assert sync.book.sequence == exchange.diffs[19].sequence
    assert sync.book.reach() == (None, None)
    assert_right(sync.book, exchange)


def test_a_snapshot_ahead_of_the_book_is_merged_when_the_book_has_come_as_far(exchange):
    sync = synced(exchange, diffs=10, limit=3)
    sync.begin_merge()
    assert not sync.snapshot(exchange.snapshot(exchange.state_after(13) - 1, 1000)).changed
    for diff in exchange.diffs[10:12]:
        assert not sync.offer(diff, 2.0).events
        assert sync.merging
    assert types(sync.offer(exchange.diffs[12], 2.0)) == [SNAPSHOT_LOADED]
    assert sync.book.reach() == (None, None)
    assert_right(sync.book, exchange)


def test_a_snapshot_from_before_the_merge_began_changes_nothing(exchange):
    sync = synced(exchange, diffs=10, limit=3)
    before = sync.book
    assert not sync.snapshot(exchange.snapshot(exchange.state_after(10), 1000)).changed  # nobody asked
    sync.begin_merge()
    assert not sync.snapshot(exchange.snapshot(exchange.state_after(9), 1000)).changed
    assert not sync.merging
    assert sync.book is before
    assert_right(sync.book, exchange)


def test_a_merged_snapshot_tells_that_the_book_was_right(exchange):
    sync = synced(exchange, diffs=30)
    sync.begin_merge()
    for diff in exchange.diffs[30:40]:
        sync.offer(diff, 2.0)
    (event,) = sync.snapshot(exchange.snapshot(exchange.state_after(35), 100)).events
    held = sum(map(len, exchange.states[exchange.state_after(35)]))
    assert sync.audit.compared + sync.audit.unsettled >= held
    assert sync.audit.clean
    assert sync.audit.share == 1.0
    assert event.metadata["compared"] == event.metadata["equal"] == sync.audit.compared > 0


def test_a_book_that_was_wrong_is_told_and_thrown_away(exchange):
    sync = synced(exchange, diffs=30)
    diff = exchange.diffs[30]
    price = min(exchange.at(diff.sequence)[0])
    wrong = [(price, 77.0), (1.0, 5.0)]
    sync.offer(DepthDiff("X", "M", diff.prev_sequence, diff.sequence, 1, [*diff.bids, *wrong], diff.asks), 2.0)
    sync.begin_merge()
    outcome = sync.snapshot(exchange.snapshot(exchange.state_after(31), 100))
    assert types(outcome) == [UPDATE_FAILED, SNAPSHOT_LOADED]
    assert (sync.state, sync.corrections) == (State.SYNCED, 1)
    assert [(d.side, d.price, d.held) for d in sync.audit.top] == [("bid", price, 77.0), ("bid", 1.0, 5.0)]
    assert sync.audit.compared - sync.audit.equal == 2
    assert sync.book.event_time == 1
    assert_right(sync.book, exchange)


def test_nothing_beyond_the_snapshots_reach_is_kept_of_a_book_that_was_wrong(exchange):
    sync = synced(exchange, diffs=30)
    diff = exchange.diffs[30]
    best = max(exchange.at(diff.sequence)[0])
    sync.offer(DepthDiff("X", "M", diff.prev_sequence, diff.sequence, 1, [*diff.bids, (best, 77.0)], diff.asks), 2.0)
    assert sync.book.reach() == (None, None)
    sync.begin_merge()
    snapshot = exchange.snapshot(exchange.state_after(31), 2)
    assert types(sync.snapshot(snapshot)) == [UPDATE_FAILED, SNAPSHOT_LOADED]
    assert sync.book.levels == (2, 2)
    assert None not in sync.book.reach()
    assert_right(sync.book, exchange)
