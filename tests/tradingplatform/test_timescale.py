"""Provisioning: the same tables on either storage, and nothing changes when it is repeated."""

import pytest
from django.db import connection

from markets.storage import storage_name
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
