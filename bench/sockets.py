"""Live order books to many clients: how long a state takes from its publication, and what a connection costs.

One web process as it is deployed, its Redis, a publisher and the clients all share this machine. The peer is the plain
way of the same libraries: a Channels consumer for each client, a group for each symbol. The same application is served
by uvicorn, too (websockets-sansio), without the outlet that Daphne has here.
BENCH_CLIENTS, BENCH_SECONDS and BENCH_HERTZ change the size (1000 clients over 50 symbols, 15 s, 4 Hz)."""

import asyncio
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path

import msgspec
import psutil

from bench import database
from bench.tables import show
from tests.web_process import APPLICATION, daphne, uvicorn

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = int(os.environ.get("BENCH_CLIENTS", "1000"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "15"))
HERTZ = float(os.environ.get("BENCH_HERTZ", "4"))
SYMBOLS = [f"S{number:02}USDT" for number in range(50)]
READERS = 2  # processes that hold the clients

Server = Callable[[int, str], Sequence[str]]  # the program that serves an application on a port


class Stamp(msgspec.Struct):
    """What a client reads of a message. `publishedAt` is epoch milliseconds."""

    type: str = ""
    seq: int = 0
    sentAt: float = 0.0  # noqa: N815


@dataclass
class Heard:
    """What clients got: seconds from publication to arrival, states, and states that they skipped."""

    delays: list[float] = field(default_factory=list)
    skipped: int = 0
    first: float = 0.0
    last: float = 0.0


class Client(asyncio.Protocol):
    """The least a client can be: its own cost must not hide the server's."""

    def __init__(self, address: tuple[str, int], path: str, heard: Heard, opened: asyncio.Event) -> None:
        self.heard, self.opened, self.buffer, self.seq = heard, opened, bytearray(), 0
        self.shaken = False
        key = b64encode(os.urandom(16)).decode()
        head = (
            f"GET {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        )
        self.request = f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.shaken:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            del self.buffer[: end + 4]
            self.shaken = True
            self.opened.set()
        while self.frame():
            pass

    def frame(self) -> bool:
        if len(self.buffer) < 4:
            return False
        start, size = (4, int.from_bytes(self.buffer[2:4], "big")) if self.buffer[1] == 126 else (2, self.buffer[1])
        if len(self.buffer) < start + size:
            return False
        if self.buffer[0] == 0x81:
            self.state(bytes(self.buffer[start : start + size]))
        del self.buffer[: start + size]
        return True

    def state(self, text: bytes) -> None:
        stamp = msgspec.json.decode(text, type=Stamp)
        if stamp.type == "update" and stamp.sentAt:
            self.heard.last = now = time.time()
            self.heard.first = self.heard.first or now
            self.heard.delays.append(now - stamp.sentAt)
            if self.seq:
                self.heard.skipped += stamp.seq - self.seq - 1
            self.seq = stamp.seq


def hold(
    make: Callable[[int, Heard, asyncio.Event], Client],
    address: tuple[str, int],
    count: int,
    ready: Event,
    stop: Event,
    results: object,
) -> None:
    """In a process of its own: opens `count` clients, each made of its number; tells what they heard until `stop`."""

    async def run() -> Heard:
        heard, loop = Heard(), asyncio.get_running_loop()
        for number in range(count):
            opened = asyncio.Event()
            await loop.create_connection(partial(make, number, heard, opened), *address)
            await opened.wait()
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.1)
        return heard

    results.put(asyncio.run(run()))  # type: ignore[attr-defined]


def client(address: tuple[str, int], path: str, number: int, heard: Heard, opened: asyncio.Event) -> Client:
    return Client(address, path.format(symbol=SYMBOLS[number % len(SYMBOLS)]), heard, opened)


@dataclass
class Load:
    """What a crowd heard, what the server needed meanwhile (percent of a core), and what an idle client costs (KiB)."""

    heard: list[Heard]
    cpu: float
    memory: float

    @property
    def skipped(self) -> int:
        return sum(share.skipped for share in self.heard)

    @property
    def delays(self) -> list[float]:
        """Milliseconds, the shortest first."""
        return sorted(delay * 1000 for share in self.heard for delay in share.delays)

    def tiers(self) -> list[float]:
        """Deliveries in a second; p50, p95 and p99 of the delays."""
        delays = self.delays
        taken = max(share.last for share in self.heard) - min(share.first for share in self.heard)
        return [len(delays) / taken, *(delays[int(len(delays) * part)] for part in (0.5, 0.95, 0.99))]


