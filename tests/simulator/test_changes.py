"""Changes of books: exactly what differs between two whole books, whichever way it is found."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import books
from simulator.changes import BLOCK, WHOLE, Side, changes, difference, merged
from simulator.diffs import Diffs
from simulator.listings import Listing
from simulator.market import market_of

MARKET = market_of()
OPEN = [one for one in MARKET.listings if not one.closed_at]
listings = st.sampled_from(OPEN)
steps = st.integers(17_000_000_000, 18_000_000_000)
Book = tuple[dict[int, int], dict[int, int]]


def whole(listing: Listing, step: int) -> Book:
    levels = books.levels_at(listing, 7, step, WHOLE)
    pairs = (levels.bid_ticks, levels.bid_lots), (levels.ask_ticks, levels.ask_lots)
    bids, asks = (dict(zip(ticks.tolist(), lots.tolist(), strict=True)) for ticks, lots in pairs)
    return bids, asks


def different(old: dict[int, int], new: dict[int, int]) -> dict[int, tuple[int, int]]:
    both = {tick: (old.get(tick, 0), new.get(tick, 0)) for tick in {*old, *new}}
    return {tick: pair for tick, pair in both.items() if pair[0] != pair[1]}


def told(side: Side, step: int | None = None) -> dict[int, tuple[int, int]]:
    rows = zip(side.steps.tolist(), side.ticks.tolist(), side.before.tolist(), side.after.tolist(), strict=True)
    found = {tick: (before, after) for at, tick, before, after in rows if step in (None, at)}
    assert len(found) == (len(side.ticks) if step is None else int((side.steps == step).sum()))
    return found


@given(listings, steps, st.integers(1, 70))
@settings(max_examples=25, deadline=None)
def test_each_step_changes_what_differs_between_the_whole_books(listing: Listing, first: int, count: int) -> None:
    found = changes(listing, 7, first, count)
    before = whole(listing, first - 1)
    for step in range(first, first + count):
        after = whole(listing, step)
        assert told(found.bids, step) == different(before[0], after[0])
        assert told(found.asks, step) == different(before[1], after[1])
        before = after


@pytest.mark.parametrize(("symbol", "market"), [("BTCUSDT", "spot"), ("BTCUSDT", "futures"), ("ETHUSDT", "futures")])
def test_the_largest_books_over_a_minutes_end(symbol: str, market: str) -> None:
    listing = MARKET.listing(symbol, market)  # type: ignore[arg-type]
    first = 29_900_000 * 600 - 5
    found = changes(listing, 7, first, 12)
    for step in range(first, first + 12):
        old, new = whole(listing, step - 1), whole(listing, step)
        assert (told(found.bids, step), told(found.asks, step)) == (
            different(old[0], new[0]),
            different(old[1], new[1]),
        )
    assert len(found.bids.ticks) > 100


@given(listings, steps, st.sampled_from([1, 2, 3, 5, 10, 63, 64, 100, 5000]))
@settings(max_examples=40, deadline=None)
def test_the_text_between_two_steps_turns_one_book_into_the_other(listing: Listing, step: int, gap: int) -> None:
    texts = Diffs(listing, 7).between(step, step + gap)
    old, new = whole(listing, step), whole(listing, step + gap)
    for text, before, after in zip(texts, old, new, strict=True):
        rows = msgspec.json.decode(b"[" + text + b"]", type=list[tuple[str, str]])
        scale, unit = 10**listing.lot_decimals, 10**listing.price_decimals / listing.tick_units
        numbers = [(round(float(price) * unit), round(float(quantity) * scale)) for price, quantity in rows]
        assert dict(numbers) == {tick: pair[1] for tick, pair in different(before, after).items()}
        assert [tick for tick, _ in numbers] == sorted(dict(numbers))


@pytest.mark.parametrize("symbol", ["FETUSDT", "TRXUSDT"])
def test_steps_that_change_nothing_say_nothing_wherever_in_a_block_they_are(symbol: str) -> None:
    listing = MARKET.listing(symbol, "spot")  # a few levels change at a step, often those of one side only
    diffs, quiet = Diffs(listing, 7), 0
    for step in range(17_952_741_000, 17_952_741_000 + 8 * BLOCK):
        found = changes(listing, 7, step, 1)
        texts = diffs.between(step - 1, step)
        for text, side in zip(texts, (found.bids, found.asks), strict=True):
            assert text.count(b"[") == len(side.ticks)
            quiet += not len(side.ticks)
    assert quiet > 20


@given(listings, steps, st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_both_ways_to_a_difference_agree(listing: Listing, step: int, gap: int) -> None:
    found = changes(listing, 7, step + 1, gap)
    compared = difference(listing, 7, step, step + gap)
    assert told(merged(found.bids)) == told(compared[0])
    assert told(merged(found.asks)) == told(compared[1])


def test_nothing_is_kept_that_would_grow() -> None:
    diffs = Diffs(MARKET.listing("SUIUSDT", "spot"), 7)
    for step in range(17_700_000_000, 17_700_002_000):
        diffs.between(step, step + 1)
    assert len(diffs._blocks) <= 3


def test_best_prices_of_many_steps_are_those_of_each() -> None:
    for listing in OPEN[::25]:
        bids, asks = books.best_prices_between(listing, 7, 17_700_000_590, 20)
        each = [books.best_prices(listing, 7, 17_700_000_590 + i) for i in range(20)]
        assert np.array_equal(np.stack((bids, asks), axis=1), np.array(each))
