"""The live order book against a naive one: any diffs, any snapshots, any limits."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depth.book import DepthDiff, OrderBook, are_levels, snapshot_from_levels
from depth.volumes import Book, Side, measure

BANDS = tuple(Decimal(text) for text in ("0.1", "0.25", "0.5", "1", "1.5", "3", "5", "8", "15", "30"))
MID = 1000

bid_prices = st.integers(MID - 60, MID - 1)
ask_prices = st.integers(MID + 1, MID + 60)
quantities = st.integers(0, 3)
sides_of_diffs = st.tuples(
    st.lists(st.tuples(bid_prices, quantities), max_size=12), st.lists(st.tuples(ask_prices, quantities), max_size=12)
)


def levels(prices, descending):
    return [(str(price), "1.5") for price in sorted(set(prices), reverse=descending)]


def snapshot(bids, asks, limit, sequence=1):
    return snapshot_from_levels(levels(bids, True)[:limit], levels(asks, False)[:limit], limit, sequence, 5)


@st.composite
def snapshots(draw, sequence=1):
    """Complete books of the exchange, and what a snapshot with a limit shows of them."""
    bids = draw(st.sets(bid_prices, min_size=1, max_size=30))
    asks = draw(st.sets(ask_prices, min_size=1, max_size=30))
    return bids, asks, draw(st.integers(1, 31))


class Naive:
    """Two dicts, sorted at each look."""

    def __init__(self, bids, asks):
        self.sides = (dict.fromkeys(bids, 1.5), dict.fromkeys(asks, 1.5))

    def apply(self, bids, asks):
        for side, changes in zip(self.sides, (bids, asks), strict=True):
            for price, quantity in changes:
                side.pop(price, None)
                if quantity:
                    side[price] = quantity

    def sorted(self):
        return [sorted(side.items(), reverse=not number) for number, side in enumerate(self.sides)]


@settings(max_examples=200, deadline=None)
@given(snapshots(), st.lists(sides_of_diffs, max_size=8), st.integers(1, 25))
def test_any_diffs_leave_the_levels_of_a_naive_book(first, diffs, top):
    bids, asks, _ = first
    book, naive = OrderBook(), Naive(bids, asks)
    book.load(snapshot(bids, asks, 100))
    for number, diff in enumerate(diffs):
        book.apply(*diff, number + 2, number + 100)
        naive.apply(*diff)
        assert book.sequence == number + 2
        assert book.event_time == number + 100
    expected = naive.sorted()
    assert book.top(1000) == tuple(expected)
    assert book.top(top) == tuple(side[:top] for side in expected)
    assert book.levels == tuple(map(len, expected))
    assert book.best_bid == (expected[0][0][0] if expected[0] else None)
    assert book.best_ask == (expected[1][0][0] if expected[1] else None)
    if all(expected):
        arrays = [np.array(side, dtype=float) for side in expected]
        sides = [Side(side[:, 0], side[:, 1], True) for side in arrays]
        assert book.measure(BANDS) == measure(Book(*sides), BANDS)


def test_numbers_that_are_no_levels_are_told():
    assert are_levels([(1.0, 0.0), (2.0, 3.0)])
    for bad in ((0.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0), (float("inf"), 1.0), (1.0, -1.0), (1.0, float("nan"))):
        assert not are_levels([(1.0, 1.0), bad])
    assert not are_levels([(1.0, float("inf"))])


def test_a_copy_stays_as_it_is():
    book = OrderBook()
    book.load(snapshot({998, 999}, {1001}, 100))
    frozen, copy = book.frozen(), book.copy()
    book.apply([(999, 0)], [(1001, 7)], 2, 6)
    assert frozen.bids.prices.tolist() == [999, 998]
    assert frozen.asks.quantities.tolist() == [1.5]
    assert copy.top(5) == ([(999, 1.5), (998, 1.5)], [(1001, 1.5)])
    assert (copy.sequence, book.sequence) == (1, 2)


@pytest.mark.parametrize("limit", [3, 4])
def test_what_is_known_of_a_side(limit):
    book = OrderBook()
    book.load(snapshot({990, 995, 999}, {1001, 1005, 1010}, limit))
    assert book.reach() == ((None, None) if limit == 4 else (pytest.approx(9 / 9.99), pytest.approx(9 / 10.01)))
    book.apply([(900, 1.0)], [(1100, 1.0)], 2, 6)  # beyond the edge: real, but not all that may be there
    assert [row.bid_complete for row in book.measure([Decimal("0.9"), Decimal(1), Decimal(20)])] == (
        [True, limit == 4, limit == 4]
    )
    assert [row.bid_volume for row in book.measure([Decimal(1), Decimal(20)])] == [4.5, 5.5]


def test_diff_type_is_small_and_frozen():
    diff = DepthDiff("BTCUSDT", "SPOT", 1, 2, 3, [], [])
    with pytest.raises(AttributeError):
        diff.sequence = 5
