"""The only way out for candles: those of any timeframe, how far each series is collected, and where it has gaps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import F, Sum
from psycopg import sql

from candles import cache
from candles.candle import Candle, SeriesKey, candle_of, judged, milliseconds_of, moment_of, with_open
from candles.columns import Columns, columns_of, columns_of_candles
from candles.models import Hole, SeriesState
from candles.queries import ARRAY_QUERIES, BOUNDS, QUERIES
from candles.rollups import SERIES
from candles.timeframes import DAY, MINUTE, SPELLINGS, Timeframe

MOST_CANDLES = 1000  # that one answer may hold
ROW = 11  # columns of a candle in a row of a query; arrays stand behind them
Rows = list[tuple[Any, ...]]

MISSING = sql.SQL("""
    WITH known AS (
        SELECT open_time AS start, open_time + INTERVAL '1 minute' AS stop FROM candles
        WHERE {series} AND open_time >= %(start)s AND open_time < %(end)s
        UNION ALL
        SELECT greatest(start, %(start)s), least("end", %(end)s) FROM candles_holes
        WHERE {series} AND start < %(end)s AND "end" > %(start)s
        UNION ALL
        SELECT %(start)s, %(start)s
        UNION ALL
        SELECT %(end)s, %(end)s
    ), ordered AS (
        SELECT max(stop) OVER in_turn AS begins, lead(start) OVER in_turn AS ends
        FROM known WINDOW in_turn AS (ORDER BY start, stop)
    )
    SELECT begins, ends FROM ordered WHERE ends > begins ORDER BY begins
""").format(series=SERIES)


@dataclass(frozen=True, slots=True)
class Gap:
    """Minutes from `start` to `end` (not included) that were asked for and are not stored, though the exchange was not
    found to lack them."""

    start: datetime
    end: datetime

    @property
    def minutes(self) -> int:
        return (self.end - self.start) // MINUTE


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest candle, and when its close was the price."""

    candle: Candle
    at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one series is collected: `done` of `total` minutes that the exchange has within the wanted time."""

    key: SeriesKey
    done: int
    total: int
    candles: int
    first: datetime | None
    last: datetime | None
    is_realtime: bool
    error: str

    @property
    def percent(self) -> float:
        return 100.0 if self.done >= self.total else self.done * 100 / self.total


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a live series begins with: `candles` as if all of them were closed, oldest first; `settled` is the end of
    the newest minute that is known. `minute` is the open one, heard of at `heard_at` (epoch milliseconds)."""

    candles: list[Candle]
    settled: datetime | None
    minute: Candle | None
    heard_at: int | None


@dataclass(frozen=True, slots=True)
class Overall:
    """All series together: `done` of `total` minutes that their exchanges have within the wanted time; `lacked_minutes`
    are those that the exchanges do not have."""

    series: int
    realtime: int
    failing: int
    done: int
    total: int
    candles: int
    lacked_minutes: int
    first: datetime | None
    last: datetime | None


def candles(
    key: SeriesKey,
    timeframe: Timeframe,
    now: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int = MOST_CANDLES,
) -> list[Candle]:
    """Candles that open within `start` to `end` (aware, both included), oldest first, at most `limit`: the first ones
    from `start` on, or without `start` the newest. The one that is open is among them.

    Two queries, more where minutes are missing by the hundred; none when the cache has the answer."""
    question = _question(key, timeframe, now, start, end, limit)
    return [] if question is None else _answer(question, now)[0]


