"""Collection while PostgreSQL or Redis is away: nothing that was read is lost, nothing is there twice."""

import time
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from django.db import connection

from collector import memory, tasks
from collector.cycle import collect_minute, collect_part
from collector.metrics import record_metrics
from collector.models import CollectionMinute, Outage, RunState, StreamEvent
from collector.spool_use import spool_use
from collector.watch import Watch
from depth import intake
from depth.models import DepthSnapshot, Snapshot
from depth.services import replay, spool_state
from markets.models import Symbol
from tests.collector.conftest import exchange, forgetful, registry, simulator  # noqa: F401 - fixtures
from tests.collector.simulated import NAMES, room
from tests.collector.test_worker import Worker

BOTH = 2 * len(NAMES)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(intake, "BACK_OFF", (0.05, 0.1, 0.2))
    monkeypatch.setattr(intake, "PATIENCE", 1.5)
    monkeypatch.setattr(intake, "READ_PATIENCE", 1.0)


@pytest.fixture
def postgres(registry, servers, impatient):  # noqa: F811
    """The database server, of which the process knows what it must to go on without it."""
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:  # the servers of the tests forget the last moment when they are killed
        cursor.execute(f"ALTER DATABASE {connection.ops.quote_name(name)} SET synchronous_commit = on")
    connection.close()
    collect_minute(room(25), lambda part: None)
    CollectionMinute.objects.all().delete()
    RunState.objects.update(total_requests=0)
    yield servers.postgres
    servers.postgres.start()
    connection.close()


def read_all():
    """This minute's collection, all of its parts one after the other; gives the books that were accepted."""
    now = datetime.now(UTC)
    return now, sum(collect_part(part).stored for part in collect_minute(now, lambda part: None))


def check_whole(now, bands):
    """Everything of the minute is there, once, and its figures are right."""
    row = CollectionMinute.objects.get()
    assert row.minute == now.replace(second=0, microsecond=0)
    assert (row.expected, row.stored, row.failed, row.overrun, row.causes) == (BOTH, BOTH, 0, 0, {})
    assert row.rows == Snapshot.objects.count() == BOTH * bands
    assert row.requests == RunState.objects.get().total_requests == BOTH
    assert DepthSnapshot.objects.count() == BOTH
    assert Symbol.objects.filter(last_minute=row.minute).count() == BOTH
    record_metrics(row.minute + timedelta(minutes=1, seconds=15))
    row.refresh_from_db()
    assert (row.closed, row.partial) == (True, False)


@pytest.mark.parametrize("known", ["here", "in Redis"])
def test_a_minute_is_read_without_the_database_and_stored_on_its_return(postgres, settings, known):
    postgres.kill()
    if known == "in Redis":
        memory.forget()
    now, accepted = read_all()
    assert accepted == BOTH
    assert spool_use().status == "degraded"
    waiting = spool_state().batches
    assert waiting == 5, "the minute itself, and two parts of each market"
    postgres.start()
    assert replay() == waiting
    assert replay() == 0
    check_whole(now, len(settings.DEPTH_BANDS))
    assert spool_use().status == "healthy"


def test_a_database_that_dies_in_the_middle_of_a_minute(postgres, settings):
    now = datetime.now(UTC)
    parts = collect_minute(now, lambda part: None)
    collect_part(parts[0])
    postgres.kill()
    for part in parts[1:-1]:
        collect_part(part)
    postgres.start()
    collect_part(parts[-1])  # goes behind what waits, though it could be stored
    assert CollectionMinute.objects.get().stored == len(parts[0].names)
    replay()
    check_whole(now, len(settings.DEPTH_BANDS))


def test_a_silent_database_does_not_hold_the_minute(postgres, settings):
    freeze(postgres.pid, psutil.Process.suspend)
    began = time.monotonic()
    try:
        now, accepted = read_all()
    finally:
        freeze(postgres.pid, psutil.Process.resume)
    assert accepted == BOTH
    assert time.monotonic() - began < 55  # it has to end within its minute
    connection.close()
    replay()
    check_whole(now, len(settings.DEPTH_BANDS))


def freeze(pid, action):
    main = psutil.Process(pid)
    for process in [main, *main.children(recursive=True)]:
        action(process)


def test_the_next_worker_stores_what_a_killed_one_had_accepted(postgres, registry, settings, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    settings.SPOOL_DIR = tmp_path / "data" / "live" / "spool"
    intake.spool.cache_clear()
    postgres.kill()
    now, accepted = read_all()
    assert accepted == BOTH
    newest = max(intake.spool().folder.glob("*.batch"))
    (newest.parent / f"{0:020d}-torn.part").write_bytes(newest.read_bytes()[:100])
    postgres.start()
    connection.close()
    with Worker(registry, tmp_path / "log"):
        until = time.monotonic() + 240
        while spool_state().batches:
            assert time.monotonic() < until, "nobody stores what waits"
            time.sleep(0.2)
    row = CollectionMinute.objects.get(minute=now.replace(second=0, microsecond=0))
    assert row.stored == BOTH
    assert DepthSnapshot.objects.filter(time=row.minute).count() == BOTH


def test_what_a_full_spool_refuses_is_known_by_number_and_cause(postgres, settings):
    settings.SPOOL_LIMIT = 10_000
    intake.spool.cache_clear()
    postgres.kill()
    _, accepted = read_all()
    assert accepted < BOTH
    postgres.start()
    replay()
    row = CollectionMinute.objects.get()
    assert (row.expected, row.stored, row.causes) == (BOTH, accepted, {"unstored": BOTH - accepted})
    assert row.failed == BOTH - accepted
    assert DepthSnapshot.objects.count() == accepted
    assert "the spool is full" in StreamEvent.objects.filter(event_type="ERROR").first().message


def test_the_minute_in_progress_goes_on_without_redis(registry, servers, settings):  # noqa: F811
    now = room(25)
    parts = collect_minute(now, lambda part: None)
    collect_part(parts[0])
    servers.redis.kill()
    for part in parts[1:]:
        collect_part(part)
    check_whole(now, len(settings.DEPTH_BANDS))


def test_a_minute_that_cannot_be_handed_out_is_read_by_who_planned_it(registry, servers, settings):  # noqa: F811
    now = room(40)
    servers.redis.kill()
    tasks.collect_minute()
    check_whole(now, len(settings.DEPTH_BANDS))


def test_the_watch_writes_down_what_was_away(postgres, servers, tmp_path):
    watch = Watch(tmp_path / "watch.json")
    watch.resume(1000.0)
    watch.look(1000.0)
    assert not Outage.objects.exists()
    postgres.kill()
    servers.redis.kill()
    connection.close()
    watch.look(1002.0)
    watch.look(1004.0)
    servers.redis.start()
    watch.look(1006.0)
    postgres.start()
    watch.look(1010.0)
    replay()
    assert told() == [("redis", 1002, 1006), ("database", 1002, 1010)]
    Watch(tmp_path / "watch.json").resume(1012.0)
    assert len(told()) == 2
    Watch(tmp_path / "watch.json").resume(1100.0)
    assert told()[-1] == ("platform", 1010, 1100)


def told():
    return [(row.cause, row.start.timestamp(), row.end.timestamp()) for row in Outage.objects.order_by("pk")]
