"""A web process as a deployment has it, on a port and a database of its own, for the tests that ask it from outside."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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


@contextmanager
def served(port: int, environment: Mapping[str, str], log: Path, clean: bool = True) -> Iterator[str]:
    """The address (no slash at its end) of a web process; `clean`: its log must hold no traceback in the end."""
    program = ("tradingplatform.web", "-b", "127.0.0.1", "-p", str(port), "tradingplatform.asgi:application")
    with log.open("wb") as output:
        own = {**environment, "PLATFORM_PROCESS": "web"}
        command = [sys.executable, "-m", *program]
        process = subprocess.Popen(command, cwd=ROOT, env=own, stdout=output, stderr=output)
    try:
        _wait_for(port, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)
    if clean:
        told = log.read_text()
        assert "Traceback" not in told, told[told.find("Traceback") :][:5000]
        assert "synchronous iterators" not in told


def _wait_for(port: int, process: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the web process does not start:\n{log.read_text()[-3000:]}")
