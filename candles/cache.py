"""Keys of candles in Redis and how long they live: answers that were given, and the minutes that are open.

An answer is kept under `candles:{market}:{symbol}:{timeframe}:{time of its last candle}:...` for a minute, together
with the version that its series had before it was read. Whoever writes a candle gives the series a new version, and
every answer of the old one is void. Without Redis everything is read from the database."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import uuid4

import msgspec
from redis import RedisError

from candles.candle import MINUTE_MS, Candle, Kline, SeriesKey, milliseconds_of
from candles.timeframes import Timeframe
from markets.connections import cache_redis
from markets.room import Room

logger = logging.getLogger(__name__)

ANSWER_LIFETIME = 60  # seconds
VERSION_LIFETIME = 3600  # longer than any answer's
OPEN_LIFETIME = 90  # seconds that an open minute is told of after it was last heard of
ROOM = Room(40_000_000)
GRACE_MS = 15_000  # how long after its end an open minute still stands for the closed one


@dataclass(frozen=True, slots=True)
class Question:
    """Which candles: opening times from `first` (None: the newest ones) to `last`, both included, at most `limit`."""

    key: SeriesKey
    timeframe: Timeframe
    first: datetime | None
    last: datetime
    limit: int


class Stored(msgspec.Struct, array_like=True, frozen=True):
    """What the database answered. `settled`: the end of the newest minute that is known, None when nothing is."""

    settled: datetime | None
    candles: list[Candle]


class _Answer(msgspec.Struct, array_like=True, frozen=True):
    version: str
    stored: Stored


class OpenMinute(msgspec.Struct, array_like=True, frozen=True):
    """An open minute as it was heard of at `heard_at`, epoch milliseconds."""

    heard_at: int
    kline: Kline


_encode = msgspec.msgpack.Encoder().encode
_answer = msgspec.msgpack.Decoder(_Answer)
_open_minute = msgspec.msgpack.Decoder(OpenMinute)


def answer_key(question: Question) -> str:
    key, first = question.key, question.first
    begins = "newest" if first is None else milliseconds_of(first)
    ends = milliseconds_of(question.last)
    return f"candles:{key.market}:{key.symbol}:{question.timeframe.name}:{ends}:{begins}:{question.limit}"


def version_key(key: SeriesKey) -> str:
    return f"candles:version:{key.market}:{key.symbol}"


def open_key(key: SeriesKey) -> str:
    return f"candles:open:{key.market}:{key.symbol}"


def look(question: Question, now: datetime) -> tuple[OpenMinute | None, str, Stored | None]:
    """In one trip: the open minute, the series' version (empty: answers cannot be kept), and the kept answer."""
    keys = [open_key(question.key), version_key(question.key), answer_key(question)]
    try:
        minute, version, answer = cast("list[bytes | None]", cache_redis().mget(keys))
        if version is None:  # never written to, or long ago: from now on somebody may keep answers of it
            cache_redis().set(keys[1], uuid4().hex, nx=True, ex=VERSION_LIFETIME)
            version = cast("bytes | None", cache_redis().get(keys[1]))
    except RedisError as error:
        logger.warning("candles are read without the cache: Redis is away (%s)", error)
        return None, "", None
    current = (version or b"").decode()
    found = _read(answer)
    return fresh(minute, now), current, found.stored if found and current and found.version == current else None


def _read(body: bytes | None) -> _Answer | None:
    try:
        return _answer.decode(body) if body else None
    except msgspec.DecodeError:
        return None  # kept by another release


def fresh(body: bytes | None, now: datetime) -> OpenMinute | None:
    """The open minute in a kept body, as long as it still stands for the newest."""
    try:
        found = _open_minute.decode(body) if body else None
    except msgspec.DecodeError:
        return None
    if found is None or milliseconds_of(now) > found.kline.open_time + MINUTE_MS + GRACE_MS:
        return None
    return found


def keep(question: Question, version: str, stored: Stored) -> None:
    """Keeps an answer that was read after `version` was."""
    if not version:
        return
    name, body = answer_key(question), _encode(_Answer(version, stored))
    if not ROOM.take(len(body), name):
        return
    try:
        cache_redis().set(name, body, ex=ANSWER_LIFETIME)
    except RedisError as error:
        logger.debug("an answer is not kept: Redis is away (%s)", error)


def forget(keys: Sequence[SeriesKey]) -> None:
    """Makes every kept answer of these series void. Call it after the commit of what changed them."""
    try:
        with cache_redis().pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.set(version_key(key), uuid4().hex, ex=VERSION_LIFETIME)
            pipe.execute()
    except RedisError as error:
        logger.warning("answers about candles may be %d s old: Redis is away (%s)", ANSWER_LIFETIME, error)


def keep_open(minutes: Sequence[tuple[SeriesKey, OpenMinute]]) -> None:
    """Keeps open minutes as they are known now. Raises redis.RedisError."""
    with cache_redis().pipeline(transaction=False) as pipe:
        for key, minute in minutes:
            pipe.set(open_key(key), _encode(minute), ex=OPEN_LIFETIME)
        pipe.execute()
