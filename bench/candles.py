"""Candles: history fetched and stored without a limit, the share of a budget that is used, reading a year of them."""

import json
import math
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench import database
from bench.tables import show

ROOT = Path(__file__).resolve().parents[1]
SYMBOLS = 12
DAYS = 14
BUDGET = 1200  # request weight a minute that history may use
MINUTES = 3
ROUNDS = 30
YEAR_SYMBOLS, YEAR_DAYS = 5, 365
YEAR = """
    INSERT INTO candles (exchange, market_type, symbol, timestamp, open_time, close_time, open_price, high_price,
        low_price, close_price, volume, quote_volume, trades, taker_buy_volume, taker_buy_quote_volume)
    SELECT 'binance', 'SPOT', 'YEARUSDT', extract(epoch FROM minute) * 1000, minute, minute + INTERVAL '59.999 s',
        p, p + 0.5, p - 0.5, p + 0.25, 3.14159, round(p * 3.14159, 5), 100, 1.5, round(p * 1.5, 5)
    FROM generate_series(%s::timestamptz, %s, INTERVAL '1 minute') minute,
        LATERAL (SELECT round((1000 + 50 * sin(extract(epoch FROM minute) / 5000))::numeric, 2) AS p) AS prices
"""


def main() -> None:
    print(f"storage: {database.ready()}")
    speed()
    year()
    share()
    reading()


# --- fetching ----------------------------------------------------------------------------------------------------


class Exchange:
    """The simulated exchange as a process of its own."""

    def __init__(self) -> None:
        file = Path(tempfile.mkdtemp()) / "port"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simulator", "--port", "0", "--port-file", str(file)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        while not file.exists():
            time.sleep(0.02)
        self.url = f"http://127.0.0.1:{file.read_text().strip()}"

    def limits(self, **body: object) -> None:
        data = json.dumps(body).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/control/limits", data, method="POST"), timeout=10)

    def weight(self) -> int:
        with urllib.request.urlopen(f"{self.url}/control", timeout=10) as answer:
            counted = json.load(answer)["counters"]["weight"]
        return sum(value for name, value in counted.items() if "spot" in name) if isinstance(counted, dict) else counted

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def begin(exchange: Exchange, days: float, weight: int, symbols: int = SYMBOLS) -> None:
    """An empty history of `days` of so many symbols, and a budget of `weight` a minute."""
    from django.conf import settings
    from django.db import connection

    from collector import limits, memory, venues
    from collector.models import VenueLimit
    from collector.services import sync_registry
    from markets.connections import broker_redis
    from markets.models import Symbol
    from markets.services import set_collected

    settings.VENUE_URLS = {"binance": {market: {"rest": exchange.url, "ws": ""} for market in ("SPOT", "FUTURES")}}
    settings.SYMBOLS = f"top:{symbols}"
    settings.START_DATE = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=days)
    memory.forget()
    for cached in (limits.budget, venues.venue):
        cached.cache_clear()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE candles, candles_unrolled, candles_state, candles_holes")
    for _ in range(10):  # a loaded machine's simulator may be slow to answer
        if Symbol.objects.filter(market="SPOT", collected=True).exists():
            break
        sync_registry()
    collected = Symbol.objects.filter(market="SPOT", collected=True).order_by("name").values_list("name", flat=True)
    if collected[symbols:]:  # of a measurement before, with more of them
        set_collected(list(collected[symbols:]), False)
    broker_redis().flushdb()
    VenueLimit.objects.update(weight_per_minute=weight)


def speed() -> None:
    """Requests, answers, checks, rows and long timeframes; the exchange is simulated on the same machine, so once
    with it and once with answers that cost nothing."""
    from collector import backfill, candle_fetch
    from collector.venues import venue

    exchange, rows = Exchange(), []
    exchange.limits(enforced=False)
    real = None
    for name in ("simulator", "answers at hand"):
        begin(exchange, DAYS, 10**8)
        if name != "simulator":
            real, venue("binance").fetch_klines = venue("binance").fetch_klines, AtHand().fetch_klines
        start = time.perf_counter()
        outcome = backfill.collect_history(300)
        took = time.perf_counter() - start
        rows.append([name, outcome.candles, took, outcome.candles / took])
        assert outcome.done, outcome
    if real:
        venue("binance").fetch_klines = real
    exchange.stop()
    show(["history from", "candles", "seconds", "candles/s"], rows)
    print(f"{SYMBOLS} series, {candle_fetch.READERS} readers, one writer; long timeframes included")


