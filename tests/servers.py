"""The servers behind every test: loaded by `-p tests.servers` before Django reads its settings.

Where DATABASE_URL or REDIS_URL is unset, embedded servers start on a fresh folder and end with the test run; the rest
of the environment is set so that no developer's file and no exchange can reach into a test. Of tests that run in
parallel (`-n 2`) each process has servers of its own.
"""

import atexit
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tradingplatform import embedded

CLOSED = "127.0.0.1:9"  # loopback, and nothing listens: a test that forgets its simulator fails at once
ENVIRONMENT = {
    "ENV_FILE": os.devnull,
    "SECRET_KEY": "test",
    "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
    "SYMBOLS": "BTCUSDT,ETHUSDT",
    "BINANCE_SPOT_REST_URL": f"http://{CLOSED}",
    "BINANCE_FUTURES_REST_URL": f"http://{CLOSED}",
    "BINANCE_SPOT_WS_URL": f"ws://{CLOSED}",
    "BINANCE_FUTURES_WS_URL": f"ws://{CLOSED}",
}
OURS = "TEST_SERVERS"  # names the addresses that a run has set itself, for the processes that it shares its tests with
NOT_OURS = ("CACHE_REDIS_URL", "PORT", "SIMULATED_MARKET", "DEPTH_BANDS", "API_PUBLIC", "API_RATE_LIMIT", "DEBUG")


class Running:
    """One embedded server that a test may kill and start again; `pid` changes with each start."""

    def __init__(self, build: Callable[[], embedded.Server], log: Path) -> None:
        self.server = build()
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, patience: float = 60.0) -> None:
        """Start and wait for the first answer; a start that ends by itself is tried again."""
        deadline = time.monotonic() + patience
        while not self.server.ready():
            if self.process is None or self.process.poll() is not None:
                self.server.prepare()
                with self.log.open("ab") as log:
                    self.process = subprocess.Popen(
                        self.server.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
                    )
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.server.name} does not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL, as a crash; returns once the process is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """The clean stop; by force after ten seconds."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(self.server.stop_signal)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


class Servers:
    """The servers of this test run; None where DATABASE_URL or REDIS_URL named another one."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="trading-tests-"))
        self.folder.chmod(0o711)  # where root runs PostgreSQL as another user, that user has to pass
        (self.folder / "static").mkdir()  # nothing is collected into it, but it has to be there
        self.postgres: Running | None = None
        self.redis: Running | None = None

    def start(self) -> None:
        if "PYTEST_XDIST_WORKER" in os.environ:
            for name in os.environ.pop(OURS, "").split():
                del os.environ[name]
        where = embedded.addresses(embedded.home(self.folder, simulated=False))
        home = embedded.home(self.folder, simulated=False)
        if not os.environ.get("DATABASE_URL"):
            self.postgres = Running(lambda: embedded.postgres(home, durable=False), self.folder / "postgres.log")
            self.postgres.start()
        if not os.environ.get("REDIS_URL"):
            self.redis = Running(lambda: embedded.redis(home), self.folder / "redis.log")
            self.redis.start()
        for name in NOT_OURS:
            os.environ.pop(name, None)
        os.environ.update(ENVIRONMENT)
        os.environ["DATA_DIR"] = str(self.folder)
        os.environ[OURS] = " ".join(name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name))
        os.environ.setdefault("DATABASE_URL", "")
        os.environ["DATABASE_URL"] = os.environ["DATABASE_URL"] or where.database_url
        os.environ["REDIS_URL"] = os.environ.get("REDIS_URL") or where.redis_url

    def stop(self) -> None:
        for running in (self.redis, self.postgres):
            if running is not None:
                running.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


SERVERS = Servers()
atexit.register(SERVERS.stop)
SERVERS.start()


def pytest_unconfigure() -> None:
    SERVERS.stop()


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Handles of the embedded servers, for tests that kill them; both run again when the test is over."""
    if SERVERS.postgres is None or SERVERS.redis is None:
        pytest.skip("the servers are not ours to kill: DATABASE_URL or REDIS_URL names others")
    yield SERVERS
    SERVERS.postgres.start()
    SERVERS.redis.start()
    from django.db import connections

    connections.close_all()  # those that were broken are not for the next test to find
