"""Beside the store: what Redis holds of it, the last two hours of every series and answers to questions asked lately.

Truth stays in the database. Every commit raises the version of the series that it adds to (`series_versions`); whatever
stands here names the version that it was made from and is used only by who has read that very version in the database.
So nothing here can be out of date, however writers, readers, crashes and restarts of Redis fall together: what does not
fit is not used, and is made again. Keys of one symbol on one market, e.g. BTCUSDT, SPOT, band 1.5:

    snapshot:BTCUSDT:SPOT:1.5:recent   sorted set, score the minute's epoch second, member the packed row
    snapshot:BTCUSDT:SPOT:known        hash: `version`, `from` (older minutes were removed), and for each
                                       band `since:1.5` (from this minute on the set is whole) and `count:1.5` (its
                                       size as it was left)
    query:<what>:BTCUSDT:SPOT:...      version (8 bytes) and the answer, msgpack

Without Redis everything comes from the database; one that failed is left alone for PAUSE seconds."""

import logging
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from time import monotonic
from typing import Any, TypeVar

import msgspec
import numpy as np
import redis
from numpy.typing import NDArray
from redis.commands.core import Script

from depth.broadcast import band_number
from markets.connections import cache_redis
from markets.room import Room

logger = logging.getLogger(__name__)

T = TypeVar("T")
RECENT = timedelta(hours=2)
RECENT_LIFETIME = 3 * 3600  # seconds without a new row
QUERY_LIFETIME = 60  # seconds; rows that are deleted (past their lifetime) raise no version
LONGEST = 512 * 1024  # bytes of one answer
ROOM = Room(40_000_000)
PAUSE = 5.0
COUNTS = "cache:counts"  # hash of hits and misses by what was asked, for as long as Redis lives
COUNTS_LIFETIME = 30 * 86400

# A row of a recent set: minute (epoch seconds), the four sums as the database keeps them, both complete flags.
PACKED = struct.Struct("<I4fB")
ROW = np.dtype([("minute", "<u4"), ("sums", "<f4", (4,)), ("complete", "u1")])
Row = tuple[datetime, float, float, float, float, bool, bool]
Written = tuple[str, str, Decimal, datetime, float, float, float, float, bool, bool]

