"""A minute's collection of 100 symbols on both markets from the simulator, by real workers: `python -m bench.cycle`.

`--minutes N` keeps it going for N whole minutes, started by a real beat; the table has one line a minute."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench.tables import show
from simulator.market import market_of

ROOT = Path(__file__).resolve().parent.parent
CELERY = (sys.executable, "-m", "celery", "-A", "tradingplatform", "--quiet")


def main(minutes: int = 1, symbols: int = 100, concurrency: int = 2) -> None:
    with tempfile.TemporaryDirectory() as folder, _simulator(Path(folder)) as address:
        _prepare(address, symbols)
        log = Path(folder) / "log"
        worker = _start("worker", (*CELERY, "worker", f"--concurrency={concurrency}"), log)
        beat = _start("beat", (*CELERY, "beat", "--pidfile="), log)
        try:
            _wait(minutes)
        finally:
            _stop(beat)
            _stop(worker)
        _tell(address, log)


@contextmanager
def _simulator(folder: Path) -> Iterator[str]:
    port_file = folder / "port"
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--port", "0", "--port-file", str(port_file)], cwd=ROOT, stdout=sys.stderr
    )
    try:
        while not port_file.exists():
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port_file.read_text().strip()}"
    finally:
        _stop(process)


def _prepare(address: str, symbols: int) -> None:
    """A database and a Redis of their own, and a registry with `symbols` collected on each market."""
    import tests.servers  # noqa: F401 - its import starts the servers and sets their addresses

    os.environ.update(
        BINANCE_SPOT_REST_URL=address, BINANCE_FUTURES_REST_URL=address, SYMBOLS=_names(symbols), LOG_LEVEL="WARNING"
    )
    from bench import database

    print(f"storage: {database.ready()}")
    from django.conf import settings

    from collector.services import sync_registry

    # Another measurement of this run may have read the settings before.
    settings.SYMBOLS = os.environ["SYMBOLS"]
    settings.VENUE_URLS = {"binance": {market: {"rest": address, "ws": ""} for market in ("SPOT", "FUTURES")}}
    print("\n".join(sync_registry()))


def _names(symbols: int) -> str:
    """The largest symbols that trade on both markets."""
    market = market_of()
    futures = {one.symbol for one in market.of("futures") if one.status == "TRADING"}
    both = [one for one in market.of("spot") if one.symbol in futures and one.status == "TRADING"]
    return ",".join(one.symbol for one in sorted(both, key=lambda one: -one.quote_volume)[:symbols])


def _start(name: str, argv: tuple[str, ...], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(argv, cwd=ROOT, stdout=out, stderr=out, env=os.environ | {"PLATFORM_PROCESS": name})


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(minutes: int) -> None:
    """Until the first cycle and then `minutes - 1` whole minutes are over."""
    from collector.models import CollectionMinute

    begun = time.monotonic()
    while not (first := CollectionMinute.objects.filter(stored__gt=0).last()) and time.monotonic() - begun < 90:
        time.sleep(0.2)
    if first is None:
        return
    if minutes == 1:
        while (row := CollectionMinute.objects.first()) and row.stored + row.failed + row.overrun < row.expected:
            time.sleep(0.2)
        return
    end = first.minute.timestamp() + 60 * minutes + 10
    time.sleep(max(0, end - datetime.now(UTC).timestamp()))


def _tell(address: str, log: Path) -> None:
    from collector.models import CollectionMinute, StreamEvent

    head = [
        "minute",
        "expected",
        "stored",
        "failed",
        "overrun",
        "seconds",
        "network",
        "compute",
        "store",
        "spot",
        "fut",
    ]
    fields = (
        "expected",
        "stored",
        "failed",
        "overrun",
        "seconds",
        "network_seconds",
        "compute_seconds",
        "store_seconds",
    )
    fields = (*fields, "weight_spot", "weight_futures")
    found = CollectionMinute.objects.order_by("minute")
    rows = [[f"{row.minute:%H:%M}", *(getattr(row, field) for field in fields)] for row in found]
    show(head, rows)
    print("seconds: first request to last commit; network, compute and store: sums over the parts, which overlap")
    with urllib.request.urlopen(f"{address}/control") as answer:
        counters = json.load(answer)["counters"]
    print(f"answers by status: {counters['answers']}")
    for event in StreamEvent.objects.order_by("time")[:20]:
        print(f"{event.time:%H:%M:%S} {event.event_type} {event.market_type} {event.symbol} {event.message}")
    text = log.read_text()
    if text.strip():
        print("processes said:\n" + text[-3000:])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=1)
    parser.add_argument("--symbols", type=int, default=100)
    parser.add_argument("--concurrency", type=int, default=2)
    arguments = parser.parse_args()
    main(arguments.minutes, arguments.symbols, arguments.concurrency)
