"""Live books: decode, gap check, apply and all ten bands at every message, here and with the field's other books.

Each line is one feed: made diffs of 58 levels on a book of 5,000 a side, and, where the recordings lie beside this
checkout, recorded minutes of both markets. Seconds are of one core's time. The peers' packages go into an environment
of their own below DATA_DIR, made at the first run; who cannot be installed is left out."""

import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np

from bench.tables import show
from collector.exchanges.binance.frames import parse_frame
from depth.book import Snapshot, snapshot_from_levels
from depth.sync import BookSync
from depth.volumes import BandVolumes
from tradingplatform.env import DEFAULT_BANDS, data_dir

BANDS = tuple(map(Decimal, DEFAULT_BANDS.split(",")))
RECORDED = Path(__file__).resolve().parents[2] / "shared" / "recorded"
PEERS = {"python-binance": "python-binance", "ccxt": "ccxt", "cryptofeed": "order-book"}  # and what to install
MESSAGES = 2000
MADE_MESSAGES, MADE_LEVELS, MADE_CHANGES = 400, 5000, 58
ROUNDS = 5
TICK = Decimal("0.01")


def recorded(name: str, after: int) -> list[bytes]:
    """A snapshot and the depth frames around it, `after` of them, one line each."""
    snapshot, frames = b"", []
    with gzip.open(RECORDED / name) as file:
        for line in file:
            frame = line.strip().partition(b" ")[2]
            if b'"lastUpdateId"' in frame[:20]:
                snapshot = frame
            elif b"@depth" in frame[:40]:
                # python-binance knows zero only in this spelling.
                frames.append(frame.replace(b'"0.000"]', b'"0.00000000"]'))
            if snapshot and len(frames) >= after:
                break
    return [snapshot, *frames]


def made(after: int) -> list[bytes]:
    """The same of a book whose levels stand a tick apart; most changes come near the best price."""
    random = np.random.default_rng(7)
    best = (6_499_999, 6_500_001)
    sides = [
        [[str(TICK * (price - sign * i)), f"{q:.8f}"] for i, q in enumerate(random.exponential(1, MADE_LEVELS) + 1e-3)]
        for price, sign in zip(best, (1, -1), strict=True)
    ]
    lines = [json.dumps({"lastUpdateId": 1, "bids": sides[0], "asks": sides[1]}).encode()]
    for number in range(1, after + 1):
        changes = []
        for price, sign in zip(best, (1, -1), strict=True):
            steps = np.unique(random.exponential(300, MADE_CHANGES // 2).astype(int))
            quantities = np.where(random.random(steps.size) < 0.35, 0, random.exponential(1, steps.size))
            levels = zip(steps.tolist(), quantities.tolist(), strict=True)
            changes.append([[str(TICK * (price - sign * step)), f"{quantity:.8f}"] for step, quantity in levels])
        data = {"e": "depthUpdate", "E": number, "s": "BTCUSDT", "U": 1 + number, "u": 1 + number}
        data |= {"b": changes[0], "a": changes[1]}
        lines.append(json.dumps({"stream": "btcusdt@depth@100ms", "data": data}, separators=(",", ":")).encode())
    return lines


def ours(lines: list[bytes], market: str) -> tuple[float, list[BandVolumes]]:
    """Seconds for all frames, through the parts that the feed uses, and the last sums."""
    first, *frames = lines
    body = json.loads(first)
    limit = len(body["bids"])
    snapshot = snapshot_from_levels(body["bids"], body["asks"], limit, body["lastUpdateId"], body.get("E"))
    taken, told = [], []
    for _ in range(ROUNDS):
        seconds, told = one_round(frames, market, snapshot)
        taken.append(seconds)
    return median(taken), told


def one_round(frames: list[bytes], market: str, snapshot: Snapshot) -> tuple[float, list[BandVolumes]]:
    sync = BookSync("BTCUSDT", market)
    told: list[BandVolumes] = []
    start = process_time()
    for frame in frames:
        for diff in parse_frame(market, frame).messages:
            sync.offer(diff, 0.0)
        if sync.book is None:
            sync.snapshot(snapshot)
        told = sync.book.measure(BANDS)
    return process_time() - start, told


def theirs(name: str, lines: list[bytes], python: Path) -> tuple[float, list[list[float]]] | None:
    """The same of a peer; None when it cannot be run."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        file.write(b"\n".join(lines))
        file.flush()
        script = Path(__file__).with_name("books_peers.py")
        done = subprocess.run([python, script, name, file.name], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{name} is left out: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
        return None
    told = json.loads(done.stdout)
    return told["seconds"], told["sums"]


def peers_python() -> Path:
    """The interpreter of the peers' environment, which is made when it is not there."""
    folder = data_dir(os.environ) / "bench-peers"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        for package in PEERS.values():
            subprocess.run([python, "-m", "pip", "install", "-q", package], check=False, capture_output=True)
    return python


def feeds() -> Iterator[tuple[str, str, list[bytes]]]:
    yield f"made, {MADE_LEVELS} levels", "SPOT", made(MADE_MESSAGES)
    if RECORDED.exists():
        yield "recorded spot", "SPOT", recorded("spot_btcusdt_20240808.gz", MESSAGES)
        yield "recorded futures", "FUTURES", recorded("usdm_btcusdt_20240808.gz", MESSAGES)
    else:
        print("the recordings are not beside this checkout")


def main() -> None:
    python = peers_python()
    rows = []
    for feed, market, lines in feeds():
        messages = len(lines) - 1
        seconds, told = ours(lines, market)
        row: list[object] = [feed, messages, messages / seconds]
        for name in PEERS:
            found = theirs(name, lines, python)
            if found is None:
                row += ["-", "-"]
                continue
            their_seconds, their_sums = found
            ours_as_theirs = [[r.bid_volume, r.bid_value, r.ask_volume, r.ask_value] for r in told]
            same = np.allclose(ours_as_theirs, their_sums, rtol=1e-9)
            row += [messages / their_seconds, f"{their_seconds / seconds:.0f}{'' if same else ' (other sums)'}"]
        rows.append(row)
    head = ["feed", "messages", "here /s"]
    show([*head, *(text for name in PEERS for text in (f"{name} /s", "times"))], rows)
