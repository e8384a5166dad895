"""Five hundred operations in an order that nobody has chosen, with a model beside: chain, scanner and model agree."""

from collections import deque

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from collector.chains.evm import Refused
from dex.models import Order, OrderEvent, ProcessedEvent, ScannedBlock, SystemState
from tests.dex.conftest import assert_is_the_chains, catch_up, stored_state

pytestmark = pytest.mark.usefixtures("clean")
DEEPEST = 8


def empty_tables():
    for model in (Order, OrderEvent, ProcessedEvent, ScannedBlock, SystemState):
        model.objects.all().delete()


def machine(chain, make_scanner):  # noqa: C901 - the methods of one machine
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

        @rule(user=st.integers(0, 2), amount=st.integers(1, 10**6))
        def create(self, user, amount):
            self.changing()
            chain.create(user=user, amount=amount, price=1)
            self.orders[len(self.orders) + 1] = (user, "PENDING")

        @precondition(lambda self: self.orders)
        @rule(data=st.data(), kind=st.sampled_from(["EXECUTED", "CANCELLED"]))
        def close(self, data, kind):
            number = data.draw(st.sampled_from(sorted(self.orders)))
            user, status = self.orders[number]
            self.changing()
            try:
                chain.execute(number) if kind == "EXECUTED" else chain.cancel(number, user=user)
            except Refused:
                assert status != "PENDING" or kind == "EXECUTED"  # too little for the pool to give anything
            else:
                assert status == "PENDING"
                self.orders[number] = (user, kind)

        @rule(blocks=st.integers(1, 70))
        def mine(self, blocks):
            self.changing()
            chain.mine(blocks)

        @precondition(lambda self: self.past)
        @rule(data=st.data())
        def reorganise(self, data):
            depth = data.draw(st.integers(1, len(self.past)))
            height = chain.height()
            for _ in range(depth):
                snapshot, before = self.past.pop()
            assert chain.rpc("evm_revert", snapshot)
            self.orders, self.seen = before, False
            chain.mine(height - chain.height() + 1)

        @rule()
        def scan(self):
            catch_up(self.scanner)
            self.seen = True

        @rule()
        def restart(self):
            self.scanner = make_scanner()

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


def test_chain_scanner_and_model_agree(chain, make_scanner):
    bounded = settings(
        max_examples=10,
        stateful_step_count=50,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    run_state_machine_as_test(machine(chain, make_scanner), settings=bounded)
