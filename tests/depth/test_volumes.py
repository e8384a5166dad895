"""The depth maths against exact fractions: any book, any band, and the recorded one."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depth.volumes import Book, InvalidBook, book_from_levels, diff, measure, reach_percent

BANDS = tuple(Decimal(text) for text in ("0.1", "0.25", "0.5", "1", "1.5", "3", "5", "8", "15", "30"))
RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded" / "spot_btcusdt_5000_levels_2025-04-14.csv"


def exact(levels, bands, direction, whole):
    """(volume, value, complete) of each band from the contract's sentence, in fractions."""
    best = Fraction(levels[0][0])
    for band in bands:
        bound = best * (1 + direction * Fraction(band) / 100)
        inside = [(Fraction(p), Fraction(q)) for p, q in levels if (Fraction(p) - bound) * direction <= 0]
        complete = whole or (Fraction(levels[-1][0]) - bound) * direction >= 0
        yield sum(q for _, q in inside), sum(p * q for p, q in inside), complete


def assert_equals_exact(bids, asks, limit, bands=BANDS):
    measured = measure(book_from_levels(bids, asks, limit), bands)
    sides = (
        exact(bids, bands, -1, limit is None or len(bids) < limit),
        exact(asks, bands, 1, limit is None or len(asks) < limit),
    )
    for row, bid, ask in zip(measured, *sides, strict=True):
        assert (row.bid_complete, row.ask_complete) == (bid[2], ask[2]), row.band
        found = (row.bid_volume, row.bid_value, row.ask_volume, row.ask_value)
        for value, truth in zip(found, (*bid[:2], *ask[:2]), strict=True):
            assert value == pytest.approx(float(truth), rel=1e-12), row.band


def text_of(ticks, decimals):
    return str(Decimal(ticks).scaleb(-decimals))


@st.composite
def books(draw):
    """Tick-aligned books whose levels often stand exactly on a band's bound."""
    decimals = draw(st.integers(0, 8))
    best_bid = draw(st.integers(1000, 10**9))
    best_ask = best_bid + draw(st.integers(1, 50))
    sides = []
    for best, direction in ((best_bid, -1), (best_ask, 1)):
        ticks = {best}
        for band in BANDS:
            bound = Fraction(best) * (1 + direction * Fraction(band) / 100)
            ticks.update(
                t for t in (int(bound), int(bound) + 1, int(bound) - 1) if (t - best) * direction > 0 and t > 0
            )
        far = draw(st.lists(st.integers(1, best), max_size=30))
        ticks.update(t for t in (best + direction * step for step in far) if t > 0)
        kept = sorted(ticks, reverse=direction < 0)[: draw(st.integers(1, 60))]
        quantity = st.integers(1, 10**9).map(lambda n: text_of(n, 4))
        sides.append([(text_of(t, decimals), draw(quantity)) for t in kept])
    longest = max(len(side) for side in sides)
    return (*sides, draw(st.sampled_from([None, longest, longest + 1])))


@settings(max_examples=300, deadline=None)
@given(books())
def test_any_book_equals_exact_arithmetic(book):
    bids, asks, limit = book
    assert_equals_exact(bids, asks, limit)


@settings(max_examples=100, deadline=None)
@given(books(), st.integers(0, 60), st.integers(0, 60))
def test_a_side_known_to_some_level_is_complete_as_far_as_that_and_sums_all(book, bid_edge, ask_edge):
    bids, asks, _ = book
    edges = min(bid_edge, len(bids) - 1), min(ask_edge, len(asks) - 1)
    whole = book_from_levels(bids, asks)
    sides = [
        replace(side, whole=False, edge=float(levels[edge][0]))
        for side, levels, edge in zip((whole.bids, whole.asks), (bids, asks), edges, strict=True)
    ]
    rows, all_of_it = measure(Book(*sides), BANDS), measure(whole, BANDS)
    known = exact(bids[: edges[0] + 1], BANDS, -1, False), exact(asks[: edges[1] + 1], BANDS, 1, False)
    for row, full, bid, ask in zip(rows, all_of_it, *known, strict=True):
        assert (row.bid_complete, row.ask_complete) == (bid[2], ask[2])
        assert (row.bid_volume, row.ask_volume) == (full.bid_volume, full.ask_volume)
    best = float(bids[0][0])
    assert reach_percent(sides[0]) == pytest.approx((best - float(bids[edges[0]][0])) / best * 100)


