"""A million rows streamed as CSV, JSON and Parquet: rows a second, and what the web process needs of memory for it.

The second reader of each form takes 2 MB a second, so that whatever is not held back has to pile up somewhere."""

import os
import threading
import time
from datetime import UTC, datetime, timedelta

import psutil
import requests

from bench import api, database
from bench.tables import show

MINUTES = int(os.environ.get("BENCH_MINUTES", "50000"))
ROWS = 20 * MINUTES
SLOW = 2_000_000  # bytes a second
WATCHED_SECONDS = 10.0


def main() -> None:
    print(f"storage: {database.ready()}")
    from django.conf import settings
    from django.db import connection

    now = datetime.now(UTC).replace(second=0, microsecond=0)
    api.books(now)
    asked = {"symbols": api.SYMBOLS[:1], "bands": list(settings.DEPTH_BANDS), "last": now}
    with connection.cursor() as cursor:
        cursor.execute(api.FILL, {**asked, "first": now - timedelta(minutes=MINUTES - 1), "step": timedelta(minutes=1)})
    first = int((now - timedelta(days=60)).timestamp())
    query = f"symbol={api.SYMBOLS[0]}&marketType=SPOT,FUTURES&from={first}"
    rows = []
    for form in ("csv", "json", "parquet"):
        with api.served("tradingplatform.asgi:application") as (web, pid):
            address = f"{web}/api/v1/export?{query}&format={form}"
            requests.get(f"{address}&depth=5&to={first + 60}", timeout=60).raise_for_status()
            rows += [[form, pace, *streamed(address, pid, pace == "slow")] for pace in ("fast", "slow")]
    show(["form", "reader", "MB read", "seconds", "rows/s", "MB before", "MB at most"], rows)


def streamed(address: str, pid: int, slow: bool) -> list[object]:
    """Megabytes, seconds, rows a second (of a whole file only), memory before and the most of it while reading."""
    process, over, most = psutil.Process(pid), threading.Event(), [0]

    def watch() -> None:
        while not over.wait(0.05):
            most[0] = max(most[0], process.memory_info().rss)

    before = process.memory_info().rss
    watcher = threading.Thread(target=watch)
    watcher.start()
    begun, size = time.perf_counter(), 0
    with requests.get(address, stream=True, timeout=120) as answer:
        for part in answer.iter_content(65536):
            size += len(part)
            if slow:
                time.sleep(len(part) / SLOW)
                if time.perf_counter() - begun > WATCHED_SECONDS:
                    break
    seconds = time.perf_counter() - begun
    over.set()
    watcher.join()
    rate = "-" if slow else ROWS / seconds
    return [size / 1e6, seconds, rate, before / 1e6, most[0] / 1e6]
