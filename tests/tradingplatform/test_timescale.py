"""Provisioning: the same tables on either storage, and nothing changes when it is repeated."""

import pytest
from django.db import connection

from candles.rollups import RELATIONS as CANDLE_RELATIONS
from depth import rollups
from depth.models import UnrolledHour
from depth.services import store_books
from derivatives.series import RELATIONS as EVENT_RELATIONS
from markets.storage import storage_name
from tests.depth.factories import NOON, collected
from tradingplatform.aggregates import RELATIONS, provision_aggregates
from tradingplatform.timescale import HYPERTABLES, provision

pytestmark = pytest.mark.django_db


def query(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def test_repeating_it_changes_nothing_and_health_has_its_word():
    assert provision() == provision() == storage_name()


def test_every_table_is_there():
    tables = {row[0] for row in query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert {table.name for table in HYPERTABLES} <= tables


@pytest.mark.timescale
def test_hypertables_have_their_policies():
    if storage_name() != "timescaledb":
        pytest.skip("this server does not offer TimescaleDB")
    found = dict(query("SELECT hypertable_name, compression_enabled FROM timescaledb_information.hypertables"))
    assert found == {table.name: table.compress_after is not None for table in HYPERTABLES}
    jobs = query(
        "SELECT proc_name, hypertable_name FROM timescaledb_information.jobs WHERE hypertable_name IS NOT NULL"
    )
    retained = {name for proc, name in jobs if proc == "policy_retention"}
    assert retained == {table.name for table in HYPERTABLES if table.retain}
    keys = query("SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'p'")
    assert {table.name for table in HYPERTABLES} <= {row[0] for row in keys}


def kinds():
    return {name: kind for name, kind in query("SELECT relname, relkind FROM pg_class") if name in RELATIONS}


def run(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def columns(name):
    return query(f"SELECT column_name FROM information_schema.columns WHERE table_name = '{name}' ORDER BY 1")


def test_hours_and_days_have_the_same_names_and_columns_on_either_storage():
    assert set(kinds().values()) == {"v" if storage_name() == "timescaledb" else "r"}
    hours, days = map(columns, RELATIONS)
    figures = [f"{kind}_{name}" for kind in ("avg", "min", "max") for name in rollup_names()]
    expected = {"symbol", "market_type", "depth", "bucket", "count", "bid_complete", "ask_complete", *figures}
    assert {row[0] for row in hours} == {row[0] for row in days} == expected


def rollup_names():
    return ("bid_volume", "ask_volume", "bid_volume_usd", "ask_volume_usd")


@pytest.mark.timescale
def test_continuous_aggregates_show_the_open_hour_and_are_refreshed_by_the_roll_up_alone():
    if storage_name() != "timescaledb":
        pytest.skip("this server does not offer TimescaleDB")
    views = dict(query("SELECT view_name, materialized_only FROM timescaledb_information.continuous_aggregates"))
    assert views == dict.fromkeys((*RELATIONS, *CANDLE_RELATIONS, *EVENT_RELATIONS), False)
    assert not query(  # a job beside the roll-up would take its place halfway
        "SELECT 1 FROM timescaledb_information.jobs WHERE proc_name = 'policy_refresh_continuous_aggregate'"
    )
    assert not query(
        "SELECT 1 FROM timescaledb_information.jobs AS jobs JOIN timescaledb_information.continuous_aggregates "
        "ON jobs.hypertable_name IN (view_name, materialization_hypertable_name) WHERE proc_name = 'policy_retention'"
    )


def test_rows_from_before_the_aggregates_are_marked():
    run("DROP TRIGGER snapshots_mark ON snapshots")
    store_books([collected()])
    assert not UnrolledHour.objects.exists()
    provision_aggregates(storage_name())
    assert list(UnrolledHour.objects.values_list("hour", flat=True)) == [rollups.hour_of(NOON)]
    provision_aggregates(storage_name())
    assert UnrolledHour.objects.count() == 1


def become_plain():
    """The relations as a server without TimescaleDB would have left them."""
    if storage_name() == "timescaledb":
        run("DROP MATERIALIZED VIEW snapshots_agg_1d", "DROP MATERIALIZED VIEW snapshots_agg_1h")
    provision_aggregates("postgresql")
    assert kinds() == dict.fromkeys(RELATIONS, "r")


def test_tables_that_hold_aggregates_stay_tables_when_timescaledb_comes():
    become_plain()
    store_books([collected()])
    assert rollups.roll_up(NOON + rollups.DAY) == 1
    provision_aggregates("timescaledb")
    assert kinds() == dict.fromkeys(RELATIONS, "r")
    assert query("SELECT DISTINCT bucket, count FROM snapshots_agg_1h") == [(rollups.hour_of(NOON), 1)]


@pytest.mark.timescale
def test_empty_tables_give_way_to_continuous_aggregates():
    if storage_name() != "timescaledb":
        pytest.skip("this server does not offer TimescaleDB")
    become_plain()
    provision_aggregates("timescaledb")
    assert kinds() == dict.fromkeys(RELATIONS, "v")


@pytest.mark.timescale
def test_a_row_that_comes_late_into_a_compressed_chunk_is_stored_once_and_marked():
    if storage_name() != "timescaledb":
        pytest.skip("this server does not offer TimescaleDB")
    store_books([collected()])
    UnrolledHour.objects.all().delete()
    assert query("SELECT count(compress_chunk(chunk)) FROM show_chunks('snapshots') chunk") == [(1,)]
    late = [collected(NOON + rollups.HOUR), collected(NOON)]
    assert store_books(late).books == 1
    assert list(UnrolledHour.objects.values_list("hour", flat=True)) == [rollups.hour_of(NOON) + rollups.HOUR]
    assert query("SELECT count(*), count(DISTINCT (symbol, market_type, depth, timestamp)) FROM snapshots") == [
        (20, 20)
    ]