@pytest.mark.parametrize("best", ["65000.01", "0.00001234", "1", "3141.59", "99999.99999"])
@pytest.mark.parametrize("band", BANDS)
def test_a_level_on_the_bound_is_inside_and_one_beyond_is_outside(best, band):
    bid_bound = Decimal(best) * (100 - band) / 100
    ask = Decimal(best) * 2
    bids = [(best, "1"), (str(bid_bound), "2")]
    asks = [(str(ask), "1"), (str(ask * (100 + band) / 100), "2")]
    row = measure(book_from_levels(bids, asks, 2), [band])[0]
    assert (row.bid_volume, row.ask_volume, row.bid_complete, row.ask_complete) == (3, 3, True, True)
    tick = Decimal(1).scaleb(bid_bound.as_tuple().exponent)
    if (bid_bound - tick) > 0 and float(bid_bound - tick) != float(bid_bound):
        beyond = [(best, "1"), (str(bid_bound - tick), "2")]
        assert measure(book_from_levels(beyond, asks, 2), [band])[0].bid_volume == 1
    short = [(best, "1"), (str(bid_bound + tick), "2")]
    if bid_bound + tick < Decimal(best):
        assert not measure(book_from_levels(short, asks, 2), [band])[0].bid_complete


def test_fewer_levels_than_asked_for_is_the_whole_side():
    book = book_from_levels([("100", "1")], [("101", "1"), ("102", "1")], 2)
    assert (book.bids.whole, book.asks.whole) == (True, False)
    assert reach_percent(book.bids) is None
    assert reach_percent(book.asks) == pytest.approx(100 / 101)
    row = measure(book, [Decimal(5)])[0]
    assert (row.bid_complete, row.ask_complete) == (True, False)


@pytest.mark.parametrize(
    ("bids", "asks", "reason"),
    [
        ([], [("1", "1")], "bid side is empty"),
        ([("1", "1")], [], "ask side is empty"),
        ([("2", "1")], [("1", "1")], "crossed"),
        ([("1", "1")], [("1", "1")], "crossed"),
        ([("1", "1"), ("2", "1")], [("3", "1")], "bid prices are not sorted"),
        ([("1", "1")], [("3", "1"), ("3", "1")], "ask prices are not sorted"),
        ([("1", "0")], [("3", "1")], "bid quantity"),
        ([("1", "-1")], [("3", "1")], "bid quantity"),
        ([("NaN", "1")], [("3", "1")], "bid price"),
        ([("1", "1")], [("inf", "1")], "ask price"),
        ([("1", "x")], [("3", "1")], "bid level"),
        ([("-1", "1")], [("3", "1")], "bid price"),
        ([("1", None)], [("3", "1")], "bid level"),
    ],
)
def test_what_is_not_a_book_is_refused_with_the_reason(bids, asks, reason):
    with pytest.raises(InvalidBook, match=reason):
        book_from_levels(bids, asks, 10)


def test_diff_and_its_percentage():
    assert diff(3, 1) == (2, 50)
    assert diff(0, 0) == (0, 0)
    assert diff(0, 4) == (-4, -100)


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded 5000-level book is not beside this checkout")
def test_the_recorded_book():
    lines = [line.split(",") for line in RECORDED.read_text().splitlines() if line and not line.startswith("#")]
    update_id, is_ask, price, quantity = 2, 3, 4, 5
    books = {}
    for row in lines[1:]:
        books.setdefault(row[update_id], ([], []))[int(row[is_ask])].append((row[price], row[quantity]))
    assert len(books) == 2
    for bids, asks in books.values():
        assert len(bids) == len(asks) == 5000
        assert_equals_exact(bids, asks, 5000)


def test_floats_that_repr_in_scientific_notation_are_compared_exactly():
    bids = [("0.00000100", "1"), ("0.00000099", "1"), ("0.00000070", "5")]
    asks = [("0.00000101", "1"), ("0.00000131", "5")]
    rows = measure(book_from_levels(bids, asks, 3), [Decimal(1), Decimal(30)])
    assert [row.bid_volume for row in rows] == [2, 7]
    assert rows[1].ask_volume == 6
    assert np.isclose(rows[1].bid_value, 1e-6 + 0.99e-6 + 5 * 0.7e-6)
