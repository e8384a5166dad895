"""Answers of the API under load, by the web process as it is deployed; a bare DRF view in the same server is the peer.

Nothing is stored meanwhile, so that answers are made anew once a minute.

100 symbols on both markets: minutes of the last two days, and of the sixty days before that one minute an hour with its
aggregates (BENCH_FULL=1: all of them, 173 million rows; BENCH_SYMBOLS=10: fewer symbols)."""

import asyncio
import itertools
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import requests

from bench import database
from bench.tables import show

ROOT = Path(__file__).resolve().parents[1]
SYMBOLS = [f"S{number:03d}USDT" for number in range(int(os.environ.get("BENCH_SYMBOLS", "100")))]
CLIENTS = (1, 10, 50)
SECONDS = 6.0
DAYS = 60
FILL = """
    INSERT INTO snapshots (symbol, market_type, depth, timestamp, bid_volume, ask_volume, bid_volume_usd,
                           ask_volume_usd, bid_complete, ask_complete)
    SELECT symbol, market, depth, minute, random(), random(), 1e6 * random(), 1e6 * random(), true, depth < 5
    FROM unnest(%(symbols)s::text[]) AS symbol CROSS JOIN unnest(ARRAY['SPOT', 'FUTURES']) AS market
    CROSS JOIN unnest(%(bands)s::numeric[]) AS depth
    CROSS JOIN generate_series(%(first)s::timestamptz, %(last)s::timestamptz, %(step)s::interval) AS minute
    ON CONFLICT DO NOTHING
"""


def main() -> None:
    print(f"storage: {database.ready()}")
    begun = time.perf_counter()
    fill()
    print(f"{len(SYMBOLS)} symbols on both markets made in {time.perf_counter() - begun:.0f} s")
    now = int(time.time())
    addresses = {
        "binance/spot": "binance/spot?symbol={symbol}",
        "chart-data, last hour": "chart-data?symbol={symbol}&depth=5",
        "overview": "overview?depth=5",
        "chart-data, 60 days": f"chart-data?symbol={{symbol}}&depth=5&from={now - DAYS * 86400}&to={now}",
    }
    rows = []
    with served("bench.api:peer") as (peer, _):
        rows += [measured("bare DRF view", [f"{peer}/bare"], clients) for clients in CLIENTS]
    with served("tradingplatform.asgi:application") as (web, _):
        for name, address in addresses.items():
            every = [f"{web}/api/v1/{address.format(symbol=symbol)}" for symbol in SYMBOLS[:20]]
            rows += [measured(name, every, clients) for clients in CLIENTS]
        shown = requests.get(f"{web}/api/v1/status", timeout=60).json()["cache"]
    show(["", "clients", "requests/s", "p50 ms", "p95 ms"], rows)
    print("answers that were kept: " + ", ".join(f"{one['hitPercent']} %" for one in shown if one["name"] == "answers"))


def fill() -> None:
    """The registry, its newest books, minutes, hours and days."""
    from django.conf import settings
    from django.db import connection

    from depth.rollups import refresh

    now = datetime.now(UTC).replace(second=0, microsecond=0)
    books(now)
    step = timedelta(minutes=1) if os.environ.get("BENCH_FULL") == "1" else timedelta(hours=1)
    midnight = now.replace(hour=0, minute=0)
    stretches = [
        (midnight - timedelta(days=DAYS - 1), now - timedelta(days=2), step),
        (now - timedelta(days=2), now, timedelta(minutes=1)),
    ]
    with connection.cursor() as cursor:
        for first, last, each in stretches:
            asked = {"symbols": SYMBOLS, "bands": list(settings.DEPTH_BANDS), "first": first, "last": last}
            cursor.execute(FILL, {**asked, "step": each})
        refresh(datetime.now(UTC))
        cursor.execute("VACUUM ANALYZE")


def books(now: datetime) -> None:
    from depth.services import store_books
    from markets.models import Symbol
    from tests.depth.factories import collected

    facts: dict[str, Any] = {"quote": "USDT", "tick_size": "0.01", "lot_size": "0.001", "status": "TRADING"}
    for market in ("SPOT", "FUTURES"):
        rows = [Symbol(name=name, market=market, base=name[:-4], collected=True, **facts) for name in SYMBOLS]
        Symbol.objects.bulk_create(rows, ignore_conflicts=True)
        store_books([collected(now, symbol=name, market=market, levels=1000, step=0.01) for name in SYMBOLS])


@contextmanager
def served(application: str) -> Iterator[tuple[str, int]]:
    """A web process as the supervisor starts it, its limits counted but never reached; its address and its pid."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ("-b", "127.0.0.1", "-p", str(port), "-v", "0", "--no-server-name", "--application-close-timeout", "3")
    command = [sys.executable, "-m", "tradingplatform.web", *options, application]
    environment = os.environ | {"PLATFORM_PROCESS": "web", "API_RATE_LIMIT": "10000000", "PORT": str(port)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            if not listening(port, process):
                log.seek(0)
                raise RuntimeError(f"the web process does not start:\n{log.read().decode()[-2000:]}")
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()
            process.wait(10)


def listening(port: int, process: subprocess.Popen) -> bool:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        if process.poll() is not None:
            break
        time.sleep(0.1)
    return False


def measured(name: str, addresses: list[str], clients: int) -> list[object]:
    """A row of the table: so many clients ask one after the other for SECONDS, after a second that does not count."""
    taken = asyncio.run(load(addresses, clients))
    taken.sort()
    median, late = taken[len(taken) // 2], taken[int(len(taken) * 0.95)]
    return [name, clients, len(taken) / SECONDS, median * 1000, late * 1000]


async def load(addresses: list[str], clients: int) -> list[float]:
    taken: list[float] = []
    begin = time.perf_counter() + 1
    end = begin + SECONDS

    turn = itertools.count()  # one for all clients: an address comes again only after all the others

    async def ask(session: aiohttp.ClientSession) -> None:
        while (sent := time.perf_counter()) < end:
            async with session.get(addresses[next(turn) % len(addresses)]) as answer:
                body = await answer.read()
                assert answer.status == 200, body
            if sent >= begin:
                taken.append(time.perf_counter() - sent)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=clients)) as session:
        await asyncio.gather(*(ask(session) for _ in range(clients)))
    return taken


def bare_view() -> Any:
    """The peer: the same server and middleware, and a DRF view that does nothing."""
    from tradingplatform.asgi import application  # sets Django up

    from django.conf import settings  # isort: skip
    from django.urls import path
    from rest_framework.response import Response
    from rest_framework.views import APIView

    class Bare(APIView):
        authentication_classes = permission_classes = throttle_classes = ()

        def get(self, request: Any) -> Response:
            return Response({"success": True})

    settings.ROOT_URLCONF = type("Addresses", (), {"urlpatterns": [path("bare", Bare.as_view())]})
    return application


def __getattr__(name: str) -> Any:
    if name == "peer":
        return bare_view()
    raise AttributeError(name)