def columns(
    key: SeriesKey,
    timeframe: Timeframe,
    now: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int = MOST_CANDLES,
) -> Columns:
    """What `candles` gives, as arrays: for whoever computes. As many queries, never from the cache."""
    question = _question(key, timeframe, now, start, end, limit)
    if question is None:
        return columns_of_candles([])
    minute, _, _ = cache.look(question, now)
    settled, stretches = _stretches(question, ARRAY_QUERIES, lambda rows: len(rows[0][-1]) // 8 if rows else 0)
    found = [row for rows in stretches for row in rows]
    last = [_candle(found[-1], timeframe.minutes)] if found else []
    last = _judged(last, timeframe, settled or now, now)
    closed = columns_of([row[ROW:] for row in found], timeframe)
    if minute := _beyond(minute, settled):
        last = _with_open(last, minute, question, now, len(closed) + len(last))
    whole = columns_of_candles(last).after(closed)
    return whole.cut(slice(-limit, None) if question.first is None else slice(limit))


def newest(key: SeriesKey, timeframe: Timeframe, now: datetime) -> Newest | None:
    """The newest candle, open or closed; None when nothing is known. At most two queries."""
    found, heard_at = _answer(cache.Question(key, timeframe, None, timeframe.open_of(now), 1), now)
    return Newest(found[-1], heard_at) if found and heard_at else None


def beginning(key: SeriesKey, timeframe: Timeframe, now: datetime, count: int) -> Beginning:
    """The newest `count` candles as they are stored, past the cache, and the open minute. At least two queries."""
    question = cache.Question(key, timeframe, None, timeframe.open_of(now), count)
    minute, _, _ = cache.look(question, now)
    known = _stored(question)
    opened = candle_of(minute.kline, closed=False) if minute else None
    heard_at = minute.heard_at if minute else milliseconds_of(known.settled) if known.settled else None
    return Beginning(known.candles, known.settled, opened, heard_at)


def between(key: SeriesKey, timeframe: Timeframe, start: datetime, end: datetime, now: datetime) -> list[Candle]:
    """Every closed minute's part of the candles that open within `start` to `end` (aware, both included), past the
    cache. Two queries, of as many rows as there are: ask for stretches."""
    question = _question(key, timeframe, now, start, end, 1)
    if question is None or question.first is None:
        return []
    stop = timeframe.end_of(question.last)
    with connection.cursor() as cursor:
        cursor.execute(BOUNDS, _named(key))
        until = cursor.fetchone()[1]
        asked = {**_named(key), "start": question.first, "end": stop, "limit": (stop - question.first) // MINUTE}
        cursor.execute(QUERIES[timeframe.name, False], asked)
        rows = [_candle(row, timeframe.minutes) for row in cursor.fetchall()]
    return _judged(rows, timeframe, until or now, now)


def closed_until(key: SeriesKey, timeframe: Timeframe, now: datetime, end: datetime, limit: int) -> list[Candle]:
    """The newest `limit` closed candles that end by `end` (an opening time), oldest first, past the cache: as the
    database has them now, inside the caller's transaction. As many queries as `candles`."""
    known = _stored(cache.Question(key, timeframe, None, timeframe.shift(end, -1), limit))
    found = _judged(known.candles, timeframe, known.settled or now, now)
    return [candle for candle in found if candle.closed]


def bounds(key: SeriesKey) -> tuple[datetime | None, datetime | None]:
    """The oldest minute, and the end of the newest that is known. One query."""
    with connection.cursor() as cursor:
        cursor.execute(BOUNDS, _named(key))
        found: tuple[datetime | None, datetime | None] = cursor.fetchone()
        return found


def _question(
    key: SeriesKey, timeframe: Timeframe, now: datetime, start: datetime | None, end: datetime | None, limit: int
) -> cache.Question | None:
    """What is asked, in opening times; None when no candle opens within the range."""
    last = timeframe.open_of(min(end or now, now))
    first = None
    if start is not None:
        first = timeframe.open_of(start)
        first = first if first == start else timeframe.end_of(first)
        if first > last:
            return None
    return cache.Question(key, timeframe, first, last, limit)


def _answer(question: cache.Question, now: datetime) -> tuple[list[Candle], datetime | None]:
    """The candles, and when their newest price was heard of (None: nothing is known)."""
    minute, version, known = cache.look(question, now)
    if known is None:
        known = _stored(question)
        cache.keep(question, version, known)
    found = _judged(known.candles, question.timeframe, known.settled or now, now)
    heard_at = known.settled
    if minute := _beyond(minute, known.settled):
        found = _with_open(found, minute, question, now, len(found))
        heard_at = moment_of(minute.heard_at)
    return (found[-question.limit :] if question.first is None else found[: question.limit]), heard_at


def _with_open(
    found: list[Candle], minute: cache.OpenMinute, question: cache.Question, now: datetime, count: int
) -> list[Candle]:
    """The candles, at least the newest of `count`, with what is known of the open minute added to the one that holds
    it."""
    opened = candle_of(minute.kline, closed=False)
    opening = question.timeframe.open_of(opened.open_time)
    if opening > question.last or (question.first is not None and opening < question.first):
        return found
    joins = bool(found) and found[-1].open_time == opening
    if not joins and question.first is not None and count >= question.limit:
        return found
    return with_open(found, opened, question.timeframe, now)


def _beyond(minute: cache.OpenMinute | None, settled: datetime | None) -> cache.OpenMinute | None:
    """The open minute, unless more is known of it: that it is over."""
    known = minute is not None and (settled is None or moment_of(minute.kline.open_time) >= settled)
    return minute if known else None


def _stored(question: cache.Question) -> cache.Stored:
    """What the database answers."""
    settled, stretches = _stretches(question, QUERIES, len)
    newest_first = question.first is None
    rows = [row for stretch in stretches for row in (reversed(stretch) if newest_first else stretch)]
    return cache.Stored(settled, [_candle(row, question.timeframe.minutes) for row in rows])


def _stretches(
    question: cache.Question, queries: Mapping[tuple[str, bool], sql.Composable], count: Callable[[Rows], int]
) -> tuple[datetime | None, list[Rows]]:
    """Up to where all is known, and the rows of one stretch of `limit` candles, or of longer and longer ones until
    enough are found, the oldest stretch first; `count` tells how many candles are in rows."""
    key, timeframe, limit = question.key, question.timeframe, question.limit
    newest_first = question.first is None
    found, parts, size = 0, [], limit
    with connection.cursor() as cursor:
        cursor.execute(BOUNDS, _named(key))
        oldest, until = cursor.fetchone()
        if oldest is None:
            return until, []
        low = max(timeframe.open_of(oldest), question.first or timeframe.open_of(oldest))
        high = timeframe.end_of(min(question.last, timeframe.open_of(until - MINUTE)))
        while low < high and found < limit:
            cut = timeframe.shift(high, -size) if newest_first else timeframe.shift(low, size)
            start, end = (max(low, cut), high) if newest_first else (low, min(high, cut))
            asked = {**_named(key), "start": start, "end": end, "limit": limit - found}
            cursor.execute(queries[timeframe.name, newest_first], asked)
            parts.append(cursor.fetchall())
            found += count(parts[-1])
            low, high = (low, start) if newest_first else (end, high)
            size *= 4
    return until, parts[::-1] if newest_first else parts


def _named(key: SeriesKey) -> dict[str, Any]:
    return {"exchange": key.exchange, "market": key.market, "symbol": key.symbol}


def _candle(row: tuple[Any, ...], expected: int) -> Candle:
    """From a row of QUERIES, as if it were closed; `judged` says the rest."""
    return Candle(*(datetime.fromtimestamp(row[0], UTC), *row[1:10], True, row[10], expected))


def _judged(found: list[Candle], timeframe: Timeframe, settled: datetime, now: datetime) -> list[Candle]:
    """Candles, oldest first, with `closed` and `expected` as they are now. All but the newest are what they were made
    as, closed and of full length; months differ in theirs."""
    made = list(found)
    for position in range(len(made) - 1, -1, -1):
        candle = judged(made[position], timeframe, settled, now)
        if candle is made[position]:
            break
        made[position] = candle
    return made


# --- how far collection is ---------------------------------------------------------------------------------------


def states(keys: Sequence[SeriesKey] | None = None) -> list[SeriesState]:
    """How far series are collected: those of `keys` that have begun, or all. One query."""
    if keys is None:
        return list(SeriesState.objects.all())
    wanted = set(keys)
    rows = SeriesState.objects.filter(symbol__in={key.symbol for key in wanted})
    return [row for row in rows if row.key in wanted]


def progress(row: SeriesState, now: datetime) -> Progress:
    """Of a series that has begun. The minute that is open does not count."""
    start, until = row.available_from or row.wanted_from, now.replace(second=0, microsecond=0)
    total = max(0, (until - start) // MINUTE) if start else 0
    done = 0
    if start and row.covered_from and row.covered_until:
        done = max(0, (min(row.covered_until, until) - max(row.covered_from, start)) // MINUTE)
    seen = (row.first_open, row.last_open, row.is_realtime, row.last_error)
    return Progress(row.key, done, total, row.count, *seen)


def overall(now: datetime) -> Overall:
    """How far all series are collected, together. Two queries."""
    rows = states()
    parts = [progress(row, now) for row in rows]
    lengths = Hole.objects.aggregate(total=Sum(F("end") - F("start")))["total"] or timedelta()
    return Overall(
        series=len(rows),
        realtime=sum(row.is_realtime for row in rows),
        failing=sum(bool(row.last_error) for row in rows),
        done=sum(part.done for part in parts),
        total=sum(part.total for part in parts),
        candles=sum(row.count for row in rows),
        lacked_minutes=lengths // MINUTE,
        first=min((row.first_open for row in rows if row.first_open), default=None),
        last=max((row.last_open for row in rows if row.last_open), default=None),
    )


def gaps(key: SeriesKey, start: datetime, end: datetime) -> list[Gap]:
    """Minutes missing between two moments (aware, whole minutes, `end` not included) that the exchange was not found to
    lack, oldest first. One query over every minute: ask for days, not for years."""
    with connection.cursor() as cursor:
        cursor.execute(MISSING, {**_named(key), "start": start, "end": end})
        return [Gap(*row) for row in cursor.fetchall()]


def incomplete_days(key: SeriesKey, start: datetime, end: datetime) -> list[datetime]:
    """The days (their beginnings) between two moments in which minutes are missing that the exchange was not found to
    lack, oldest first. Two queries."""
    day = SPELLINGS["1D"]
    first, stop = day.open_of(start), day.end_of(day.open_of(end - MINUTE))
    with connection.cursor() as cursor:
        asked = {**_named(key), "start": first, "end": stop, "limit": (stop - first) // DAY}
        cursor.execute(QUERIES[day.name, False], asked)
        stored = {datetime.fromtimestamp(row[0], UTC): row[10] for row in cursor.fetchall()}
    holes = list(
        Hole.objects.filter(
            exchange=key.exchange, market_type=key.market, symbol=key.symbol, start__lt=stop, end__gt=first
        )
    )
    found = []
    for number in range((stop - first) // DAY):
        opening = first + number * DAY
        low, high = max(start, opening), min(end, opening + DAY)
        lacked = sum((max(timedelta(), min(high, hole.end) - max(low, hole.start)) for hole in holes), timedelta())
        # Minutes outside of the stretch may be stored too; then the day is looked at once more, which harms nothing.
        if stored.get(opening, 0) < (high - low - lacked) // MINUTE:
            found.append(opening)
    return found