# After a commit. KEYS: known, then the sets that get rows. ARGV: version before ("" none), version after, first minute
# that is kept, lifetime, 1 where every row of the commit was new, then for each set its band, how many rows, and score
# and member of each. A set whose size is not as it was left (it was evicted) is not whole any more. Where a later
# version is known already, a reader has made the sets whole since.
ADVANCE = """
local known, old, new, first, life = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local version = redis.call('HGET', known, 'version')
local goes_on = version and version == old and ARGV[5] == '1'
if version and not goes_on then
  if tonumber(version) >= tonumber(new) then return end
  redis.call('DEL', known)
end
local at = 6
for i = 2, #KEYS do
  local band, rows = ARGV[at], tonumber(ARGV[at + 1])
  at = at + 2
  local left = goes_on and redis.call('HGET', known, 'count:' .. band)
  if left and tonumber(left) ~= redis.call('ZCARD', KEYS[i]) then
    redis.call('HDEL', known, 'since:' .. band, 'count:' .. band)
    left = false
  end
  if rows > 0 then redis.call('ZADD', KEYS[i], unpack(ARGV, at, at + 2 * rows - 1)) end
  at = at + 2 * rows
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', '(' .. first)
  redis.call('EXPIRE', KEYS[i], life)
  if left then redis.call('HSET', known, 'count:' .. band, redis.call('ZCARD', KEYS[i])) end
end
if goes_on then
  redis.call('HSET', known, 'version', new)
  if #KEYS > 1 then
    redis.call('HSET', known, 'from', first)
    redis.call('EXPIRE', known, life)
  end
end
"""
# A reader's rows. KEYS: known, the set. ARGV: version they were read at or after, band, since, lifetime, then score and
# member of each row. Refused when a later version is known: a writer's rows may be missing from these.
FILL = """
local version = redis.call('HGET', KEYS[1], 'version')
if version and version ~= ARGV[1] then
  if tonumber(version) > tonumber(ARGV[1]) then return 0 end
  redis.call('DEL', KEYS[1])
end
redis.call('DEL', KEYS[2])
for at = 5, #ARGV, 2000 do
  redis.call('ZADD', KEYS[2], unpack(ARGV, at, math.min(at + 1999, #ARGV)))
end
redis.call('EXPIRE', KEYS[2], ARGV[4])
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'since:' .. ARGV[2], ARGV[3],
           'count:' .. ARGV[2], redis.call('ZCARD', KEYS[2]))
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""
# KEYS: known, the set. ARGV: the version in the database, band, first and last second. nil where the set is not whole.
READ = """
local known = redis.call('HMGET', KEYS[1], 'version', 'since:' .. ARGV[2], 'count:' .. ARGV[2], 'from')
if known[1] ~= ARGV[1] or not known[2] or tonumber(ARGV[3]) < tonumber(known[2]) then return false end
if known[4] and tonumber(ARGV[3]) < tonumber(known[4]) then return false end
if redis.call('ZCARD', KEYS[2]) ~= tonumber(known[3]) then return false end
return redis.call('ZRANGEBYSCORE', KEYS[2], ARGV[3], ARGV[4])
"""


class _Away:
    """Until when this process leaves Redis alone."""

    until = 0.0


def recent_key(symbol: str, market: str, band: Decimal) -> str:
    return f"snapshot:{symbol}:{market}:{band_number(band)}:recent"


def known_key(symbol: str, market: str) -> str:
    return f"snapshot:{symbol}:{market}:known"


@cache
def _script(text: str) -> Script:
    return cache_redis().register_script(text)


def _asked(question: Callable[[], T]) -> T | None:
    """What Redis answers; None while it is away."""
    if monotonic() < _Away.until:
        return None
    try:
        return question()
    except redis.RedisError as error:
        _Away.until = monotonic() + PAUSE
        logger.warning("without the cache for %.0f s: %s", PAUSE, error)
        return None


# --- the last two hours ------------------------------------------------------------------------------------------


def advance(raised: Iterable[Any], rows: Sequence[Written], whole: bool, now: datetime) -> None:
    """After a commit: its rows join the recent sets. `raised` are its series with `old` and `new` version (as
    `depth.store` gives them); `whole` says that every one of `rows` was added, none was there before."""
    first = int((now - RECENT).timestamp()) // 60 * 60
    sets: dict[tuple[str, str], dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for symbol, market, band, minute, *sums, bid_complete, ask_complete in rows if whole else ():
        second = int(minute.timestamp())
        if second >= first:
            packed = PACKED.pack(second, *sums, bid_complete | ask_complete << 1)
            sets[symbol, market][str(band_number(band))] += (second, packed)

    def send() -> None:
        pipe = cache_redis().pipeline(transaction=False)
        for one in raised:
            bands = sets.get((one.symbol, one.market), {})
            keys = [f"snapshot:{one.symbol}:{one.market}:{band}:recent" for band in bands]
            told: list[Any] = [one.old if one.old is not None else "", one.new, first, RECENT_LIFETIME, int(whole)]
            for band, members in bands.items():
                told += (band, len(members) // 2, *members)
            _script(ADVANCE)([known_key(one.symbol, one.market), *keys], told, client=pipe)
        pipe.execute()

    _asked(send)


def recent(symbol: str, market: str, band: Decimal, version: int, start: datetime, end: datetime) -> list[Row] | None:
    """Rows from `start` to `end` (both included), oldest first, as of this version of the series; None where Redis does
    not hold all of them for certain."""
    keys = [known_key(symbol, market), recent_key(symbol, market, band)]
    told: list[Any] = [version, str(band_number(band)), start.timestamp(), end.timestamp()]
    members = _asked(lambda: _script(READ)(keys, told))
    return None if members is None else unpack(members)


def fill(symbol: str, market: str, band: Decimal, version: int, since: datetime, rows: Sequence[Row]) -> None:
    """Makes the recent set of a band whole: `rows` are all from `since` on, read after `version` was."""
    told: list[Any] = [version, str(band_number(band)), int(since.timestamp()), RECENT_LIFETIME]
    for minute, *sums, bid_complete, ask_complete in rows:
        second = int(minute.timestamp())
        told += (second, PACKED.pack(second, *sums, bid_complete | ask_complete << 1))
    keys = [known_key(symbol, market), recent_key(symbol, market, band)]
    _asked(lambda: _script(FILL)(keys, told))


def unpack(members: Sequence[bytes]) -> list[Row]:
    """Rows of a recent set, as the database tells them."""
    found = np.frombuffer(b"".join(members), ROW)
    sums = as_told(found["sums"]).tolist()
    flags = found["complete"].tolist()
    return [
        (datetime.fromtimestamp(minute, UTC), four[0], four[1], four[2], four[3], bool(flag & 1), bool(flag & 2))
        for minute, four, flag in zip(found["minute"].tolist(), sums, flags, strict=True)
    ]


def as_told(sums: NDArray[np.float32]) -> NDArray[np.float64]:
    """The numbers that PostgreSQL tells of `real` values: the shortest decimal that no other value is as near to.

    NumPy's are the same, but for those that lie in the very middle of two values."""
    exact, near = sums.astype(np.float64), sums.astype(str).astype(np.float64)
    below, above = ((np.nextafter(sums, np.float32(to)) + exact) / 2 for to in (-np.inf, np.inf))
    for at in np.flatnonzero((near == below) | (near == above)):
        lengths = (float(f"{exact.flat[at]:.{digits}g}") for digits in range(6, 10))
        near.flat[at] = next(value for value in lengths if below.flat[at] < value < above.flat[at])
    return near


