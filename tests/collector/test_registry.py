"""From the simulated exchange's listings to the registry: markets on their own, the first choice, the request limit."""

import logging

import pytest

from collector.models import StreamEvent, VenueLimit
from collector.services import sync_registry
from markets.listings import STABLE_BASES
from markets.models import Symbol
from tests.collector.simulated import NAMES

pytestmark = pytest.mark.django_db


def chosen(market):
    return set(Symbol.objects.filter(market=market, collected=True).values_list("name", flat=True))


def test_both_markets_are_read_and_the_listed_names_chosen(exchange):
    lines = sync_registry()
    assert [line.split(":")[0] for line in lines] == ["binance SPOT", "binance FUTURES"]
    assert chosen("SPOT") == chosen("FUTURES") == set(NAMES)
    assert Symbol.objects.filter(market="SPOT", status="BREAK").exists()
    assert Symbol.objects.filter(name="币安人生USDT", market="FUTURES").exists()
    assert not Symbol.objects.filter(name__contains="_").exists(), "quarterly contracts are none of ours"
    btc = Symbol.objects.get(name="BTCUSDT", market="SPOT")
    assert btc.tick_size > 0
    assert btc.quote_volume > Symbol.objects.get(name="1INCHUSDT", market="SPOT").quote_volume > 0
    limits = dict(VenueLimit.objects.values_list("market", "weight_per_minute"))
    assert limits == {"SPOT": 6000, "FUTURES": 2400}
    assert all(abs(row.clock_offset_ms) < 1000 for row in VenueLimit.objects.all())


def test_repeating_changes_nothing_and_keeps_what_people_chose(exchange):
    sync_registry()
    Symbol.objects.filter(name="BTCUSDT").update(collected=False)
    Symbol.objects.filter(name="DOGEUSDT").update(collected=True)
    before = Symbol.objects.exclude(name="").order_by("id").values_list("id", "collected", "status", "tick_size")
    before = list(before)
    sync_registry()
    assert list(Symbol.objects.order_by("id").values_list("id", "collected", "status", "tick_size")) == before


def test_top_n_counts_spot_volumes_and_futures_has_the_same_names(exchange, settings):
    settings.SYMBOLS = "top:15"
    sync_registry()
    ranked = Symbol.objects.filter(market="SPOT", quote="USDT", status="TRADING").exclude(base__in=STABLE_BASES)
    top = set(ranked.order_by("-quote_volume").values_list("name", flat=True)[:15])
    assert chosen("SPOT") == top
    on_futures = set(Symbol.objects.filter(market="FUTURES", status="TRADING").values_list("name", flat=True))
    assert chosen("FUTURES") == top & on_futures
    assert chosen("FUTURES")


def test_top_n_waits_for_the_spot_market(exchange, settings):
    settings.SYMBOLS = "top:5"
    exchange.fault("5xx", market="spot")
    spot, futures = sync_registry()
    assert "not read" in spot
    assert "counts spot volumes" in futures
    assert not Symbol.objects.exists()
    exchange.heal()
    sync_registry()
    assert len(chosen("SPOT")) == 5
    assert chosen("FUTURES")


def test_top_n_waits_for_volumes_and_a_list_does_not(exchange, settings):
    exchange.fault("5xx", path="/ticker/24hr")
    settings.SYMBOLS = "top:5"
    assert all("not read" in line for line in sync_registry())
    settings.SYMBOLS = "BTCUSDT"
    sync_registry()
    assert chosen("SPOT") == chosen("FUTURES") == {"BTCUSDT"}


def test_a_market_that_is_away_does_not_hinder_the_other(exchange):
    exchange.fault("403", market="futures")
    spot, futures = sync_registry()
    assert "chosen for collection" in spot
    assert "not read" in futures
    assert chosen("SPOT") == set(NAMES)
    assert StreamEvent.objects.get().market_type == "FUTURES"


def test_a_server_that_speaks_only_spot_is_enough(exchange, settings):
    settings.VENUE_URLS = {"binance": {"SPOT": {"rest": exchange.url}, "FUTURES": {"rest": "http://127.0.0.1:9"}}}
    sync_registry()
    assert chosen("SPOT") == set(NAMES)
    assert not Symbol.objects.filter(market="FUTURES").exists()


def test_an_exchange_that_is_away_keeps_what_is_known(registry):
    registry.fault("5xx")
    assert all("not read" in line for line in sync_registry())
    assert chosen("SPOT") == set(NAMES)
    assert not Symbol.objects.filter(status="DELISTED").exists()


def test_unknown_names_are_told(exchange, settings, caplog):
    settings.SYMBOLS = "BTCUSDT,NOPEUSDT"
    sync_registry()
    told = [record for record in caplog.records if "NOPEUSDT" in record.getMessage()]
    assert {record.levelno for record in told} == {logging.WARNING}
    assert "BTCUSDT" not in told[0].getMessage()


def test_only_unknown_names_are_an_error(exchange, settings, caplog):
    settings.SYMBOLS = "NOPEUSDT"
    sync_registry()
    assert any(record.levelno == logging.ERROR and "NOPEUSDT" in record.getMessage() for record in caplog.records)
    assert Symbol.objects.exists()
    assert chosen("SPOT") == set()


def test_a_symbol_that_vanished_is_delisted_and_one_that_came_back_trades(registry):
    Symbol.objects.create(
        market="SPOT",
        name="GONEUSDT",
        base="GONE",
        quote="USDT",
        tick_size=1,
        lot_size=1,
        status="TRADING",
        collected=True,
    )
    Symbol.objects.filter(name="BTCUSDT").update(status="DELISTED")
    sync_registry()
    gone = Symbol.objects.get(name="GONEUSDT")
    assert (gone.status, gone.collected) == ("DELISTED", True)
    assert set(Symbol.objects.filter(name="BTCUSDT").values_list("status", flat=True)) == {"TRADING"}


def test_the_request_limit_is_what_the_exchange_says(exchange):
    exchange.control("POST", "/limits", market="spot", weight=1200)
    sync_registry()
    assert VenueLimit.objects.get(market="SPOT").weight_per_minute == 1200
