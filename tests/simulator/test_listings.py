"""The symbols that the simulated exchange lists."""

from simulator.listings import listings

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
