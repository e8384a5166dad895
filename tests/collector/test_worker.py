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
from tests.collector.simulated import NAMES, ROOT, room

BOTH = 2 * len(NAMES)
WORKER = (sys.executable, "-m", "celery", "-A", "tradingplatform", "--quiet", "worker", "--concurrency=2")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.django_db(transaction=True)]


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
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def wait(accept, patience):
    """The newest minute, once it is as wanted."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        row = CollectionMinute.objects.first()
        if row is not None and accept(row):
            return row
        time.sleep(0.1)
    raise AssertionError(f"did not come: {row and row.__dict__}")


def test_a_worker_collects_as_soon_as_it_is_there(registry, tmp_path):
    room(15)
    with Worker(registry, tmp_path / "log"):
        row = wait(lambda row: row.stored == BOTH, 30)
        assert DepthSnapshot.objects.filter(time=row.minute).count() == BOTH
        assert [found.name for found in processes()] == ["worker"]


def test_a_killed_worker_takes_its_children_along_and_the_next_one_finishes_the_minute(registry, tmp_path):
    for name in ("SOLUSDT", "XRPUSDT"):
        registry.fault("slow", symbol=name, path="/depth", delay=6)
    room(40)
    with Worker(registry, tmp_path / "log") as first:
        row = wait(lambda row: row.stored >= 4, 30)
        members = psutil.Process(first.process.pid).children(recursive=True)
        assert len(members) >= 2
        first.process.kill()
        first.process.wait()
        _, alive = psutil.wait_procs(members, timeout=5)
        assert alive == []
    row.refresh_from_db()
    assert row.stored < BOTH
    registry.heal()
    with Worker(registry, tmp_path / "log"):
        done = wait(lambda row: row.stored == BOTH, 40)
    assert done.minute == row.minute
    assert (done.failed, done.overrun) == (0, 0)
    assert DepthSnapshot.objects.filter(time=row.minute).count() == BOTH
    assert "spot:429" not in registry.answers()


def test_books_wait_while_the_database_is_away(exchange, servers):
    sync_registry()
    exchange.fault("slow", path="/depth", delay=2)
    parts = collect_minute(room(20), lambda part: None)
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