def load(
    process: psutil.Process,
    address: tuple[str, int],
    make: Callable[[int, Heard, asyncio.Event], Client],
    publish: Callable[[Event, Event], None],
    clients: int,
    seconds: float,
) -> Load:
    """A crowd in READERS processes and a publisher in one more, all of them started anew, for so long."""
    context = multiprocessing.get_context("spawn")
    before = process.memory_info().rss
    stop, results = context.Event(), context.Queue()
    flags = [context.Event() for _ in range(READERS)]
    shares = [(make, address, clients // READERS, flag, stop, results) for flag in flags]
    readers = [context.Process(target=hold, args=share) for share in shares]
    for one in readers:
        one.start()
    if not all(flag.wait(120) for flag in flags):
        raise TimeoutError("the clients are not connected within two minutes")
    time.sleep(1)
    memory = (process.memory_info().rss - before) / 1024 / (clients // READERS * READERS)
    begun = context.Event()
    publisher = context.Process(target=publish, args=(begun, stop))
    publisher.start()
    if not begun.wait(120):
        raise TimeoutError("nothing is published within two minutes")
    time.sleep(2)
    process.cpu_percent()
    time.sleep(seconds)
    cpu = process.cpu_percent()
    stop.set()
    heard = [results.get(timeout=60) for _ in readers]
    for one in (*readers, publisher):
        one.join(20)
    return Load(heard, cpu, memory)


def publish(channel_layer: bool, ready: Event, stop: Event) -> None:
    """The feed's part: states of every symbol, spread over each period, as it publishes them."""
    import django

    django.setup()
    from channels.layers import get_channel_layer

    from depth.broadcast import Publication, state_body
    from depth.broadcast import publish as send
    from markets.connections import broker_redis
    from tests.depth.test_broadcast import told

    books = {symbol: told(symbol=symbol, levels=200, step=0.01) for symbol in SYMBOLS}
    layer = get_channel_layer() if channel_layer else None

    async def run() -> None:
        seq = 0
        ready.set()
        while not stop.is_set():
            begun, seq = time.time(), seq + 1
            for place, (symbol, book) in enumerate(books.items()):
                await asyncio.sleep(max(0.0, begun + place / len(SYMBOLS) / HERTZ - time.time()))
                now = time.time()
                body = msgspec.json.encode(state_body(book, "connected", int(now * 1000), seq) | {"sentAt": now})
                if layer is None:
                    send(broker_redis(), [Publication("SPOT", symbol, seq, body)])
                else:
                    await layer.group_send(f"book.{symbol}", {"type": "book", "text": body.decode()})
            await asyncio.sleep(max(0.0, begun + 1 / HERTZ - time.time()))

    asyncio.run(run())


def main() -> None:
    database.ready()
    fill()
    rows = [
        measured("this project", APPLICATION, "/ws/depth?symbol={symbol}", False),
        measured("this project, uvicorn", APPLICATION, "/ws/depth?symbol={symbol}", False, uvicorn),
        measured("Channels consumers", "bench.socket_peer:application", "/{symbol}", True),
    ]
    print(f"{CLIENTS} clients, {len(SYMBOLS)} symbols, {HERTZ:g} Hz: {CLIENTS * HERTZ:g} deliveries/s asked for")
    show(["", "deliveries/s", "skipped %", "p50 ms", "p95 ms", "p99 ms", "CPU %", "idle KiB/conn"], rows)


def measured(name: str, application: str, path: str, channel_layer: bool, server: Server = daphne) -> list[object]:
    with served(application, server) as (address, process):
        found = load(
            process, address, partial(client, address, path), partial(publish, channel_layer), CLIENTS, SECONDS
        )
    rate, *tiers = found.tiers()
    share = 100 * found.skipped / (len(found.delays) + found.skipped)
    return [name, rate, share, *tiers, found.cpu, found.memory]


def fill() -> None:
    from tests.sockets.fill import fill as registry

    registry()


@contextmanager
def served(application: str, server: Server = daphne) -> Iterator[tuple[tuple[str, int], psutil.Process]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    own = {"PLATFORM_PROCESS": "web", "API_RATE_LIMIT": "0", "WEBSOCKET_MAX_CONNECTIONS": "5000"}
    command = [sys.executable, "-m", *server(address[1], application)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **own}, stdout=log, stderr=subprocess.STDOUT)
        try:
            for _ in range(600):
                with suppress(OSError), socket.create_connection(address, 1):
                    break
                time.sleep(0.1)
            yield address, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(15)
