"""Servers that stay away while the platform works: `python -m tests.soak.outages [database seconds] [Redis seconds]`.

The supervisor is held meanwhile, so that nobody starts them again. Afterwards no minute may lack for the database's
sake, those that lack for Redis' sake have to be known with that cause, and what the API answers from Redis has to be
what the database holds."""

import csv
import io
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.tables import show
from tests.platform.kills import child
from tests.platform.running import Platform

SYMBOL = "BTCUSDT"


@dataclass
class Outage:
    """How the platform took it: the words of health while the server was away, seconds until it was healthy again, and
    the answers that readers got."""

    name: str
    away: float
    words: set[str]
    codes: set[int]
    healthy_after: float


def outage(platform: Platform, name: str, seconds: float) -> Outage:
    words, codes, began = set(), set(), time.monotonic()
    victim = child(platform, name)
    platform.process.send_signal(signal.SIGSTOP)
    try:
        victim.kill()
        while time.monotonic() - began < seconds:
            words.add(str((platform.get("/api/health")[1] or {}).get("status")))
            codes.add(platform.get(f"/api/v1/chart-data?symbol={SYMBOL}&depth=1")[0])
            time.sleep(1)
    finally:
        platform.process.send_signal(signal.SIGCONT)
    back = time.monotonic()
    platform.wait_healthy(240)
    return Outage(name, back - began, words, codes, time.monotonic() - back)


def gaps(platform: Platform, since: float) -> list[tuple[str, int]]:
    """Cause and minutes of every gap since then (epoch seconds)."""
    stats = platform.get(f"/api/v1/analytics/stats?symbol={SYMBOL}")[1]["stats"]
    found = []
    for gap in stats["gaps"]:
        start, end = (time.mktime(time.strptime(gap[name], "%Y-%m-%dT%H:%M:%SZ")) for name in ("from", "to"))
        if start - time.timezone >= since - 60:
            found.append((gap["cause"], int(end - start) // 60))
    return found


def differences(platform: Platform) -> int:
    """Points of the last hour that the API answers otherwise than the database, read by the export."""
    now = int(time.time())
    span = f"symbol={SYMBOL}&marketType=SPOT&depth=1&from={now - 3000}&to={now - 60}"
    for _ in range(2):  # the second time as it is kept
        told = platform.get(f"/api/v1/chart-data?{span}&type=both")[1]["data"]
    address = f"http://127.0.0.1:{platform.port}/api/v1/export?dataset=depth&format=csv&{span}"
    with urllib.request.urlopen(address, timeout=60) as answer:
        rows = list(csv.DictReader(io.TextIOWrapper(answer, "utf-8")))
    held = {(float(row["bidVolumeUsd"]), float(row["askVolumeUsd"])) for row in rows}
    return len(held ^ {(point["bid"], point["ask"]) for point in told}) + abs(len(rows) - len(told))


def _line(told: Iterable[object]) -> str:
    return " ".join(sorted(map(str, told)))


def main(database: float = 120.0, cache: float = 60.0) -> int:
    with tempfile.TemporaryDirectory(prefix="trading-soak-") as folder:
        variables = {"SYMBOLS": f"{SYMBOL},ETHUSDT,SOLUSDT", "API_RATE_LIMIT": "0"}
        with Platform("demo", Path(folder) / "data", **variables) as platform:
            platform.wait_healthy(240)
            begun = time.time()
            done = [outage(platform, "postgres", database), outage(platform, "redis", cache)]
            spool = platform.get("/api/health")[1]["components"]["spool"]
            lacking, wrong = gaps(platform, begun), differences(platform)
    rows = [[o.name, o.away, _line(o.words), _line(o.codes), o.healthy_after] for o in done]
    show(["away", "seconds", "health said", "readers got", "healthy after s"], rows)
    print(f"minutes that lack: {lacking or 'none'}; batches that wait: {spool['batches']}; wrong answers: {wrong}")
    known = all(cause == "redis away" for cause, _ in lacking)
    return int(not known or spool["batches"] > 0 or wrong > 0 or not {200} >= done[1].codes)


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:])))
