"""A simulator in a process of its own, on a free loopback port, and clients of its sockets."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket

ROOT = Path(__file__).parents[2]


class Server:
    """A running simulator and a client of it."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.session = requests.Session()

    def get(self, path: str, timeout: float = 40, **params: Any) -> requests.Response:
        return self.session.get(self.url + path, params=params, timeout=timeout)

    def fault(self, **fault: Any) -> dict[str, Any]:
        answer = self.session.post(f"{self.url}/control/faults", json=fault, timeout=40)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def rules(self, **rules: Any) -> None:
        answer = self.session.post(f"{self.url}/control/streams", json=rules, timeout=40)
        assert answer.status_code == 200, answer.text

    def streams(self) -> dict[str, Any]:
        return self.get("/control/streams").json()

    def socket(self, path: str, timeout: float = 30, receive_buffer: int | None = None) -> "Socket":
        return Socket(f"ws://127.0.0.1:{self.port}{path}", timeout, receive_buffer)

    def limits(self, **limits: Any) -> None:
        answer = self.session.post(f"{self.url}/control/limits", json=limits, timeout=40)
        assert answer.status_code == 200, answer.text

    def control(self) -> dict[str, Any]:
        return self.get("/control").json()

    def reset(self) -> None:
        for path in ("faults", "limits", "counters", "streams"):
            assert self.session.delete(f"{self.url}/control/{path}", timeout=40).status_code == 200
        for market, weight in (("spot", 6000), ("futures", 2400)):
            self.limits(market=market, weight=weight, enforced=True, tolerance=20, ban_seconds=120)


class Socket:
    """A WebSocket client that tells pings and closes apart from messages."""

    def __init__(self, url: str, timeout: float, receive_buffer: int | None = None) -> None:
        options = [(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)] if receive_buffer else []
        self.socket = websocket.create_connection(
            url, timeout=timeout, skip_utf8_validation=True, sockopt=options, suppress_origin=True
        )

    def __enter__(self) -> "Socket":
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.shutdown()

    def ask(self, method: str, *params: Any, number: Any = 1) -> Any:
        """A request's answer; messages of streams before it are thrown away."""
        self.socket.send(json.dumps({"method": method, "params": list(params), "id": number}))
        return self.until(lambda body: isinstance(body, dict) and ("result" in body or "error" in body))

    def receive(self) -> Any:
        return json.loads(self.socket.recv())

    def until(self, wanted: Callable[[Any], bool], seconds: float = 40) -> Any:
        """The first message that is wanted."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            body = self.receive()
            if wanted(body):
                return body
        raise AssertionError("what was wanted did not come")

    def take(self, count: int) -> list[Any]:
        return [self.receive() for _ in range(count)]

    def silent(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        self.socket.settimeout(seconds)
        try:
            self.socket.recv()
        except websocket.WebSocketTimeoutException:
            return True
        return False

    def closed(self, seconds: float = 40) -> int | None:
        """The code of the server's close, which must come in time; None when the connection just ended."""
        self.socket.settimeout(seconds)
        try:
            while True:
                opcode, data = self.socket.recv_data(control_frame=True)
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    return int.from_bytes(data[:2], "big")
        except (websocket.WebSocketConnectionClosedException, ConnectionError):
            return None


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Server]:
    port_file = folder / "port"
    port_file.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--port-file", str(port_file), *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 90
        while not port_file.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the simulator does not start"
            time.sleep(0.02)
        server = Server(process, int(port_file.read_text()))
        with server.session:
            yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=40)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("simulator")) as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    """The same process for all tests, with nothing left of the tests before."""
    shared_server.reset()
    return shared_server


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Any]:
    """Starts a simulator with arguments of its own, as a context manager."""
    return lambda *arguments: running(tmp_path, *arguments)
