"""/ws/orders against a real web process: what a client is told adds up to what the database holds, whatever happens."""

import json
import random
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.dex.factories import ALICE, BOB, BTC, DEPLOYMENT, USDT
from tests.sockets.conftest import running
from tests.sockets.test_depth import close_code, opened, told_by, until
from tests.web_process import ROOT

STATUSES = ("pending", "executed", "cancelled")
FIRST = 100  # the first block; it stays


class Ledger:
    """Stands for the scanner: stores events of orders, and takes blocks back."""

    def __init__(self, environment):
        command = [sys.executable, "-m", "tests.sockets.shell"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)
        self.run("cursor = services.begin(f.DEPLOYMENT); branch = 0; publish = broadcast.publish")
        self.block = FIRST - 1

    def run(self, code):
        print(code, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "done\n", code

    def events(self, *logs):
        """Each of (kind, order id, values) in the next block."""
        self.block += 1
        made = ", ".join(
            f"f.log('Order{kind}', {number}, {self.block}, {at}, str(branch), **{values!r})"
            for at, (kind, number, values) in enumerate(logs)
        )
        ends = f"f.stretch({self.block}, [{made}], str(branch))"
        self.run(f"cursor = services.apply(f.DEPLOYMENT, f.DECODER, cursor, {ends}, tell=True).cursor")

    def take_back(self, blocks):
        self.block = max(FIRST, self.block - blocks)
        fork = f"[one for one in services.known_hashes(f.DEPLOYMENT) if one.block == {self.block}][0]"
        self.run(f"cursor = services.take_back(f.DEPLOYMENT, cursor, {fork}).cursor; branch += 1")

    def healthy(self):
        self.run(f"services.note(f.DEPLOYMENT, status='live', head_block={self.block}, confirmations=0)")


@pytest.fixture(scope="module")
def ledger(environment):
    made = Ledger(environment)
    made.events()
    yield made
    made.process.stdin.close()
    assert made.process.wait(30) == 0


@pytest.fixture(scope="module")
def chain_site(environment, ledger):
    own = {"WEB3_PROVIDERS": "http://127.0.0.1:9", "TRADING_ADDRESS": DEPLOYMENT.contract}
    with running(environment, **own) as found:
        yield found


@pytest.fixture(scope="module")
def numbers():
    """Ids of orders, never one twice."""
    return iter(range(1, 10**6))


def stored(site, user=""):
    """Every order as the API tells it, by id; of one user where one is given."""
    found = {}
    for status in STATUSES:
        path = f"users/{user}/orders?status={status}&limit=1000" if user else f"orders/{status}?limit=1000"
        with urllib.request.urlopen(f"{site.http}/api/v1/{path}") as answer:
            found |= {one["id"]: one for one in json.load(answer)["orders"]}
    return found


class Replica:
    """What a client knows that goes by the messages alone."""

    def __init__(self, client):
        self.client, self.orders, self.revision, self.snapshots = client, {}, -1, 0

    def take(self, message):
        kind = message["type"]
        if kind == "snapshot":
            self.orders = {one["id"]: one for one in message["orders"]}
            assert message["total"] == len(self.orders)
            self.snapshots += 1
        elif kind == "order":
            self.orders[message["order"]["id"]] = message["order"]
        elif kind == "order_removed":
            self.orders.pop(message["id"], None)
        elif kind == "quotes":
            for one in message["quotes"]:
                self.orders[one["id"]] |= one
        if kind in {"snapshot", "order", "order_removed"}:
            assert message["revision"] >= self.revision or kind == "snapshot"
            self.revision = message["revision"]

    def becomes(self, wanted, seconds=40.0):
        """Waits until it is what `wanted()` tells."""
        end = time.monotonic() + seconds
        while True:
            try:
                self.take(told_by(self.client, 0.2))
            except TimeoutError:
                if self.orders == (right := wanted()):
                    return
                assert time.monotonic() < end, (self.orders, right)


def begun(client):
    replica = Replica(client)
    replica.take(until(client, lambda message: message["type"] == "snapshot"))
    return replica


def test_the_newest_orders_come_at_once_then_each_change(chain_site, ledger, numbers):
    number = next(numbers)
    ledger.events(("Created", number, {}))
    ledger.healthy()
    with opened(chain_site, "/ws/orders?limit=1") as client:
        status = told_by(client)
        assert (status["type"], status["wsStatus"], status["scanner"]) == ("status", "connected", "healthy")
        first = told_by(client)
        assert (first["type"], first["orders"][0]["id"], first["limit"]) == ("snapshot", number, 1)
        assert first["orders"][0] == stored(chain_site)[number]
        ledger.events(("Executed", number, {"amountOut": 7}))
        change = until(client, lambda message: message["type"] == "order")
        assert (change["event"], change["reorg"], change["revision"]) == (
            "OrderExecuted",
            False,
            first["revision"] + 1,
        )
        assert change["order"] == stored(chain_site)[number]
        ledger.take_back(1)
        change = until(client, lambda message: message["type"] == "order")
        assert (change["event"], change["reorg"], change["order"]["status"]) == (None, True, "PENDING")
        ledger.take_back(1)
        gone = until(client, lambda message: message["type"] == "order_removed")
        assert (gone["id"], gone["user_address"]) == (number, ALICE)


def test_filters(chain_site, ledger, numbers):
    one, other = next(numbers), next(numbers)
    swapped = {"user": BOB, "tokenIn": BTC, "tokenOut": USDT}
    ledger.events(("Created", one, {}), ("Created", other, swapped))
    wanted = {
        f"user={BOB.lower()}": {other},
        f"token_in={USDT}": {one},
        f"token={BTC}&status=pending": {one, other},
        f"pair={BTC}/{USDT}": {one, other},
        f"user={BOB}&token_in={USDT}": set(),
    }
    for query, right in wanted.items():
        with opened(chain_site, f"/ws/orders?limit=1000&{query}") as client:
            replica = begun(client)
            assert replica.orders.keys() & {one, other} == right
    third = next(numbers)
    with (
        opened(chain_site, f"/ws/orders?user={BOB}") as bobs,
        opened(chain_site, "/ws/orders?status=cancelled") as cancelled,
        opened(chain_site, "/ws/orders?status=pending") as pending,
    ):
        for client in (bobs, cancelled, pending):
            begun(client)
        ledger.events(("Created", third, swapped))
        ledger.events(("Cancelled", third, {"user": BOB}))
        told = [until(client, lambda message: message["type"] == "order") for client in (bobs, cancelled, pending)]
        assert [message["event"] for message in told] == ["OrderCreated", "OrderCancelled", "OrderCreated"]
        left = until(pending, lambda message: message["type"] == "order")  # it leaves what this client watches
        assert left["order"]["status"] == "CANCELLED"


@pytest.mark.parametrize(
    "query",
    [
        "user=0x12",
        "token=bitcoin",
        f"pair={BTC}",
        f"user={ALICE.replace('3C', '3c')}",
        "status=open",
        "limit=1001",
        "limit=-1",
    ],
)
def test_bad_parameters_are_refused(chain_site, query):
    with opened(chain_site, f"/ws/orders?{query}") as client:
        code, said = close_code(client)
    assert (code, said[-1]["code"]) == (4400, "invalid_parameter")
    assert query.partition("=")[0] in said[-1]["message"]


def test_whatever_happens_clients_know_what_is_stored(chain_site, ledger, numbers, empty_redis):
    dice, mine = random.Random(3), []
    with (
        opened(chain_site, "/ws/orders?limit=1000") as client,
        opened(chain_site, f"/ws/orders?limit=1000&user={BOB}") as bobs,
    ):
        replica, narrow = begun(client), begun(bobs)
        for turn in range(60):
            step = dice.random()
            if step < 0.15:
                ledger.take_back(dice.randrange(1, 4))
            elif step < 0.3 and mine:
                ledger.events((dice.choice(["Executed", "Cancelled"]), dice.choice(mine), {"user": BOB}))
            else:
                mine.append(next(numbers))
                ledger.events(("Created", mine[-1], {"user": dice.choice([ALICE, BOB])}))
            if turn == 30:
                ledger.run("quotes = [(one, 2_000) for one in services.pending_quotes(f.DEPLOYMENT, 100)]")
                ledger.run("services.store_tokens(f.DEPLOYMENT, f.TOKENS); services.store_quotes(f.DEPLOYMENT, quotes)")
        replica.becomes(lambda: stored(chain_site))
        narrow.becomes(lambda: stored(chain_site, BOB))
        assert any(one["current_price"] for one in replica.orders.values())


def test_changes_that_were_not_heard_are_read(chain_site, ledger, numbers, empty_redis):
    """The scanner could not tell, or told while our subscription was cut: nothing of it stays unknown."""
    with opened(chain_site, "/ws/orders?limit=1000") as client:
        replica = begun(client)
        ledger.run("broadcast.publish = lambda *told: None")
        ledger.events(("Created", next(numbers), {}))
        ledger.run("broadcast.publish = publish")
        ledger.events(("Created", next(numbers), {}))  # its revision tells of the one before
        replica.becomes(lambda: stored(chain_site))
        ledger.run("broadcast.publish = lambda *told: None")
        ledger.events(("Created", next(numbers), {}))
        ledger.run("broadcast.publish = publish")
        replica.becomes(lambda: stored(chain_site))  # nothing tells of it but the database
        before = replica.snapshots
        for one in empty_redis.client_list(_type="pubsub"):
            empty_redis.client_kill_filter(_id=one["id"])
        ledger.events(("Created", next(numbers), {}))
        replica.becomes(lambda: stored(chain_site))
        assert replica.snapshots > before


def test_of_very_many_changes_only_their_sum_is_told(chain_site, ledger, numbers, empty_redis):
    with opened(chain_site, "/ws/orders?limit=1000") as client:
        replica = begun(client)
        ledger.events(*(("Created", next(numbers), {}) for _ in range(250)))
        replica.becomes(lambda: stored(chain_site))
        assert replica.snapshots == 2


def test_without_a_chain_it_says_so(site):
    with opened(site, "/ws/orders") as client:
        assert told_by(client)["wsStatus"] == "off"


def test_a_scanner_that_stands_still_is_told(chain_site, ledger):
    ledger.healthy()
    with opened(chain_site, "/ws/orders?limit=0") as client:
        assert told_by(client)["wsStatus"] == "connected"
        assert until(client, lambda message: message["type"] == "snapshot")["orders"] == []
        ledger.run("services.note(f.DEPLOYMENT, status='stopped')")
        status = until(client, lambda message: message.get("scanner") == "unhealthy")
        assert status["wsStatus"] == "stale"
