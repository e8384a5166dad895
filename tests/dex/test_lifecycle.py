"""Orders from their creation to their end on a real chain, as the scanner stores them."""

import json
import shutil
import subprocess
import time
from decimal import Decimal

import pytest

from collector import scanner as scanner_module
from collector.chains import devchain
from collector.chains.evm import Refused
from dex.models import Order, OrderEvent, SystemState, Token
from tests.dex.conftest import E18, assert_is_the_chains, catch_up

pytestmark = pytest.mark.usefixtures("clean")


def test_compiled_contracts_are_those_of_the_sources():
    if not (devchain.ROOT / "node_modules" / "solc").is_dir() or not shutil.which("node"):
        pytest.skip("no solc: node_modules holds what runs only")
    script = devchain.CONTRACTS / "compile.js"
    told = subprocess.run(["node", script], capture_output=True, text=True, check=True, cwd=devchain.ROOT)
    compiled = {one["name"]: one for one in map(json.loads, told.stdout.splitlines())}
    assert set(compiled) == {path.stem for path in devchain.CONTRACTS.glob("*.sol")}
    for name, one in compiled.items():
        assert devchain.artifact(name) == one


def test_an_order_is_created_and_executed(chain, make_scanner):
    scanner = make_scanner()
    chain.create(amount=50_000 * 10**6, price=19 * 10**12)  # 0.000019 dBTC for a dUSDT: reached
    catch_up(scanner)
    order = Order.objects.get()
    assert (order.status, order.order_id, order.amount_in) == ("PENDING", 1, 50_000 * 10**6)
    assert order.user_address == chain.users[0]
    assert order.tx_hash == OrderEvent.objects.get().tx_hash
    chain.execute(1)
    catch_up(scanner)
    order = Order.objects.get()
    assert (order.status, order.cancelled_at) == ("EXECUTED", None)
    assert order.executed_at >= order.created_at
    assert order.amount_out == chain.call(chain.btc, "balanceOf(address)", chain.users[0]) - 10**9 * 10**8
    steps = OrderEvent.objects.order_by("block_number").values_list("event_type", "old_status", "new_status", "anomaly")
    assert list(steps) == [("OrderCreated", None, "PENDING", ""), ("OrderExecuted", "PENDING", "EXECUTED", "")]
    assert_is_the_chains(chain)


def test_an_order_that_is_cancelled_gives_its_tokens_back(chain, make_scanner):
    before = chain.call(chain.usdt, "balanceOf(address)", chain.users[1])
    chain.create(user=1, amount=77)
    assert chain.call(chain.usdt, "balanceOf(address)", chain.users[1]) == before - 77
    assert chain.call(chain.usdt, "balanceOf(address)", devchain.ORDERS) == 77
    chain.cancel(1, user=1)
    assert chain.call(chain.usdt, "balanceOf(address)", chain.users[1]) == before
    catch_up(make_scanner())
    order = Order.objects.get()
    assert (order.status, order.executed_at, order.amount_out) == ("CANCELLED", None, None)
    assert order.cancelled_at is not None
    assert_is_the_chains(chain)


def test_the_coin_is_held_and_paid_out(chain, make_scanner):
    amount = E18 // 20
    set_reserves = "setReserves(address,address,uint256,uint256)"
    chain.send(chain.owner, devchain.ROUTER, set_reserves, devchain.ZERO_ADDRESS, chain.usdt, 10**24, 3000 * 10**12)
    chain.create(token_in=devchain.ZERO_ADDRESS, token_out=chain.usdt, amount=amount, price=2900 * E18)
    assert int(chain.rpc("eth_getBalance", devchain.ORDERS, "latest"), 16) == amount
    chain.execute(1)
    chain.create(token_in=chain.usdt, token_out=devchain.ZERO_ADDRESS, amount=10**9, price=1)
    held = int(chain.rpc("eth_getBalance", chain.users[0], "latest"), 16)
    chain.execute(2)
    catch_up(make_scanner())
    first, second = Order.objects.order_by("order_id")
    assert first.token_in == devchain.ZERO_ADDRESS
    assert Decimal(149) * 10**6 < first.amount_out < Decimal(150) * 10**6
    assert int(chain.rpc("eth_getBalance", chain.users[0], "latest"), 16) == held + second.amount_out
    assert_is_the_chains(chain)


