"""What makes an event itself, whose position a liquidation closed, and which trades are missing."""

from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from derivatives.events import ForcedOrder, IdRange, Sequence, missing_ids


def forced(**changes):
    told = {
        "symbol": "DOGEUSDT",
        "side": "SELL",
        "order_type": "LIMIT",
        "time_in_force": "IOC",
        "status": "FILLED",
        "price": "0.096340",
        "average_price": "0.096960",
        "quantity": "1147",
        "last_filled_quantity": "1147",
        "filled_quantity": "1147",
        "trade_time": 1_790_526_560_090,
        "event_time": 1_790_526_561_105,
    }
    return ForcedOrder(**{**told, **changes})


def test_a_sell_closes_a_long_and_its_notional_is_what_was_filled():
    assert (forced().position, forced(side="BUY").position) == ("long", "short")
    assert forced(quantity="9999").notional == Decimal("111.21312000")


def test_the_same_event_is_the_same_however_late_it_is_told():
    assert forced().content == forced(event_time=1_790_526_561_200).content
    assert forced().content != forced(filled_quantity="1146").content
    assert forced().content != forced(trade_time=1_790_526_560_091).content


@given(st.lists(st.integers(1, 60), max_size=60), st.integers(1, 30), st.integers(0, 30))
def test_missing_ids_and_present_ones_make_the_whole(present, first, more):
    wanted = IdRange("SPOT", "BTCUSDT", first, first + more)
    holes = missing_ids(wanted, present)
    absent = {i for hole in holes for i in range(hole.first, hole.last + 1)}
    assert absent == set(range(first, first + more + 1)) - set(present)
    assert all(one.last + 1 < other.first for one, other in pairwise(holes))


@given(st.lists(st.integers(1, 40), max_size=80))
def test_a_sequence_tells_every_range_before_the_newest_that_it_has_not_seen(ids):
    sequence, missing, new = Sequence("SPOT", "BTCUSDT"), set(), []
    for trade_id in ids:
        is_new, hole = sequence.take(trade_id)
        if is_new:
            new.append(trade_id)
        if hole:
            missing |= set(range(hole.first, hole.last + 1))
    assert new == sorted(set(new))
    if new:
        assert missing == set(range(new[0], new[-1] + 1)) - set(new)


def test_a_sequence_goes_on_behind_what_is_stored():
    assert Sequence("SPOT", "BTCUSDT", 5).take(9) == (True, IdRange("SPOT", "BTCUSDT", 6, 8))
