"""What the database is said to hold is what it holds."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from collector.storage import TABLES, storage_report, table_reports
from depth.services import store_books
from markets.storage import storage_name
from tests.depth.factories import collected

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=3)


@pytest.fixture
def stored():
    """Forty of sixty minutes of one series, and one minute of another."""
    books = [collected(NOON + n * MINUTE) for n in (*range(20), *range(40, 60))]
    store_books([*books, collected(NOON, symbol="ETHUSDT", market="FUTURES")])


def test_every_table_with_a_lifetime_is_told(stored):
    tables = {table.name: table for table in table_reports()}
    assert list(tables) == list(TABLES)
    books, minutes = tables["depth_snapshots"], tables["snapshots"]
    assert (minutes.oldest, minutes.newest) == (NOON, NOON + 59 * MINUTE) == (books.oldest, books.newest)
    assert minutes.total_bytes > minutes.index_bytes > 0
    assert (minutes.lifetime, tables["snapshots_agg_1d"].lifetime) == (timedelta(days=60), None)
    assert minutes.compression is None
    assert (minutes.chunks > 0) == (storage_name() == "timescaledb")


def test_coverage_of_every_series(stored):
    found = {(one.symbol, one.market): one for one in storage_report().series}
    one, other = found["BTCUSDT", "SPOT"], found["ETHUSDT", "FUTURES"]
    assert (one.minutes, one.expected, one.coverage) == (40, 60, pytest.approx(40 / 60))
    assert (one.since, one.oldest, one.newest) == (NOON, NOON, NOON + 59 * MINUTE)
    assert (other.minutes, other.expected, other.coverage) == (1, 1, 1.0)


def test_an_index_that_nobody_reads_is_told():
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX nobody_reads_me ON collector_minutes (stored)")
        cursor.execute("CREATE UNIQUE INDEX a_guard ON collector_minutes (minute, stored)")
    names = {index.name: index for index in storage_report().unused_indexes}
    assert names["nobody_reads_me"].table == "collector_minutes"
    assert names["nobody_reads_me"].bytes > 0
    assert "a_guard" not in names


def test_the_command_prints_all_of_it(stored):
    out = StringIO()
    call_command("storage_report", stdout=out)
    text = out.getvalue()
    assert text.startswith(f"storage: {storage_name()}, ")
    line = next(line for line in text.splitlines() if line.startswith("BTCUSDT"))
    assert line.split()[1:5] == ["SPOT", "40", "60", "66.67%"]
    kept = next(line for line in text.splitlines() if line.startswith("snapshots_agg_1h"))
    assert kept.endswith("for ever")
    assert "unused index" in text


def test_an_empty_database_has_a_report():
    report = storage_report()
    assert report.series == []
    assert all(table.oldest is None for table in report.tables if table.name.startswith("snapshots"))
    call_command("storage_report", stdout=StringIO())