@pytest.mark.parametrize(
    "attempt",
    [
        lambda chain: chain.execute(1),  # nothing was ordered
        lambda chain: chain.cancel(2, user=1),  # another's
        lambda chain: chain.create(amount=0),
        lambda chain: chain.create(price=0),
        lambda chain: chain.create(token_out=chain.usdt),
        lambda chain: chain.create(amount=10**30),  # more than there is
        lambda chain: chain.create(token_in="0x" + "11" * 20),  # no token at all
    ],
)
def test_the_contract_refuses(chain, attempt):
    with pytest.raises(Refused):
        attempt(chain)


def test_prices_decide_when_an_order_may_be_executed(chain):
    chain.create(token_in=chain.btc, token_out=chain.usdt, amount=10**7, price=60_000 * E18, kind=0)
    chain.create(token_in=chain.btc, token_out=chain.usdt, amount=10**7, price=40_000 * E18, kind=1)
    for order_id in (1, 2):
        with pytest.raises(Refused):
            chain.execute(order_id)
    chain.set_price(61_000)
    chain.execute(1)
    with pytest.raises(Refused):
        chain.execute(2)
    chain.set_price(39_000)
    chain.execute(2)
    with pytest.raises(Refused):
        chain.cancel(2)


def test_confirmations_are_waited_for(chain, make_scanner):
    scanner = make_scanner(confirmations=3)
    chain.create()
    chain.mine(2)
    catch_up(scanner)
    assert not Order.objects.exists()
    chain.mine()
    catch_up(scanner)
    assert Order.objects.get().status == "PENDING"


def test_a_scanner_begins_where_it_is_told(chain, make_scanner):
    chain.create()
    chain.create()
    start = chain.height()
    chain.cancel(1)
    chain.cancel(2)
    catch_up(make_scanner(start_block=start))
    assert [int(number) for number in Order.objects.values_list("order_id", flat=True)] == [2]
    refused = OrderEvent.objects.exclude(anomaly="").get()
    assert (refused.order_id, refused.anomaly, refused.new_status) == (1, "unknown_order", None)


def test_tokens_tell_their_names_and_the_router_its_price(chain, make_scanner):
    chain.create(token_in=chain.btc, token_out=chain.usdt, amount=10**8, price=55_000 * E18)
    catch_up(make_scanner())
    tokens = set(Token.objects.values_list("symbol", "decimals"))
    assert tokens == {("dBTC", 8), ("dUSDT", 6)}
    quote = Order.objects.get().quote_out
    path = [chain.btc, chain.usdt]
    answer = chain.call(devchain.ROUTER, "getAmountsOut(uint256,address[])", 10**8, path, gives=["uint256[]"])
    assert quote == answer[1]
    assert 49_000 * 10**6 < quote < 50_000 * 10**6


def test_the_state_tells_where_the_scanner_is(chain, make_scanner):
    catch_up(make_scanner())
    state = SystemState.objects.get()
    assert state.component_name == f"scanner:{devchain.CHAIN_ID}:{devchain.ORDERS}"
    assert state.last_processed_block == state.head_block == chain.height()
    assert state.last_block_hash == chain.node.latest().hash
    assert (state.status, state.failures, state.provider) == ("live", 0, chain.node.name)


def test_far_behind_and_near_the_head_give_the_same(chain, make_scanner):
    for number in range(1, 21):
        chain.create(user=number % 3)
        chain.mine(7)
        if number % 2:
            chain.cancel(number, user=number % 3)
    scanner = make_scanner()
    catch_up(scanner)
    assert_is_the_chains(chain)


def test_the_head_is_looked_at_when_a_block_can_be_due(make_scanner):
    """Soon where blocks are quick or their rhythm is not known; of slow ones not before one can come."""
    scanner = make_scanner()
    assert scanner._pause() == scanner_module.POLL
    scanner._progress.spacing.extend([13.0, 12.0, 24.0])
    scanner._progress.head_at = time.monotonic()
    assert scanner._pause() == scanner_module.LONGEST_POLL
    scanner._progress.head_at -= 8
    assert scanner_module.POLL < scanner._pause() < 2
    scanner._progress.head_at -= 2
    assert scanner._pause() == scanner_module.POLL
    scanner._progress.spacing.append(0.25)
    assert scanner._pause() == scanner_module.POLL
