"""A thousand live clients of the whole platform for ten minutes: `python -m tests.soak.sockets [clients] [seconds]`.

Every frame that a client gets has to be a state that the feed published, every such state the simulated exchange's true
book at its update id, none older than one that came before it; the web process must not grow after the second minute,
and clients that do not read are closed and cost the others nothing. Ends with a table, and with 1 where one of these
does not hold. How long a state takes is measured by `python -m bench sockets`."""

import asyncio
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import psutil
import redis
from websockets.asyncio.client import connect

from tests.platform.kills import child
from tests.platform.running import Platform
from tests.sockets.raw import RawClient
from tradingplatform.env import read_file

SYMBOLS = 25  # live ones, on both markets
SLOW = 20  # clients that never read
AT_ONCE = 50  # connections that are opened together
CHECKED = 3000  # states that are held against the exchange's books
GROWTH = 1.10  # of the web process between the end of the second minute and the end


class Head(msgspec.Struct):
    """What is read of every frame."""

    type: str = ""
    seq: int = 0


@dataclass
class Told:
    """What the feed published, as heard beside the clients: digest of each frame to its symbol, and a sample whole."""

    digests: dict[int, str] = field(default_factory=dict)
    sample: list[bytes] = field(default_factory=list)
    states: int = 0

    def hear(self, client: redis.Redis, every: int, ended: threading.Event) -> None:
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        pubsub.psubscribe("live:SPOT:*", "live:FUTURES:*")
        while not ended.is_set():
            message = pubsub.get_message(timeout=0.2)
            if message is None or b'"type":"update"' not in message["data"][:40]:
                continue
            self.states += 1
            self.digests[hash(message["data"])] = message["channel"].decode().removeprefix("live:")
            if self.states % every == 0:
                self.sample.append(message["data"])


@dataclass
class Client:
    """What one client got."""

    key: str
    digests: list[int] = field(default_factory=list)
    last: int = 0
    skipped: int = 0
    disordered: int = 0
    first: str = ""

    def take(self, frame: bytes) -> None:
        head = msgspec.json.decode(frame, type=Head)
        self.first = self.first or head.type
        if head.type not in {"snapshot", "update"}:
            return
        self.disordered += head.seq <= self.last
        self.skipped += head.seq - self.last - 1 if self.last else 0
        self.last = head.seq
        if head.type == "update":
            self.digests.append(hash(frame))


async def listen(client: Client, address: str, gate: asyncio.Semaphore, until: float) -> None:
    market, symbol = client.key.split(":")
    async with gate:
        socket = await connect(f"{address}/ws/depth?symbol={symbol}&market={market}", compression=None, open_timeout=60)
    async with socket:
        while (left := until - time.monotonic()) > 0:
            try:
                client.take(await asyncio.wait_for(socket.recv(decode=False), left))
            except TimeoutError:
                return


def closed(client: RawClient) -> bool:
    """Whether a client that did not read finds, behind what was kept for it, the connection's end."""
    try:
        while True:
            client.frame()
    except EOFError:
        return True
    except OSError as error:
        return isinstance(error, ConnectionError)
    finally:
        client.socket.close()


async def crowd(address: str, clients: list[Client], seconds: float, grown: list[float], web: psutil.Process) -> None:
    """Everybody at once, for so long; the web process's memory, MB, every half minute."""
    gate, until = asyncio.Semaphore(AT_ONCE), time.monotonic() + seconds
    readers = [asyncio.create_task(listen(client, address, gate, until)) for client in clients]
    while (left := until - time.monotonic()) > 0:
        await asyncio.sleep(min(30.0, left))
        grown.append(web.memory_info().rss / 1e6)
    await asyncio.gather(*readers)


