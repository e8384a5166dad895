"""Into the store: exact, newest wins, nothing made up; and what listeners hear of it."""

import csv
import gzip
import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from candles import cache, selectors
from candles.candle import Kline, SeriesKey, aggregate, candle_of, milliseconds_of, moment_of
from candles.holes import missing, replaced
from candles.models import MinuteCandle, SeriesState
from candles.selectors import candles, gaps
from candles.services import KlineAnswer, begin, live_candles, note_available, roll_up, store_answers, store_klines
from candles.timeframes import TIMEFRAMES
from tests.candles.factories import BTC, ETH, MINUTE, figures, kline, klines, noon

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded" / "usdm_linkusdt_1m_2026-02.csv.gz"
LINK = SeriesKey("binance", "FUTURES", "LINKUSDT")


@pytest.fixture
def listener(empty_redis):
    """Everything that comes over one channel."""

    def hear(channel, count):
        found, until = [], time.monotonic() + 40
        while len(found) < count and time.monotonic() < until:
            message = pubsubs[channel].get_message(ignore_subscribe_messages=True, timeout=0.2)
            if message:
                found.append(json.loads(message["data"]))
        return found

    pubsubs = {}
    for channel in ("candles:BTCUSDT", "candles:all"):
        pubsubs[channel] = empty_redis.pubsub()
        pubsubs[channel].subscribe(channel)
        pubsubs[channel].get_message(timeout=30)
    yield hear
    for pubsub in pubsubs.values():
        pubsub.close()


def test_decimals_are_stored_as_they_were_written(db, empty_redis):
    minute = noon()
    store_klines([(BTC, [kline(minute, price="5E-8", close="0.000000080", volume="12345678901234567890.123456789")])])
    with connection.cursor() as cursor:
        cursor.execute("SELECT open_price::text, close_price::text, volume::text FROM candles")
        assert cursor.fetchone() == ("0.00000005", "0.000000080", "12345678901234567890.123456789")
    row = MinuteCandle.objects.get()
    assert (row.timestamp, row.open_time) == (milliseconds_of(minute), minute)
    assert row.close_time == minute + MINUTE - timedelta(milliseconds=1)
    assert row.open_price == Decimal("5E-8")


def test_of_one_minute_the_last_row_counts_and_of_two_writes_the_later(db, empty_redis):
    minute = noon()
    store_klines([(BTC, [kline(minute, price="1"), kline(minute, price="2")]), (BTC, [kline(minute, price="3")])])
    assert MinuteCandle.objects.get().open_price == 3
    again = store_klines([(BTC, [kline(minute, price="4")])])
    assert (again.added, again.changed) == (0, 1)
    assert MinuteCandle.objects.get().open_price == 4
    assert SeriesState.objects.get().count == 1


def test_a_bad_row_is_refused_alone(db, empty_redis, caplog):
    minute = noon()
    rows = [kline(minute + n * MINUTE) for n in range(5)]
    rows[2] = msgspec.structs.replace(rows[2], close="abc")
    stored = store_klines([(BTC, rows), (ETH, rows)])
    assert (stored.added, stored.refused) == (8, 2)
    assert "BTCUSDT" in caplog.text
    assert "no number" in caplog.text
    assert set(MinuteCandle.objects.values_list("close_price", flat=True)) == {Decimal(100)}


def test_names_of_any_kind_are_stored_as_they_are(db, empty_redis):
    odd = SeriesKey("binance", "SPOT", "币安\\n人生\tUSDT")
    store_klines([(odd, [kline(noon())])])
    assert MinuteCandle.objects.get().symbol == odd.symbol


def test_a_stream_widens_what_is_known_only_without_a_gap(db, empty_redis):
    minute = noon()
    store_answers([KlineAnswer(BTC, minute, minute + 10 * MINUTE, klines(minute, 10))])
    store_klines([(BTC, [kline(minute + 10 * MINUTE)])])
    assert SeriesState.objects.get().covered_until == minute + 11 * MINUTE
    store_klines([(BTC, [kline(minute + 13 * MINUTE)])])
    row = SeriesState.objects.get()
    assert (row.covered_until, row.last_open) == (minute + 11 * MINUTE, minute + 13 * MINUTE)
    assert (row.count, row.first_open) == (12, minute)


def test_a_series_that_a_stream_began_gets_its_history_too(db, empty_redis):
    minute = noon()
    store_klines([(BTC, klines(minute, 3))])
    (row,) = begin([BTC], minute - timedelta(days=1))
    assert row.wanted_from == minute - timedelta(days=1)
    note_available(BTC, minute - timedelta(days=1), milliseconds_of(minute - timedelta(hours=2)))
    (row,) = begin([BTC], minute - timedelta(hours=12))  # nearer: what was wanted stays
    assert (row.wanted_from, row.available_from) == (minute - timedelta(days=1), minute - timedelta(hours=2))
    (row,) = begin([BTC], minute - timedelta(days=9))
    assert (row.wanted_from, row.available_from) == (minute - timedelta(days=9), None)