class Stopwatch:
    """Seconds and calls of wrapped functions, over all threads."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}

    def wrap(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return work(*given, **named)
            finally:
                self.taken[name] = self.taken.get(name, 0.0) + time.perf_counter() - start

        return timed


def year() -> None:
    """A year of minutes of five symbols from the simulated exchange: where the time goes. Reading threads work while
    the one writer stores, so the parts add up to more than the whole."""
    from candles import rollups, services
    from collector import backfill
    from collector.exchanges.binance import parse
    from collector.venues import venue

    exchange = Exchange()
    exchange.limits(enforced=False)
    begin(exchange, YEAR_DAYS, 10**8, YEAR_SYMBOLS)
    watch, rest = Stopwatch(), venue("binance")
    places = [
        ("network, and the exchange itself", rest, "_get"),
        ("parse", parse, "klines"),
        ("check", services, "check"),
        ("store", services, "store_answers"),
        ("longer timeframes", services, "catch_up"),
    ]
    kept = [(owner, attribute, getattr(owner, attribute)) for _, owner, attribute in places]
    for name, owner, attribute in places:
        setattr(owner, attribute, watch.wrap(name, getattr(owner, attribute)))
    start = time.perf_counter()
    outcome = backfill.collect_history(1200)
    took = time.perf_counter() - start
    for owner, attribute, work in kept:
        setattr(owner, attribute, work)
    rolled = rollups.roll_up(datetime.now(UTC), None)
    exchange.stop()
    rows = [[name, taken, taken / took * 100] for name, taken in watch.taken.items()]
    show(["of which", "seconds", "percent of the whole"], [*rows, ["the whole, on the clock", took, 100.0]])
    print(
        f"{outcome.candles:,} candles of {YEAR_SYMBOLS} symbols in {took:.0f} s: {outcome.candles / took:,.0f} a second"
        + (f"; {rolled:,} hours were left to roll up" if rolled else "")
    )


class AtHand:
    """Answers of real size, made before: only their times are put in."""

    def __init__(self) -> None:
        self.rows = [
            f'"{1000 + n % 90}.12000000","{1100 + n % 90}.99000000","{900 + n % 70}.01000000",'
            f'"{1000 + n % 80}.55000000","{n % 50}.12345000"|"{n * 13 % 99999}.12345678",{n % 900},'
            f'"{n % 40}.54321000","{n % 9999}.87654321","0"]'
            for n in range(1000)
        ]

    def fetch_klines(self, market: str, name: str, start: int, end: int, limit: int, timeout: float):
        from collector.exchanges.base import Answer
        from collector.exchanges.binance import parse

        count = min(limit, (end - start) // 60_000 + 1)
        parts = []
        for n, row in enumerate(self.rows[:count]):
            opening = start + n * 60_000
            parts.append(f"[{opening},{row.replace('|', f',{opening + 59_999},')}")
        return Answer(parse.klines(f"[{','.join(parts)}]".encode()), None)


# --- the budget --------------------------------------------------------------------------------------------------


def share() -> None:
    """How much of what history may use is used in whole minutes, and that the exchange never objects."""
    from collector import backfill
    from collector.limits import Priority

    exchange = Exchange()
    limit = math.ceil(BUDGET / Priority.BACKFILL.value)
    exchange.limits(market="spot", weight=limit, enforced=True)
    begin(exchange, 3650, limit)
    time.sleep(60 - time.time() % 60)
    marks, until = [exchange.weight()], time.time() + MINUTES * 60
    while time.time() < until:
        edge = min(until, time.time() // 60 * 60 + 60)
        outcome = backfill.collect_history(max(0.5, edge - time.time()))
        if outcome.resume_at:
            assert outcome.stopped == "budget", outcome
            time.sleep(max(0.0, min(until, outcome.resume_at.timestamp()) - time.time()))
        if time.time() >= edge:
            marks.append(exchange.weight())
    exchange.stop()
    used = [after - before for before, after in pairwise(marks)][:MINUTES]
    show(
        ["minute", "weight used", "percent of what history may use", "percent of the exchange's limit"],
        [[n + 1, one, one / BUDGET * 100, one / limit * 100] for n, one in enumerate(used)],
    )
    print(
        f"{sum(used) / MINUTES / BUDGET:.1%} of {BUDGET} a minute; the exchange allows {limit}, the rest is the books'"
    )


# --- reading -----------------------------------------------------------------------------------------------------


def reading() -> None:
    """1,000 newest candles of each timeframe out of a year, past the cache, and out of it."""
    from django.db import connection

    from candles.candle import SeriesKey
    from candles.selectors import candles
    from candles.services import roll_up
    from candles.timeframes import TIMEFRAMES
    from markets.connections import cache_redis

    now = datetime.now(UTC)
    end = now.replace(second=0, microsecond=0) - timedelta(minutes=1)
    key = SeriesKey("binance", "SPOT", "YEARUSDT")
    with connection.cursor() as cursor:
        cursor.execute(YEAR, [end - timedelta(days=365), end])
        print(f"a year: {cursor.rowcount:,} minutes")
    start = time.perf_counter()
    hours = roll_up(now, None)
    print(f"rolled up: {hours:,} hours in {time.perf_counter() - start:.1f} s")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    rows = []
    for timeframe in TIMEFRAMES:
        fresh, kept = [], []
        for _ in range(ROUNDS):
            cache_redis().flushdb()
            candles(key, timeframe, now, limit=1)  # the series has a version
            for taken in (fresh, kept):
                begun = time.perf_counter()
                found = candles(key, timeframe, now)
                taken.append((time.perf_counter() - begun) * 1000)
        rows.append([timeframe.name, len(found), *(p for one in (fresh, kept) for p in _percentiles(one))])
    show(["timeframe", "candles", "p50 ms", "p95 ms", "kept p50 ms", "kept p95 ms"], rows)


def _percentiles(taken: list[float]) -> tuple[float, float]:
    ordered = sorted(taken)
    return ordered[len(ordered) // 2], ordered[math.ceil(len(ordered) * 0.95) - 1]
