"""The registry: what listings change, what people choose, how it is asked."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from markets import selectors, services
from markets.errors import NotCollectable, NotCollected, UnknownSymbol
from markets.listings import SymbolListing
from markets.models import Symbol
from markets.services import CollectionOutcome

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def listing(name="BTCUSDT", market="SPOT", volume=1.0, status="TRADING", quote="USDT"):
    base = name.removesuffix(quote)
    return SymbolListing(market, name, base, quote, Decimal("0.01"), Decimal("0.00001"), status, volume)


@pytest.fixture
def two_markets():
    services.upsert_symbols(
        [
            listing("BTCUSDT", volume=9.0),
            listing("ETHUSDT", volume=5.0),
            listing("OLDUSDT", status="BREAK"),
            listing("ETHBTC", quote="BTC"),
            listing("BTCUSDT", "FUTURES", volume=7.0),
            listing("ETHUSDT", "FUTURES", status="SETTLING"),
            listing("1000PEPEUSDT", "FUTURES", volume=2.0),
        ]
    )
    Symbol.objects.filter(market="FUTURES").update(tick_size="0.1")


def chosen():
    return set(Symbol.objects.filter(collected=True).values_list("name", "market"))


def test_repeating_listings_writes_nothing(django_assert_max_num_queries):
    rows = [listing(), listing("ETHUSDT")]
    assert services.upsert_symbols(rows) == 2
    with django_assert_max_num_queries(4):
        assert services.upsert_symbols(rows) == 0


def test_listings_change_what_differs_and_nothing_that_people_chose():
    services.upsert_symbols([listing(), listing("ETHUSDT")])
    Symbol.objects.update(collected=True, live=True, depth_limit=500)
    added = Symbol.objects.get(name="BTCUSDT").added_at
    assert (
        services.upsert_symbols([replace(listing(), tick_size=Decimal("0.1"), status="HALT"), listing("ETHUSDT")]) == 1
    )
    row = Symbol.objects.get(name="BTCUSDT")
    assert (row.tick_size, row.status) == (Decimal("0.1"), "HALT")
    assert (row.collected, row.live, row.depth_limit, row.added_at) == (True, True, 500, added)


def test_an_unknown_volume_keeps_the_known_one():
    services.upsert_symbols([listing(volume=5.0)])
    assert services.upsert_symbols([listing(volume=None)]) == 0
    assert Symbol.objects.get().quote_volume == 5.0


def test_what_is_listed_no_more_is_delisted_and_stays_chosen(two_markets):
    Symbol.objects.update(collected=True)
    assert services.mark_delisted("SPOT", ["BTCUSDT"]) == 3
    row = Symbol.objects.get(name="ETHUSDT", market="SPOT")
    assert (row.status, row.collected) == ("DELISTED", True)
    assert services.mark_delisted("SPOT", ["BTCUSDT"]) == 0
    assert services.mark_delisted("FUTURES", []) == 0
    assert not Symbol.objects.filter(market="FUTURES", status="DELISTED").exists()


def test_choosing_works_on_every_market_where_it_trades(two_markets):
    assert services.set_collected(["BTCUSDT", "ETHUSDT", "BTCUSDT"], True) == ["BTCUSDT", "ETHUSDT"]
    assert chosen() == {("BTCUSDT", "SPOT"), ("BTCUSDT", "FUTURES"), ("ETHUSDT", "SPOT")}
    assert services.set_collected(["BTCUSDT"], True) == ["BTCUSDT"]
    assert services.set_collected(["BTCUSDT"], False) == ["BTCUSDT"]
    assert chosen() == {("ETHUSDT", "SPOT")}


@pytest.mark.parametrize("bad", ["NOPE", "btcusdt", "", "BTC\x00USDT", "'; DROP TABLE symbols; --"])
@pytest.mark.parametrize("collected", [True, False])
def test_one_unknown_name_refuses_all(two_markets, bad, collected):
    services.set_collected(["ETHUSDT"], True)
    with pytest.raises(UnknownSymbol) as found:
        services.set_collected(["BTCUSDT", bad], collected)
    assert found.value.name == bad
    assert chosen() == {("ETHUSDT", "SPOT")}


@pytest.mark.parametrize("name", ["OLDUSDT", "ETHBTC"])
def test_what_does_not_trade_against_a_collected_quote_cannot_be_chosen(two_markets, name):
    with pytest.raises(NotCollectable) as found:
        services.set_collected(["BTCUSDT", name], True)
    assert found.value.name == name
    assert chosen() == set()
    assert services.set_collected([name], False) == [name]


def test_the_registry_has_one_entry_a_name_spot_first(two_markets, django_assert_num_queries):
    services.set_collected(["BTCUSDT"], True)
    with django_assert_num_queries(1):
        entries = {entry.symbol: entry for entry in selectors.registry()}
    assert list(entries) == sorted(entries)
    btc = entries["BTCUSDT"]
    assert (btc.markets, btc.tick_size, btc.collected) == (["SPOT", "FUTURES"], Decimal("0.01"), True)
    assert entries["1000PEPEUSDT"].markets == ["FUTURES"]
    assert entries["ETHUSDT"].status == "TRADING"


def test_the_registry_searches_and_filters(two_markets):
    services.set_collected(["BTCUSDT"], True)

    def names(**question):
        return [entry.symbol for entry in selectors.registry(**question)]

    assert names(search="pepe") == ["1000PEPEUSDT"]
    assert names(search="%") == names(search="\x00") == []
    assert names(collected=True) == ["BTCUSDT"]
    assert "BTCUSDT" not in names(collected=False)
    assert names(search="eth", collected=False) == ["ETHBTC", "ETHUSDT"]


def test_the_polled_symbols_trade_and_come_by_volume(two_markets):
    services.set_collected(["ETHUSDT", "BTCUSDT"], True)
    Symbol.objects.filter(name="OLDUSDT").update(collected=True)
    assert [symbol.name for symbol in selectors.collected_symbols("SPOT")] == ["BTCUSDT", "ETHUSDT"]
    assert [symbol.name for symbol in selectors.collected_symbols("FUTURES")] == ["BTCUSDT"]


def test_finding_one_symbol(two_markets):
    services.set_collected(["BTCUSDT", "1000PEPEUSDT"], True)
    assert selectors.find("BTCUSDT", "FUTURES").market == "FUTURES"
    for name in ("NOPE", "", "\x00"):
        with pytest.raises(UnknownSymbol):
            selectors.find(name, "SPOT")
    for name, market in (("ETHUSDT", "SPOT"), ("1000PEPEUSDT", "SPOT")):
        with pytest.raises(NotCollected):
            selectors.find(name, market)
    Symbol.objects.filter(name="BTCUSDT").update(status="BREAK")
    assert selectors.find("BTCUSDT", "SPOT").status == "BREAK"


# --- the first choice ---------------------------------------------------------------------------------------------


def test_a_list_chooses_what_is_listed():
    rows = [listing("BTCUSDT"), listing("ETHUSDT"), listing("OLDUSDT", status="BREAK"), listing("ETHBTC", quote="BTC")]
    assert services.seed_names("ethusdt, BTCUSDT,NOPE,OLDUSDT,ETHBTC", rows, ["USDT"]) == ["BTCUSDT", "ETHUSDT"]


def test_top_n_is_by_volume_without_stablecoins():
    rows = [
        listing("USDCUSDT", volume=99.0),
        listing("FDUSDUSDT", volume=98.0),
        listing("BTCUSDT", volume=50.0),
        listing("ETHBTC", volume=60.0, quote="BTC"),
        listing("HALTUSDT", volume=55.0, status="BREAK"),
        listing("ETHUSDT", volume=40.0),
        listing("XRPUSDT", volume=30.0),
    ]
    assert services.seed_names("top:2", rows, ["USDT"]) == ["BTCUSDT", "ETHUSDT"]
    assert services.seed_names("top:50", rows, ["USDT", "BTC"]) == ["ETHBTC", "BTCUSDT", "ETHUSDT", "XRPUSDT"]


# --- how collections went -----------------------------------------------------------------------------------------


def outcome(name="BTCUSDT", minute=NOON, error=None, **found):
    return CollectionOutcome("binance", "SPOT", name, minute, minute + timedelta(seconds=3), error, **found)


def test_outcomes_are_kept_for_each_symbol(two_markets, django_assert_num_queries):
    good = {"bid_reach": 0.5, "ask_reach": None, "bid_levels": 1000, "ask_levels": 20}
    with django_assert_num_queries(1):
        services.record_collection([outcome(**good), outcome("ETHUSDT", error="refused: no"), outcome("NOPE")])
    btc, eth = (Symbol.objects.get(name=name, market="SPOT") for name in ("BTCUSDT", "ETHUSDT"))
    assert (btc.last_minute, btc.bid_reach, btc.ask_reach, btc.bid_levels, btc.ask_levels) == (
        NOON,
        0.5,
        None,
        1000,
        20,
    )
    assert (eth.failures, eth.last_error, eth.last_minute) == (1, "refused: no", None)
    assert eth.last_error_at == NOON + timedelta(seconds=3)
    assert Symbol.objects.get(name="BTCUSDT", market="FUTURES").last_minute is None


def test_failures_count_in_a_row_and_end_with_a_book(two_markets):
    later = NOON + timedelta(minutes=1)
    services.record_collection([outcome(bid_reach=0.5, ask_reach=0.6, bid_levels=5, ask_levels=5)])
    for _ in range(3):
        services.record_collection([outcome(minute=later, error="unavailable: x")])
    row = Symbol.objects.get(name="BTCUSDT", market="SPOT")
    assert (row.failures, row.last_minute, row.bid_reach, row.bid_levels) == (3, NOON, 0.5, 5)
    services.record_collection([outcome(minute=later)])
    row.refresh_from_db()
    assert (row.failures, row.last_minute, row.last_error) == (0, later, "unavailable: x")
    services.record_collection([outcome(minute=NOON)])
    row.refresh_from_db()
    assert row.last_minute == later, "an older minute that comes late does not turn the clock back"


def test_no_outcomes_ask_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        services.record_collection([])
