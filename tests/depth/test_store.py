"""What goes in by COPY comes out as it was, once, and all or nothing."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from depth import selectors, services
from depth.models import DepthSnapshot, Snapshot
from depth.volumes import BandVolumes, measure
from markets.storage import storage_name
from tests.depth.factories import NOON, book, collected

pytestmark = pytest.mark.django_db
MINUTE = NOON.replace(second=0, microsecond=0)


def test_a_stored_book_is_read_back_with_its_volumes(settings):
    read = collected(levels=30, quantity=2.5)
    assert services.store_books([read]) == services.StoredCount(1, len(settings.DEPTH_BANDS))
    latest = selectors.latest("BTCUSDT", "SPOT")
    assert (latest.time, latest.received_at, latest.last_update_id, latest.source) == (MINUTE, NOON, 7, "rest")
    assert (latest.bid_levels, latest.depth_limit, len(latest.bids)) == (30, 30, 20)
    assert latest.bids == list(
        zip(read.book.bids.prices[:20].tolist(), read.book.bids.quantities[:20].tolist(), strict=True)
    )
    assert latest.best_bid == read.book.bids.prices[0]
    assert latest.bid_reach == pytest.approx((99.9 - 97) / 99.9 * 100, rel=1e-6)
    for stored, measured in zip(latest.bands, measure(read.book, settings.DEPTH_BANDS), strict=True):
        assert stored.band == measured.band
        assert stored.bid_value == pytest.approx(measured.bid_value, rel=1e-6)
        assert stored.ask_volume == pytest.approx(measured.ask_volume, rel=1e-6)
        assert (stored.bid_complete, stored.ask_complete) == (measured.bid_complete, measured.ask_complete)


def test_a_whole_side_has_no_reach():
    services.store_books([collected(whole=True)])
    latest = selectors.latest("BTCUSDT", "SPOT")
    assert latest.bid_reach is None
    assert all(row.bid_complete and row.ask_complete for row in latest.bands)


def test_the_first_book_of_a_minute_stays(settings):
    services.store_books([collected(quantity=1)])
    again = collected(NOON + timedelta(seconds=20), quantity=9)
    assert services.store_books([again]) == services.StoredCount(0, 0)
    assert selectors.latest("BTCUSDT", "SPOT").bids[0][1] == 1
    assert Snapshot.objects.count() == len(settings.DEPTH_BANDS)


@pytest.mark.parametrize(("age", "tried"), [(timedelta(0), 0), (timedelta(days=2), 2)])
def test_what_others_store_at_the_same_time_is_no_error(age, tried):
    """The database's log would tell each as one: of the newest minutes, several store the same."""
    now = datetime.now(UTC) - age
    services.store_books([collected(now)])
    with CaptureQueriesContext(connection) as queries:
        assert services.store_books([collected(now)]) == services.StoredCount(0, 0)
    assert sum("ROLLBACK TO SAVEPOINT" in query["sql"] for query in queries) == tried


def test_the_same_book_twice_in_one_batch_is_stored_once(settings):
    assert services.store_books([collected(), collected()]).books == 1


def test_markets_of_one_symbol_are_apart():
    services.store_books([collected(quantity=1), collected(market="FUTURES", quantity=2)])
    assert selectors.latest("BTCUSDT", "SPOT").bids[0][1] == 1
    assert selectors.latest("BTCUSDT", "FUTURES").bids[0][1] == 2
    assert selectors.latest("ETHUSDT", "SPOT") is None


def test_a_batch_is_all_or_nothing():
    too_long = collected(symbol="X" * 41)
    with pytest.raises(Exception, match="too long"), transaction.atomic():
        services.store_books([collected(), too_long])
    assert not DepthSnapshot.objects.exists()
    assert not Snapshot.objects.exists()


def test_series_has_only_the_minutes_that_were_collected():
    minutes = [0, 1, 4, 60, 61]
    services.store_books([collected(NOON + timedelta(minutes=m), quantity=m + 1) for m in minutes])
    end = MINUTE + timedelta(hours=2)
    points = selectors.series("BTCUSDT", "SPOT", Decimal(5), MINUTE, end)
    assert [point.time for point in points] == [MINUTE + timedelta(minutes=m) for m in minutes]
    hours = selectors.series("BTCUSDT", "SPOT", Decimal(5), MINUTE + timedelta(minutes=30), end, "1h")
    assert [(hour.time, hour.count) for hour in hours] == [(MINUTE, 3), (MINUTE + timedelta(hours=1), 2)]
    assert hours[0].bid_volume == pytest.approx(sum(p.bid_volume for p in points[:3]) / 3, rel=1e-6)
    days = selectors.series("BTCUSDT", "SPOT", Decimal(5), MINUTE, end, "1d")
    assert [(day.time, day.count) for day in days] == [(MINUTE.replace(hour=0), 5)]


def test_an_hour_is_complete_only_when_every_minute_is():
    whole = collected(whole=True)
    part = collected(NOON + timedelta(minutes=1), levels=5)
    services.store_books([whole, part])
    hour = selectors.series("BTCUSDT", "SPOT", Decimal(30), MINUTE, MINUTE, "1h")[0]
    assert (hour.bid_complete, hour.ask_complete, hour.count) == (False, False, 2)
    near = selectors.series("BTCUSDT", "SPOT", Decimal("0.1"), MINUTE, MINUTE, "1h")[0]
    assert near.bid_complete


@pytest.mark.parametrize(
    ("days", "ago", "interval"),
    [(1 / 24, 0, "1m"), (2.5, 0, "1m"), (2.6, 0, "1h"), (150, 0, "1h"), (151, 0, "1d"), (1, 61, "1h")],
)
def test_the_interval_follows_the_range_and_what_is_kept(days, ago, interval):
    end = NOON - timedelta(days=ago)
    assert selectors.choose_interval(end - timedelta(days=days), end, NOON) == interval


def test_rows_are_the_newest_oldest_first():
    services.store_books([collected(NOON + timedelta(minutes=m)) for m in range(5)])
    end = MINUTE + timedelta(minutes=10)
    found = selectors.rows("BTCUSDT", "SPOT", Decimal(1), MINUTE, end, 3)
    assert [row.timestamp.minute for row in found] == [2, 3, 4]


def test_single_rows_are_added_once():
    volumes = BandVolumes(Decimal("1.5"), 1, 2, 3, 4, True, False)
    row = services.SnapshotRow("BTCUSDT", "SPOT", MINUTE, volumes)
    assert services.store_rows([row]) == 1
    assert services.store_rows([row, row]) == 0
    stored = Snapshot.objects.get()
    assert (stored.depth, stored.bid_complete, stored.ask_complete) == (Decimal("1.50"), True, False)


def test_old_rows_are_deleted_and_young_ones_stay():
    services.store_books([collected(NOON), collected(NOON - timedelta(days=15)), collected(NOON - timedelta(days=61))])
    if storage_name() == "timescaledb":
        pytest.skip("on TimescaleDB a policy drops whole chunks")
    services.retain(NOON)
    assert DepthSnapshot.objects.count() == 1
    assert {row.timestamp for row in Snapshot.objects.all()} == {MINUTE, MINUTE - timedelta(days=15)}


def test_latest_takes_few_queries(django_assert_num_queries):
    services.store_books([collected()])
    with django_assert_num_queries(3):
        selectors.latest("BTCUSDT", "SPOT")


def test_factory_books_are_books():
    from depth.volumes import check

    check(book(levels=200))
