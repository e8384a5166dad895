"""Trades of the simulated market: they add up to its candles, and are the same wherever they are told."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import books, counts, prices
from simulator.candles import candles
from simulator.listings import Listing
from simulator.market import market_of, trades_between
from simulator.trades import Trades, minute_sums, minute_trades
from tests.simulator.conftest import Server

MARKET = market_of()
SEED = MARKET.seed
OPEN = [one for one in MARKET.listings if not one.closed_at]
listings = st.sampled_from(OPEN)
minutes = st.integers(29_500_000, 29_990_000)
MINUTE = 60_000


def whole(listing: Listing, number: int) -> Any:
    return candles(listing, SEED, "1m", (number + 1) * MINUTE, 1, number * MINUTE, number * MINUTE)[0]


@given(listings, minutes)
@settings(max_examples=80, deadline=None)
def test_a_minutes_trades_add_up_to_its_candle(listing: Listing, number: int) -> None:
    trades, candle = minute_trades(listing, SEED, number), whole(listing, number)
    assert (trades.ticks[0], trades.ticks[-1]) == (candle.open, candle.close)
    assert (trades.ticks.max(), trades.ticks.min()) == (candle.high, candle.low)
    assert trades.lots.sum() == candle.volume
    assert trades.lots[~trades.sells].sum() == candle.taker_volume
    assert trades.numbers[-1] - trades.numbers[0] == candle.trades
    assert trades.lots.min() >= 1
    assert len(trades) >= counts.FEWEST
    value = int((trades.lots * trades.ticks).sum())
    assert candle.low * candle.volume <= value <= candle.high * candle.volume


def test_turnover_too_is_that_of_the_candle_but_for_a_few_minutes() -> None:
    exact = total = 0
    for listing in OPEN[::6]:
        for number in range(29_600_000, 29_600_010):
            trades, candle = minute_trades(listing, SEED, number), whole(listing, number)
            sums = [(trades.lots * trades.ticks).sum(), (trades.lots * trades.ticks)[~trades.sells].sum()]
            told = [int(prices.quote_value(listing, value)) for value in sums]
            exact += told == [candle.quote_volume, candle.taker_quote_volume]
            total += 1
            assert told[0] == pytest.approx(candle.quote_volume, rel=0.01)
    assert exact / total > 0.9


@given(listings, minutes)
@settings(max_examples=60, deadline=None)
def test_trades_follow_one_another(listing: Listing, number: int) -> None:
    one, other = minute_trades(listing, SEED, number), minute_trades(listing, SEED, number + 1)
    assert other.first == one.first + len(one)
    assert other.numbers[0] == one.numbers[-1]
    assert (np.diff(one.times) >= 0).all()
    assert number * MINUTE <= one.times[0] <= one.times[-1] < (number + 1) * MINUTE
    assert ((np.diff(one.numbers) >= 1) & (np.diff(one.numbers) <= 5)).all()
    assert (one.times <= one.steps * prices.STEP).all()
    assert {counts.minute_of(listing, SEED, trade) for trade in (one.first, one.first + len(one) - 1)} == {number}


@given(listings, minutes)
@settings(max_examples=40, deadline=None)
def test_trades_take_place_at_the_best_prices_of_their_step(listing: Listing, number: int) -> None:
    trades = minute_trades(listing, SEED, number)
    for i in range(0, len(trades), max(1, len(trades) // 15)):
        bid, ask = books.best_prices(listing, SEED, int(trades.steps[i]))
        assert trades.ticks[i] in (bid, ask)
    assert 0 < trades.sells.sum() < len(trades)


@given(listings, minutes, st.integers(0, 599))
@settings(max_examples=60, deadline=None)
def test_an_open_candle_is_what_has_been_traded(listing: Listing, number: int, step: int) -> None:
    trades = minute_trades(listing, SEED, number)
    known: Trades = trades.part(0, int(np.searchsorted(trades.steps, number * 600 + step, side="right")))
    candle = candles(listing, SEED, "1m", number * MINUTE + step * 100, 1)[0]
    assert (candle.open, candle.close) == (known.ticks[0], known.ticks[-1])
    assert (candle.high, candle.low) == (known.ticks.max(), known.ticks.min())
    assert candle.volume == known.lots.sum()
    assert candle.taker_volume == known.lots[~known.sells].sum()
    assert candle.trades == known.numbers[-1] - known.numbers[0]
    assert minute_sums(listing, SEED, number).volume[-1] == trades.lots.sum()


def test_trades_between_two_times_are_those_of_their_minutes() -> None:
    start = 29_700_000 * MINUTE
    found = trades_between("ETHUSDT", "futures", start, start + 3 * MINUTE)
    candle_rows = candles(MARKET.listing("ETHUSDT", "futures"), SEED, "1m", start + 3 * MINUTE, 3, start)[:3]
    assert [one.id for one in found] == list(range(found[0].id, found[0].id + len(found)))
    assert sum(one.quantity for one in found) * 1000 == pytest.approx(sum(row.volume for row in candle_rows))
    part = trades_between("ETHUSDT", "futures", start + 30_500, start + 31_000)
    assert part == [one for one in found if start + 30_500 <= one.time < start + 31_000]
    assert all(one.last_id + 1 == after.first_id for one, after in pairwise(found))


def rest(server: Server, market: str, **params: Any) -> list[dict[str, Any]]:
    path = {"spot": "/api/v3/aggTrades", "futures": "/fapi/v1/aggTrades"}[market]
    answer = server.get(path, **params)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_rest_tells_the_trades_by_id_and_by_time(server: Server, market: str) -> None:
    newest = rest(server, market, symbol="ETHUSDT", limit=100)
    assert [row["a"] for row in newest] == list(range(newest[0]["a"], newest[0]["a"] + 100))
    assert set(newest[0]) == {*"apqflTm"} | ({"M"} if market == "spot" else set())
    assert rest(server, market, symbol="ETHUSDT", fromId=newest[40]["a"], limit=60) == newest[40:]
    start, end = newest[20]["T"], newest[60]["T"]
    between = rest(server, market, symbol="ETHUSDT", startTime=start, endTime=end, limit=1000)
    assert between == [row for row in newest if start <= row["T"] <= end]
    assert rest(server, market, symbol="ETHUSDT", startTime=start, limit=5) == between[:5]
    assert rest(server, market, symbol="ETHUSDT", endTime=end, limit=5) == between[-5:]
    assert len(rest(server, market, symbol="ETHUSDT")) == 500
    begin = newest[-1]["T"] // MINUTE * MINUTE - 2 * MINUTE
    expected = trades_between("ETHUSDT", market, begin, begin + MINUTE)  # type: ignore[arg-type]
    told = rest(server, market, symbol="ETHUSDT", startTime=begin, endTime=begin + MINUTE - 1, limit=1000)
    assert [(row["a"], row["T"], float(row["p"]), float(row["q"]), row["m"], row["f"], row["l"]) for row in told] == [
        (one.id, one.time, one.price, one.quantity, one.sell, one.first_id, one.last_id) for one in expected
    ][:1000]


def test_rest_of_trades_refuses_and_ends_as_its_market_does(server: Server) -> None:
    now = rest(server, "futures", symbol="BTCUSDT", limit=1)[0]["T"]
    path = "/fapi/v1/aggTrades"
    assert server.get(path, symbol="BTCUSDT", startTime=now - 3_700_000, endTime=now).json()["code"] == -1127
    assert server.get(path, symbol="BTCUSDT", startTime=now, endTime=now - 1).json()["code"] == -1023
    assert server.get(path, symbol="BTCUSDT", limit=1001).json()["code"] == -1130
    assert server.get(path).json()["code"] == -1102
    old = rest(server, "futures", symbol="BTCUSDT", startTime=now - 80 * 3_600_000, limit=1)[0]["T"]
    assert abs(old - (now - 48 * 3_600_000)) < 5000
    assert rest(server, "futures", symbol="BTCUSDT", endTime=now - 60 * 3_600_000) == []
    assert rest(server, "futures", symbol="BTCUSDT", startTime=now + MINUTE) == []
    spot = server.get("/api/v3/aggTrades", symbol="BTCUSDT", fromId=1, startTime=now)
    assert spot.json()["code"] == -1128
    first = rest(server, "spot", symbol="BTCUSDT", fromId=0, limit=2)
    assert [row["a"] for row in first] == [0, 1]
    used = int(server.get("/api/v3/aggTrades", symbol="BTCUSDT").headers["X-MBX-USED-WEIGHT-1M"])
    assert int(server.get("/api/v3/aggTrades", symbol="BTCUSDT").headers["X-MBX-USED-WEIGHT-1M"]) in (used + 4, 4)
