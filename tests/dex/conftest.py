"""What tests of the DEX share: a chain with the contracts on it, scanners, and the state of the chain itself."""

import signal
import subprocess
import time

import pytest
from django.db import connection

from collector.chains import anvil, devchain
from collector.chains.evm import Node
from collector.scanner import Configuration, Scanner
from dex.models import Order, OrderEvent, ProcessedEvent, ScannedBlock, SystemState, Token
from tests.web_process import free_port
from tradingplatform import launch

ANVIL = anvil.anvil()
CREATE = "createOrder(address,address,uint256,uint256,uint8)"
EXECUTE, CANCEL = "executeOrder(uint256)", "cancelOrder(uint256)"
E18 = 10**18


class RunningChain(devchain.DevChain):
    """An anvil process, its contracts and users."""

    def __init__(self):
        port = free_port()
        # A test run that is killed leaves none behind.
        argv = launch.command(anvil.command(ANVIL, port), signal.SIGKILL)
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        super().__init__(f"http://127.0.0.1:{port}")
        self.wait(60)
        self.rpc("evm_setAutomine", False)  # it mines a moment later, which a snapshot may fall into
        self.owner, *self.users = self.accounts()[:4]
        self.contracts = devchain.set_up(self, self.users)
        self.usdt, self.btc = self.contracts.tokens["dUSDT"], self.contracts.tokens["dBTC"]
        self.set_price(50_000)
        self.begun = self.rpc("evm_snapshot")

    def set_price(self, price):
        """dUSDT for one dBTC, in a pool so deep that small orders do not move it."""
        deep = 10**6
        reserves = (deep * 10**8, int(price * deep) * 10**6)
        self.send(
            self.owner, devchain.ROUTER, "setReserves(address,address,uint256,uint256)", self.btc, self.usdt, *reserves
        )

    def send_raw(self, transaction):
        """A transaction in a block of its own."""
        tx_hash = super().send_raw(transaction)
        self.rpc("evm_mine")
        return tx_hash

    def rewind(self):
        """The chain as it was when its contracts had been deployed."""
        assert self.rpc("evm_revert", self.begun)
        self.begun = self.rpc("evm_snapshot")

    def create(self, user=0, token_in=None, token_out=None, amount=10**6, price=E18, kind=0):
        token_in, token_out = token_in or self.usdt, token_out or self.btc
        coin = amount if token_in == devchain.ZERO_ADDRESS else 0
        values = (token_in, token_out, amount, price, kind)
        return self.send(self.users[user], devchain.ORDERS, CREATE, *values, coin=coin)

    def execute(self, order_id):
        return self.send(self.owner, devchain.ORDERS, EXECUTE, order_id)

    def cancel(self, order_id, user=0):
        return self.send(self.users[user], devchain.ORDERS, CANCEL, order_id)

    def count(self):
        return self.call(devchain.ORDERS, "orderCount()")

    def order(self, order_id):
        """(user, token in, token out, amount in, target price, type, status), as the contract itself has it."""
        kinds = ("address", "address", "address", "uint256", "uint256", "uint8", "uint8")
        return self.call(devchain.ORDERS, "orders(uint256)", order_id, gives=kinds)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture(scope="session")
def shared_chain():
    if ANVIL is None:
        pytest.skip("no anvil in node_modules for this machine")
    chain = RunningChain()
    yield chain
    chain.stop()


@pytest.fixture
def chain(shared_chain):
    shared_chain.rewind()
    return shared_chain


STATUSES = {1: "PENDING", 2: "EXECUTED", 3: "CANCELLED"}


def chain_state(chain):
    """{id: (user, token in, token out, amount, price, type, status)} of every order, asked of the contract."""
    found = {}
    for number in range(1, chain.count() + 1):
        user, token_in, token_out, amount, price, kind, status = chain.order(number)
        row = (user.lower(), token_in.lower(), token_out.lower(), amount, price)
        found[number] = (*row, ("LIMIT", "STOP")[kind], STATUSES[status])
    return found


def stored_state():
    fields = ("order_id", "user_address", "token_in", "token_out", "amount_in", "target_price", "order_type", "status")
    return {
        int(number): (user.lower(), one.lower(), other.lower(), int(amount), int(price), kind, status)
        for number, user, one, other, amount, price, kind, status in Order.objects.values_list(*fields)
    }


def chain_logs(chain):
    """Every order event that stands on the chain: (block hash, transaction, log index)."""
    wanted = {"fromBlock": "0x0", "toBlock": "latest", "address": devchain.ORDERS}
    logs = chain.rpc("eth_getLogs", wanted)
    return {(log["blockHash"], log["transactionHash"], int(log["logIndex"], 16)) for log in logs}


def standing(model=ProcessedEvent):
    rows = model.objects.filter(orphaned=False)
    return sorted(rows.values_list("block_hash", "tx_hash", "log_index"))


def assert_is_the_chains(chain):
    """What is stored is exactly what the chain says: orders, and each of its events once."""
    assert stored_state() == chain_state(chain)
    assert standing() == sorted(chain_logs(chain))
    assert standing(OrderEvent) == sorted(chain_logs(chain))


@pytest.fixture
def clean(transactional_db):
    """For tests whose scanners commit: nothing is left of them."""
    yield
    for model in (Order, OrderEvent, ProcessedEvent, ScannedBlock, Token, SystemState):
        model.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock_all()")


@pytest.fixture
def make_scanner(chain):
    """Scanners on the chain; `confirmations` 0 unless given."""

    def make(nodes=None, **options):
        configuration = Configuration(devchain.ORDERS, options.pop("router", devchain.ROUTER), **options)
        return Scanner(nodes or [Node(chain.url)], configuration)

    def with_defaults(nodes=None, **options):
        return make(nodes, **{"confirmations": 0, **options})

    return with_defaults


def catch_up(scanner, seconds=100):
    """Rounds until a whole one has found nothing new. However busy the machine is, only time ends it: a lease of a
    process that was killed is free when the database has noticed its end, and a node may be asked again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = scanner.cursor
        scanner.guarded_round()
        state = scanner._progress
        if scanner.cursor is None or state.failures:
            time.sleep(0.05)
            continue
        if scanner.cursor == before and scanner.cursor.block >= state.head.height - scanner.configuration.confirmations:
            return
    raise AssertionError(f"the scanner does not catch up: {scanner.cursor}, {scanner._progress}")


def wait_for(condition, seconds=100):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)
