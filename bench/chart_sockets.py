"""Live candles and indicators to many clients of /ws/chart-data: how long a price takes from its publication.

One web process as it is deployed, its Redis, a publisher and the clients all share this machine. Each client subscribes
to one of twenty series. BENCH_CLIENTS, BENCH_SECONDS change the size (1000 clients, 10 s a row)."""

import asyncio
import json
import os
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.synchronize import Event

import msgspec

from bench import database
from bench.sockets import Client, Heard, load, served
from bench.tables import show

CLIENTS = int(os.environ.get("BENCH_CLIENTS", "1000"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "10"))
SYMBOLS = [f"S{number:02}USDT" for number in range(20)]
TICK = 10_000  # trades count the parts of a second since the bench began: so a price tells when it was published
INDICATORS = ["sma", "ema", "bollinger", "rsi", "macd"]
ROWS = (("prices, 4 Hz", [], 4.0), ("and five indicators, 1 Hz", INDICATORS, 1.0), ("and five, 4 Hz", INDICATORS, 4.0))


class Price(msgspec.Struct):
    trades: int = 0


class Told(msgspec.Struct):
    type: str = ""
    data: Price | None = None


class ChartClient(Client):
    """Subscribes once it is let in."""

    began = 0.0
    wanted = b""
    updates = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        fresh = not self.shaken
        super().data_received(data)
        if fresh and self.shaken:
            head = bytes((0x81, 0x80 | len(self.wanted), 0, 0, 0, 0))  # masked with nothing
            self.transport.write(head + self.wanted)  # type: ignore[attr-defined]

    def state(self, text: bytes) -> None:
        if b'"type":"price_update"' not in text[:30]:
            return
        told = msgspec.json.decode(text, type=Told)
        if told.data is not None and told.data.trades > 1000:
            now = time.time()
            self.heard.first, self.heard.last = self.heard.first or now, now
            self.heard.delays.append(now - self.began - told.data.trades / TICK)


def client(
    address: tuple[str, int], indicators: list[str], began: float, number: int, heard: Heard, opened: asyncio.Event
) -> ChartClient:
    made = ChartClient(address, "/ws/chart-data", heard, opened)
    symbol = SYMBOLS[number % len(SYMBOLS)]
    asked = {"action": "subscribe", "symbol": symbol, "timeframe": "1", "indicators": indicators}
    made.began, made.wanted = began, json.dumps(asked, separators=(",", ":")).encode()
    return made


def publish(hertz: float, began: float, ready: Event, stop: Event) -> None:
    """The feed's part: the open minute of every series, spread over each period."""
    import django

    django.setup()
    from msgspec.structs import replace

    from candles.broadcast import publish as send
    from candles.candle import SeriesKey
    from markets.connections import broker_redis
    from tests.candles.factories import kline

    row = kline(datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1))
    ready.set()
    while not stop.is_set():
        turn = time.time()
        for place, symbol in enumerate(SYMBOLS):
            time.sleep(max(0.0, turn + place / len(SYMBOLS) / hertz - time.time()))
            told = replace(row, trades=int((time.time() - began) * TICK))
            send(broker_redis(), [(SeriesKey("binance", "SPOT", symbol), told, False)])
        time.sleep(max(0.0, turn + 1 / hertz - time.time()))


def main() -> None:
    database.ready()
    fill()
    print(f"{CLIENTS} clients over {len(SYMBOLS)} series; a price and its indicators are messages of their own")
    rows = [measured(*row) for row in ROWS]
    show(["", "prices/s asked for", "prices/s", "p50 ms", "p95 ms", "p99 ms", "CPU %"], rows)


def measured(name: str, indicators: list[str], hertz: float) -> list[object]:
    began = time.time()
    with served("tradingplatform.asgi:application") as (address, process):
        make = partial(client, address, indicators, began)
        found = load(process, address, make, partial(publish, hertz, began), CLIENTS, SECONDS)
    return [name, CLIENTS * hertz, *found.tiers(), found.cpu]


def fill() -> None:
    from candles.candle import SeriesKey
    from candles.services import store_klines
    from tests.candles.factories import MINUTE, klines
    from tests.sockets.fill import fill as registry
    from tradingplatform.timescale import provision

    registry()
    provision()
    start = datetime.now(UTC).replace(second=0, microsecond=0) - 1500 * MINUTE
    store_klines([(SeriesKey("binance", "SPOT", symbol), klines(start, 1500)) for symbol in SYMBOLS])
