"""The state machine of orders, alone: what it allows, what it refuses, and that nothing depends on later events."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dex.events import EventType, OrderEvent, Status, exact
from dex.state import Anomaly, fold, step
from tests.dex.factories import ALICE, BOB, BTC, USDT, block_hash, digest, time_of


def event(kind, block, index=0, **values):
    given = {
        "user": ALICE,
        "token_in": USDT,
        "token_out": BTC,
        "amount_in": 7,
        "target_price": 9,
        "order_type": "LIMIT",
    }
    place = (block, block_hash(block), digest("tx", block, index), index, time_of(block))
    return OrderEvent(kind, 1, *place, **(given | values))


KINDS = st.sampled_from(list(EventType))
HISTORIES = st.lists(st.tuples(KINDS, st.sampled_from([ALICE, BOB, None])), max_size=8).map(
    lambda drawn: [event(kind, at, user=user) for at, (kind, user) in enumerate(drawn)]
)


def model(history):
    """The status after a history by the book, and the numbers of events that have no effect."""
    status, owner, refused = None, None, []
    for at, one in enumerate(history):
        if one.kind is EventType.CREATED and status is None and one.user is not None:
            status, owner = "PENDING", one.user
        elif one.kind is EventType.EXECUTED and status == "PENDING" and one.user in {None, owner}:
            status = "EXECUTED"
        elif one.kind is EventType.CANCELLED and status == "PENDING" and one.user in {None, owner}:
            status = "CANCELLED"
        else:
            refused.append(at)
    return status, refused


@given(HISTORIES)
def test_any_history_ends_as_the_model_says(history):
    order, steps = fold(history)
    status, refused = model(history)
    assert (order.status if order else None) == status
    assert [at for at, done in enumerate(steps) if done.anomaly] == refused
    assert all(done.old == done.new for done in steps if done.anomaly)


@given(HISTORIES, st.integers(0, 8))
def test_taking_back_the_newest_events_is_never_having_seen_them(history, kept):
    whole, steps = fold(history)
    assert fold(history[kept:], fold(history[:kept])[0])[0] == whole
    assert fold(history[:kept])[1] == steps[:kept]


@given(HISTORIES)
def test_an_end_is_an_end(history):
    order, _ = fold(history)
    if order and order.status is not Status.PENDING:
        for kind in EventType:
            after, done = step(order, event(kind, 99))
            assert (after, done.anomaly is not None) == (order, True)


def test_times_and_amounts_are_those_of_the_events():
    order, _ = fold([event(EventType.CREATED, 1), event(EventType.EXECUTED, 5, amount_out=3)])
    assert (order.created_at, order.executed_at, order.cancelled_at) == (time_of(1), time_of(5), None)
    assert (order.amount_in, order.amount_out, order.changed) == (7, 3, (5, 0))


@pytest.mark.parametrize(
    ("history", "anomaly"),
    [
        ([event(EventType.EXECUTED, 1)], Anomaly.UNKNOWN),
        ([event(EventType.CREATED, 1), event(EventType.CREATED, 2)], Anomaly.EXISTS),
        ([event(EventType.CREATED, 1), event(EventType.CANCELLED, 2, user=BOB)], Anomaly.FOREIGN),
        ([event(EventType.CREATED, 1, amount_in=None)], Anomaly.INCOMPLETE),
        ([*(event(k, n) for n, k in enumerate(EventType))], Anomaly.NOT_PENDING),
    ],
)
def test_refusals_have_a_word(history, anomaly):
    assert fold(history)[1][-1].anomaly is anomaly


def test_the_largest_amounts_stay_exact():
    huge = 2**256 - 1
    order, _ = fold([event(EventType.CREATED, 1, amount_in=huge, target_price=huge)])
    assert replace(order, amount_in=0).target_price == huge
    assert exact(huge, 18).replace(".", "") == str(huge)


@given(st.integers(-(2**256), 2**256), st.integers(0, 77))
def test_exact_amounts_are_exact(amount, decimals):
    from decimal import Decimal, localcontext

    with localcontext() as context:
        context.prec = 200
        assert Decimal(exact(amount, decimals)) == Decimal(amount).scaleb(-decimals)
