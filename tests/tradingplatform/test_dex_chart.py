"""Which pending orders can be drawn on which symbol's chart."""

import pytest

from dex import services
from markets.models import Symbol
from tests.dex.factories import BTC, DEPLOYMENT, TOKENS, USDT, log, store
from tradingplatform.dex_chart import chart_state, charted

OTHER = "0x" + "56" * 20
ASSETS = {BTC.lower(): "BTC", USDT.lower(): "USDT", OTHER: "BTC"}


@pytest.fixture
def registry(db):
    facts = {"tick_size": "0.01", "lot_size": "0.00001", "status": "TRADING"}
    for market in ("SPOT", "FUTURES"):
        Symbol.objects.create(market=market, name="BTCUSDT", base="BTC", quote="USDT", collected=True, **facts)
    Symbol.objects.create(market="SPOT", name="ETHUSDT", base="ETH", quote="USDT", collected=False, **facts)


def test_tokens_are_known_by_address_in_either_direction(registry):
    pending = {(BTC, USDT): 2, (USDT, BTC): 3, (OTHER, USDT): 1, (USDT, "0x" + "78" * 20): 9}
    (one,) = charted(pending, ASSETS)
    assert (one.symbol.name, one.symbol.market, one.pending) == ("BTCUSDT", "SPOT", 6)
    assert (one.base, one.quote) == ({BTC, OTHER}, {USDT})


def test_what_is_not_collected_or_not_named_is_not_drawn(registry, settings):
    assert charted({(BTC, USDT): 1}, {}) == []
    assert charted({(BTC, USDT): 1}, {BTC.lower(): "ETH", USDT.lower(): "USDT"}) == []
    assert charted({(BTC, OTHER): 1}, ASSETS) == []  # both are the same asset
    settings.TOKEN_ASSETS = ASSETS
    assert chart_state("") is None


def test_the_orders_of_the_chosen_symbol(registry, settings):
    settings.TOKEN_ASSETS = ASSETS
    swapped = {"tokenIn": BTC, "tokenOut": USDT}
    ended = log("OrderCancelled", 3, 7)
    store([log("OrderCreated", 1, 5), log("OrderCreated", 2, 5, 1, **swapped), log("OrderCreated", 3, 6), ended])
    services.store_tokens(DEPLOYMENT, TOKENS)
    found = chart_state("nosuch")
    assert (found["symbol"], found["market"], found["tick"], found["total"]) == ("BTCUSDT", "SPOT", "0.01", 2)
    assert sorted(order["id"] for order in found["orders"]) == [1, 2]
    assert found["symbols"] == [{"symbol": "BTCUSDT", "pending": 2}]
