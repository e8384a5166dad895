"""Books of the simulated market: what holds for every symbol at every time."""

import json
import subprocess
import sys
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator import books, encode
from simulator.hashing import hash_one, hashes
from simulator.listings import Listing
from simulator.market import UnknownSymbol, book_at, market_of

MARKET = market_of()
OPEN = [one for one in MARKET.listings if not one.closed_at]
START, END = 1_700_000_000_000, 1_800_000_000_000
listings = st.sampled_from(OPEN)
times = st.integers(START, END)
limits = st.sampled_from([1, 2, 5, 100, 500, 1000, 5000, 20_000])


def listing(symbol: str, market: str = "spot") -> Listing:
    return MARKET.listing(symbol, market)  # type: ignore[arg-type]


@given(listings, times, limits)
@settings(max_examples=150, deadline=None)
def test_every_book_is_sorted_unique_positive_and_not_crossed(one: Listing, time: int, limit: int) -> None:
    levels = MARKET.levels(one, time, limit)
    assert 1 <= len(levels.bid_ticks) <= limit
    assert 1 <= len(levels.ask_ticks) <= limit
    assert (np.diff(levels.bid_ticks) < 0).all()
    assert (np.diff(levels.ask_ticks) > 0).all()
    assert levels.bid_ticks[-1] > 0
    assert levels.bid_ticks[0] < levels.ask_ticks[0]
    assert (levels.bid_lots > 0).all()
    assert (levels.ask_lots > 0).all()


@given(listings, times, st.integers(1, 3000))
@settings(max_examples=80, deadline=None)
def test_a_limited_book_is_the_beginning_of_the_whole_one(one: Listing, time: int, limit: int) -> None:
    whole, part = MARKET.levels(one, time, 50_000), MARKET.levels(one, time, limit)
    for name in ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots"):
        assert (getattr(part, name) == getattr(whole, name)[:limit]).all()
        assert len(getattr(part, name)) == min(limit, len(getattr(whole, name)))


@given(listings, times, limits)
@settings(max_examples=60, deadline=None)
def test_the_text_of_a_book_is_exact_and_aligned(one: Listing, time: int, limit: int) -> None:
    levels = MARKET.levels(one, time, limit)
    body = json.loads(b"{" + encode.depth_sides(one, levels) + b"}")
    tick = Decimal(one.tick_units).scaleb(-one.price_decimals)
    lot = Decimal(1).scaleb(-one.lot_decimals)
    for side, ticks, lots in (("bids", levels.bid_ticks, levels.bid_lots), ("asks", levels.ask_ticks, levels.ask_lots)):
        assert [Decimal(price) for price, _ in body[side]] == [tick * int(value) for value in ticks]
        assert [Decimal(quantity) for _, quantity in body[side]] == [lot * int(value) for value in lots]
        if one.market == "spot":
            assert all(len(text.partition(".")[2]) == 8 for level in body[side] for text in level)
    prices = book_at(one.symbol, one.market, time, limit)
    expected = [[(float(price), float(quantity)) for price, quantity in body[side]] for side in ("bids", "asks")]
    assert [[tuple(row) for row in side.tolist()] for side in prices] == expected


@given(st.integers(0, 8), st.integers(0, 8), st.lists(st.integers(1, 10**11), min_size=1, max_size=30))
@example(0, 0, [9999, 10_000, 1])
@example(8, 0, [99_999_999, 100_000_000, 1])
def test_numbers_are_spelt_like_decimals(decimals: int, zeros: int, values: list[int]) -> None:
    text, counts = encode._number(np.array(values), decimals, zeros)
    spelt = [bytes(row[yes]).decode() for row, yes in zip(text, counts, strict=True)]
    assert spelt == [encode.decimal(value, decimals, decimals + zeros) for value in values]
    assert [Decimal(one) for one in spelt] == [Decimal(value).scaleb(-decimals) for value in values]