def test_listeners_hear_of_closed_open_and_changed_candles(db, listener):
    minute = datetime.now(UTC).replace(second=0, microsecond=0)
    live_candles([(BTC, kline(minute, price="7.50"))], datetime.now(UTC))
    store_klines([(BTC, [kline(minute - MINUTE, price="5E-8")])])
    store_klines([(BTC, [kline(minute - MINUTE, price="5E-8")])])  # nothing new
    store_answers([KlineAnswer(BTC, minute - MINUTE, minute, [kline(minute - MINUTE, price="8")])], announce=True)
    store_answers([KlineAnswer(BTC, minute - 9 * MINUTE, minute - 8 * MINUTE, [kline(minute - 9 * MINUTE)])])
    for channel in ("candles:BTCUSDT", "candles:all"):
        heard = listener(channel, 3)
        assert [(one["close"], one["closed"]) for one in heard] == [(7.5, False), (5e-8, True), (8, True)]
        assert {(one["symbol"], one["market"], one["timeframe"]) for one in heard} == {("BTCUSDT", "SPOT", "1")}
        assert heard[0]["timestamp"] == milliseconds_of(minute)


def test_an_open_minute_is_part_of_every_timeframe_until_its_row_comes(db, empty_redis):
    minute = datetime.now(UTC).replace(second=0, microsecond=0)
    now = minute + timedelta(seconds=30)
    store_klines([(BTC, klines(minute - 5 * MINUTE, 5))])
    live_candles([(BTC, kline(minute, price="500", volume="1"))], now)
    for timeframe in TIMEFRAMES:
        last = candles(BTC, timeframe, now)[-1]
        assert (last.closed, last.close, last.high) == (False, 500, 500), timeframe
    store_klines([(BTC, [kline(minute, price="600")])])
    (last,) = candles(BTC, TIMEFRAMES[0], now, limit=1)
    assert (last.closed, last.close) == (True, 600)
    assert candles(BTC, TIMEFRAMES[0], now + timedelta(hours=1), limit=1)[0].close == 600


def test_an_open_minute_alone_says_what_is_missing_of_its_hour(db, empty_redis):
    minute = noon() + 20 * MINUTE
    live_candles([(BTC, kline(minute))], minute)
    (hour,) = candles(BTC, TIMEFRAMES[6], minute + timedelta(seconds=5))
    assert (hour.open_time, hour.closed, hour.complete) == (noon(), False, False)
    cache.forget([BTC])


@pytest.mark.skipif(not RECORDED.exists(), reason="the recordings are not beside this checkout")
def test_a_recorded_month_goes_through_and_adds_up(nothing_stored):
    with gzip.open(RECORDED, "rt") as lines:
        rows = [
            msgspec.convert([int(r[0]), *r[1:6], int(r[6]), r[7], int(r[8]), *r[9:11]], Kline)
            for r in list(csv.reader(lines))[1:]
        ]
    for first in range(0, len(rows), 10_000):
        part = rows[first : first + 10_000]
        low, high = moment_of(part[0].open_time), moment_of(part[-1].open_time) + MINUTE
        stored = store_answers([KlineAnswer(LINK, low, high, part)])
        assert (stored.added, stored.refused) == (len(part), 0)
    start, end = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    assert gaps(LINK, start, end) == []
    assert selectors.incomplete_days(LINK, start, end) == []
    minutes = [candle_of(row) for row in rows]
    told = lambda: [[figures(one) for one in candles(LINK, timeframe, end)] for timeframe in TIMEFRAMES]  # noqa: E731
    # The month's end is the end of a candle of each timeframe but the week.
    tails = [minutes[-1000 * timeframe.minutes :] if timeframe.minutes else minutes for timeframe in TIMEFRAMES]
    pairs = zip(tails, TIMEFRAMES, strict=True)
    scratch = [[figures(one) for one in aggregate(tail, timeframe, end, end)] for tail, timeframe in pairs]
    assert told() == scratch
    roll_up(end, None)
    cache.forget([LINK])
    assert told() == scratch
    assert SeriesState.objects.get().count == 40_320


# --- pure --------------------------------------------------------------------------------------------------------

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SETS = st.sets(st.integers(0, 60))


def at(number):
    return NOON + number * MINUTE


def minutes_in(stretches):
    return {number for low, high in stretches for number in range(-10, 80) if low <= at(number) < high}


@given(SETS)
def test_missing_minutes_are_those_that_are_not_there(there):
    found = missing(at(0), at(61), map(at, there))
    assert minutes_in(found) == set(range(61)) - there
    assert found == sorted(found)


@given(SETS, SETS, st.integers(0, 60), st.integers(0, 60))
def test_what_is_known_is_replaced_within_and_kept_outside(before, after, one, other):
    low, high = sorted((one, other))
    known = missing(at(0), at(61), map(at, set(range(61)) - before))
    new = missing(at(low), at(high), map(at, set(range(61)) - after))
    found = replaced(known, at(low), at(high), new)
    inside = set(range(low, high))
    assert minutes_in(found) == (before - inside) | (after & inside)
    assert all(first[1] < second[0] for first, second in pairwise(found))