# --- answers -----------------------------------------------------------------------------------------------------


def remembered(what: str, key: str, version: int | None, kind: Any, make: Callable[[], T]) -> T:
    """The value that `make` makes from the database, or made lately at the same version. `version` has to be read
    before; None (nothing is known of the series) makes it always. `kind` is its type, that msgspec encodes."""
    if version is None:
        return make()
    name, mark = f"query:{what}:{key}", version.to_bytes(8, "big")
    kept = _asked(lambda: cache_redis().get(name))
    if isinstance(kept, bytes) and kept.startswith(mark):
        count(what, hit=True)
        found: T = msgspec.msgpack.decode(kept[8:], type=kind)
        return found
    count(what, hit=False)
    value = make()
    body = msgspec.msgpack.encode(value)
    if len(body) <= LONGEST and ROOM.take(len(body), name):
        _asked(lambda: cache_redis().set(name, mark + body, ex=QUERY_LIFETIME))
    return value


# --- counting ----------------------------------------------------------------------------------------------------

_counted: dict[str, int] = defaultdict(int)
_told_at = monotonic()
TELL_EVERY = 1.0


def count(what: str, hit: bool, tell: bool = True) -> None:
    """Counts a question that the cache could answer or not; told to Redis once a second, by the way or by whoever may
    not wait for it here (`tell` false)."""
    _counted[f"{what}:{'hits' if hit else 'misses'}"] += 1
    if tell and monotonic() - _told_at >= TELL_EVERY:
        tell_counts()


def tell_counts() -> None:
    """Adds what was counted here to the totals of all processes."""
    global _told_at
    _told_at = monotonic()
    told = {name: _counted.pop(name) for name in list(_counted)}

    def send() -> None:
        pipe = cache_redis().pipeline(transaction=False)
        for name, number in told.items():
            pipe.hincrby(COUNTS, name, number)
        pipe.expire(COUNTS, COUNTS_LIFETIME)
        pipe.execute()

    if told:
        _asked(send)


def counts() -> dict[str, tuple[int, int]]:
    """By what was asked: hits and misses of all processes. Raises redis.RedisError."""
    tell_counts()
    found: dict[bytes, bytes] = cache_redis().hgetall(COUNTS)  # type: ignore[assignment]
    names = sorted({name.decode().rpartition(":")[0] for name in found})
    return {
        name: (int(found.get(f"{name}:hits".encode(), 0)), int(found.get(f"{name}:misses".encode(), 0)))
        for name in names
    }
