"""Beside the books on the simulated data's way: minutes in, candles of every interval and rolling days out. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise

import numpy as np

from simulator.counts import MINUTE, aggregates_before, trades_before
from simulator.hashing import Ints
from simulator.listings import DAY, Listing
from simulator.prices import STEP, STEPS, Minutes, minutes, quote_value
from simulator.trades import minute_sums, minute_trades

_UNIT = {"s": 1000, "m": MINUTE, "h": 60 * MINUTE, "d": DAY, "w": 7 * DAY}
INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
_MONDAY = 4 * DAY  # 1970-01-05: weeks count from here
_PIECE = 16_384  # minutes made at once


@dataclass(frozen=True, slots=True)
class Candle:
    """Times in ms (`close_time` is the last inside), prices in ticks, volumes in lots, quote in its last decimal."""

    open_time: int
    close_time: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    quote_volume: int
    trades: int
    taker_volume: int
    taker_quote_volume: int


_SUMS = ("volume", "quote_volume", "trades", "taker_volume", "taker_quote_volume")


def _month(number: int) -> int:
    return int(datetime(1970 + number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp()) * 1000


def _month_number(time: int) -> int:
    moment = datetime.fromtimestamp(time / 1000, UTC)
    return (moment.year - 1970) * 12 + moment.month - 1


def number_at(interval: str, time: int) -> int:
    """Which candle of an interval a time (ms) falls into; numbers follow one another."""
    if interval == "1M":
        return _month_number(time)
    shift = _MONDAY if interval == "1w" else 0
    return (time - shift) // (int(interval[:-1]) * _UNIT[interval[-1]])


def opens_at(interval: str, number: int) -> int:
    """The opening time (ms) of a candle."""
    if interval == "1M":
        return _month(number)
    return number * int(interval[:-1]) * _UNIT[interval[-1]] + (_MONDAY if interval == "1w" else 0)


def merged(open_time: int, close_time: int, parts: list[Candle]) -> Candle:
    """One candle of many that follow one another; needs at least one."""
    sums = [sum(getattr(part, name) for part in parts) for name in _SUMS]
    high, low = max(part.high for part in parts), min(part.low for part in parts)
    return Candle(open_time, close_time, parts[0].open, high, low, parts[-1].close, *sums)


def _grouped(made: Minutes, starts: Ints) -> Iterator[tuple[int, ...]]:
    """Minutes grouped from each index of `starts` to the next."""
    ends = np.append(starts[1:], len(made.open)) - 1
    columns = [made.open[starts], np.maximum.reduceat(made.high, starts), np.minimum.reduceat(made.low, starts)]
    columns.append(made.close[ends])
    columns += [np.add.reduceat(getattr(made, name), starts) for name in _SUMS]
    return zip(*(column.tolist() for column in columns), strict=True)


def _from_minutes(listing: Listing, seed: int, interval: str, first: int, count: int) -> list[Candle]:
    """Whole candles of at most a day, from minutes."""
    length = int(interval[:-1]) * _UNIT[interval[-1]]
    each = length // MINUTE
    candles: list[Candle] = []
    for begin in range(first, first + count, max(1, _PIECE // each)):
        size = min(max(1, _PIECE // each), first + count - begin)
        made = minutes(listing, seed, begin * each, size * each)
        rows = _grouped(made, np.arange(size) * each)
        candles += [Candle((begin + i) * length, (begin + i + 1) * length - 1, *row) for i, row in enumerate(rows)]
    return candles


@lru_cache(maxsize=1024)
def _days(listing: Listing, seed: int, number: int) -> tuple[Candle, ...]:
    """Sixteen whole days."""
    return tuple(_from_minutes(listing, seed, "1d", number * 16, 16))


def _from_days(listing: Listing, seed: int, open_time: int, close_time: int) -> Candle:
    days = range(open_time // DAY, (close_time + 1) // DAY)
    return merged(open_time, close_time, [_days(listing, seed, day // 16)[day % 16] for day in days])


def minute_until(listing: Listing, seed: int, number: int, steps: int) -> Candle:
    """The first `steps` steps (1..600) of a minute: what is known of it while it is open."""
    if steps >= STEPS:
        return _from_minutes(listing, seed, "1m", number, 1)[0]
    return replace(_part(listing, seed, number, 0, steps), close_time=(number + 1) * MINUTE - 1)


def _part(listing: Listing, seed: int, number: int, begin: int, end: int) -> Candle:
    """The steps from `begin` to before `end` of a minute; without trades nothing but the last price."""
    sums, trades = minute_sums(listing, seed, number), minute_trades(listing, seed, number)
    first, last = np.searchsorted(trades.steps - number * STEPS, (begin, end))
    ticks = trades.ticks[first:last] if last > first else trades.ticks[first - 1 : first]

    def between(until: Ints) -> int:
        return int(until[end] - until[begin])

    return Candle(
        number * MINUTE + begin * STEP, number * MINUTE + end * STEP - 1,
        int(ticks[0]), int(ticks.max()), int(ticks.min()), int(ticks[-1]),
        between(sums.volume), between(quote_value(listing, sums.value)), between(sums.trades),
        between(sums.taker_volume), between(quote_value(listing, sums.taker_value)),
    )  # fmt: skip


def _seconds(listing: Listing, seed: int, first: int, count: int) -> list[Candle]:
    candles = []
    for number in range(first // 60, (first + count - 1) // 60 + 1):
        seconds = range(max(first, number * 60), min(first + count, number * 60 + 60))
        candles += [_part(listing, seed, number, one % 60 * 10, one % 60 * 10 + 10) for one in seconds]
    return candles


def _whole(listing: Listing, seed: int, interval: str, first: int, count: int) -> list[Candle]:
    """`count` candles from number `first` on, all of them closed."""
    if count <= 0:
        return []
    if interval == "1s":
        return _seconds(listing, seed, first, count)
    if interval[-1] in "mh":
        return _from_minutes(listing, seed, interval, first, count)
    ends = [opens_at(interval, number) for number in range(first, first + count + 1)]
    return [_from_days(listing, seed, begin, end - 1) for begin, end in pairwise(ends)]


@lru_cache(maxsize=2048)
def _closed_minutes(listing: Listing, seed: int, begin: int, last: int) -> tuple[Candle, ...]:
    """What is closed of the candle that opened at `begin` (ms), in minute number `last`: one candle or none."""
    parts: list[Candle] = []
    middle = max(begin, last * MINUTE // DAY * DAY)
    if begin < middle:
        parts.append(_from_days(listing, seed, begin, middle - 1))
    if middle // MINUTE < last:
        parts += _from_minutes(listing, seed, "1m", middle // MINUTE, last - middle // MINUTE)
    return (merged(begin, last * MINUTE - 1, parts),) if parts else ()


def _open(listing: Listing, seed: int, interval: str, number: int, now: int) -> Candle:
    """The candle that is open at `now`."""
    begin, end = opens_at(interval, number), opens_at(interval, number + 1)
    last, steps = now // MINUTE, now % MINUTE // STEP + 1
    if interval == "1s":
        part = _part(listing, seed, last, begin % MINUTE // STEP, steps)
        return merged(begin, end - 1, [part])
    before = _closed_minutes(listing, seed, begin, last)
    return merged(begin, end - 1, [*before, minute_until(listing, seed, last, steps)])


def candles(
    listing: Listing, seed: int, interval: str, now: int, limit: int, start: int | None = None, end: int | None = None
) -> list[Candle]:
    """At most `limit` candles that open within `start`..`end` (ms, both included), oldest first, as known at `now`.

    Without `start` the newest ones. Candles from before the listing or after its end do not exist.
    """
    until = listing.trades_until(now)
    last = number_at(interval, until if end is None else min(end, until))
    earliest = -(-listing.onboard // DAY) * DAY
    first = number_at(interval, earliest - 1) + 1
    if start is None:
        first = max(first, last - limit + 1)
    else:
        first = max(first, number_at(interval, start - 1) + 1)
        last = min(last, first + limit - 1)
    if last < first:
        return []
    if opens_at(interval, last + 1) <= now:
        return _whole(listing, seed, interval, first, last - first + 1)
    return [*_whole(listing, seed, interval, first, last - first), _open(listing, seed, interval, last, now)]


def trade_ids(listing: Listing, seed: int, open_time: int, until: int) -> tuple[int, int]:
    """The first and the last trade's id from an opening time on until a moment (ms); -1 twice if there was none."""
    first = _trades_until(listing, seed, open_time - 1)
    last = _trades_until(listing, seed, until)
    return (first, last - 1) if last > first else (-1, -1)


