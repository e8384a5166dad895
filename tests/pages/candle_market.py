"""Minutes for the analysis page's tests: a walk with a missing stretch, stored on the web process's database."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from candles.candle import Kline
from candles.models import SeriesState
from candles.services import live_candles, store_klines
from tests.candles.factories import BTC, ETH, MINUTE, kline

DAYS = 12
HOLE = (timedelta(hours=3), timedelta(hours=4, minutes=47))  # ago: whole candles are missing, others in part


def price_at(minute: int) -> float:
    """A walk that turns often enough for levels and signals."""
    slow, fast = math.sin(minute / 900) * 1500, math.sin(minute / 47) * 180
    return 64_000 + slow + fast + math.sin(minute / 7.3) * 25


def minute_at(start: datetime) -> Kline:
    number = int(start.timestamp()) // 60
    price, close = price_at(number), price_at(number + 1)
    high, low = f"{max(price, close) + 6:.2f}", f"{min(price, close) - 6:.2f}"
    volume = f"{2 + 1.5 * math.sin(number / 31):.3f}"
    row = kline(start, f"{price:.2f}", volume, high, low, f"{close:.2f}", 40 + number % 9)
    bought = Decimal(volume) * (4 + number % 3) / 10
    return replace(row, taker_buy_volume=str(bought), taker_buy_quote_volume=str(bought * Decimal(row.open)))


def store(first: int, last: int) -> None:
    """The minutes from `first` ago to `last` ago, those of the hole left out."""
    now = datetime.now(UTC)
    top = now.replace(second=0, microsecond=0)
    there = [ago for ago in range(first, last - 1, -1) if not HOLE[0] <= ago * MINUTE < HOLE[1]]
    store_klines([(BTC, [minute_at(top - ago * MINUTE) for ago in there])], now)


def fill() -> None:
    """BTCUSDT's days once, then what has passed since; and the open minute."""
    known = SeriesState.objects.filter(symbol="BTCUSDT", first_open__isnull=False).exists()
    store(30 if known else DAYS * 1440, 1)
    tell(f"{price_at(int(datetime.now(UTC).timestamp()) // 60):.2f}")


def tell(price: str) -> None:
    """The open minute at a price."""
    now = datetime.now(UTC)
    live_candles([(BTC, kline(now.replace(second=0, microsecond=0), price=price))], now)


def close(price: str) -> None:
    """The open minute of ETHUSDT closes, and the next opens at a price: of a series of its own, as that has not
    begun by the clock."""
    now = datetime.now(UTC)
    minute = now.replace(second=0, microsecond=0)
    store_klines([(ETH, [minute_at(minute)])], now)
    live_candles([(ETH, kline(minute + MINUTE, price=price))], now)


def fill_other() -> None:
    """Some hours of ETHUSDT, up to its open minute."""
    top = datetime.now(UTC).replace(second=0, microsecond=0)
    store_klines([(ETH, [minute_at(top - ago * MINUTE) for ago in range(200, 0, -1)])])
