"""Trades on their way to the database, against cryptofeed's; how old they are when stored; questions about many.

Frames are made. BENCH_SECONDS (30) is how long trades come at BENCH_RATE (20000) a second, BENCH_TRADES (10,000,000)
how many are stored when questions are asked. The peer's packages go into an environment of their own below DATA_DIR."""

import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

from bench import database
from bench.books import peers_python
from bench.tables import seconds, show

FRAMES = 100_000
ROUNDS = 3
SYMBOLS = tuple(f"S{n}USDT" for n in range(50))
SECONDS = int(os.environ.get("BENCH_SECONDS", "30"))
RATE = int(os.environ.get("BENCH_RATE", "20000"))
STORED = int(os.environ.get("BENCH_TRADES", "100000000" if os.environ.get("BENCH_FULL") else "10000000"))
PEER = ("cryptofeed", "asyncpg")
STEP = 0.02  # seconds between two writes of the sender
ASKED = 40  # times each question


def main() -> None:
    print(f"storage: {database.ready()}")
    compare()
    sustain()
    ask()


def frame(trade_id: int, now: int) -> bytes:
    symbol = SYMBOLS[trade_id % len(SYMBOLS)]
    own = trade_id // len(SYMBOLS)
    return b'{"stream":"%b@aggTrade","data":{"e":"aggTrade","E":%d,"a":%d,"s":"%b","p":"84551.10",%b}}' % (
        *(symbol.lower().encode(), now, own, symbol.encode()),
        b'"q":"0.0%d","f":%d,"l":%d,"T":%d,"m":%b'
        % (trade_id % 97 + 1, own * 2, own * 2 + 1, now - 3, b"true" if trade_id % 3 else b"false"),
    )


# --- side by side ----------------------------------------------------------------------------------------------------


