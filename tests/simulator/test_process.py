"""The simulator as a process: how it starts, tells its address, and ends."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.simulator.conftest import ROOT

COMMAND = [sys.executable, "-m", "simulator"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_even_with_requests_under_way(start: Any, number: signal.Signals) -> None:
    with start() as server:
        server.fault(kind="timeout", path="/ping")
        broken: list[Exception] = []

        def wait_for_ever() -> None:
            try:
                requests.get(f"{server.url}/api/v3/ping", timeout=100)
            except requests.exceptions.ConnectionError as error:
                broken.append(error)

        waiting = threading.Thread(target=wait_for_ever)
        waiting.start()
        while server.control()["faults"][0]["met"] == 0:
            pass
        server.process.send_signal(number)
        output, errors = server.process.communicate(timeout=40)
        waiting.join(timeout=40)
        assert server.process.returncode == 0
        assert output == f"simulator listens on http://127.0.0.1:{server.port}\n"
        assert errors == ""
        assert len(broken) == 1


def test_faults_leave_no_noise(start: Any) -> None:
    with start() as server:
        for kind in ("truncate", "disconnect", "timeout"):
            server.fault(kind=kind, count=1)
            with pytest.raises(requests.exceptions.RequestException):
                requests.get(f"{server.url}/api/v3/exchangeInfo", timeout=3)
        assert server.get("/api/v3/ping").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.communicate(timeout=40)[1] == ""


@pytest.mark.parametrize("content", [b"no book", b""])
def test_a_replay_that_cannot_be_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    ended = subprocess.run(
        [*COMMAND, "--replay", str(path)], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("simulator: ")
    assert ended.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_told(start: Any) -> None:
    with start() as server:
        ended = subprocess.run(
            [*COMMAND, "--port", str(server.port)], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
        )
        assert ended.returncode == 1
        assert "address already in use" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_open_sockets_are_told_that_it_ends(start: Any, number: signal.Signals) -> None:
    with start() as server:
        socket, cut = server.socket("/ws/btcusdt@depth@100ms"), server.socket("/market/ws/!markPrice@arr@1s")
        socket.receive()
        server.fault(kind="cut", market="futures")
        server.process.send_signal(number)
        assert socket.closed() == 1001
        assert cut.closed() is None
        assert server.process.communicate(timeout=40)[1] == ""
        assert server.process.returncode == 0


def test_futures_old_addresses_have_a_port_of_their_own_and_speak_of_books_only(start: Any) -> None:
    with start("--futures-port", "0") as server:
        assert server.process.stdout is not None
        lines = [server.process.stdout.readline() for _ in range(2)]
        server.port = int(lines[1].rsplit(":", 1)[1])
        with server.socket("/ws/btcusdt@depth@100ms") as socket, server.socket("/ws/btcusdt@aggTrade") as silent:
            assert "pu" in socket.receive()
            assert silent.silent(0.6)
        with server.socket("/market/ws/btcusdt@aggTrade") as routed:
            assert routed.receive()["e"] == "aggTrade"
