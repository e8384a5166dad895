"""Candles of every timeframe are what their minutes make them: always, whenever rolled up, whatever came late."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from candles import cache, rollups
from candles.candle import aggregate, candle_of, milliseconds_of
from candles.models import MinuteCandle, UnrolledHour
from candles.selectors import candles, columns
from candles.services import KlineAnswer, refresh, roll_up, store_answers, store_klines
from candles.timeframes import TIMEFRAMES
from markets.storage import storage_name
from tests.candles.conftest import empty
from tests.candles.factories import BTC, ETH, MINUTE, figures, kline, klines, noon
from tests.candles.test_columns import same

# The end of a year that is also the middle of a week, and a leap day: weeks, months and years end here.
TURNS = (datetime(2025, 12, 31, tzinfo=UTC), datetime(2024, 2, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, tzinfo=UTC))
NOW = datetime(2026, 6, 1, 10, 30, tzinfo=UTC)


def minutes_of(key):
    """The stored minutes as candles, in Python."""
    rows = MinuteCandle.objects.filter(symbol=key.symbol, market_type=key.market).order_by("open_time")
    return [candle_of(_kline(row)) for row in rows]


def _kline(row):
    return kline(row.open_time).__class__(
        milliseconds_of(row.open_time),
        *map(str, (row.open_price, row.high_price, row.low_price, row.close_price, row.volume)),
        milliseconds_of(row.open_time) + 59_999,
        str(row.quote_volume),
        row.trades,
        str(row.taker_buy_volume),
        str(row.taker_buy_quote_volume),
    )


def check(key, now=NOW):
    stored = minutes_of(key)
    for timeframe in TIMEFRAMES:
        scratch = aggregate(stored, timeframe, stored[-1].open_time + MINUTE if stored else now, now)[-1000:]
        told = candles(key, timeframe, now)
        assert [figures(one) for one in told] == [figures(one) for one in scratch], timeframe
        assert [(one.closed, one.expected) for one in told] == [(one.closed, one.expected) for one in scratch]
        same(columns(key, timeframe, now), told)


BATCHES = st.builds(
    lambda turn, back, count, price, key: (key, klines(turn + (back - 2000) * MINUTE, count, price)),
    st.sampled_from(TURNS),
    st.integers(0, 4000),
    st.integers(1, 200),
    st.integers(1, 500),
    st.sampled_from([BTC, ETH]),
)
STEPS = st.lists(st.one_of(BATCHES, st.just("roll up")), min_size=2, max_size=7)


@given(STEPS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_equal_to_aggregation_from_scratch_after_every_step(nothing_stored, steps):
    """Batches in any order, late repairs over what is rolled up already, and roll-ups at any time between."""
    empty()
    for step in steps:
        if step == "roll up":
            roll_up(NOW, None)
        else:
            store_klines([step])
        for key in (BTC, ETH):
            check(key)
    roll_up(NOW, None)
    assert not UnrolledHour.objects.exists()
    check(BTC)


def test_the_aggregates_themselves_hold_it(nothing_stored):
    """Not only the way around them: after a roll-up each relation is right, and answers come from there."""
    start = noon().replace(hour=0)
    store_klines([(BTC, klines(start, 3 * 1440))])
    assert roll_up(datetime.now(UTC), None) == 72
    with connection.cursor() as cursor:
        for name, count in zip(rollups.RELATIONS, (288, 72, 3), strict=True):
            cursor.execute(f"SELECT count(*), sum(minutes), sum(trades), sum(quote_volume) FROM {name}")
            told = cursor.fetchone()
            cursor.execute("SELECT count(*), sum(trades), sum(quote_volume) FROM candles")
            assert (told[0], *told[1:]) == (count, *cursor.fetchone())
    assert not UnrolledHour.objects.exists()


def test_deleted_and_changed_minutes_are_marked_too(nothing_stored):
    start = noon()
    store_klines([(BTC, klines(start, 180))])
    roll_up(datetime.now(UTC), None)
    MinuteCandle.objects.filter(open_time__lt=start + 10 * MINUTE).delete()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE candles SET trades = 1000 WHERE open_time = %s", [start + 70 * MINUTE])
    assert set(UnrolledHour.objects.values_list("hour", flat=True)) == {start, start + timedelta(hours=1)}
    cache.forget([BTC])  # who goes around the services has to wait for the cache, or tell it
    check(BTC, datetime.now(UTC))
    roll_up(datetime.now(UTC), None)
    check(BTC, datetime.now(UTC))


def test_a_repeated_answer_marks_nothing(nothing_stored):
    start = noon()
    answer = KlineAnswer(BTC, start, start + 60 * MINUTE, klines(start, 60))
    assert store_answers([answer]).added == 60
    roll_up(datetime.now(UTC), None)
    again = store_answers([answer])
    assert (again.added, again.changed) == (0, 0)
    assert not UnrolledHour.objects.exists()


def test_refresh_makes_a_range_again(nothing_stored):
    start = noon()
    store_klines([(BTC, klines(start, 120)), (ETH, klines(start, 60))])
    roll_up(datetime.now(UTC), None)
    assert refresh(datetime.now(UTC), start, start + timedelta(hours=2)) == (2 if rollups.is_continuous() else 3)
    check(BTC, datetime.now(UTC))


@pytest.mark.timescale
def test_under_timescaledb_the_aggregates_are_continuous(nothing_stored):
    if storage_name() != "timescaledb":
        pytest.skip("this server does not offer TimescaleDB")
    assert rollups.is_continuous()
    with connection.cursor() as cursor:
        cursor.execute("SELECT view_name FROM timescaledb_information.continuous_aggregates")
        assert set(rollups.RELATIONS) <= {row[0] for row in cursor.fetchall()}


@pytest.mark.timescale
def test_late_repairs_reach_compressed_chunks(nothing_stored):
    if storage_name() != "timescaledb":
        pytest.skip("this server does not offer TimescaleDB")
    start = noon(30)
    store_klines([(BTC, klines(start, 120))])
    roll_up(datetime.now(UTC), None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT compress_chunk(chunk) FROM show_chunks('candles') AS chunk")
    store_klines([(BTC, klines(start + 60 * MINUTE, 120, price=300))])
    check(BTC, datetime.now(UTC))
    roll_up(datetime.now(UTC), None)
    check(BTC, datetime.now(UTC))
