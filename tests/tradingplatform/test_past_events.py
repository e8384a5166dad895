"""The demo's past of contracts is what the simulated exchange says of that hour, stored once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from derivatives import picture
from derivatives.models import ForceOrder, MarkPrice, OpenInterest
from simulator.market import liquidations_between, market_of
from tradingplatform.past_events import HOURS, hours_before, store_hour

pytestmark = pytest.mark.django_db
NAMES = ["BTCUSDT", "SOLUSDT"]
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ms(moment):
    return round(moment.timestamp() * 1000)


def test_an_hour_is_what_the_exchange_says(django_assert_num_queries):
    assert store_hour(START, NAMES) > 240
    market = market_of()
    for name in NAMES:
        listing = market.listing(name, "futures")
        rows = list(MarkPrice.objects.filter(symbol=name).order_by("event_time"))
        assert [row.event_time for row in rows] == [START + timedelta(minutes=n) for n in range(60)]
        for row in rows[::7]:
            truth = market.premium(listing, ms(row.event_time))
            assert float(row.mark_price) == pytest.approx(truth.mark_price, abs=1e-7)
            assert float(row.funding_rate) == pytest.approx(truth.funding_rate)
        for row in OpenInterest.objects.filter(symbol=name)[:9]:
            assert row.open_interest == Decimal(market.open_interest(listing, ms(row.time))) / 10**listing.lot_decimals
            assert row.notional is not None
        truth = liquidations_between(name, ms(START), ms(START + timedelta(hours=1)))
        stored = list(ForceOrder.objects.filter(symbol=name).order_by("trade_time"))
        assert [(ms(row.trade_time), row.position == "long") for row in stored] == [(it.time, it.sell) for it in truth]
    with django_assert_num_queries(1):
        assert store_hour(START, NAMES) == 0


def test_one_mark_a_minute_is_no_silence(db):
    store_hour(START, NAMES[:1])
    assert picture.silences("BTCUSDT", START, START + timedelta(hours=1)) == []
    MarkPrice.objects.filter(event_time=START + timedelta(minutes=30)).delete()
    assert picture.silences("BTCUSDT", START, START + timedelta(hours=1)) == [
        (START + timedelta(minutes=29), START + timedelta(minutes=31))
    ]


def test_the_newest_hours_come_first():
    hours = hours_before(START)
    assert (len(hours), hours[0], hours[-1]) == (HOURS, START - timedelta(hours=1), START - timedelta(hours=HOURS))