@given(listings, times)
@settings(max_examples=60, deadline=None)
def test_the_last_price_is_one_of_the_best_prices(one: Listing, time: int) -> None:
    bid, ask = MARKET.best(one, time)
    assert MARKET.last_price(one, time) in (bid, ask)
    levels = MARKET.levels(one, time, 1)
    assert (levels.bid_ticks[0], levels.ask_ticks[0]) == (bid, ask)


def _state(one: Listing, time: int) -> set[tuple[int, int]]:
    levels = MARKET.levels(one, time, 50_000)
    bids = zip(levels.bid_ticks.tolist(), levels.bid_lots.tolist(), strict=True)
    return {
        *bids,
        *((-tick, lots) for tick, lots in zip(levels.ask_ticks.tolist(), levels.ask_lots.tolist(), strict=True)),
    }


@given(listings, times)
@settings(max_examples=40, deadline=None)
def test_most_levels_stay_for_a_second_and_ids_rise_with_each_state(one: Listing, time: int) -> None:
    now, later = _state(one, time), _state(one, time + 1000)
    assert len(now & later) > 0.75 * len(now)
    step = time // 100
    ids = [MARKET.update_id(one, at * 100) for at in (step, step + 1, step + 2)]
    assert ids[1] - ids[0] == ids[2] - ids[1] > 0
    assert MARKET.update_id(one, step * 100 + 99) == ids[0] > 0
    assert _state(one, step * 100) == _state(one, step * 100 + 99)


def test_books_do_change_and_walls_come_and_go() -> None:
    one, start = listing("BTCUSDT"), 1_790_000_000_000
    states = [_state(one, start + minute * 60_000) for minute in range(0, 120, 10)]
    assert all(first != second for first, second in pairwise(states))
    largest = {max((lots, tick) for tick, lots in state)[1] for state in states}
    assert len(largest) > 1
    sizes = np.sort([lots for _, lots in states[0]])
    assert sizes[-1] > 50 * sizes.mean() > 50 * np.median(sizes)


def test_round_prices_hold_more_than_others() -> None:
    one = listing("BTCUSDT")
    levels = [MARKET.levels(one, 1_790_000_000_000 + hour * 3_600_000, 5000) for hour in range(12)]
    ticks = np.concatenate([at.bid_ticks for at in levels])
    lots = np.concatenate([at.bid_lots for at in levels])
    assert lots[ticks % 1000 == 0].mean() > 3 * lots[ticks % 1000 != 0].mean()


def _reach(symbol: str, market: str, limit: int) -> float:
    """Percent from the mid price that `limit` levels a side reach, averaged over some days."""
    one, found = listing(symbol, market), []
    for day in range(12):
        levels = MARKET.levels(one, 1_790_000_000_000 + day * 86_400_000, limit)
        assert len(levels.bid_ticks) == len(levels.ask_ticks) == limit
        middle = (levels.bid_ticks[0] + levels.ask_ticks[0]) / 2
        found.append((levels.ask_ticks[-1] - levels.bid_ticks[-1]) / 2 / middle * 100)
    return float(np.mean(found))


@pytest.mark.parametrize(
    ("symbol", "market", "limit", "least", "most"),
    [
        ("BTCUSDT", "spot", 1000, 0.22, 0.40),
        ("BTCUSDT", "spot", 5000, 0.9, 1.5),
        ("BTCUSDT", "futures", 1000, 0.22, 0.33),
        ("ETHUSDT", "spot", 1000, 0.8, 1.2),
    ],
)
def test_books_reach_about_as_far_as_real_ones(symbol: str, market: str, limit: int, least: float, most: float) -> None:
    assert least < _reach(symbol, market, limit) < most


def test_small_coins_have_whole_books_below_a_thousand_levels() -> None:
    sizes = [len(MARKET.levels(one, 1_790_000_000_000, 5000).bid_ticks) for one in OPEN if one.market == "spot"]
    assert sum(size < 1000 for size in sizes) > 50
    assert sum(size < 250 for size in sizes) >= 3
    assert len(MARKET.levels(listing("BTCUSDT"), 1_790_000_000_000, 5000).bid_ticks) == 5000


