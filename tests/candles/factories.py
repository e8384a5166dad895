"""Minutes as an exchange tells them, for tests; and what their candles are, worked out the slow way."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from candles.candle import Kline, SeriesKey, milliseconds_of

MINUTE = timedelta(minutes=1)
BTC = SeriesKey("binance", "SPOT", "BTCUSDT")
ETH = SeriesKey("binance", "SPOT", "ETHUSDT")
FIELDS = ("open_time", "open", "high", "low", "close", "volume", "quote_volume", "trades")
TAKER = ("taker_buy_volume", "taker_buy_quote_volume")


def kline(minute, price="100", volume="2", high=None, low=None, close=None, trades=3):
    """One minute that opens at `price`; its close, high and low are the same unless they are given."""
    opening = milliseconds_of(minute)
    closing = close or price
    prices = sorted((price, closing), key=Decimal)
    return Kline(
        opening,
        price,
        high or prices[1],
        low or prices[0],
        closing,
        volume,
        opening + 59_999,
        str(Decimal(volume) * Decimal(price)),
        trades,
        volume,
        str(Decimal(volume) * Decimal(price)),
    )


def klines(start, count, price=100):
    """`count` minutes that follow one another; each has figures of its own."""
    return [
        kline(
            start + n * MINUTE,
            price=f"{price + n % 17}.5",
            close=f"{price + n % 23}.25",
            volume=f"{1 + n % 7}.001",
            trades=n % 9,
        )
        for n in range(count)
    ]


def noon(days_ago=10):
    """Twelve o'clock some days ago: closed, and whole."""
    return datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=days_ago)


def figures(candle):
    """What a candle says, without what time makes of it."""
    return tuple(getattr(candle, name) for name in (*FIELDS, *TAKER, "minutes"))
