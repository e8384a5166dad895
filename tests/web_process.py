"""A web process as a deployment has it, on a port and a database of its own, for the tests that ask it from outside."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg

from tradingplatform import supervisor

ROOT = Path(__file__).resolve().parents[1]
APPLICATION = "tradingplatform.asgi:application"
UVICORN = ("--ws", "websockets-sansio", "--ws-ping-interval", "20", "--ws-ping-timeout", "40", "--log-level", "warning")
SHARE, MOST_SHARES = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")), 16


def free_port() -> int:
    """A loopback port that nothing holds; test processes that run side by side are never given the same one."""
    return supervisor.free_port(supervisor.PRIVATE_PORTS[SHARE % MOST_SHARES :: MOST_SHARES])


def run_python(environment: Mapping[str, str], *arguments: object) -> str:
    """What the program prints; it must end well."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout


@contextmanager
def new_database(purpose: str) -> Iterator[str]:
    """The address of an empty database beside the tests' own, gone at the end."""
    name = f"{purpose}_{os.getpid()}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    finally:  # a new connection: a test may have ended the server in between
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def daphne(port: int, application: str = APPLICATION) -> Sequence[str]:
    """The program that serves live sockets with an outlet of their own, as a deployment has it."""
    return "tradingplatform.web", "-b", "127.0.0.1", "-p", str(port), "-v", "0", application


def uvicorn(port: int, application: str = APPLICATION) -> Sequence[str]:
    """Another server, which knows nothing of our outlets."""
    return "uvicorn", "--host", "127.0.0.1", "--port", str(port), *UVICORN, application


@contextmanager
def running(
    port: int, environment: Mapping[str, str], log: Path, server: Callable[[int], Sequence[str]] = daphne
) -> Iterator[subprocess.Popen[bytes]]:
    """A web process that listens on the port."""
    with log.open("wb") as output:
        own = {**environment, "PORT": str(port), "PLATFORM_PROCESS": "web"}
        command = [sys.executable, "-m", *server(port)]
        process = subprocess.Popen(command, cwd=ROOT, env=own, stdout=output, stderr=output)
    try:
        end = time.monotonic() + 90
        while not listens(process, port):
            in_time = time.monotonic() < end and process.poll() is None
            assert in_time, f"the web process does not start:\n{log.read_text()[-3000:]}"
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(90)


def listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether it is this process that listens there: another's answers would be taken for its own."""
    try:
        held = psutil.Process(process.pid).net_connections("tcp")
    except psutil.Error:  # it has ended
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in held)


@contextmanager
def served(port: int, environment: Mapping[str, str], log: Path, clean: bool = True) -> Iterator[str]:
    """The address (no slash at its end) of a web process; `clean`: its log must hold no traceback in the end."""
    with running(port, environment, log):
        yield f"http://127.0.0.1:{port}"
    if clean:
        told = log.read_text()
        assert "Traceback" not in told, told[told.find("Traceback") :][:5000]
        assert "synchronous iterators" not in told
