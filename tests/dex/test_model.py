"""Five hundred operations in an order that nobody has chosen, with a model beside: chain, scanner and model agree.

DEX_OPERATIONS makes it more of them, in orders that DEX_SEED chooses (`python -m tests.soak.dex`)."""

import os
import time
from collections import Counter, deque

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from collector.chains.evm import Refused
from dex.models import Order, OrderEvent, ProcessedEvent, ScannedBlock, SystemState
from tests.dex.conftest import assert_is_the_chains, catch_up, stored_state

DEEPEST = 10
STEPS = 50  # operations of one chain; then a new one begins
OPERATIONS = int(os.environ.get("DEX_OPERATIONS", "500"))
SEED = int(os.environ.get("DEX_SEED", "0"))
pytestmark = [pytest.mark.usefixtures("clean"), pytest.mark.timeout(max(600, OPERATIONS))]


def empty_tables():
    for model in (Order, OrderEvent, ProcessedEvent, ScannedBlock, SystemState):
        model.objects.all().delete()


def machine(chain, make_scanner, tally):  # noqa: C901 - the methods of one machine
    """`tally` counts what was done."""

    class Orders(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            chain.rewind()
            empty_tables()
            self.orders = {}
            self.past = deque(maxlen=DEEPEST)  # (snapshot of the chain, model before a change), oldest first
            self.scanner = make_scanner()
            self.seen = True

        def changing(self):
            self.past.append((chain.rpc("evm_snapshot"), dict(self.orders)))
            self.seen = False

        @rule(users=st.lists(st.integers(0, 2), min_size=1, max_size=3), amount=st.integers(1, 10**6))
        def create(self, users, amount):
            for user in users:
                tally["created"] += 1
                self.changing()
                chain.create(user=user, amount=amount, price=1)
                self.orders[len(self.orders) + 1] = (user, "PENDING")

        @precondition(lambda self: self.orders)
        @rule(data=st.data(), kind=st.sampled_from(["EXECUTED", "CANCELLED"]))
        def close(self, data, kind):
            pending = [number for number, (_, status) in sorted(self.orders.items()) if status == "PENDING"]
            number = data.draw(
                st.sampled_from(pending if pending and data.draw(st.integers(0, 3)) else sorted(self.orders))
            )
            user, status = self.orders[number]
            self.changing()
            try:
                chain.execute(number) if kind == "EXECUTED" else chain.cancel(number, user=user)
            except Refused:
                assert status != "PENDING" or kind == "EXECUTED"  # too little for the pool to give anything
                tally["refused by the contract"] += 1
            else:
                tally[kind.lower()] += 1
                assert status == "PENDING"
                self.orders[number] = (user, kind)

        @rule(blocks=st.integers(1, 70))
        def mine(self, blocks):
            tally["blocks mined at once"] += 1
            self.changing()
            chain.mine(blocks)

        @precondition(lambda self: self.past)
        @rule(data=st.data())
        def reorganise(self, data):
            depth = data.draw(st.integers(1, len(self.past)))
            height = chain.height()
            tally["reorganised"] += 1
            for _ in range(depth):
                snapshot, before = self.past.pop()
            assert chain.rpc("evm_revert", snapshot)
            self.orders, self.seen = before, False
            chain.mine(height - chain.height() + 1)

        @rule(anew=st.booleans())
        def scan(self, anew):
            tally["scanned"] += 1
            if anew:
                tally["(by a new scanner)"] += 1
                self.scanner = make_scanner()
            catch_up(self.scanner)
            self.seen = True

        @invariant()
        def stored_is_the_model(self):
            if self.seen:
                assert {number: one[-1] for number, one in stored_state().items()} == {
                    number: status for number, (_, status) in self.orders.items()
                }

        def teardown(self):
            catch_up(make_scanner())
            assert_is_the_chains(chain)

    return Orders


def operations(tally):
    return sum(number for name, number in tally.items() if not name.startswith("("))


def test_chain_scanner_and_model_agree(chain, make_scanner):
    tally, begun, rounds = Counter(), time.monotonic(), 0
    bounded = settings(
        max_examples=10,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        report_multiple_bugs=False,
    )
    while operations(tally) < OPERATIONS:
        one = seed(SEED + rounds)(machine(chain, make_scanner, tally))
        run_state_machine_as_test(one, settings=bounded)
        rounds += 1
    for name, number in (*tally.most_common(), ("operations", operations(tally))):
        print(f"{name:>24}  {number:,}")
    print(f"{'seconds':>24}  {time.monotonic() - begun:.0f}")
