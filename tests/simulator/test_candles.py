"""Candles of the simulated market: the same path as the books, at every interval, whenever they are asked."""

from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import prices
from simulator.candles import INTERVALS, Candle, candles, number_at, opens_at
from simulator.listings import DAY, Listing
from simulator.market import market_of

MARKET = market_of()
SEED = MARKET.seed
OPEN = [one for one in MARKET.listings if not one.closed_at]
START, END = 1_765_000_000_000, 1_800_000_000_000
listings = st.sampled_from(OPEN)
times = st.integers(START, END)
MINUTE = 60_000


def aggregate(parts: list[Candle], whole: Candle) -> Candle:
    sums = [sum(getattr(part, field.name) for part in parts) for field in fields(Candle)[6:]]
    high, low = max(part.high for part in parts), min(part.low for part in parts)
    return Candle(whole.open_time, whole.close_time, parts[0].open, high, low, parts[-1].close, *sums)


@given(listings, times, st.sampled_from([name for name in INTERVALS if name != "1s"]), st.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_candles_hold_together(one: Listing, now: int, interval: str, limit: int) -> None:
    rows = candles(one, SEED, interval, now, limit)
    assert len(rows) <= limit
    for row in rows:
        assert 0 < row.low <= min(row.open, row.close) <= max(row.open, row.close) <= row.high
        assert row.volume > 0
        assert row.quote_volume > 0
        assert row.trades > 0
        assert 0 <= row.taker_volume <= row.volume
        assert row.taker_quote_volume <= row.quote_volume
        assert 0 < row.taker_volume < row.volume or row.close_time >= now  # one side alone may have begun
        assert row.open_time == opens_at(interval, number_at(interval, row.open_time))
    assert all(first.close_time + 1 == second.open_time for first, second in pairwise(rows))
    if rows:
        assert rows[-1].open_time <= now <= rows[-1].close_time


@given(listings, times, st.sampled_from(["3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"]))
@settings(max_examples=80, deadline=None)
def test_longer_candles_are_made_of_minutes_closed_or_not(one: Listing, now: int, interval: str) -> None:
    rows = candles(one, SEED, interval, now, 2)
    minutes = candles(one, SEED, "1m", now, 100_000, start=rows[0].open_time)
    for row in rows:
        parts = [part for part in minutes if row.open_time <= part.open_time <= row.close_time]
        assert row == aggregate(parts, row)


@given(listings, times, st.sampled_from(["3d", "1w", "1M"]))
@settings(max_examples=25, deadline=None)
def test_the_longest_candles_are_made_of_days(one: Listing, now: int, interval: str) -> None:
    rows = candles(one, SEED, interval, now, 2)
    days = candles(one, SEED, "1d", now, 1000, start=rows[0].open_time)
    for row in rows:
        parts = [part for part in days if row.open_time <= part.open_time <= row.close_time]
        if parts[0].open_time == row.open_time:  # a symbol may have been listed within the candle
            assert row == aggregate(parts, row)


@given(listings, times)
@settings(max_examples=60, deadline=None)
def test_a_minute_is_made_of_its_seconds(one: Listing, now: int) -> None:
    begin = now // MINUTE * MINUTE
    whole = candles(one, SEED, "1m", begin + MINUTE, 1, start=begin, end=begin)[0]
    seconds = candles(one, SEED, "1s", begin + MINUTE, 60, start=begin, end=begin + MINUTE - 1)
    assert len(seconds) == 60
    assert aggregate(seconds, whole) == whole


@given(listings, times, st.integers(0, 5000), st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_closed_minutes_are_the_same_whenever_and_however_they_are_asked(
    one: Listing, now: int, later: int, limit: int
) -> None:
    rows = candles(one, SEED, "1m", now, limit)[:-1]
    if not rows:
        return
    again = candles(one, SEED, "1m", now + later * MINUTE, 1000, start=rows[0].open_time, end=rows[-1].open_time)
    assert again == rows
    middle = rows[len(rows) // 2]
    assert candles(one, SEED, "1m", now, 1, start=middle.open_time) == [middle]


@given(listings, times)
@settings(max_examples=60, deadline=None)
def test_an_open_minute_follows_the_last_price_and_only_grows(one: Listing, now: int) -> None:
    begin = now // MINUTE * MINUTE
    seen: Candle | None = None
    for moment in range(begin, begin + MINUTE, 7_300):
        row = candles(one, SEED, "1m", moment, 1)[0]
        assert row.open_time == begin
        assert row.close == MARKET.last_price(one, moment)
        if seen is not None:
            assert row.open == seen.open
            assert row.high >= seen.high
            assert row.low <= seen.low
            assert row.volume >= seen.volume
            assert row.trades >= seen.trades
        seen = row


@given(listings, times)
@settings(max_examples=60, deadline=None)
def test_the_path_within_a_minute_touches_all_four_prices(one: Listing, now: int) -> None:
    at = prices.minute(one, SEED, now // MINUTE)
    path = prices.path(at, np.arange(prices.STEPS))
    assert (path[0], path.max(), path.min(), path[-1]) == (at.open, at.high, at.low, at.close)
    picked = [int(prices.path(at, np.array([step]))[0]) for step in (0, 1, 77, 300, 598, 599)]
    assert picked == path[[0, 1, 77, 300, 598, 599]].tolist()
    step = now // MINUTE * prices.STEPS
    assert prices.price_at(one, SEED, step) == at.open


@given(listings, times, st.integers(1, 3000))
@settings(max_examples=40, deadline=None)
def test_minutes_do_not_depend_on_the_range_that_they_are_part_of(one: Listing, now: int, ahead: int) -> None:
    number = now // MINUTE
    alone, among = prices.minutes(one, SEED, number, 3), prices.minutes(one, SEED, number - ahead, ahead + 40)
    for field in fields(alone):
        if field.name != "first":
            assert (getattr(alone, field.name) == getattr(among, field.name)[ahead : ahead + 3]).all(), field.name


def test_ranges_are_those_of_the_exchange() -> None:
    one, now = MARKET.listing("BTCUSDT", "spot"), 1_790_000_030_000
    newest = now // MINUTE * MINUTE
    opens = lambda rows: [row.open_time for row in rows]  # noqa: E731
    assert opens(candles(one, SEED, "1m", now, 3)) == [newest - 2 * MINUTE, newest - MINUTE, newest]
    assert opens(candles(one, SEED, "1m", now, 3, start=newest - 10 * MINUTE + 1)) == [
        newest - i * MINUTE for i in (9, 8, 7)
    ]
    assert opens(candles(one, SEED, "1m", now, 2, end=newest - 5 * MINUTE)) == [newest - i * MINUTE for i in (6, 5)]
    assert candles(one, SEED, "1m", now, 3, start=now + MINUTE) == []
    listed = candles(one, SEED, "1d", now, 5, start=0)[0].open_time
    assert listed == one.onboard // DAY * DAY == one.onboard


def test_weeks_open_on_mondays_and_months_on_their_first() -> None:
    assert opens_at("1w", number_at("1w", 1_790_000_000_000)) == 1_789_948_800_000  # 2026-09-21, a Monday
    assert opens_at("1M", number_at("1M", 1_790_000_000_000)) == 1_788_220_800_000  # 2026-09-01
    for interval in INTERVALS:
        number = number_at(interval, 1_790_000_000_000)
        assert opens_at(interval, number) <= 1_790_000_000_000 < opens_at(interval, number + 1)


def test_a_symbol_that_ended_has_no_candles_after_it() -> None:
    ended = MARKET.listing("XMRUSDT", "spot")
    rows = candles(ended, SEED, "1h", END, 5)
    assert rows[-1].close_time == ended.closed_at - 1
    assert candles(ended, SEED, "1h", END, 5, start=ended.closed_at) == []


@given(listings, times)
@settings(max_examples=30, deadline=None)
def test_the_rolling_day_is_made_of_its_minutes(one: Listing, now: int) -> None:
    day, before = MARKET.rolling_day(one, now)
    parts = candles(one, SEED, "1m", now, 1500, start=now // MINUTE * MINUTE - 1439 * MINUTE)
    assert len(parts) == 1440
    assert day == aggregate(parts, day)
    earlier = candles(one, SEED, "1m", now, 1, start=parts[0].open_time - MINUTE)[0]
    assert before == earlier.close


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "DOGEUSDT"])
def test_prices_move_like_a_market(symbol: str) -> None:
    """Returns have fat tails and volatility comes in clusters; the price stays near its reference."""
    one = MARKET.listing(symbol, "spot")
    made = prices.minutes(one, SEED, 1_790_000_000_000 // MINUTE - 43_200, 43_200)
    returns = np.diff(np.log(made.close))
    assert 0.005 < returns.std() * 1440**0.5 < 0.12
    assert (returns**4).mean() / (returns**2).mean() ** 2 > 3.5
    size = np.abs(returns)
    assert np.corrcoef(size[10:], size[:-10])[0, 1] > 0.05
    assert np.corrcoef(made.quote_volume[1:], size)[0, 1] > 0.1
    assert abs(np.log(made.close * one.tick / one.price)).max() < 0.6


def test_the_largest_coins_trade_most() -> None:
    day = {one.symbol: MARKET.rolling_day(one, 1_790_000_000_000)[0] for one in OPEN if one.market == "spot"}
    value = {
        symbol: row.quote_volume / 10 ** MARKET.listing(symbol, "spot").quote_decimals for symbol, row in day.items()
    }
    assert max(value, key=lambda symbol: value[symbol]) == "BTCUSDT"
    usdt = [value[one.symbol] for one in OPEN if one.market == "spot" and one.quote == "USDT"]
    assert np.corrcoef(np.log(usdt), np.log(np.arange(1, len(usdt) + 1)))[0, 1] < -0.8
