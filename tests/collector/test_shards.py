"""Two feeds as processes on one Redis and one exchange: killed, paused and back, no book is fed twice or by nobody."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.db import connection

from collector import cycle
from collector.feed.figures import reports
from collector.feed.leases import LEASES, Shard
from depth.models import DepthSnapshot
from tests.collector.feeding import KEYS, NAMES, skipped, until, wrong_states
from tests.collector.simulated import ROOT, room, run_minute

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.timeout(600)]
HOMES = {index: {name for name in NAMES if Shard(index, 2).holds(name)} for index in (1, 2)}
PATIENCE = 90.0


@contextmanager
def shard(index, environ, folder):
    log = (folder / f"shard{index}-{time.monotonic()}").open("wb")
    argv = [sys.executable, "manage.py", "run_feed", "--shard", f"{index}/2"]
    process = subprocess.Popen(argv, cwd=ROOT, env=environ, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
        log.close()


def environment(live):
    """Of a process that works on the test's database and exchange."""
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    addresses = {f"BINANCE_{market}_REST_URL": live.url for market in ("SPOT", "FUTURES")}
    addresses |= {f"BINANCE_{market}_WS_URL": live.url.replace("http", "ws") for market in ("SPOT", "FUTURES")}
    streams = {"SPOT_STREAMS": "depth", "FUTURES_STREAMS": "depth"}
    return os.environ | addresses | streams | {"DATABASE_URL": database.geturl(), "PLATFORM_PROCESS": "feed"}


@pytest.fixture
def environ(live):
    return environment(live)


def right_since(listener, moment):
    """The books that were published as right after that moment."""
    return {
        (body["marketType"], body["symbol"])
        for when, _, body in list(listener.messages)
        if when > moment and body.get("wsStatus") == "connected"
    }


def all_right(listener, moment, seconds=PATIENCE):
    until(lambda: right_since(listener, moment) == set(KEYS), seconds, "not every book is right")


def each_once(live):
    """Whether each stream has one listener."""
    return set(live.control("GET", "/streams")["streams"].values()) == {1}


def fed_by(pid):
    """What a process says that it follows."""
    return {book.symbol for report in reports() if report.pid == pid for book in report.books}


def test_a_shard_that_is_killed_or_paused_is_replaced_and_takes_its_share_again(
    live, listener, environ, tmp_path, monkeypatch, empty_redis
):
    assert all(HOMES.values())
    with ExitStack() as stack:
        one, two = (stack.enter_context(shard(index, environ, tmp_path)) for index in (1, 2))
        until(lambda: right_since(listener, 0) == set(KEYS), PATIENCE)
        until(lambda: (fed_by(one.pid), fed_by(two.pid)) == (HOMES[1], HOMES[2]), PATIENCE)

        monkeypatch.setattr(cycle, "TAKEOVER", timedelta(seconds=room(18).second + 2))
        one.kill()
        killed = time.time()
        row = run_minute(8)  # meanwhile books are polled
        assert (row.expected, row.stored) == (len(KEYS), len(KEYS))
        assert DepthSnapshot.objects.filter(time=row.minute).count() == len(KEYS)
        all_right(listener, killed + 1)
        print(f"taken over after {time.time() - killed:.1f} s")
        until(lambda: each_once(live), what="streams are heard twice")

        back = stack.enter_context(shard(1, environ, tmp_path))
        until(lambda: (fed_by(back.pid), fed_by(two.pid)) == (HOMES[1], HOMES[2]), PATIENCE)
        all_right(listener, time.time())
        until(lambda: each_once(live), what="streams are heard twice")

        two.send_signal(signal.SIGSTOP)
        paused = time.time()
        all_right(listener, paused + 1)
        print(f"taken over after {time.time() - paused:.1f} s")
        two.send_signal(signal.SIGCONT)
        until(lambda: (fed_by(back.pid), fed_by(two.pid)) == (HOMES[1], HOMES[2]), PATIENCE)
        all_right(listener, time.time())
        holders = {name.decode(): holder.split(b":")[1] for name, holder in empty_redis.hgetall(LEASES).items()}
        assert {name: int(holders[name]) for name in NAMES} == {
            name: process.pid for index, process in ((1, back), (2, two)) for name in HOMES[index]
        }
        for process in (back, two):
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    assert not skipped(listener.updates())  # two who feed one book would count twice
    assert not wrong_states([body for body in listener.updates() if body["wsStatus"] == "connected"])
