"""Hours and days are what their minutes make them: always, whenever they were rolled up and whatever came late."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import fmean

import numpy as np
import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from depth import rollups
from depth.models import Snapshot, UnrolledHour
from depth.selectors import history, series
from depth.services import SnapshotRow, retain, store_rows
from depth.volumes import BandVolumes
from markets.storage import storage_name
from tests.rolled_steps import play

BAND = Decimal("1.5")
MINUTE = timedelta(minutes=1)
# Ten days ago at midnight: inside every lifetime, and closed.
DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=10)
NOW = DAY + timedelta(days=2, hours=5, minutes=30)


def row(minute, figure=1.0, symbol="BTCUSDT", complete=True):
    sums = (figure, figure * 2, figure * 3, figure * 5)
    return SnapshotRow(symbol, "SPOT", minute, BandVolumes(BAND, *sums, complete, True))


def empty():
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE snapshots, snapshots_unrolled")
        cursor.execute("SELECT relkind FROM pg_class WHERE oid = 'snapshots_agg_1h'::regclass")
        if cursor.fetchone()[0] == "r":
            cursor.execute("TRUNCATE snapshots_agg_1h, snapshots_agg_1d")
            return
        for name in ("snapshots_agg_1h", "snapshots_agg_1d"):
            cursor.execute("CALL refresh_continuous_aggregate(%s, NULL, NULL, force => true)", [name])
            cursor.execute("SELECT count(*) FROM " + name)
            assert cursor.fetchone()[0] == 0


@pytest.fixture
def nothing_stored(transactional_db):
    empty()
    yield
    empty()


def scratch(symbol, start, end, interval):
    """What the stored minutes add up to, in Python."""
    found = Snapshot.objects.filter(symbol=symbol, timestamp__gte=start, timestamp__lt=end).order_by("timestamp")
    buckets = {}
    for one in found:
        hour = one.timestamp.replace(minute=0)
        buckets.setdefault(hour if interval == "1h" else hour.replace(hour=0), []).append(one)
    return [
        (
            bucket,
            len(rows),
            *(_spread([getattr(one, name) for one in rows]) for name in ("bid_volume", "ask_volume")),
            *(_spread([getattr(one, name) for one in rows]) for name in ("bid_volume_usd", "ask_volume_usd")),
            all(one.bid_complete for one in rows),
            all(one.ask_complete for one in rows),
        )
        for bucket, rows in sorted(buckets.items())
    ]


def _spread(values):
    """Least and most exactly. A `real` is told by the shortest decimal that means it: 67108872 comes as 67108870."""
    exact = [float(np.float32(value)) for value in values]
    return (pytest.approx(fmean(exact), rel=1e-12), min(values), max(values))


def told(symbol, start, end, interval):
    return [
        (
            bucket.time,
            bucket.count,
            *((s.mean, s.least, s.most) for s in (bucket.bid_volume, bucket.ask_volume)),
            *((s.mean, s.least, s.most) for s in (bucket.bid_value, bucket.ask_value)),
            bucket.bid_complete,
            bucket.ask_complete,
        )
        for bucket in history(symbol, "SPOT", BAND, start, end - MINUTE, interval)
    ]


def check():
    for symbol in ("BTCUSDT", "ETHUSDT"):
        for start, end in ((DAY, DAY + timedelta(days=3)), (DAY + timedelta(days=1), DAY + timedelta(days=2))):
            for interval in ("1h", "1d"):
                assert told(symbol, start, end, interval) == scratch(symbol, start, end, interval)


MINUTES = st.integers(0, 3 * 24 * 60 - 1).map(lambda n: DAY + n * MINUTE)
FIGURES = st.floats(0, 1e9, width=32)
ROWS = st.builds(row, MINUTES, FIGURES, st.sampled_from(["BTCUSDT", "ETHUSDT"]), st.booleans())
STEPS = st.lists(
    st.one_of(st.lists(ROWS, min_size=1, max_size=30), st.sampled_from([0, 26, 53])), min_size=2, max_size=8
)


@given(STEPS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_equal_to_aggregation_from_scratch_after_every_step(nothing_stored, steps):
    """Batches in any order, replays among them, and roll-ups at any time between."""
    empty()
    play(steps, DAY, store_rows, rollups.roll_up, check)
    assert not UnrolledHour.objects.exists()


def relation(name, symbol="BTCUSDT"):
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT bucket, count, avg_bid_volume, max_ask_volume_usd, bid_complete FROM {name} "
            "WHERE symbol = %s ORDER BY bucket",
            [symbol],
        )
        return cursor.fetchall()


def test_the_relations_themselves_hold_what_was_rolled_up(nothing_stored):
    store_rows([row(DAY, 1), row(DAY + MINUTE, 3, complete=False), row(DAY + timedelta(hours=2), 8)])
    assert rollups.roll_up(NOW) == 2
    two = DAY + timedelta(hours=2)
    assert relation("snapshots_agg_1h") == [(DAY, 2, 2.0, 15.0, False), (two, 1, 8.0, 40.0, True)]
    assert relation("snapshots_agg_1d") == [(DAY, 3, 4.0, 40.0, False)]


def test_an_hour_that_is_open_is_read_and_not_rolled_up(nothing_stored):
    open_hour = NOW.replace(minute=0)
    store_rows([row(open_hour, 4)])
    assert rollups.roll_up(NOW) == 0
    [point] = series("BTCUSDT", "SPOT", BAND, open_hour, NOW, "1h")
    assert (point.time, point.bid_value, point.count) == (open_hour, 12.0, 1)


def test_a_replay_marks_nothing(nothing_stored):
    store_rows([row(DAY)])
    rollups.roll_up(NOW)
    assert store_rows([row(DAY, 9)]) == 0
    assert not UnrolledHour.objects.exists()


def test_rows_that_are_not_committed_yet_keep_their_mark(nothing_stored):
    """What a writer adds while the roll-up runs is in no aggregate, and its hour stays marked."""
    store_rows([row(DAY, 1)])
    marks = rollups._marks(NOW)
    with transaction.atomic():
        store_rows([row(DAY + MINUTE, 5)])
    refresh = rollups._refresh_views if rollups._is_continuous() else rollups._refresh_tables
    refresh(DAY, list(marks), [mark for hour in marks.values() for mark in hour])
    assert UnrolledHour.objects.count() == 1
    check()


def test_only_one_rolls_up_at_a_time(nothing_stored):
    store_rows([row(DAY)])
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [rollups.LOCK])
            assert rollups.roll_up(NOW) == 0
            cursor.execute("SELECT pg_advisory_unlock(%s)", [rollups.LOCK])
    finally:
        other.close()
    assert rollups.roll_up(NOW) == 1


def test_refresh_makes_a_range_again(nothing_stored):
    store_rows([row(DAY + hour * rollups.HOUR, hour) for hour in range(30)])
    rollups.roll_up(NOW)
    assert rollups.refresh(NOW) == 30
    assert rollups.refresh(NOW, DAY + rollups.HOUR, DAY + 3 * rollups.HOUR) == 3
    assert rollups.refresh(NOW, DAY - 2 * rollups.HOUR, DAY - rollups.HOUR) == 0
    check()


def test_aggregates_outlive_their_minutes(nothing_stored):
    """Sixty days on the minutes are gone; neither a refresh nor a row that comes too late touches what they made."""
    store_rows([row(DAY + minute * MINUTE, minute) for minute in range(1500)])
    rollups.roll_up(NOW)
    before = relation("snapshots_agg_1h"), relation("snapshots_agg_1d")
    days = told("BTCUSDT", DAY, DAY + 3 * rollups.DAY, "1d")
    later = NOW + timedelta(days=60)
    drop_minutes(later)
    assert not Snapshot.objects.exists()
    store_rows([row(DAY + MINUTE, 1e6)])
    rollups.roll_up(later)
    assert rollups.refresh(later) == 0
    assert (relation("snapshots_agg_1h"), relation("snapshots_agg_1d")) == before
    assert told("BTCUSDT", DAY, DAY + 3 * rollups.DAY, "1d") == days
    assert [day[1] for day in days] == [1440, 60]


def drop_minutes(now):
    if storage_name() == "timescaledb":
        with connection.cursor() as cursor:
            cursor.execute("SELECT drop_chunks('snapshots', %s::timestamptz + INTERVAL '9 days')", [DAY])
    else:
        retain(now)


def test_an_imported_past_is_rolled_up_once(nothing_stored):
    past = DAY - timedelta(days=100)
    store_rows([row(past, 2), row(past + MINUTE, 4)])
    assert rollups.roll_up(NOW) == 1
    assert relation("snapshots_agg_1h") == [(past, 2, 3.0, 20.0, True)]
    store_rows([row(past + 2 * MINUTE, 100)])
    for interval in ("1h", "1d"):
        assert told("BTCUSDT", past, past + rollups.DAY, interval)[0][1:3] == (2, (3.0, 2.0, 4.0))
    assert rollups.roll_up(NOW) == 0
    assert relation("snapshots_agg_1h") == [(past, 2, 3.0, 20.0, True)]


def test_minutes_go_by_whole_days_and_only_after_their_hours_are_made(nothing_stored):
    if storage_name() == "timescaledb":
        pytest.skip("TimescaleDB drops the minutes by chunks, by its own policy")
    first, second = DAY + timedelta(hours=23), DAY + timedelta(hours=25)
    store_rows([row(first, 6), row(second, 7)])
    assert retain(first + timedelta(days=60, minutes=30)) == 0
    assert retain(second + timedelta(days=60)) == 1
    assert relation("snapshots_agg_1h") == [(first, 1, 6.0, 30.0, True), (second, 1, 7.0, 35.0, True)]
    assert list(Snapshot.objects.values_list("timestamp", flat=True)) == [second]
