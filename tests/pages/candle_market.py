"""Minutes for the analysis page's tests: a walk with a missing stretch, stored on the web process's database."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from candles.candle import Kline, SeriesKey
from candles.models import SeriesState
from candles.services import live_candles, store_klines
from tests.candles.factories import BTC, ETH, MINUTE, kline

DAYS = 12
HOLE = (timedelta(hours=3), timedelta(hours=4, minutes=47))  # ago, of BTCUSDT: candles are missing, whole and in part


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


def store(key: SeriesKey, first: datetime, end: datetime) -> None:
    """The minutes from `first` to `end` (not included)."""
    count = (end - first) // MINUTE
    if count > 0:
        store_klines([(key, [minute_at(first + n * MINUTE) for n in range(count)])])


def follow(key: SeriesKey, end: datetime, past: timedelta) -> None:
    """Stores every minute up to `end` (not included) that has passed since the newest one, or its past where there is
    none: whoever tells of an open minute then tells of the one that follows, however long ago the last was told of."""
    known = SeriesState.objects.filter(symbol=key.symbol, market_type=key.market, last_open__isnull=False).first()
    if known is not None:
        store(key, known.last_open + MINUTE, end)
    elif past > HOLE[1]:
        store(key, end - past, end - HOLE[1])
        store(key, end - HOLE[0], end)
    else:
        store(key, end - past, end)


def fill() -> None:
    """BTCUSDT's days once, then what has passed since; and the open minute."""
    tell(f"{price_at(int(datetime.now(UTC).timestamp()) // 60):.2f}")


def tell(price: str) -> None:
    """The open minute of BTCUSDT at a price."""
    now = datetime.now(UTC)
    minute = now.replace(second=0, microsecond=0)
    follow(BTC, minute, timedelta(days=DAYS))
    live_candles([(BTC, kline(minute, price=price))], now)


def close(price: str) -> None:
    """The open minute of ETHUSDT closes, and the next opens at a price: of a series of its own, as that has not
    begun by the clock."""
    now = datetime.now(UTC)
    minute = now.replace(second=0, microsecond=0)
    follow(ETH, minute + MINUTE, timedelta(minutes=200))
    live_candles([(ETH, kline(minute + MINUTE, price=price))], now)


def fill_other() -> None:
    """Some hours of ETHUSDT, up to its open minute."""
    follow(ETH, datetime.now(UTC).replace(second=0, microsecond=0), timedelta(minutes=200))
