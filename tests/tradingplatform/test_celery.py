"""The worker as the platform starts it: its pool ends with it, however it ends."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from markets.connections import broker_redis
from tests.web_process import ROOT
from tradingplatform import launch
from tradingplatform.celery import app


@pytest.fixture
def worker(tmp_path):
    """A worker with its pool, on the servers of the test run and a queue that nobody fills."""
    log = tmp_path / "log"
    argv = (sys.executable, "-m", "celery", "-A", "tradingplatform", "worker", "-n", tmp_path.name, "-Q", tmp_path.name)
    with log.open("wb") as file:
        process = subprocess.Popen(
            launch.command((*argv, "--concurrency", "2"), signal.SIGKILL), cwd=ROOT, stdout=file, stderr=file
        )
    try:
        deadline = time.monotonic() + 90
        while not app.control.ping([f"celery@{tmp_path.name}"], timeout=0.5):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
        yield process
    finally:
        process.kill()
        process.wait()
        broker_redis().flushdb()  # it has asked for the first collection


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGQUIT])
def test_the_pool_ends_with_its_worker(worker, number):
    pool = psutil.Process(worker.pid).children()
    worker.send_signal(number)
    worker.wait(60)
    gone, left = psutil.wait_procs(pool, timeout=60)
    assert len(gone) == len(pool) == 2
    assert not left
