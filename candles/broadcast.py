"""On the way from the services to people: channels and message shapes of candles in Redis.

Each message is one whole candle of one minute as it is known now, open or closed; whoever misses one has the next."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec
import redis

from candles.candle import Kline, SeriesKey

ALL = "candles:all"
_encode = msgspec.json.Encoder(decimal_format="number").encode


def channel(symbol: str) -> str:
    """Of one symbol's candles; messages name their market."""
    return f"candles:{symbol}"


def candle_body(key: SeriesKey, row: Kline, closed: bool) -> dict[str, Any]:
    """One minute's candle; `timestamp` is its opening time, epoch milliseconds."""
    return {
        "symbol": key.symbol,
        "market": key.market,
        "timeframe": "1",
        "timestamp": row.open_time,
        "open": Decimal(row.open),
        "high": Decimal(row.high),
        "low": Decimal(row.low),
        "close": Decimal(row.close),
        "volume": Decimal(row.volume),
        "quote_volume": Decimal(row.quote_volume),
        "trades": row.trades,
        "taker_buy_volume": Decimal(row.taker_buy_volume),
        "taker_buy_quote_volume": Decimal(row.taker_buy_quote_volume),
        "closed": closed,
    }


def publish(client: redis.Redis, candles: Iterable[tuple[SeriesKey, Kline, bool]]) -> None:
    """Sends candles to whoever listens, in one trip. Raises redis.RedisError."""
    pipe = client.pipeline(transaction=False)
    for key, row, closed in candles:
        body = _encode(candle_body(key, row, closed))
        pipe.publish(channel(key.symbol), body)
        pipe.publish(ALL, body)
    pipe.execute()
