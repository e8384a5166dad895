"""The demo's crowd: what it does on the chain, the scanner can read."""

import pytest

from collector.chains import anvil, devchain
from collector.chains import crowd as crowd_module
from collector.chains.crowd import MARKETS, Crowd
from dex.models import Order
from tests.dex.conftest import assert_is_the_chains, catch_up

pytestmark = pytest.mark.usefixtures("clean")
PRICES = {"ETH": 3000.0, "dBTC": 60_000.0, "dSOL": 150.0, "dLINK": 15.0}


@pytest.fixture
def make_crowd(chain, monkeypatch):
    contracts = devchain.set_up(chain, chain.accounts()[1:7])

    def make(factor=1.0):
        monkeypatch.setattr(
            Crowd, "_prices", lambda self, symbols: {symbol: PRICES[symbol] * factor for symbol in symbols}
        )
        made = Crowd(chain, contracts, "http://127.0.0.1:9")
        made.move_prices(MARKETS)
        return made

    return make


def test_its_orders_are_the_scanners(chain, make_crowd, make_scanner):
    crowd = make_crowd()
    for _ in range(25):
        crowd.step()
    make_crowd(factor=1.02)
    for _ in range(5):
        crowd.step()
    catch_up(make_scanner())
    assert_is_the_chains(chain)
    statuses = set(Order.objects.values_list("status", flat=True))
    assert statuses == {"PENDING", "EXECUTED", "CANCELLED"}
    assert {order.order_id for order in crowd.open.values()} == set(
        map(int, Order.objects.filter(status="PENDING").values_list("order_id", flat=True))
    )


def test_a_new_crowd_goes_on_where_the_last_one_was(chain, make_crowd):
    crowd = make_crowd()
    for _ in range(8):
        crowd.step()
    assert make_crowd().open == crowd.open


def test_targets_are_near_the_price(chain, make_crowd, make_scanner):
    crowd = make_crowd()
    for _ in range(12):
        crowd.step()
    catch_up(make_scanner())
    for order in Order.objects.filter(status="PENDING").exclude(quote_out=None):
        decimals = {address: crowd_module.DECIMALS[name] for name, address in crowd.contracts.tokens.items()}
        power = decimals[order.token_in] - decimals[order.token_out] + 18
        price = float(order.quote_out) / float(order.amount_in) * 10**power
        assert float(order.target_price) == pytest.approx(price, rel=0.02)


def test_the_demo_knows_what_its_tokens_stand_for(make_crowd):
    named = dict(word.split("=") for word in anvil.ASSETS)
    tokens = make_crowd().contracts.tokens
    assert named == {address: symbol.removeprefix("d") for symbol, address in tokens.items()}
    assert {f"{named[tokens[symbol]]}USDT": market for symbol, market in MARKETS.items()} == {
        market: market for market in MARKETS.values()
    }