def wait_for_books(platform: Platform, broker: redis.Redis) -> list[str]:
    """MARKET:SYMBOL of every live book, once all are synced."""

    def all_synced(body: dict[str, Any]) -> bool:
        feed = body["components"]["feed"]
        return feed.get("books", 0) >= SYMBOLS and feed["books"] == feed["synced"]

    platform.wait("live books", "/api/health", all_synced, 300)
    return sorted(key.decode().removeprefix("live:state:") for key in broker.scan_iter("live:state:*"))


def campaign(number: int = 1000, seconds: float = 600.0) -> bool:
    from tests.collector.feeding import wrong_bands, wrong_states

    variables = {
        "SYMBOLS": f"top:{SYMBOLS}",
        "LIVE_SYMBOLS": f"top:{SYMBOLS}",
        "API_RATE_LIMIT": "0",
        "WEBSOCKET_MAX_CONNECTIONS": str(number + 2 * SLOW),
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trading-soak-"))) / "data"
        platform = stack.enter_context(Platform("demo", folder, **variables))
        platform.wait_healthy(240)
        environment = read_file(folder / "environment")
        broker = redis.Redis.from_url(environment["REDIS_URL"])
        keys = wait_for_books(platform, broker)
        told, ended = Told(), threading.Event()
        every = max(1, int(len(keys) * 4 * seconds / CHECKED))
        ear = threading.Thread(target=told.hear, args=(broker, every, ended))
        ear.start()
        address, web = f"ws://127.0.0.1:{platform.port}", child(platform, "web")
        clients = [Client(keys[i % len(keys)]) for i in range(number)]
        paths = ["/ws/depth?market={}&symbol={}".format(*keys[i % len(keys)].split(":")) for i in range(SLOW)]
        stalled = [RawClient(SimpleNamespace(address=address), path) for path in paths]
        grown: list[float] = []
        asyncio.run(crowd(address, clients, seconds, grown, web))
        time.sleep(1)
        ended.set()
        ear.join()
        cut = sum(map(closed, stalled))
    bodies = [msgspec.json.decode(frame) for frame in told.sample]
    right = [body for body in bodies if body["wsStatus"] == "connected"]
    untrue = len(wrong_states(right)) + sum(bool(wrong_bands(body)) for body in right[:: max(1, len(right) // 100)])
    return judge(clients, told, grown, cut, len(right), untrue)


def judge(clients: list[Client], told: Told, grown: list[float], cut: int, checked: int, untrue: int) -> bool:
    """Prints the table; whether all of it holds."""
    got = sum(len(client.digests) for client in clients)
    foreign = sum(told.digests.get(digest) != client.key for client in clients for digest in client.digests)
    unopened = sum(client.first != "snapshot" for client in clients)
    disordered = sum(client.disordered for client in clients)
    skipped = sum(client.skipped for client in clients)
    early = grown[min(3, len(grown) - 1)]
    show("clients", f"{len(clients):,}")
    show("without a first state", f"{unopened:,}")
    show("states published", f"{told.states:,}")
    show("states delivered", f"{got:,}")
    show("skipped, seen by seq", f"{skipped:,} ({skipped / max(1, got):.3%})")
    show("published by nobody", f"{foreign:,}")
    show("old after new", f"{disordered:,}")
    show("checked with the exchange", f"{checked:,}")
    show("not the true book", f"{untrue:,}")
    show("that do not read, closed", f"{cut} of {SLOW}")
    show("web process after 2 min", f"{early:.0f} MB")
    show("web process at the end", f"{grown[-1]:.0f} MB")
    whole = checked > 0 and cut == SLOW and grown[-1] <= GROWTH * early
    return whole and not (unopened or foreign or disordered or untrue)


def show(name: str, figure: str) -> None:
    print(f"{name:>28}  {figure}", flush=True)


if __name__ == "__main__":
    asked = dict(zip(("number", "seconds"), sys.argv[1:], strict=False))
    sys.exit(0 if campaign(int(asked.get("number", 1000)), float(asked.get("seconds", 600))) else 1)
