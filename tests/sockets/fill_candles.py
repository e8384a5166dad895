"""Fills the database of the socket tests with candles: some hundred minutes up to now of a few symbols."""

import sys

import django

django.setup()

from datetime import UTC, datetime  # noqa: E402

from candles.candle import SeriesKey  # noqa: E402
from candles.services import store_klines  # noqa: E402
from tests.candles.factories import MINUTE, klines  # noqa: E402
from tests.sockets.conftest import SYMBOLS  # noqa: E402
from tradingplatform.timescale import provision  # noqa: E402

COUNT = 700
NAMES = SYMBOLS[35:45]


def begin() -> datetime:
    """The first minute: the same for all who ask within one day, so that every process knows the rows."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    return now - COUNT * MINUTE


def fill(start: datetime) -> None:
    provision()
    store_klines([(SeriesKey("binance", "SPOT", name), klines(start, COUNT)) for name in NAMES])


def repair(symbol: str, start: datetime, ago: int) -> None:
    """Another close for a minute that is stored."""
    rows = klines(start, COUNT)
    from msgspec.structs import replace

    row = rows[COUNT - ago]
    store_klines([(SeriesKey("binance", "SPOT", symbol), [replace(row, high="999", close="998.5")])])


if __name__ == "__main__":
    begun = datetime.fromisoformat(sys.argv[1])
    if len(sys.argv) > 2:
        repair(sys.argv[2], begun, int(sys.argv[3]))
    else:
        fill(begun)
