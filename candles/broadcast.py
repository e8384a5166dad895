"""On the way from the services to people: channels and message shapes of candles, in Redis and to live clients.

Each message in Redis is one whole candle of one minute as it is known now, open or closed; whoever misses one has the
next."""

from collections.abc import Iterable
from decimal import Decimal
from math import isfinite
from typing import Any

import msgspec
import redis

from candles.candle import Candle, Kline, SeriesKey, milliseconds_of, moment_of, told
from candles.live import IndicatorState

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


# --- to live clients -------------------------------------------------------------------------------------------------


class Heard(msgspec.Struct):
    """One minute as `candle_body` tells it, read exactly."""

    market: str
    timestamp: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    taker_buy_volume: Decimal
    taker_buy_quote_volume: Decimal
    closed: bool

    @property
    def candle(self) -> Candle:
        return Candle(
            moment_of(self.timestamp),
            *(self.open, self.high, self.low, self.close, self.volume, self.quote_volume, self.trades),
            *(self.taker_buy_volume, self.taker_buy_quote_volume, self.closed),
        )


heard = msgspec.json.Decoder(Heard).decode


def told_body(candle: Candle, heard_at: int | None, live: bool) -> dict[str, Any]:
    """A candle for live clients: as the API tells it, and when its newest price was heard of (epoch milliseconds).
    `live` is false once nobody has told of the series for a while."""
    parts = {"minutes": candle.minutes, "expectedMinutes": candle.expected}
    return {**told(candle), **parts, "heardAt": heard_at, "live": live}


def flat_message(key: SeriesKey, timeframe: str, body: dict[str, Any]) -> bytes:
    """Of `/ws?type=candles`: everything at one level; `timeframe` as the client spells it."""
    return _encode({"type": "candles", "symbol": key.symbol, "market": key.market, "timeframe": timeframe, **body})


def _named(kind: str, key: SeriesKey, timeframe: str) -> dict[str, Any]:
    return {"type": kind, "symbol": key.symbol, "marketType": key.market, "timeframe": timeframe}


def price_update(key: SeriesKey, timeframe: str, body: dict[str, Any]) -> bytes:
    return _encode({**_named("price_update", key, timeframe), "data": body})


def indicator_update(key: SeriesKey, timeframe: str, label: str, candle: Candle, state: IndicatorState) -> bytes:
    """An indicator at one candle; `previous` is its value at the newest closed candle before, from which sums (OBV,
    CVD) can be joined to those of an answer. One value, or one for each line; null is not known."""
    data: dict[str, Any] = {
        "timestamp": milliseconds_of(candle.open_time),
        "closed": candle.closed,
        "value": _plain(state.values),
        "previous": _plain(state.before),
    }
    if state.ahead:
        data["ahead"] = {name: [_known(value) for value in values] for name, values in state.ahead.items()}
    return _encode({**_named("indicator_update", key, timeframe), "indicator": label, "data": data})


def _plain(values: dict[str, float]) -> float | dict[str, float | None] | None:
    return _known(values[""]) if set(values) == {""} else {name: _known(value) for name, value in values.items()}


def _known(value: float) -> float | None:
    return value if isfinite(value) else None
