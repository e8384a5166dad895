"""Ten indicators over 1,000 candles: computing (beside pandas-based `ta`, values compared), answers, storing at closes.

The peer's packages go into an environment of their own below DATA_DIR, made at the first run; without it its line is
left out."""

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from bench import database
from bench.api import measured, served
from bench.tables import interleaved, show
from candles.indicators import DEFAULT_SET, Series, compute, parse
from tradingplatform.env import data_dir

CANDLES = 1000
TEN = "sma:20,ema:50,bollinger:20:2,rsi:14,macd:12:26:9,stochastic:14:3:1,williams:14,atr:14,adx:14,obv"
ROUNDS = 200
PEER_ROUNDS = 30
SYMBOLS = 20
CLIENTS = (1, 10)
WINDOWS = 4000  # different questions: none is asked twice


def main() -> None:
    python = peer_python()  # before the database: that one lives in a folder which ends with the run
    print(f"storage: {database.ready()}")
    computing(python)
    fill()
    answers()
    closes()


def made(count: int) -> Series:
    """Candles that move as a market does."""
    rng = np.random.default_rng(11)
    close = 65_000 * np.exp(np.cumsum(rng.normal(0, 0.002, count)))
    opens = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(opens, close) * (1 + np.abs(rng.normal(0, 0.001, count)))
    low = np.minimum(opens, close) * (1 - np.abs(rng.normal(0, 0.001, count)))
    volume = np.abs(rng.normal(10, 4, count)) + 0.1
    return Series(np.arange(count) * 60, opens, high, low, close, volume, volume * rng.random(count))


# --- computing -------------------------------------------------------------------------------------------------------


def computing(python: Path) -> None:
    series, ten, default = made(CANDLES), parse(TEN), parse(DEFAULT_SET)
    works = {"ten indicators": lambda: compute(series, ten), "the default set (17)": lambda: compute(series, default)}
    taken = interleaved(works, ROUNDS)
    rows: list[list[object]] = [[name, seconds * 1000, ""] for name, seconds in taken.items()]
    if (peer := theirs(series, python)) is not None:
        rows.append(["the ten by ta", peer["seconds"] * 1000, f"{peer['seconds'] / taken['ten indicators']:.0f} times"])
    show([f"{CANDLES} candles", "ms", "as long"], rows)
    if peer is not None:
        compared(series, peer["values"])


def theirs(series: Series, python: Path) -> dict | None:
    columns = {name: getattr(series, name).tolist() for name in ("open", "high", "low", "close", "volume")}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(columns, file)
        file.flush()
        script = Path(__file__).with_name("indicators_peer.py")
        command = [python, script, file.name, str(PEER_ROUNDS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"ta is left out: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
        return None
    return json.loads(done.stdout)


def peer_python() -> Path:
    """The interpreter of the peer's environment, which is made when it is not there."""
    folder = data_dir(os.environ) / "bench-ta"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "ta"], check=False, capture_output=True)
    return python


def compared(series: Series, theirs: dict[str, list[float]]) -> None:
    """The newest five values of each line beside the peer's; of the OBV its steps."""
    ours = {
        f"{label.split(':')[0]}:{line}" if line else label: values
        for label, lines in compute(series, parse(TEN)).items()
        for line, values in lines.items()
    }
    ours["obv"] = np.diff(ours["obv"], prepend=0.0)
    rows = []
    for name, values in theirs.items():
        mine = ours[name][-5:]
        rows.append([name, float(np.max(np.abs(mine - values) / np.maximum(np.abs(values), 1e-12)))])
    worst = max(rows, key=lambda row: row[1])
    print(f"{len(rows)} lines agree with ta to {worst[1]:.0e} of their value at worst ({worst[0]})")


# --- answers ---------------------------------------------------------------------------------------------------------


def fill() -> None:
    """Two days of minutes of SYMBOLS symbols."""
    from django.db import connection

    from bench.candles import YEAR
    from markets.models import Symbol

    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    for number in range(SYMBOLS):
        name = f"I{number:03d}USDT"
        Symbol.objects.create(
            exchange="binance", market="SPOT", name=name, base=name[:-4], quote="USDT", tick_size="0.01",
            lot_size="0.001", status="TRADING", collected=True,
        )  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(YEAR.replace("YEARUSDT", name), [end - timedelta(days=8), end])
            cursor.execute(
                "INSERT INTO candles_state (exchange, market_type, symbol, count, is_realtime, last_error, "
                "first_open, last_open) VALUES ('binance', 'SPOT', %s, 11521, true, '', %s, %s)",
                [name, end - timedelta(days=8), end],
            )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE candles")


def answers() -> None:
    """As the deployed web process gives them: each another window, so that nothing of it is kept, and kept ones."""
    rows = []
    last = int(time.time()) // 60 * 60
    with served("tradingplatform.asgi:application") as (web, _):
        address = f"{web}/api/v1/indicators?timeframe=1&limit={CANDLES}&indicators={TEN}&symbol="
        fresh = [f"{address}I{n % SYMBOLS:03d}USDT&to={last - n // SYMBOLS * 60}" for n in range(WINDOWS)]
        kept = [f"{address}I{n:03d}USDT" for n in range(SYMBOLS)]
        for number, clients in enumerate(CLIENTS):
            part = fresh[number :: len(CLIENTS)]  # windows that nobody has asked for
            rows.append(measured("never asked before", part, clients))
            rows.append(measured("asked before", kept, clients))
    show([f"{CANDLES} candles, ten indicators", "clients", "requests/s", "p50 ms", "p95 ms"], rows)


# --- storing ---------------------------------------------------------------------------------------------------------


def closes() -> None:
    """What the task of five minutes does: the first time, and at the next closes."""
    from candles import services
    from candles.candle import SeriesKey
    from tests.candles.factories import klines

    rows, now = [], datetime.now(UTC).replace(second=0, microsecond=0)
    for name in ("all that is within its lifetime", "five minutes later"):
        start = time.perf_counter()
        done = services.derive(now, 600)
        took = time.perf_counter() - start
        rows.append([name, done.places, done.values, done.analyses, took, took / max(1, done.places) * 1000])
        minutes = klines(now, 5)
        services.store_klines([(SeriesKey("binance", "SPOT", f"I{n:03d}USDT"), minutes) for n in range(SYMBOLS)])
        now += timedelta(minutes=5)
    head = ["stored at closes", "timeframes", "values", "analyses", "seconds", "ms each"]
    show([f"{SYMBOLS} symbols: {head[0]}", *head[1:]], rows)
