"""A small market in a database of its own: real rows, stored through the depth services from books made with numpy.

Run as a program, on the database that DATABASE_URL names, it answers lines: `fill` gives the moment of the newest books
(epoch s); `add` (symbol, market, price, bid levels) stores one more, a minute after them; `go_on` (moment) stores the
minutes since then and gives the newest one's; `run` runs code."""

import json
import sys
import traceback
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import django
import numpy as np

if __name__ == "__main__":
    django.setup()

from django.db import connection

from depth.models import DepthSnapshot
from depth.services import CollectedBook, store_books
from depth.volumes import Book, Side
from markets.models import Symbol
from tradingplatform.timescale import provision

MINUTES = 180
GAP = range(40, 52)  # minutes ago that were not collected
LONG_AGO = range(48, 130 * 24, 6)  # hours ago of which one minute of ETHUSDT is kept
SHORT = range(60, 90)  # minutes ago in which the bid side did not reach 1%
# Name, base, markets, tick, price, collected.
LISTED = (
    ("BTCUSDT", "BTC", ("SPOT", "FUTURES"), "0.01", 64_000.0, True),
    ("ETHUSDT", "ETH", ("SPOT",), "0.01", 3_100.0, True),
    ("1000PEPEUSDT", "1000PEPE", ("FUTURES",), "0.0000001", 0.0112, True),
    ("OLDUSDT", "OLD", ("SPOT",), "0.001", 12.0, True),
    ("NEWUSDT", "NEW", ("SPOT",), "0.001", 7.0, True),
    ("DOGEUSDT", "DOGE", ("SPOT",), "0.00001", 0.12, False),
)


def side(mid: float, direction: int, levels: int, decimals: int, quantity: float) -> Side:
    """Levels 0.02% apart; the 1% band is complete from 51 levels on."""
    steps = np.arange(1, levels + 1) * 0.0002
    return Side(np.round(mid * (1 + direction * steps), decimals), np.full(levels, quantity), False)


def book(name: str, market: str, at: datetime, mid: float, decimals: int, bid_levels: int = 80) -> CollectedBook:
    quantity = 1.0 + 0.2 * np.sin(at.timestamp() / 900)
    levels = Book(side(mid, -1, bid_levels, decimals, quantity), side(mid, 1, 80, decimals, 1.1))
    return CollectedBook(name, market, at, levels, int(at.timestamp()), None, 80, "rest")


def decimals_of(tick: str) -> int:
    return -Decimal(tick).as_tuple().exponent


def list_symbols() -> None:
    for rank, (name, base, markets, tick, _, collected) in enumerate(LISTED):
        for market in markets:
            Symbol.objects.create(
                market=market,
                name=name,
                base=base,
                quote="USDT",
                tick_size=Decimal(tick),
                lot_size=Decimal("0.001"),
                status="TRADING",
                quote_volume=1e9 / (rank + 1),
                collected=collected,
            )


def store_history(now: datetime) -> None:
    """Three hours of BTCUSDT with a gap and a short stretch, months of ETHUSDT with few minutes, one new book of the
    others, an old one of OLDUSDT."""
    books = newest(now)
    for ago in range(1, MINUTES):
        at = now - timedelta(minutes=ago)
        if ago not in GAP:
            mid = 64_000.0 + 30 * np.sin(ago / 9)
            books.append(book("BTCUSDT", "SPOT", at, mid, 2, 40 if ago in SHORT else 80))
            books.append(book("BTCUSDT", "FUTURES", at, mid + 12, 2))
    books.append(book("OLDUSDT", "SPOT", now - timedelta(minutes=25), 12.0, 3))
    books += [book("ETHUSDT", "SPOT", now - timedelta(hours=ago), 3_000.0 + ago / 10, 2) for ago in LONG_AGO]
    store_books(books)


def newest(at: datetime) -> list[CollectedBook]:
    return [
        book("BTCUSDT", "SPOT", at, 64_000.0, 2),
        book("BTCUSDT", "FUTURES", at, 64_012.0, 2),
        book("ETHUSDT", "SPOT", at, 3_100.0, 2),
        book("1000PEPEUSDT", "FUTURES", at, 0.0112, 7),
    ]


def go_on(since: float) -> float:
    """Stores every minute since then, as the collector would have; gives the newest book's moment."""
    now, books = datetime.now(UTC), []
    at = now
    while at.timestamp() > since:
        books += newest(at)
        at -= timedelta(minutes=1)
    store_books(books)
    return now.timestamp()


def fill() -> float:
    """Lists the symbols and stores their history up to now, which is given back in epoch seconds."""
    provision()
    now = datetime.now(UTC)
    list_symbols()
    store_history(now)
    return now.timestamp()


def add(name: str, market: str, price: float, bid_levels: int = 80) -> None:
    decimals = next(decimals_of(listed[3]) for listed in LISTED if listed[0] == name)
    at = DepthSnapshot.objects.filter(symbol=name, market_type=market).latest("time").time + timedelta(minutes=1)
    store_books([book(name, market, at, price, decimals, bid_levels)])


def run(code: str) -> None:
    exec(code, {})  # the tests' own lines


def serve() -> None:
    """Answers `[name, argument...]` with a pair as a line of JSON: what the function of that name gives, and what it
    raised."""
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        answer, error = None, None
        try:
            answer = ANSWERS[name](*arguments)
        except Exception:  # told to the test that asked; the others go on
            error = traceback.format_exc()
        connection.close()  # other tests restart the server between two lines
        sys.stdout.write(json.dumps([answer, error]) + "\n")
        sys.stdout.flush()


ANSWERS = {"fill": fill, "add": add, "go_on": go_on, "run": run}
if __name__ == "__main__":
    serve()
