"""Events for the derivatives page's tests: hours of a contract with known holes, on the web process's database."""

import math
import random
from datetime import UTC, datetime, timedelta

from derivatives.events import ForcedOrder, IdRange, Interest, Mark, Trade
from derivatives.models import MarkPrice, TradeGap
from derivatives.services import store_forced_orders, store_gaps, store_interest, store_marks, store_trades

HOURS = 7
SILENT = (90, 97)  # minutes ago without a mark price
UNASKED = (40, 44)  # minutes ago without open interest
LOST = (2001, 2012)  # ids of trades that are lost
FIRST_ID = 1000
EVERY = 5  # seconds between two marks, and between two trades
CONTRACTS = {"BTCUSDT": 64_000.0, "1000PEPEUSDT": 0.0112}


def price_at(second: float, middle: float = 64_000.0) -> float:
    return middle * (1 + 0.01 * math.sin(second / 4000) + 0.002 * math.sin(second / 300))


def fill() -> None:
    """The past once; afterwards what has passed since."""
    now = datetime.now(UTC).timestamp()
    newest = MarkPrice.objects.order_by("-event_time").first()
    start = now - HOURS * 3600 if newest is None else newest.event_time.timestamp()
    marks(start, now)
    interest(now - 25 * 3600 if newest is None else start, now)
    liquidations(start, now)
    if newest is None:
        trades(now)
    marks(now, datetime.now(UTC).timestamp())  # half a minute after the newest one the page says that it is old


def marks(start: float, now: float) -> None:
    first = math.ceil(start / EVERY + 0.001) * EVERY
    due = int((now // 28_800 + 1) * 28_800_000)
    for name, middle in CONTRACTS.items():
        made = []
        for second in (*range(first, int(now), EVERY), round(now, 3)):
            if SILENT[0] * 60 <= now - second < SILENT[1] * 60:
                continue
            price = price_at(second, middle)
            rate = f"{0.0001 + 0.00005 * math.sin(second / 9000):.8f}"
            made.append(
                Mark(name, int(second * 1000), f"{price:.7f}", f"{price * 0.9998:.7f}", f"{price:.7f}", rate, due)
            )
        store_marks(made)


def interest(start: float, now: float) -> None:
    minutes = range(math.ceil(start / 60), int(now // 60) + 1)
    kept = [minute for minute in minutes if not UNASKED[0] <= now // 60 - minute < UNASKED[1]]
    for name in CONTRACTS:
        store_interest(
            [Interest(name, minute * 60_000, f"{80_000 + 900 * math.sin(minute / 100):.3f}") for minute in kept]
        )


def forced(name: str, at: float, side: str, quantity: float, price: float) -> ForcedOrder:
    told = (f"{price:.2f}", f"{price:.2f}", f"{quantity:.3f}", f"{quantity:.3f}", f"{quantity:.3f}")
    return ForcedOrder(name, side, "LIMIT", "IOC", "FILLED", *told, int(at * 1000), int(at * 1000))


def liquidations(start: float, now: float) -> None:
    chance = random.Random(5)
    made = [
        forced("BTCUSDT", at, chance.choice(["SELL", "BUY"]), chance.paretovariate(1.2) * 0.05, price_at(at) * 0.999)
        for at in range(int(start), int(now), 97)
    ]
    store_forced_orders(made)


def trades(now: float) -> None:
    chance = random.Random(7)
    begin = now - HOURS * 3600
    made = []
    for number in range(int(HOURS * 3600 / EVERY)):
        trade_id, at = FIRST_ID + number, int((begin + number * EVERY) * 1000)
        if LOST[0] <= trade_id <= LOST[1]:
            continue
        quantity = f"{chance.paretovariate(1.1) * 0.02:.3f}"
        price, sold = f"{price_at(at / 1000):.2f}", chance.random() < 0.5
        told = (trade_id, at, at, price, quantity, trade_id, trade_id, sold)
        made += [Trade(market, "BTCUSDT", *told) for market in ("FUTURES", "SPOT")]
    store_trades(made)
    store_gaps([IdRange("FUTURES", "BTCUSDT", *LOST)])
    found = datetime.fromtimestamp(begin + (LOST[1] - FIRST_ID + 1) * EVERY, UTC) + timedelta(seconds=1)
    TradeGap.objects.update(found_at=found, state="lost", missing=LOST[1] - LOST[0] + 1)
