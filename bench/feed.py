"""The whole feed process: 100 symbols on both markets, ten diffs a second each, from a made-up exchange.

`python -m bench.feed [--symbols N] [--seconds N]`. The exchange is a process of its own that sends diffs of 58 levels;
a diff's id is the millisecond in which it was sent, so that a published state tells how old its newest diff is."""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from aiohttp import WSMsgType, web

from bench.tables import show

ROOT = Path(__file__).resolve().parent.parent
LEVELS = 900  # fewer than are asked for: the whole side
CHANGES = 29  # a side and diff
VARIANTS = 16
EVERY = 0.1
WATCHED = 10  # symbols whose states are read
MARKETS = ("SPOT", "FUTURES")


# --- the exchange ------------------------------------------------------------------------------------------------


class Exchange:
    """Speaks as little of Binance's protocol as a feed needs."""

    def __init__(self) -> None:
        chooser = random.Random(7)
        self.last = 0  # id of the newest diff of every symbol
        self.bids = [f'["{1000 - step}.00","{1 + step % 7}.5"]' for step in range(LEVELS)]
        self.asks = [f'["{1001 + step}.00","{1 + step % 7}.5"]' for step in range(LEVELS)]
        self.changes = [self._variant(chooser) for _ in range(VARIANTS)]

    def _variant(self, chooser: random.Random) -> str:
        def side(best: int, sign: int) -> str:
            steps = chooser.sample(range(LEVELS), CHANGES)
            # Some go and come again; the best never does.
            quantities = (0 if step and chooser.random() < 0.2 else chooser.randrange(1, 900) / 100 for step in steps)
            levels = (
                f'["{best + sign * step}.00","{quantity:.5f}"]'
                for step, quantity in zip(steps, quantities, strict=True)
            )
            return ",".join(levels)

        return f'"b":[{side(1000, -1)}],"a":[{side(1001, 1)}]'

    async def depth(self, request: web.Request) -> web.Response:
        limit = int(request.query["limit"])
        sides = f'"bids":[{",".join(self.bids[:limit])}],"asks":[{",".join(self.asks[:limit])}]'
        return web.Response(text=f'{{"lastUpdateId":{self.last},{sides}}}', content_type="application/json")

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        streams: list[str] = []
        sending = asyncio.create_task(self._send(socket, streams, request.path.startswith("/public")))
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                body = json.loads(message.data)
                streams.extend(body["params"])
                await socket.send_str(json.dumps({"result": None, "id": body["id"]}))
        sending.cancel()
        return socket

    async def _send(self, socket: web.WebSocketResponse, streams: list[str], futures: bool) -> None:
        """Every stream ten times a second, one after the other, as evenly as that goes."""
        last: dict[str, int] = {}
        due = time.monotonic()
        while True:
            names = list(streams)
            due = max(due + EVERY, time.monotonic() - EVERY)
            for index, name in enumerate(names):
                if index % 10 == 0:
                    await asyncio.sleep(max(0, due - EVERY * (1 - index / len(names)) - time.monotonic()))
                self.last = now = max(round(time.time() * 1000), last.get(name, 0) + 1)
                before, last[name] = last.get(name, now - 1), now
                ids = f'"E":{now},"s":"{name.partition("@")[0].upper()}","U":{before + 1},"u":{now},'
                ids += f'"T":{now},"pu":{before},' if futures else ""
                changes = self.changes[(now // 100 + index) % VARIANTS]
                await socket.send_str(f'{{"stream":"{name}","data":{{"e":"depthUpdate",{ids}{changes}}}}}')
            await asyncio.sleep(max(0.0, due - time.monotonic()))


def serve(port_file: str) -> None:
    exchange = Exchange()

    async def run() -> None:
        app = web.Application()
        for path in ("/api/v3/depth", "/fapi/v1/depth"):
            app.router.add_get(path, exchange.depth)
        for path in ("/stream", "/public/stream"):
            app.router.add_get(path, exchange.stream)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        Path(port_file).write_text(str(port))
        await asyncio.Event().wait()

    asyncio.run(run())


# --- the measurement ---------------------------------------------------------------------------------------------


def main(symbols: int = 100, seconds: int = 30) -> None:
    from bench import database

    print(f"storage: {database.ready()}")
    from django.conf import settings

    folder = Path(settings.ENV.data_dir) / "feed"
    folder.mkdir(exist_ok=True)
    (folder / "port").unlink(missing_ok=True)
    with _process([sys.executable, "-m", "bench.feed", "--serve", str(folder / "port")]) as exchange:
        while not (folder / "port").exists() or not (folder / "port").read_text():
            time.sleep(0.05)
        port = (folder / "port").read_text()
        names = _register(symbols)
        environ = {f"BINANCE_{m}_REST_URL": f"http://127.0.0.1:{port}" for m in MARKETS}
        environ |= {f"BINANCE_{m}_WS_URL": f"ws://127.0.0.1:{port}" for m in MARKETS}
        environ |= {"SPOT_STREAMS": "depth", "FUTURES_STREAMS": "depth"}
        argv = [sys.executable, "manage.py", "run_feed"]
        with _process(argv, **environ, PLATFORM_PROCESS="feed", LOG_LEVEL="WARNING") as feed:
            _wait_for_books(2 * symbols)
            _measure(psutil.Process(feed.pid), psutil.Process(exchange.pid), names, seconds)


@contextmanager
def _process(argv: list[str], **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(argv, cwd=ROOT, env=os.environ | environ)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(15)


def _register(symbols: int) -> list[str]:
    from collector.models import VenueLimit
    from markets.models import Symbol

    names = [f"BENCH{number:03}USDT" for number in range(symbols)]
    steps = {"tick_size": "0.01", "lot_size": "0.00001", "status": "TRADING", "quote": "USDT"}
    chosen = {"collected": True, "live": True, "depth_limit": 1000}
    Symbol.objects.all().delete()
    Symbol.objects.bulk_create(
        Symbol(market=market, name=name, base=name[:-4], **steps, **chosen) for name in names for market in MARKETS
    )
    for market in MARKETS:
        limit = {"weight_per_minute": 10**7, "clock_offset_ms": 0, "checked_at": "2026-01-01T00:00:00Z"}
        VenueLimit.objects.update_or_create(exchange="binance", market=market, defaults=limit)
    return names


def _reports() -> list:
    from collector.feed.figures import reports

    return reports()


def _wait_for_books(books: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if sum(book.status == "connected" for report in _reports() for book in report.books) == books:
            time.sleep(3)  # the first snapshots are worked off
            return
        time.sleep(0.5)
    sys.exit(f"not every one of {books} books became right")


def _measure(feed: psutil.Process, exchange: psutil.Process, names: list[str], seconds: int) -> None:
    from markets.connections import broker_redis

    watched = [(market, name) for name in names[:: max(1, len(names) // (WATCHED // 2))] for market in MARKETS]
    pubsub = broker_redis().pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe(*(f"live:{market}:{name}" for market, name in watched))
    ages, held, end = [], [], time.monotonic() + seconds
    before, begun, load = [one.cpu_times() for one in (feed, exchange)], time.monotonic(), psutil.cpu_percent()
    (first,) = _reports()
    while time.monotonic() < end:
        message = pubsub.get_message(timeout=0.5)
        if message:
            now = time.time() * 1000
            body = json.loads(message["data"])
            ages.append(body["publishedAt"] - body["lastUpdateId"])
            held.append(now - body["publishedAt"])
    load, passed = psutil.cpu_percent(), time.monotonic() - begun
    (last,) = _reports()
    after = [one.cpu_times() for one in (feed, exchange)]
    shares = [((b.user + b.system) - (a.user + a.system)) / passed * 100 for a, b in zip(before, after, strict=True)]
    span = last.at - first.at
    rows = [
        ("messages/s", (last.messages - first.messages) / span),
        ("states published/s", (last.published - first.published) / span),
        ("diff to publication, ms: p50", _share(ages, 0.5)),
        ("  p95", _share(ages, 0.95)),
        ("  p99", _share(ages, 0.99)),
        ("  most", max(ages)),
        ("publication to reader, ms: p50", _share(held, 0.5)),
        ("CPU of the feed, % of a core", shares[0]),
        ("CPU of the exchange, % of a core", shares[1]),
        ("load of the machine, % of all cores", load),
        ("memory of the feed, MiB", last.memory / 2**20),
        ("messages waiting", last.waiting),
        ("messages dropped", last.dropped),
        ("resyncs", sum(book.resyncs for book in last.books)),
        ("books right", sum(book.status == "connected" for book in last.books)),
    ]
    show(("", "value"), [(name, round(value, 1)) for name, value in rows])


def _share(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--serve")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
    else:
        main(options.symbols, options.seconds)
