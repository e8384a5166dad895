"""Rows of minutes: which of them can be stored, and what candles become of them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from candles.candle import Kline, aggregate, candle_of, flaw, judged, merge, milliseconds_of, moment_of
from candles.timeframes import TIMEFRAMES, read_timeframe
from tests.candles.factories import MINUTE, kline, klines

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ROW = kline(NOON, price="0.00000005", close="7E-8", volume="12")


def changed(**fields):
    return msgspec.structs.replace(ROW, **fields)


def test_a_row_in_the_exchanges_own_words_is_exact():
    body = b'[1769904000000,"9.982","9.990","9.974","5E-8","24464.35",1769904059999,"1",7,"2","3","0"]'
    row = msgspec.json.decode(body, type=Kline)
    candle = candle_of(row)
    assert (candle.open, candle.close, candle.volume) == (Decimal("9.982"), Decimal("0.00000005"), Decimal("24464.35"))
    assert candle.open_time == datetime(2026, 2, 1, tzinfo=UTC)
    assert flaw(ROW) is None


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"open_time": milliseconds_of(NOON) + 1}, "no minute"),
        ({"open_time": 60_000}, "no minute"),
        ({"close_time": milliseconds_of(NOON) + 60_000}, "end of its minute"),
        ({"volume": "-1"}, "no number"),
        ({"volume": "NaN"}, "no number"),
        ({"volume": ""}, "no number"),
        ({"volume": "1e999"}, "no number"),
        ({"quote_volume": "1,5"}, "no number"),
        ({"open": "0x10"}, "no number"),
        ({"open": "1\t2"}, "no number"),
        ({"close": "١"}, "no number"),
        ({"taker_buy_volume": "inf"}, "no number"),
        ({"trades": -1}, "trades"),
        ({"trades": 2**31}, "trades"),
        ({"low": "0"}, "contradict"),
        ({"high": "6E-8"}, "contradict"),
        ({"low": "6E-8"}, "contradict"),
    ],
)
def test_a_row_with_a_flaw_is_told_by_it(fields, word):
    assert word in flaw(changed(**fields))


def test_a_candle_of_many_minutes():
    minutes = [candle_of(row) for row in klines(NOON, 60)]
    whole = merge(minutes)
    assert whole.open_time == NOON
    assert (whole.open, whole.close) == (minutes[0].open, minutes[-1].close)
    assert (whole.high, whole.low) == (max(m.high for m in minutes), min(m.low for m in minutes))
    assert whole.volume == sum(m.volume for m in minutes)
    assert (whole.trades, whole.minutes) == (sum(m.trades for m in minutes), 60)


def test_a_candle_with_missing_minutes_says_how_many_it_has():
    rows = klines(NOON, 60)
    del rows[10:13]
    (candle,) = aggregate(
        map(candle_of, rows), read_timeframe("1H"), NOON + timedelta(hours=1), NOON + timedelta(days=1)
    )
    assert (candle.closed, candle.complete, candle.minutes, candle.expected) == (True, False, 57, 60)


def test_a_candle_is_closed_only_when_its_last_minute_is_known():
    hour, end = read_timeframe("1H"), NOON + timedelta(hours=1)
    late = judged(merge([candle_of(row) for row in klines(NOON, 59)]), hour, end - MINUTE, end + timedelta(seconds=2))
    assert (late.closed, late.complete) == (False, True)
    behind = judged(late, hour, end - MINUTE, end + timedelta(minutes=5))
    assert (behind.closed, behind.complete) == (False, False)
    young = judged(merge([candle_of(row) for row in klines(NOON, 5)]), hour, NOON + 5 * MINUTE, NOON + 5.5 * MINUTE)
    assert (young.closed, young.complete, young.expected) == (False, True, 4)


MOMENTS = st.integers(1_514_764_800, 2_051_222_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(MOMENTS, st.sampled_from(TIMEFRAMES), st.integers(1, 500))
def test_every_minute_is_in_one_candle_and_all_sums_agree(moment, timeframe, count):
    start = moment.replace(second=0, microsecond=0)
    minutes = [candle_of(row) for row in klines(start, count)]
    made = aggregate(minutes, timeframe, start + count * MINUTE, start + count * MINUTE)
    assert sum(candle.minutes for candle in made) == count
    assert sum(candle.volume for candle in made) == sum(minute.volume for minute in minutes)
    assert [candle.open_time for candle in made] == sorted({timeframe.open_of(minute.open_time) for minute in minutes})
    assert all(candle.closed for candle in made[:-1])


@given(st.integers(0, 4 * 10**12))
def test_moments_and_milliseconds_are_the_same(value):
    assert milliseconds_of(moment_of(value)) == value
