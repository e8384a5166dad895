"""Candles while everything about them fails: `python -m tests.soak.candles [seconds]`, ten minutes if none are given.

Streams are cut, refused, silenced, disordered; REST answers late, wrongly, not at all. At the end every minute is
there, and is what the exchange says. `make test` holds some seconds of it (tests/collector/test_feed_candles.py)."""

import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

SECONDS = "CANDLE_FAULT_SECONDS"
KLINES = "/klines"
STREAM = "@kline_1m"
PAUSE = 2.5  # seconds between two faults
WORKER_EVERY = 15.0  # seconds between two rounds of what workers do each minute
BEFORE = timedelta(minutes=30)  # that are looked at, too

# What goes wrong with streams and with REST, each with its options; `seconds` are added.
FAULTS = (
    ("cut", {"market": "spot"}),
    ("cut", {"market": "spot", "how": "abort"}),
    ("shutdown", {"market": "spot", "delay": 1.0}),
    ("refuse", {"market": "spot"}),
    ("stall", {"market": "spot", "stream": STREAM}),
    ("drop", {"stream": STREAM, "probability": 0.5}),
    ("double", {"stream": STREAM, "probability": 0.5}),
    ("reorder", {"stream": STREAM, "probability": 0.5}),
    ("corrupt", {"stream": STREAM, "probability": 0.3}),
    ("5xx", {"path": KLINES, "probability": 0.7}),
    ("slow", {"path": KLINES, "delay": 3.0, "probability": 0.5}),
    ("disconnect", {"path": KLINES, "probability": 0.7}),
    ("truncate", {"path": KLINES, "probability": 0.7}),
    ("malformed", {"path": KLINES, "probability": 0.7}),
    ("429", {"path": KLINES, "count": 1, "retry_after": 1}),
)
AT_ONCE = {"cut", "shutdown", "429"}


@dataclass
class Outcome:
    """What was done, and what is wrong at the end: missing and different minutes of each symbol."""

    faults: Counter[str] = field(default_factory=Counter)
    minutes: int = 0
    polls: int = 0
    missing: list[tuple[str, int]] = field(default_factory=list)
    different: list[tuple[str, int]] = field(default_factory=list)
    holes: int = 0
    uncovered: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        return not (self.missing or self.different or self.holes or self.uncovered)


def truth(exchange, symbol: str, start: datetime, end: datetime) -> dict[int, list]:
    """What the exchange says of the minutes from `start` to `end` (not included)."""
    first, last = int(start.timestamp() * 1000), int(end.timestamp() * 1000) - 1
    query = f"symbol={symbol}&interval=1m&limit=1000&startTime={first}&endTime={last}"
    with urllib.request.urlopen(f"{exchange.url}/api/v3/klines?{query}", timeout=20) as answer:
        return {row[0]: row for row in json.load(answer)}


def stored(symbol: str, start: datetime, end: datetime) -> dict[int, list]:
    from candles.models import MinuteCandle

    rows = MinuteCandle.objects.filter(symbol=symbol, market_type="SPOT", open_time__gte=start, open_time__lt=end)
    return {
        row.timestamp: [
            *(row.timestamp, str(row.open_price), str(row.high_price), str(row.low_price), str(row.close_price)),
            *(str(row.volume), str(row.quote_volume), row.trades),
            *(str(row.taker_buy_volume), str(row.taker_buy_quote_volume)),
        ]
        for row in rows
    }


def worker(ended: threading.Event) -> None:
    """What workers do each minute, more often."""
    from django.db import connection

    from collector import backfill

    while not ended.wait(WORKER_EVERY):
        backfill.collect_newest(10.0)
    connection.close()


def campaign(exchange, names, seconds: float, seed: int) -> Outcome:
    """A feed and a worker against `exchange` for so long, then until its minutes are whole; in this process."""
    from collector import backfill
    from collector.feed.run import Feed
    from tests.collector.feeding import running

    outcome, chance, ended = Outcome(), random.Random(seed), threading.Event()
    started = datetime.now(UTC)
    backfill.collect_newest()
    thread = threading.Thread(target=worker, args=(ended,))
    thread.start()
    try:
        with running(Feed()) as feed:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                time.sleep(PAUSE)
                kind, options = chance.choice(FAULTS)
                lasting = {} if kind in AT_ONCE else {"seconds": round(chance.uniform(1, 9), 1)}
                exchange.fault(kind, **options, **lasting)
                outcome.faults[kind] += 1
            heal(exchange)
            end = settle(exchange, names, started)
            outcome.polls = feed._candle_polls.asked
    finally:
        ended.set()
        thread.join()
    judge(exchange, names, started, end, outcome)
    return outcome


def heal(exchange) -> None:
    """Ends every fault but that of its clock, which is where the exchange lives."""
    for fault in exchange.control("GET", "/faults")["faults"]:
        if fault["kind"] != "skew":
            exchange.control("DELETE", f"/faults/{fault['id']}")


def last_end(over_by: float = 5.0) -> datetime:
    """The end of the newest minute of the exchange that is over by so many seconds."""
    from collector.asking import budget_of
    from collector.venues import venue

    ahead = timedelta(milliseconds=budget_of(venue("binance"), "SPOT").offset_ms)
    return (datetime.now(UTC) + ahead - timedelta(seconds=over_by)).replace(second=0, microsecond=0)


def settle(exchange, names, started: datetime, seconds: float = 90.0) -> datetime:
    """Until nothing is missing up to the minute that is open now, which is given, or nothing more can be hoped for:
    the workers' minute comes again, as it does."""
    from collector import backfill

    end, until = last_end(0.0), time.monotonic() + seconds
    while time.monotonic() < until:
        backfill.collect_newest(10.0)
        whole = all(len(stored(name, started, end)) >= len(truth(exchange, name, started, end)) for name in names)
        if whole and last_end() >= end:
            break
        time.sleep(1.0)
    return end


def judge(exchange, names, started: datetime, end: datetime, outcome: Outcome) -> None:
    from candles.candle import SeriesKey
    from candles.models import Hole
    from candles.selectors import states

    start = (started - BEFORE).replace(second=0, microsecond=0)
    for name in names:
        said, kept = truth(exchange, name, start, end), stored(name, start, end)
        outcome.minutes += len(said)
        outcome.missing += [(name, minute) for minute in said if minute not in kept]
        for minute, row in kept.items():
            wanted = said.get(minute)
            if wanted is None or row != [*wanted[:6], wanted[7], *wanted[8:11]]:
                outcome.different.append((name, minute))
        (state,) = states([SeriesKey("binance", "SPOT", name)])
        if state.covered_until is None or state.covered_until < end:
            outcome.uncovered.append(name)
    outcome.holes = Hole.objects.count()


def show(outcome: Outcome) -> None:
    for name, figure in (
        ("faults", "  ".join(f"{kind} {count}" for kind, count in sorted(outcome.faults.items()))),
        ("minutes looked at", outcome.minutes),
        ("questions in place of streams", outcome.polls),
        ("missing", len(outcome.missing)),
        ("not what the exchange says", len(outcome.different)),
        ("said to be the exchange's holes", outcome.holes),
        ("series not known to their end", len(outcome.uncovered)),
    ):
        print(f"{name:>32}  {figure}", flush=True)


def main(seconds: str = "600") -> int:
    command = [sys.executable, "-m", "pytest", "tests/collector/test_feed_candles.py", "-k", "everything_fails", "-s"]
    return subprocess.run(command, env=os.environ | {SECONDS: seconds}).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