def _trades_until(listing: Listing, seed: int, time: int) -> int:
    """The id of the first trade that is not known yet at a moment (ms)."""
    number, step = divmod(time // STEP, STEPS)
    begin = int(trades_before(listing, aggregates_before(listing, seed, np.array([number])))[0])
    return begin + int(minute_sums(listing, seed, number).trades[step + 1])


@lru_cache(maxsize=1024)
def _closed_day(listing: Listing, seed: int, last: int) -> tuple[Candle, int]:
    """The 1439 whole minutes before minute `last`, and the close before them."""
    made = minutes(listing, seed, last - 1440, 1440)
    rest = Minutes(made.first + 1, *(getattr(made, field.name)[1:] for field in fields(made) if field.name != "first"))
    row = next(_grouped(rest, np.array([0])))
    return Candle((last - 1439) * MINUTE, last * MINUTE - 1, *row), int(made.close[0])


def rolling_day(listing: Listing, seed: int, now: int) -> tuple[Candle, int]:
    """The last 24 hours (the open minute and 1439 before it) as one candle, and the last price before it (ticks)."""
    closed, before = _closed_day(listing, seed, now // MINUTE)
    live = minute_until(listing, seed, now // MINUTE, now % MINUTE // STEP + 1)
    return merged(closed.open_time, now, [closed, live]), before
