"""A real web process on a database with a few symbols and books, and a publisher that stands for the feed."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from depth.broadcast import Publication, publish, state_message
from markets.connections import broker_redis
from tests.depth.test_broadcast import told
from tests.web_process import daphne, free_port, new_database, run_python
from tests.web_process import running as web_process

SYMBOLS = [f"S{number:02}USDT" for number in range(50)]
MOST_CLIENTS = 120


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


@dataclass
class Site:
    """The running web process; `address` is ws://host:port."""

    address: str
    port: int
    process: subprocess.Popen

    @property
    def http(self) -> str:
        return self.address.replace("ws://", "http://")


@contextmanager
def filled(folder: Path, most_clients: int = MOST_CLIENTS) -> Iterator[dict[str, str]]:
    """The environment of web processes that share one filled database."""
    with new_database("sockets") as database:
        made = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tradingplatform.settings",
            "DATABASE_URL": database,
            "DATA_DIR": str(folder),
            "API_RATE_LIMIT": "0",
            "WEBSOCKET_MAX_CONNECTIONS": str(most_clients),
        }
        run_python(made, "manage.py", "migrate", "--noinput", "-v0")
        run_python(made, "-m", "tests.sockets.fill")
        yield made


@pytest.fixture(scope="package")
def environment(tmp_path_factory) -> Iterator[dict[str, str]]:
    with filled(tmp_path_factory.mktemp("sockets")) as made:
        yield made


@contextmanager
def running(
    environment: dict[str, str], server: Callable[[int], Sequence[str]] = daphne, **changes: str
) -> Iterator[Site]:
    """A web process of its own on the shared database."""
    port = free_port()
    log = Path(environment["DATA_DIR"]) / f"web{port}.log"
    with web_process(port, environment | changes, log, server) as process:
        yield Site(f"ws://127.0.0.1:{port}", port, process)
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="package")
def site(environment) -> Iterator[Site]:
    with running(environment) as found:
        yield found


@dataclass
class Feed:
    """Stands for the feed: publishes states of symbols, each with the next seq."""

    published: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)

    def message(self, symbol: str, market: str = "SPOT", status: str = "connected", **shape) -> Publication:
        said = self.published.setdefault((market, symbol), [])
        now = int(time.time() * 1000)
        shape = {"mid": 100.0 + len(said) * 0.01, "read_at": now} | shape
        made = state_message(told(market=market, symbol=symbol, **shape), status, now, len(said) + 1)
        said.append(made.body)
        return made

    def publish(self, *symbols: str, **shape) -> None:
        publish(broker_redis(), [self.message(symbol, **shape) for symbol in symbols])


@pytest.fixture
def feed(empty_redis) -> Feed:
    return Feed()
