"""Candles as arrays are those that are told one by one, whatever is asked and whatever is known of the open minute."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from candles import services
from candles.columns import columns_of_candles
from candles.selectors import candles, columns
from candles.technical import series_of
from candles.timeframes import TIMEFRAMES, read_timeframe
from tests.candles.factories import BTC, MINUTE, kline, klines

RANGES = {
    "the newest": {},
    "few": {"limit": 7},
    "none before": {"end": timedelta(days=400)},
    "until some time ago": {"end": timedelta(hours=5), "limit": 40},
    "from some time ago": {"start": timedelta(hours=9), "limit": 40},
    "over a long gap": {"start": timedelta(days=300), "limit": 500},
    "to come": {"start": -timedelta(days=40)},
}


def same(made, told):
    """Every column, to the last bit."""
    wanted = columns_of_candles(told)
    for field in fields(wanted):
        found, expected = getattr(made, field.name), getattr(wanted, field.name)
        assert found.dtype == expected.dtype, field.name
        np.testing.assert_array_equal(found, expected, field.name)


@pytest.fixture
def now():
    return datetime.now(UTC).replace(second=20, microsecond=0)


@pytest.fixture
def stored(nothing_stored, now):
    """Two days, a hole of some minutes in them, and a few hours long before."""
    top = now.replace(second=0)
    minutes = klines(top - 2880 * MINUTE, 2880)
    services.store_klines([(BTC, klines(top - timedelta(days=200), 300) + minutes[:2000] + minutes[2011:])])


@pytest.mark.parametrize("heard", ["nothing of the open minute", "the open minute", "the open minute after a gap"])
@pytest.mark.parametrize("asked", RANGES)
def test_all_timeframes(stored, now, asked, heard):
    top = now.replace(second=0)
    if heard != "nothing of the open minute":
        later = top if heard == "the open minute" else top + 90 * MINUTE
        now += later - top
        services.live_candles([(BTC, kline(later, price="777.77", volume="5.5"))], now)
    moments = {name: now - ago if name != "limit" else ago for name, ago in RANGES[asked].items()}
    for timeframe in TIMEFRAMES:
        told = candles(BTC, timeframe, now, **moments)
        made = columns(BTC, timeframe, now, **moments)
        same(made, told)
        assert made.incomplete == sum(not one.complete for one in told)
        assert made.series(timeframe).missing == series_of(told, timeframe).missing


def test_parts_of_them(stored, now):
    hourly = read_timeframe("1H")
    whole = columns(BTC, hourly, now, limit=30)
    same(whole.cut(slice(-10, None)).after(whole.cut(slice(-10))), candles(BTC, hourly, now, limit=30))
    assert whole.opens_at(0) == candles(BTC, hourly, now, limit=30)[0].open_time
    assert len(whole) == 30


def test_of_nothing(nothing_stored, now):
    none = columns(BTC, read_timeframe("1"), now)
    assert (len(none), none.incomplete, none.series(read_timeframe("1")).missing) == (0, 0, 0)