def compare() -> None:
    """The same frames, as fast as it goes: decoded, checked, gathered in batches of 10,000 and stored."""
    now = int(time.time() * 1000)
    lines = [frame(i, now + i // 20) for i in range(FRAMES)]
    taken, found = [], []
    for _ in range(ROUNDS):  # in turn, so that a drifting machine harms both alike
        taken.append(ours(lines))
        found.append(theirs(lines) if None not in found else None)
    here = median(taken)
    rows: list[list[object]] = [["here", FRAMES / here, ""]]
    others = [seconds for seconds in found if seconds is not None]
    if others:
        rows.append(["cryptofeed", FRAMES / median(others), f"{median(others) / here:.1f} times faster here"])
    show(["program", "trades/s stored", ""], rows)


def ours(lines: list[bytes]) -> float:
    from collector.exchanges.binance.streams import BinanceStreams
    from collector.feed.tape import BATCH
    from derivatives.models import Trade

    tape, keeper = _tape()
    streams = BinanceStreams({})
    start = time.perf_counter()
    for first in range(0, len(lines), BATCH):
        for line in lines[first : first + BATCH]:
            for message in streams.parse("FUTURES", line).messages:
                tape.take(message, 0.0, True)
        keeper.store()
    taken = time.perf_counter() - start
    assert Trade.objects.count() == len(lines), "not every trade is stored"
    return taken


def theirs(lines: list[bytes]) -> float | None:
    python = peers_python()
    subprocess.run([python, "-m", "pip", "install", "-q", *PEER], check=False, capture_output=True)
    from django.db import connection

    address = os.environ["DATABASE_URL"]
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        file.write(b"\n".join(lines))
        file.flush()
        script = Path(__file__).with_name("trades_peer.py")
        done = subprocess.run([python, script, file.name, address], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"cryptofeed is left out: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
        return None
    told = json.loads(done.stdout.splitlines()[-1])
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE peer_trades")
    if told["stored"] != len(lines):
        print(f"cryptofeed is left out: it stored {told['stored']} of {len(lines)}")
        return None
    return float(told["seconds"])


def _tape() -> tuple[Any, Any]:
    """A tape and its keeper on empty tables, with a spool of their own."""
    from django.conf import settings
    from django.db import connection

    from collector.feed.tape import Tape, TapePlan
    from collector.feed.tape_keeping import TapeKeeper
    from depth import intake

    settings.SPOOL_DIR = Path(tempfile.mkdtemp()) / "spool"
    intake.spool.cache_clear()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE agg_trades, agg_trade_gaps, derivatives_unrolled")
    tape = Tape()
    tape.follow(TapePlan({("FUTURES", symbol): None for symbol in SYMBOLS}, frozenset(), ()))
    return tape, TapeKeeper(tape, lambda text: print(f"LOST: {text}"))


# --- for a while -----------------------------------------------------------------------------------------------------


def send(rate: int, length: int) -> None:
    """The exchange: so many frames a second to standard output, each stamped with the moment it is written."""
    out, sent, start = sys.stdout.buffer, 0, time.monotonic()
    while sent < rate * length:
        due = min(rate * length, int((time.monotonic() - start) * rate))
        now = int(time.time() * 1000)
        out.write(b"".join(frame(i, now) + b"\n" for i in range(sent, due)))
        out.flush()
        sent = due
        time.sleep(STEP)


@contextmanager
def timed_trades() -> Iterator[tuple[np.ndarray, list[int]]]:
    """Ages in milliseconds of all trades that are stored meanwhile, however they come there: as many of the array as
    the list says. It has its whole memory from the beginning, so that what grows meanwhile is not its own."""
    from collector.feed.tape_keeping import TRADES

    ages, count = np.ones(int(RATE * SECONDS * 1.5), np.float32), [0]
    store = TRADES.store

    def timed(trades: list[Any]) -> Any:
        added, first = store(trades), count[0]
        count[0] = min(ages.size, first + len(trades))
        made = time.time() * 1000 - np.array([trade.event_time for trade in trades])
        ages[first : count[0]] = made[: count[0] - first]
        return added

    object.__setattr__(TRADES, "store", timed)
    try:
        yield ages, count
    finally:
        object.__setattr__(TRADES, "store", store)


def sustain() -> None:
    """From a process that sends, through a pipe, to a thread that decodes and one that stores, as in the feed."""
    from django.db import connection

    from collector.exchanges.binance.streams import BinanceStreams
    from depth.services import replay
    from derivatives.models import Trade

    tape, keeper = _tape()
    streams, process, memory = BinanceStreams({}), psutil.Process(), []
    argv = [sys.executable, "-c", f"from bench.trades import send; send({RATE}, {SECONDS})"]
    gc.collect()
    with timed_trades() as (ages, count), subprocess.Popen(argv, stdout=subprocess.PIPE) as sender:
        keeper.begin()
        over = threading.Event()

        def look() -> None:
            """As the feed's housekeeper: what went to the spool is stored."""
            while not over.wait(1.0):
                memory.append(process.memory_info().rss / 1e6)
                replay()
            connection.close()

        watcher = threading.Thread(target=look)
        watcher.start()
        begun, cpu = time.monotonic(), process.cpu_times()
        assert sender.stdout is not None
        for line in sender.stdout:
            for message in streams.parse("FUTURES", line).messages:
                tape.take(message, 0.0, True)
        keeper.end(60)
        over.set()
        watcher.join()
        replay()
        taken, spent = time.monotonic() - begun, process.cpu_times()
    spooled = sum(report.spooled for report in keeper.reports())
    every = ages[: count[0]]
    third = max(1, len(memory) // 3)
    show(
        [
            "trades",
            "stored/s",
            "over the spool",
            "lag p50 ms",
            "p99 ms",
            "most ms",
            "CPU of a core %",
            "MB, first third",
            "last third",
        ],
        [
            [
                *(Trade.objects.count(), every.size / taken, spooled),
                *(float(np.percentile(every, share)) for share in (50, 99, 100)),
                (spent.user + spent.system - cpu.user - cpu.system) / taken * 100,
                *(float(np.mean(memory[third // 2 : third])), float(np.mean(memory[-third:]))),
            ]
        ],
    )


# --- questions -------------------------------------------------------------------------------------------------------

MANY_TRADES = """
    INSERT INTO agg_trades (market_type, symbol, id, trade_time, price, quantity, first_trade_id, last_trade_id,
                            buyer_is_maker)
    SELECT 'FUTURES', %(symbol)s, n, %(end)s::timestamptz - (%(count)s - n) * %(apart)s * INTERVAL '1 second',
           84551.10 + n %% 1000, 0.001 * (n %% 97 + 1), n, n, n %% 3 > 0
    FROM generate_series(%(first)s, %(last)s) AS n
"""
LIQUIDATIONS = """
    INSERT INTO force_orders (symbol, trade_time, content, event_time, position, side, order_type, time_in_force,
                              status, price, average_price, quantity, last_filled_quantity, filled_quantity, notional)
    SELECT 'S' || n %% 300 || 'USDT', %(end)s::timestamptz - n * INTERVAL '3 seconds', gen_random_uuid(),
           %(end)s::timestamptz, (ARRAY['long', 'short'])[n %% 2 + 1], 'SELL', 'LIMIT', 'IOC', 'FILLED',
           1, 1, n, n, n, n
    FROM generate_series(1, %(count)s) AS n
"""
INTEREST = """
    INSERT INTO open_interest (symbol, time, open_interest, notional)
    SELECT 'S' || s || 'USDT', %(end)s::timestamptz - n * INTERVAL '1 minute', n %% 1000 + 1, n
    FROM generate_series(0, 99) AS s, generate_series(1, %(minutes)s) AS n
"""
MARKS = """
    INSERT INTO mark_prices (symbol, event_time, mark_price, index_price, settle_price, funding_rate)
    SELECT 'S' || s || 'USDT', %(end)s::timestamptz - n * INTERVAL '1 second', 1, 1, 1, 0.0001
    FROM generate_series(0, 99) AS s, generate_series(1, 3600) AS n
"""


def ask() -> None:
    from derivatives import selectors

    end = fill()
    now, busy = end + timedelta(minutes=1), SYMBOLS[0]
    hour, day, month = (end - timedelta(**{unit: n}) for unit, n in (("hours", 1), ("days", 1), ("days", 30)))
    names = list(SYMBOLS) + [f"S{n}USDT" for n in range(50, 100)]
    questions: dict[str, Callable[[], Any]] = {
        "newest 1000 trades of a busy symbol": lambda: selectors.trades("FUTURES", busy, 1000),
        "its last hour, 1000 of them, large ones": lambda: selectors.trades(
            "FUTURES", busy, 1000, start=hour, taker_side="buy"
        ),
        "its last hour's volumes and CVD": lambda: selectors.flow("FUTURES", busy, hour, end, "1h", now),
        "its week by hours": lambda: selectors.flow("FUTURES", busy, end - timedelta(days=6), end, "1h", now),
        "a day of liquidations, newest 1000": lambda: selectors.liquidations(1000, start=day, end=end),
        "a day of liquidations by hours and side": lambda: selectors.liquidated("", day, end, "1h", now),
        "30 days of open interest by hours": lambda: selectors.interest(busy, month, end, "1h", now),
        "30 days of open interest by days": lambda: selectors.interest(busy, month, end, "1d", now),
        "100 contracts at a glance": lambda: selectors.market_table(names, end),
    }
    rows = []
    for name, question in questions.items():
        taken = sorted(seconds(question, ASKED))
        p95 = taken[int(ASKED * 0.95) - 1] * 1000
        rows.append([name, len(question()), taken[ASKED // 2] * 1000, p95, "yes" if p95 < 100 else "NO"])
    show(["question", "rows", "median ms", "p95 ms", "below 100"], rows)


def fill() -> datetime:
    """Trades of six days: a busy symbol with a fifth of them, others alike; and the rest. Gives their end."""
    from django.db import connection

    from derivatives import services

    end = datetime.now(UTC).replace(microsecond=0)
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE agg_trades, force_orders, mark_prices, open_interest, derivatives_unrolled")
        for symbol, first, last, count, apart in shares():
            asked = {"symbol": symbol, "first": first, "last": last, "count": count, "apart": apart, "end": end}
            cursor.execute(MANY_TRADES, asked)
        cursor.execute(LIQUIDATIONS, {"end": end, "count": 30 * 28_800})
        cursor.execute(INTEREST, {"end": end, "minutes": 30 * 1440})
        cursor.execute(MARKS, {"end": end})
        filled = time.monotonic() - began
        began = time.monotonic()
        hours = services.roll_up(end, None)
        rolled = time.monotonic() - began
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT pg_database_size(current_database()) / 1e9")
        size = cursor.fetchone()[0]
    print(f"{STORED:,} trades made in {filled:.0f} s, {hours:,} hours rolled up in {rolled:.0f} s; {size:.1f} GB")
    return end


def shares() -> Iterator[tuple[str, int, int, int, float]]:
    """Symbol, ids, how many it has, seconds between two of its trades; half a million at a time."""
    span = 6 * 86_400
    for number, symbol in enumerate(SYMBOLS):
        count = STORED // 5 if number == 0 else STORED * 4 // 5 // (len(SYMBOLS) - 1)
        for first in range(1, count + 1, 500_000):
            yield symbol, first, min(count, first + 499_999), count, span / count