@given(times)
@settings(max_examples=50, deadline=None)
def test_both_markets_of_a_coin_stay_together(time: int) -> None:
    for symbol, contract, scale in (
        ("BTCUSDT", "BTCUSDT", 1),
        ("1INCHUSDT", "1INCHUSDT", 1),
        ("PEPEUSDT", "1000PEPEUSDT", 1000),
    ):
        spot, future = listing(symbol), listing(contract, "futures")
        prices = [MARKET.last_price(one, time) * one.tick for one in (spot, future)]
        slack = spot.tick / prices[0]
        assert abs(prices[1] / scale / prices[0] - 1) < 0.003 + slack


def test_another_seed_is_another_market_and_unknown_symbols_are_refused() -> None:
    assert not np.array_equal(
        book_at("BTCUSDT", "spot", START, 50)[0], book_at("BTCUSDT", "spot", START, 50, seed=8)[0]
    )
    with pytest.raises(UnknownSymbol):
        book_at("NOPEUSDT", "spot", START, 50)


def test_a_symbol_that_ended_has_an_empty_book() -> None:
    ended = listing("XMRUSDT")
    assert len(MARKET.levels(ended, ended.closed_at, 100).bid_ticks) == 0
    assert len(MARKET.levels(ended, ended.closed_at - 1, 100).bid_ticks) == 100


@given(st.integers(0, 2**64 - 1), st.lists(st.integers(0, 2**62), min_size=1, max_size=5))
def test_one_hash_and_many_agree(key: int, indices: list[int]) -> None:
    assert hashes(key, np.array(indices)).tolist() == [hash_one(key, index) for index in indices]


PROGRAM = """
import hashlib, sys
from simulator import encode
from simulator.market import SimulatedMarket
market = SimulatedMarket(7)
order = [("BTCUSDT", "spot"), ("1000PEPEUSDT", "futures"), ("DOGEUSDT", "spot"), ("币安人生USDT", "futures")]
digests = {}
for symbol, kind in order if sys.argv[1] == "0" else order[::-1]:
    one, digest = market.listing(symbol, kind), hashlib.sha256()
    for time in range(1_790_000_000_000, 1_790_000_600_000, 97_300):
        digest.update(encode.depth_sides(one, market.levels(one, time, 700)))
        for interval in ("1m", "15m", "1d"):
            digest.update(repr(market.candles(one, interval, time, 40)).encode())
        digest.update(repr((market.rolling_day(one, time), market.open_interest(one, time))).encode())
    digests[symbol] = digest.hexdigest()
print(sorted(digests.items()))
"""


def test_processes_agree_on_everything_whatever_was_asked_before() -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, order], cwd=Path(__file__).parents[2], check=True, capture_output=True,
            env={"PYTHONHASHSEED": order, "PYTHONUTF8": "1"},
        ).stdout
        for order in ("0", "1")
    ]  # fmt: skip
    assert runs[0] == runs[1] != b""


def test_layers_end_above_nothing() -> None:
    """No layer asks for more room than its symbol's price has."""
    for one in OPEN:
        assert all(layer.width >= 1 and layer.reach < one.price / one.tick for layer in books.layers(one))


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_no_side_is_favoured(market):
    """Over many symbols and hours neither side holds more within one percent, in thick books and in thin ones."""
    shares = []
    for symbol in ("BTCUSDT", "ETHUSDT", "ADAUSDT", "AVAXUSDT", "FILUSDT", "LINKUSDT", "DOTUSDT", "UNIUSDT"):
        for hour in range(40):
            bids, asks = book_at(symbol, market, 1_795_206_000_000 - hour * 5 * 3_600_000, 1000)
            bid = bids[bids[:, 0] >= bids[0, 0] * 0.99, 1].sum()
            ask = asks[asks[:, 0] <= asks[0, 0] * 1.01, 1].sum()
            shares.append((bid - ask) / (bid + ask))
    assert abs(sum(shares) / len(shares)) < 0.1
