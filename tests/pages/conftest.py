"""A real web process on a filled test database, and a real Chromium that watches its own console."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass
class Web:
    """The running web process. `address` has no slash at its end; `now` is when the newest books were read."""

    address: str
    now: float
    environment: dict[str, str]
    filled: float  # when its history was made: `market` counts its gap back from here

    def keep_fresh(self) -> None:
        """Stores the minutes that have passed, so that a long run of tests does not end on old books."""
        if time.time() - self.now > 45:
            self.now = float(run_python(self.environment, "-m", "tests.pages.market", "continue", self.now))

    def add(self, name: str, market: str, moment: float, price: float, *bid_levels: int) -> None:
        """Stores one more book, as the collector would."""
        run_python(self.environment, "-m", "tests.pages.market", "add", name, market, moment, price, *bid_levels)


def run_python(environment: dict[str, str], *arguments: object) -> str:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + 40
    while time.monotonic() < until:
        with socket.socket() as probe:
            if process.poll() is None and probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"the web process does not start:\n{log.read_text()[-3000:]}")


@contextmanager
def new_database() -> Iterator[str]:
    """The address of an empty database beside the tests' own, gone at the end."""
    name = f"pages_{os.getpid()}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def web(tmp_path_factory) -> Iterator[Web]:
    """The web process as a deployment has it: static files collected, Daphne, a database filled by `market`."""
    if chromium() is None:
        pytest.skip("no Chromium on this machine: the browser tests need one")
    folder, port = tmp_path_factory.mktemp("web"), free_port()
    with new_database() as database:
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tradingplatform.settings",
            "DATABASE_URL": database,
            "DATA_DIR": str(folder),
            "PORT": str(port),
            "SIMULATED_MARKET": "1",
            "API_RATE_LIMIT": "0",
        }
        run_python(environment, "manage.py", "migrate", "--noinput", "-v0")
        run_python(environment, "manage.py", "collectstatic", "--noinput", "-v0")
        now = float(run_python(environment, "-m", "tests.pages.market", "fill"))
        with served(port, environment, folder / "web.log") as address:
            yield Web(address, now, environment, now)


@contextmanager
def served(port: int, environment: dict[str, str], log: Path) -> Iterator[str]:
    command = [
        sys.executable,
        "-m",
        "tradingplatform.web",
        "-b",
        "127.0.0.1",
        "-p",
        str(port),
        "tradingplatform.asgi:application",
    ]
    with log.open("wb") as output:
        own = environment | {"PLATFORM_PROCESS": "web"}
        process = subprocess.Popen(command, cwd=ROOT, env=own, stdout=output, stderr=output)
    try:
        wait_for(port, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
    assert "Traceback" not in log.read_text()
    assert "synchronous iterators" not in log.read_text()


@pytest.fixture(scope="package")
def browser(web) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield opened
        opened.close()


class Watch:
    """What a page said and asked for; `expected` are parts of messages that a test provokes itself."""

    def __init__(self, page, address: str) -> None:
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.foreign: list[str] = []
        self.expected: list[str] = []
        self.address = address
        page.on("console", lambda message: self._console(message))
        page.on("pageerror", lambda error: self.messages.append(f"uncaught: {error}"))
        page.on("request", lambda request: self._request(request.url))

    def _console(self, message) -> None:
        if message.type in {"error", "warning"}:
            self.messages.append(f"{message.type}: {message.text} {message.location.get('url', '')}")

    def _request(self, url: str) -> None:
        self.requests.append(url)
        if not url.startswith((self.address, "blob:", "data:")):
            self.foreign.append(url)

    def data_requests(self) -> list[str]:
        return [url for url in self.requests if "/charts/data" in url]

    def check(self) -> None:
        unexpected = [text for text in self.messages if not any(part in text for part in self.expected)]
        assert unexpected == []
        assert self.foreign == []


@pytest.fixture
def open_page(web, browser):
    """`open_page(path, viewport=..., cookies=...)` gives (page, watch); consoles are checked at the end."""
    contexts, watches = [], []
    web.keep_fresh()

    def opened(path: str = "/charts/", viewport=WIDE, cookies=None, ready=True, **options):
        context = browser.new_context(viewport=viewport, base_url=web.address, **options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        for name, value in (cookies or {}).items():
            context.add_cookies([{"name": name, "value": value, "url": web.address}])
        page = context.new_page()
        watches.append(Watch(page, web.address))
        page.goto(path)
        if ready:
            page.wait_for_function("() => performance.getEntriesByName('chart-drawn').length > 0")
        return page, watches[-1]

    yield opened
    for context in contexts:
        context.close()
    for watch in watches:
        watch.check()
