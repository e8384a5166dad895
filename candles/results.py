"""Keys in Redis of what was computed from candles, and how long it lives: `indicators:...` and `analysis:...`.

A result is kept with a stamp of the candles that it was made from (the series' version, and what is known of its open
minute); with another stamp it is as if there were none. So a repaired or newer candle voids it at once."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import cast

from redis import RedisError

from candles.cache import fresh, open_key, version_key
from candles.candle import SeriesKey
from candles.timeframes import Timeframe
from markets.connections import cache_redis
from markets.room import Room

logger = logging.getLogger(__name__)

INDICATORS_LIFETIME = 300  # seconds
ANALYSIS_LIFETIME = 900
ROOM = Room(10_000_000)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one result is kept, with the stamp that it would have now; an empty one cannot be kept."""

    name: str
    stamp: bytes
    lifetime: int


def place(kind: str, key: SeriesKey, timeframe: Timeframe, question: str, now: datetime, lifetime: int) -> Place:
    """`question` is all else that was asked at `now`: a result of an earlier candle is none of this one. With `kind`
    "indicators" the open minute counts too."""
    digest = blake2b(question.encode(), digest_size=12).hexdigest()
    name = f"{kind}:{key.market}:{key.symbol}:{timeframe.name}:{digest}"
    try:
        version, minute = cast("list[bytes | None]", cache_redis().mget([version_key(key), open_key(key)]))
    except RedisError:
        return Place(name, b"", lifetime)
    if not version:
        return Place(name, b"", lifetime)
    told = _told(minute, now) if kind == "indicators" else b""
    return Place(name, b"%s:%d:%s" % (version, int(timeframe.open_of(now).timestamp()), told), lifetime)


def _told(minute: bytes | None, now: datetime) -> bytes:
    """What is known of the open minute."""
    return blake2b(minute, digest_size=12).digest() if minute and fresh(minute, now) else b""


def stamp_keys(symbol: str) -> list[str]:
    """The keys in Redis whose values tell every change of a symbol's candles, on either market: for `stamp`."""
    keys = [SeriesKey("binance", market, symbol) for market in ("SPOT", "FUTURES")]
    return [name(key) for key in keys for name in (version_key, open_key)]


def stamp(values: Sequence[bytes | None], open_too: bool, now: datetime) -> str:
    """What the values of `stamp_keys` come to, the open minutes with `open_too` only. Empty where no version is known:
    then nothing can be kept."""
    versions, minutes = values[::2], values[1::2]
    if not any(versions):
        return ""
    parts = [version or b"" for version in versions]
    parts += [_told(minute, now) for minute in minutes] if open_too else []
    return blake2b(b":".join(parts), digest_size=12).hexdigest()


def find(where: Place) -> bytes | None:
    """The kept result of this very stamp."""
    if not where.stamp:
        return None
    try:
        body = cast("bytes | None", cache_redis().get(where.name))
    except RedisError:
        return None
    head = len(where.stamp).to_bytes(2) + where.stamp
    return body[len(head) :] if body and body.startswith(head) else None


def keep(where: Place, body: bytes) -> None:
    """Keeps what was made after `place` was asked for."""
    if not where.stamp or not ROOM.take(len(body), where.name):
        return
    try:
        cache_redis().set(where.name, len(where.stamp).to_bytes(2) + where.stamp + body, ex=where.lifetime)
    except RedisError as error:
        logger.debug("a result is not kept: Redis is away (%s)", error)
