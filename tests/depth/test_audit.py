"""Comparing a live book with a snapshot: only what both know, and only what stood still."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from depth.audit import TOP, Agreement, Difference, compare
from depth.book import DepthDiff, OrderBook, snapshot_from_levels


def snapshot(bids, asks, limit, sequence=10):
    return snapshot_from_levels(*([(str(p), str(q)) for p, q in side] for side in (bids, asks)), limit, sequence)


def book(bids, asks, limit):
    made = OrderBook()
    made.load(snapshot(bids, asks, limit))
    return made.frozen()


ASKS = [(101, 1), (102, 1)]


def test_each_kind_of_difference_is_told():
    held = book([(100, 1), (99, 2), (98, 3), (96, 5)], ASKS, 10)
    told = snapshot([(100, 1), (99, 9), (97, 4), (96, 5)], ASKS, 10)
    audit = compare(held, told, ())
    assert audit.top == (
        Difference("bid", 99, 2, 9),
        Difference("bid", 98, 3, 0),
        Difference("bid", 97, 0, 4),
    )
    assert (audit.sequence, audit.compared, audit.equal, audit.unsettled) == (10, 7, 4, 0)
    assert not audit.clean
    assert audit.share == 4 / 7


def test_levels_are_counted_by_their_distance():
    held = book([(100, 1), (99, 2), (90, 3)], [(101, 1), (110, 7)], 10)
    told = snapshot([(100, 1), (99, 2), (90, 4)], [(101, 1), (110, 8)], 10)
    rows = compare(held, told, (), [Decimal("0.5"), Decimal(1), Decimal(30)]).by_distance
    assert rows == (
        Agreement(Decimal("0.5"), 2, 2),
        Agreement(Decimal(1), 3, 3),
        Agreement(Decimal(30), 5, 3),
    )


def test_what_only_one_of_the_two_knows_is_not_compared():
    deep = [(100, 1), (99, 2), (98, 3), (97, 4)]
    for held, told in ((deep[:2], deep), (deep, deep[:2])):
        audit = compare(book(held, ASKS, len(held)), snapshot(told, ASKS, len(told)), ())
        assert audit.clean
        assert audit.compared == 4


def test_what_was_touched_since_is_not_settled():
    held = book([(100, 1), (99, 2), (98, 5)], [(101, 3), (102, 1)], 10)
    told = snapshot([(100, 1), (98, 4)], ASKS, 10, sequence=7)
    since = [
        DepthDiff("X", "M", 7, 8, 1, [(99.0, 2.0), (98.0, 5.0)], []),
        DepthDiff("X", "M", 8, 9, 1, [], [(101.0, 3.0)]),
    ]
    audit = compare(held, told, since)
    assert audit.clean
    assert (audit.compared, audit.unsettled) == (2, 3)


def test_nothing_to_compare_is_no_agreement():
    held = book([(100, 1)], [(101, 1)], 10)
    since = [DepthDiff("X", "M", 9, 10, 1, [(100.0, 1.0)], [(101.0, 1.0)])]
    audit = compare(held, snapshot([(100, 1)], [(101, 1)], 10, sequence=9), since)
    assert audit.share is None
    assert audit.clean


def test_differences_beyond_the_top_are_counted_only():
    levels = [(1000 - i, 1) for i in range(TOP + 5)]
    other = [*levels[:-1], (levels[-1][0], 2)]
    audit = compare(book(levels, [(1001, 1)], 500), snapshot(other, [(1001, 1)], 500), ())
    assert (audit.compared - audit.equal, audit.top) == (1, ())


sides = st.dictionaries(st.integers(1, 40), st.integers(1, 4), min_size=1, max_size=30)


@given(sides, sides, st.integers(1, 30), st.integers(1, 30))
def test_two_parts_of_one_book_always_agree(bids, asks, first, second):
    bids = sorted(((100 - p, q) for p, q in bids.items()), reverse=True)
    asks = sorted((100 + p, q) for p, q in asks.items())
    audit = compare(book(bids[:first], asks[:first], first), snapshot(bids[:second], asks[:second], second), ())
    assert audit.clean
    # A side that ends at its limit is known up to its last level, whether or not there are more.
    assert audit.compared == sum(min(len(side), first, second) for side in (bids, asks))
