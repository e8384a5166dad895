"""The symbols that the simulated exchange lists."""

import pytest

from simulator.listings import STABLE, listings
from simulator.market import DAY, market_of

ALL = listings(125)
SPOT = [one for one in ALL if one.market == "spot"]
FUTURES = [one for one in ALL if one.market == "futures"]


def test_names_are_unique_in_a_market_and_there_are_enough() -> None:
    assert len({(one.market, one.symbol) for one in ALL}) == len(ALL)
    assert sum(one.quote == "USDT" and one.status == "TRADING" for one in SPOT) == 125
    both = {one.base for one in SPOT if one.status == "TRADING"} & {
        one.base.removeprefix("1000") for one in FUTURES if one.contract_type == "PERPETUAL" and one.status == "TRADING"
    }
    assert len(both) >= 100


def test_every_odd_case_of_the_exchange_is_there() -> None:
    spot, futures = {one.symbol for one in SPOT}, {one.symbol for one in FUTURES}
    assert {"PEPEUSDT", "1INCHUSDT", "USDCUSDT", "FDUSDUSDT", "ETHBTC", "BTCEUR"} <= spot
    assert {"1000PEPEUSDT", "1INCHUSDT", "币安人生USDT", "BTCUSDT_261225"} <= futures
    assert "PEPEUSDT" not in futures
    assert any(one.status == "BREAK" for one in SPOT)
    assert {"PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER", "TRADIFI_PERPETUAL"} == {
        one.contract_type for one in FUTURES
    }
    assert any(one.status != "TRADING" for one in FUTURES)
    assert any(one.base not in {of.base for of in SPOT} for one in FUTURES)
    assert any(one.base not in {of.base.removeprefix("1000") for of in FUTURES} for one in SPOT)
    assert min(one.price for one in SPOT if one.quote == "USDT") < 0.0001
    assert next(one.price for one in SPOT if one.symbol == "BTCUSDT") == 65_000


def test_there_can_be_few_or_many() -> None:
    assert {"BTCUSDT", "ETHUSDT"} <= {one.symbol for one in listings(2) if one.market == "spot"}
    many = [one for one in listings(300) if one.market == "spot" and one.quote == "USDT" and one.status == "TRADING"]
    assert len({one.symbol for one in many}) == 300


@pytest.mark.parametrize("day", [20_000, 20_780, 20_782, 20_859])
def test_the_largest_thirty_trade_on_both_markets_whatever_the_day(day: int) -> None:
    """The days are those on which a coin of one market alone came closest."""
    market = market_of()
    coins = [one for one in SPOT if one.quote == "USDT" and one.status == "TRADING" and one.base not in STABLE]

    def traded(one):
        return market.rolling_day(one, day * DAY)[0].quote_volume / 10**one.quote_decimals

    largest = sorted(coins, key=traded, reverse=True)[:45]
    assert {one.symbol for one in largest} <= {one.symbol for one in FUTURES if one.contract_type == "PERPETUAL"}
