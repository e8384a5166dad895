"""Steps of a contract's picture: sums are those of the trades themselves, and what lacks one says so."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derivatives import picture, tape
from derivatives.events import IdRange, Interest, Mark, Trade
from derivatives.models import TradeGap
from derivatives.services import store_gaps, store_interest, store_marks, store_trades
from tests.derivatives.test_events import forced

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def ms(minutes):
    return int((START + timedelta(minutes=minutes)).timestamp() * 1000)


@given(st.lists(st.booleans(), min_size=2, max_size=60), st.integers(1, 9), st.integers(1, 3) | st.none())
def test_a_step_is_whole_when_nothing_of_it_or_beside_it_is_missing(kept, width, behind):
    """Trade n is in step n // width; those that are not kept are missing. The newest before them is -behind."""
    by_step = {}
    for number, there in enumerate(kept):
        if there:
            by_step.setdefault(number // width, []).append(number)
    rows = [(START + step * MINUTE, len(ids), ids[0], ids[-1], 1.0, 1.0) for step, ids in sorted(by_step.items())]
    found = picture.judged(rows, None if behind is None else -behind)
    steps = sorted(by_step)
    for place, (step, one) in enumerate(zip(steps, found, strict=True)):
        low = by_step[steps[place - 1]][-1] if place else 0
        high = by_step[steps[place + 1]][0] if place + 1 < len(steps) else by_step[step][-1]
        assert one.whole == (all(kept[low : high + 1]) and (place > 0 or behind == 1))


@pytest.mark.django_db
def test_flow_is_the_sum_of_the_trades():
    def trade(number, minutes, quantity, sold, market="FUTURES"):
        at = ms(minutes)
        return Trade(market, "BTCUSDT", number, at, at, "100", quantity, number, number, sold)

    store_trades([trade(1, 0, "1", False), trade(2, 0.5, "3", True), trade(3, 2, "2", False), trade(5, 3, "1", True)])
    store_trades([trade(1, 0, "50", False, "SPOT")])
    found = picture.flow("FUTURES", "BTCUSDT", START, START + 5 * MINUTE, MINUTE)
    assert [((it.time - START) // MINUTE, it.bought, it.sold, it.trades, it.whole) for it in found] == [
        (0, 100.0, 300.0, 2, False),  # nothing tells what was before
        (2, 200.0, 0.0, 1, False),
        (3, 0.0, 100.0, 1, False),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("first", range(4))
def test_a_part_of_the_flow_is_judged_like_the_whole(first):
    """Readers ask for the newest steps again and again: trade 4, before the last step, does not come to be there."""
    told = [Trade("SPOT", "BTCUSDT", n, ms(n), ms(n), "100", "1", n, n, False) for n in (-1, 0, 1, 2, 3, 5)]
    store_trades(told)
    found = picture.flow("SPOT", "BTCUSDT", START + first * MINUTE, START + 6 * MINUTE, MINUTE)
    assert [it.whole for it in found] == [True, True, True, False, False][first:]


@pytest.mark.django_db
def test_points_hold_the_newest_of_each_step_and_count_the_minutes():
    store_marks([Mark("BTCUSDT", ms(at), str(price), "99", "99", "0.0001", ms(60)) for at, price in
                 ((0, 100), (4.9, 104), (5, 105))])  # fmt: skip
    store_interest([Interest("BTCUSDT", ms(at), str(value)) for at, value in ((0, 7), (0.2, 8), (3, 9))])
    first, second, third = picture.points("BTCUSDT", START, START + 10 * MINUTE, 5 * MINUTE)
    assert (first.mark, first.interest, first.minutes) == (104, 9, 2)
    assert (second.mark, second.interest, second.minutes) == (105, None, 0)
    assert (third.mark, third.rate, third.next_funding) == (None, None, None)


@pytest.mark.django_db
def test_liquidations_by_step_and_side():
    from derivatives.services import store_forced_orders

    told = ((0, "SELL", "2", "100"), (1, "SELL", "1", "130"), (2, "BUY", "1", "90"), (6, "SELL", "1", "100"))
    for at, side, quantity, price in told:
        times = {"trade_time": ms(at), "event_time": ms(at)}
        store_forced_orders([forced(side=side, filled_quantity=quantity, average_price=price, **times)])
    found = picture.liquidated("DOGEUSDT", START, START + 10 * MINUTE, 5 * MINUTE)
    assert [(it.position, it.notional, it.count, it.price, it.largest) for it in found] == [
        ("long", 330.0, 2, 110.0, 200.0),
        ("short", 90.0, 1, 90.0, 90.0),
        ("long", 100.0, 1, 100.0, 100.0),
    ]


@pytest.mark.django_db
def test_holes_begin_with_the_trade_before_them():
    now = datetime.now(UTC)
    at = [int((now - timedelta(minutes=back)).timestamp() * 1000) for back in (30, 20, 0.1)]
    ids = (10, 11, 20)
    store_trades([Trade("SPOT", "ETHUSDT", n, t, t, "1", "1", n, n, False) for n, t in zip(ids, at, strict=True)])
    store_gaps([IdRange("SPOT", "ETHUSDT", 12, 19), IdRange("SPOT", "ETHUSDT", 1, 9)])
    TradeGap.objects.filter(first=1).update(state="lost", missing=4)
    early, late = sorted(tape.holes("SPOT", "ETHUSDT", now - timedelta(hours=1)), key=lambda hole: hole.first)
    assert (early.lost, early.missing, early.start) == (True, 4, None)
    assert (late.lost, late.missing) == (False, 8)
    assert round(late.start.timestamp() * 1000) == at[1]
    TradeGap.objects.update(state="filled")
    assert tape.holes("SPOT", "ETHUSDT", now - timedelta(hours=1)) == []
    assert [trade.id for trade in tape.newest("SPOT", "ETHUSDT", 0, 2, now - timedelta(hours=1))] == [20, 11]
    assert tape.newest("SPOT", "ETHUSDT", 1.5, 2, now - timedelta(hours=1)) == []
