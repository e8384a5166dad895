"""Real Celery workers: the first collection starts at once, and a minute outlives the worker that began it."""

import os
import signal
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import psutil
import pytest
from django.db import connection

from collector.cycle import collect_minute, collect_part
from collector.models import CollectionMinute
from collector.selectors import processes
from collector.services import sync_registry
from depth.models import DepthSnapshot
from depth.services import replay
from tests.collector.feeding import until
from tests.collector.simulated import NAMES, ROOT, room

BOTH = 2 * len(NAMES)
ENOUGH = 25  # seconds of a minute, also for what waits until the leases of a killed worker are over
WORKER = (sys.executable, "-m", "celery", "-A", "tradingplatform", "--quiet", "worker", "--concurrency=2")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(500), pytest.mark.django_db(transaction=True)]


class Worker:
    """A worker on the test's own database."""

    def __init__(self, exchange, log):
        database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
        environ = os.environ | {
            "DATABASE_URL": database.geturl(),
            "BINANCE_SPOT_REST_URL": exchange.url,
            "BINANCE_FUTURES_REST_URL": exchange.url,
            "PLATFORM_PROCESS": "worker",
        }
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(WORKER, cwd=ROOT, env=environ, stdout=out, stderr=out)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            sys.stderr.write(self.log.read_text()[-5000:])
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def minute_that(accept, **which):
    """The newest minute of these, once it is as wanted."""

    def found():
        row = CollectionMinute.objects.filter(**which).order_by("minute").last()
        return row if row is not None and accept(row) else None

    return until(found, 90)


def seconds_left(minute):
    return minute.timestamp() + 60 - time.time()


def test_a_worker_collects_as_soon_as_it_is_there(registry, tmp_path):
    """Nobody else begins a minute: there is no beat."""
    room(25)
    with Worker(registry, tmp_path / "log"):
        row = minute_that(lambda row: row.stored > 0)
        if seconds_left(row.minute) > ENOUGH:  # else it began too late for all of it
            row = minute_that(lambda row: row.stored == BOTH, minute=row.minute)
            assert DepthSnapshot.objects.filter(time=row.minute).count() == BOTH
        until(lambda: [found.name for found in processes()] == ["worker"])


def test_a_killed_worker_takes_its_children_along_and_the_next_one_finishes_the_minute(registry, tmp_path):
    """A minute is finished while it lasts, and not later: where starting workers took until it was nearly over, which
    says nothing, the next minute tells."""
    for _ in range(4):
        begun = killed_in_the_middle(registry, tmp_path / "log")
        registry.heal()
        with Worker(registry, tmp_path / "log") as second:
            until(lambda second=second: second.process.pid in {found.pid for found in processes()}, 90)
            left = seconds_left(begun)
            if left > ENOUGH:
                done = minute_that(lambda row: row.stored == BOTH, minute=begun)
                break
    assert left > ENOUGH, "this machine starts no two workers within a minute"
    assert (done.failed, done.overrun) == (0, 0)
    assert DepthSnapshot.objects.filter(time=begun).count() == BOTH
    assert "spot:429" not in registry.answers()


def killed_in_the_middle(registry, log):
    """The minute that a worker had begun and not finished when it was killed."""
    for name in ("SOLUSDT", "XRPUSDT"):
        registry.fault("slow", symbol=name, path="/depth", delay=30)
    room(45)
    with Worker(registry, log) as first:
        row = minute_that(lambda row: row.stored >= 4)
        members = psutil.Process(first.process.pid).children(recursive=True)
        assert len(members) >= 2
        first.process.kill()
        first.process.wait()
        _, alive = psutil.wait_procs(members, timeout=30)
        assert alive == []
    row.refresh_from_db()
    assert row.stored < BOTH
    return row.minute


def test_books_wait_while_the_database_is_away(exchange, servers):
    sync_registry()
    exchange.fault("slow", path="/depth", delay=2)
    parts = collect_minute(room(30), lambda part: None)
    part = next(part for part in parts if part.market == "SPOT")
    results = []
    reader = threading.Thread(target=read, args=(part, results))
    reader.start()
    time.sleep(1)
    servers.postgres.kill()
    time.sleep(3)
    servers.postgres.start()
    reader.join()
    connection.close()
    assert results[0].stored == len(part.names)
    replay()
    row = CollectionMinute.objects.get()
    assert row.stored == DepthSnapshot.objects.count() == len(part.names)


def read(part, results):
    results.append(collect_part(part))
    connection.close()
