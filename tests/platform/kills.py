"""Kills of a running platform under load: what was acknowledged stays, what died comes back, nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psutil

from tests.platform.running import Platform
from tests.web_process import ROOT

CHILDREN = {
    "postgres": "/bin/postgres",
    "redis": "valkey-server",
    "simulator": "-m simulator",
    "web": "tradingplatform.web",
    "worker": "tradingplatform --quiet worker",
    "beat": "tradingplatform --quiet beat",
    "feed": "manage.py run_feed",
}
BATCH = 50
BACK = timedelta(days=50)  # when the written minutes begin; kept for 60 days
SPAN = 45 * 1440  # minutes, then the same again: what the platform itself stores is not among them


def child(platform, name):
    """The process that the supervisor runs under this name, None while it is down."""
    for process in psutil.Process(platform.process.pid).children():
        try:
            if CHILDREN[name] in " ".join(process.cmdline()):
                return process
        except psutil.Error:
            continue
    return None


def belonging(folder):
    """Every running process of the platform whose DATA_DIR is `folder`."""
    found = []
    for process in psutil.process_iter():
        try:
            in_folder = process.cwd().startswith(f"{folder}/")
            marked = process.environ().get("PLATFORM_SUPERVISOR") == str(folder)
            if (in_folder or marked) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {' '.join(process.cmdline())[:100]}")
        except (psutil.Error, OSError):
            continue
    return found


@dataclass
class Writer:
    """Posts batches of rows of past minutes, each until it is acknowledged, and remembers which were."""

    platform: Platform
    key: str
    start: datetime
    acknowledged: list[int] = field(default_factory=list)
    refused: int = 0
    lost: int = 0  # rows that were acknowledged once and yet are new when they come again

    def __post_init__(self):
        self._known: set[int] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join(60)

    def _run(self):
        minute = 0
        while not self._stop.is_set():
            minutes = range(minute, minute + BATCH)
            try:
                saved = self._post([self._row(number) for number in minutes])
                self.lost += saved if minute in self._known else 0
                self._known.update(minutes)
                self.acknowledged.extend(minutes)
                minute = (minute + BATCH) % SPAN
            except (OSError, ValueError):
                self.refused += 1
                time.sleep(0.1)

    def _row(self, number):
        volumes = {"bidVolume": number + 1, "askVolume": 2, "bidVolumeUsd": 3, "askVolumeUsd": 4}
        at = int((self.start + timedelta(minutes=number)).timestamp() * 1000)
        return {"timestamp": at, "symbol": "BTCUSDT", "marketType": "SPOT", "depth": 1, **volumes}

    def _post(self, rows):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.platform.port}/api/v1/snapshots",
            json.dumps(rows).encode(),
            {"Content-Type": "application/json", "Authorization": f"Api-Key {self.key}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = json.load(answer)
        if not body["success"]:
            raise ValueError("not acknowledged")
        time.sleep(0.05)
        return body["saved"]

    def missing(self):
        """Acknowledged minutes that are not in the database, or not with the value that was sent."""
        stored = {}
        for first in range(0, max(self.acknowledged, default=0) + 1, 3000):
            since = self.start + timedelta(minutes=first)
            bounds = [int((since + timedelta(minutes=m)).timestamp() * 1000) for m in (0, 2999)]
            path = f"/api/v1/snapshots?symbol=BTCUSDT&depth=1&limit=3600&from={bounds[0]}&to={bounds[1]}"
            body = self.platform.wait("what is stored", path, lambda body: "data" in body)
            stored |= {row["timestamp"]: row["bidVolume"] for row in body["data"]}
        sent = {self._row(number)["timestamp"]: number + 1 for number in self.acknowledged}
        return [at for at, value in sent.items() if stored.get(at) != value]


def write_key(platform):
    """A key that may write, made as an operator makes it: by a command in another shell."""
    command = [sys.executable, "manage.py", "create_api_key", f"load-{time.time_ns()}", "--scope", "snapshots:write"]
    environ = {name: value for name, value in platform.environ.items() if name != "PORT"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    return next(word for word in done.stdout.split() if word.startswith("tp_"))


def kill_child(platform, name):
    """SIGKILL; gives the seconds until another process has taken its place and the platform is healthy."""
    victim = child(platform, name)
    begun = time.monotonic()
    os.kill(victim.pid, signal.SIGKILL)
    while (fresh := child(platform, name)) is None or fresh.pid == victim.pid:
        if time.monotonic() - begun > 120:
            raise AssertionError(f"{name} was not started again")
        time.sleep(0.05)
    platform.wait_healthy()
    return time.monotonic() - begun


def kill_supervisor(platform):
    """SIGKILL of the supervisor itself, then a new start; gives the seconds until it is healthy again."""
    begun = time.monotonic()
    platform.process.kill()
    platform.process.wait()
    until = time.monotonic() + 45
    while left := belonging(platform.folder):
        if time.monotonic() > until:
            raise AssertionError(f"left running after the supervisor died: {left}")
        time.sleep(0.1)
    platform.start()
    platform.wait_healthy()
    return time.monotonic() - begun


def goes_on_without_its_database(platform):
    """PostgreSQL is killed and the supervisor held, so that nobody starts it, until a whole minute waits on disk."""
    victim = child(platform, "postgres")
    platform.process.send_signal(signal.SIGSTOP)
    try:
        victim.kill()
        waiting = platform.wait("a minute in the spool", "/api/health", lambda body: spool(body)["batches"] >= 3)
        minute = spool(waiting)["oldest"] // 60_000 * 60
    finally:
        platform.process.send_signal(signal.SIGCONT)
    healthy = platform.wait_healthy()
    assert spool(healthy)["batches"] == 0
    path = f"/api/v1/snapshots?symbol=BTCUSDT&depth=1&from={minute}&to={minute}"
    assert platform.wait("that minute", path, lambda body: "count" in body)["count"] == 1
    path = "/api/v1/analytics/stats?symbol=BTCUSDT"
    assert platform.wait("its gaps", path, lambda body: "stats" in body)["stats"]["gaps"] == []


def spool(body):
    return body["components"]["spool"]


def campaign(folder, victims, report=lambda line: None, first=lambda platform: None, **variables):
    """Kills each of `victims` in turn under load, after what is done `first`. Raises AssertionError on a lost row, a
    leftover or no recovery."""
    with Platform("demo", folder, SYMBOLS="BTCUSDT,ETHUSDT,SOLUSDT", API_RATE_LIMIT="0", **variables) as platform:
        platform.wait_healthy()
        first(platform)
        start = (datetime.now(UTC) - BACK).replace(second=0, microsecond=0)
        with Writer(platform, write_key(platform), start) as writer:
            for victim in victims:
                before = len(writer.acknowledged)
                took = kill_supervisor(platform) if victim == "supervisor" else kill_child(platform, victim)
                until = time.monotonic() + 60
                while len(writer.acknowledged) == before and time.monotonic() < until:
                    time.sleep(0.1)
                report(f"{victim:10} healthy after {took:5.1f} s, {len(writer.acknowledged) - before} rows meanwhile")
        missing = writer.missing()
        lost = len(missing) + writer.lost
        report(f"{len(writer.acknowledged)} rows acknowledged, {writer.refused} requests refused, {lost} lost")
        assert len(writer.acknowledged) > BATCH
        assert lost == 0
        assert platform.stop() == 0
    assert not belonging(platform.folder)
