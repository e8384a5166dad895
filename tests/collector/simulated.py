"""The simulated exchange as a process, with its faults and counters, and a minute's collection run to its end."""

import json
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT", "1INCHUSDT")


class Simulator:
    def __init__(self, folder, *options):
        self.port_file = Path(folder) / "port"
        argv = [sys.executable, "-m", "simulator", "--port", "0", "--port-file", str(self.port_file), *options]
        self.process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 90
        while not self.port_file.exists():
            assert self.process.poll() is None, "the simulator ended"
            assert time.monotonic() < until, "the simulator does not start"
            time.sleep(0.02)
        self.url = f"http://127.0.0.1:{self.port_file.read_text().strip()}"

    def control(self, method, address="", **body):
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f"{self.url}/control{address}", data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def fault(self, kind, **options):
        return self.control("POST", "/faults", kind=kind, **options)

    def heal(self):
        self.control("DELETE", "/faults")

    def reset(self):
        self.heal()
        for market, weight in (("spot", 6000), ("futures", 2400)):
            self.control("POST", "/limits", market=market, weight=weight, enforced=True)
        self.control("DELETE", "/limits")
        self.control("DELETE", "/counters")

    def answers(self):
        return self.control("GET")["counters"]["answers"]

    def asked(self, path):
        """How many requests came for addresses that end so."""
        requests = self.control("GET")["counters"]["requests"]
        return sum(count for name, count in requests.items() if path in name)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def room(seconds):
    """Waits for the next minute when this one has fewer seconds left; gives the time now."""
    left = 60 - time.time() % 60
    if left < seconds + 2.5:
        time.sleep(left + 0.05)
    return datetime.now(UTC)


def run_minute(seconds=15):
    """One minute's collection to its end in this process, parts in turn; gives its row. `seconds` it may take."""
    from collector.cycle import collect_minute, collect_part
    from collector.models import CollectionMinute

    now = room(seconds)
    waiting = list(collect_minute(now, lambda part: None))
    while waiting:
        part = waiting.pop(0)
        result = collect_part(part)
        if result.rest is not None:
            waiting.append(result.rest)
            if len(waiting) == 1:
                time.sleep(max(0, result.resume_at.timestamp() - time.time()))
    return CollectionMinute.objects.get(minute=now.replace(second=0, microsecond=0))
