"""The only way out for candles: those of any timeframe, how far each series is collected, and where it has gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import F, Sum
from psycopg import sql

from candles import cache
from candles.candle import Candle, SeriesKey, candle_of, judged, milliseconds_of, moment_of, with_open
from candles.models import Hole, SeriesState
from candles.rollups import COLUMNS, FROM_BUCKETS, FROM_MINUTES, SERIES
from candles.timeframes import DAY, MINUTE, SPELLINGS, Timeframe

MOST_CANDLES = 1000  # that one answer may hold

# The oldest minute; and up to where everything is known: the newest minute's end, or the end of what the exchange
# itself does not have.
BOUNDS = sql.SQL("""
    SELECT (SELECT open_time FROM candles WHERE {series} ORDER BY open_time LIMIT 1), greatest(
        (SELECT open_time + INTERVAL '1 minute' FROM candles WHERE {series} ORDER BY open_time DESC LIMIT 1),
        (SELECT max("end") FROM candles_holes WHERE {series}))
""").format(series=SERIES)
MINUTES = sql.SQL("""
    SELECT open_time AS bucket, open_price, high_price, low_price, close_price, volume, quote_volume, trades,
           taker_buy_volume, taker_buy_quote_volume, 1 AS minutes
    FROM candles WHERE {series} AND open_time >= %(start)s AND open_time < %(end)s
""").format(series=SERIES)
SHORT = sql.SQL("""
    SELECT {bin} AS bucket, {figures} FROM candles
    WHERE {series} AND open_time >= %(start)s AND open_time < %(end)s GROUP BY 1
""")
# Parts come from an aggregate, except those of hours that were written to since: they are made of their minutes.
PARTS = sql.SQL("""
    WITH unrolled AS MATERIALIZED (
        SELECT DISTINCT hour FROM candles_unrolled
        WHERE {series} AND hour >= date_trunc('hour', %(start)s::timestamptz, 'UTC') AND hour < %(end)s
    ), parts AS (
        SELECT bucket, {columns} FROM {relation}
        WHERE {series} AND bucket >= %(start)s AND bucket < %(end)s
          AND date_trunc('hour', bucket, 'UTC') NOT IN (SELECT hour FROM unrolled)
        UNION ALL
        SELECT minutes.* FROM unrolled CROSS JOIN LATERAL (
            SELECT date_bin({width}, open_time, 'epoch') AS bucket, {figures} FROM candles
            WHERE {series} AND open_time >= hour AND open_time < hour + INTERVAL '1 hour' GROUP BY 1
        ) AS minutes WHERE bucket >= %(start)s AND bucket < %(end)s
    )
""")
# A day with such an hour is made of its hours; all others are read.
DAY_PARTS = sql.SQL("""
    WITH unrolled AS MATERIALIZED (
        SELECT DISTINCT hour FROM candles_unrolled WHERE {series} AND hour >= %(start)s AND hour < %(end)s
    ), touched AS MATERIALIZED (
        SELECT DISTINCT date_trunc('day', hour, 'UTC') AS day FROM unrolled
    ), hours AS (
        SELECT hourly.* FROM touched CROSS JOIN LATERAL (
            SELECT bucket, {columns} FROM candles_1h
            WHERE {series} AND bucket >= day AND bucket < day + INTERVAL '1 day'
        ) AS hourly WHERE bucket NOT IN (SELECT hour FROM unrolled)
        UNION ALL
        SELECT hour, minutes.* FROM unrolled CROSS JOIN LATERAL (
            SELECT {from_minutes} FROM candles
            WHERE {series} AND open_time >= hour AND open_time < hour + INTERVAL '1 hour' HAVING count(*) > 0
        ) AS minutes
    ), parts AS (
        SELECT bucket, {columns} FROM candles_1d
        WHERE {series} AND bucket >= %(start)s AND bucket < %(end)s AND bucket NOT IN (SELECT day FROM touched)
        UNION ALL
        SELECT date_trunc('day', bucket, 'UTC') AS day, {from_buckets} FROM hours GROUP BY day
    )
""").format(series=SERIES, columns=COLUMNS, from_minutes=FROM_MINUTES, from_buckets=FROM_BUCKETS)
WHOLE = sql.SQL("{parts} SELECT bucket, {columns} FROM parts")
GROUPED = sql.SQL("{parts} SELECT {bin} AS bucket, {figures} FROM parts GROUP BY 1")
# Opening times as epoch seconds: to read a thousand of them as texts takes as long as all else together.
ORDERED = sql.SQL("""
    SELECT extract(epoch FROM bucket)::bigint, {columns} FROM ({made}) AS made ORDER BY bucket {direction}
    LIMIT %(limit)s
""")

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


SOURCES = (("candles_1d", 1440), ("candles_1h", 60), ("candles_15m", 15))  # each with its minutes


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


def _bin(timeframe: Timeframe, time: str) -> sql.Composable:
    """The opening time of the candle that holds a column's moment."""
    if not timeframe.minutes:
        return sql.SQL("date_trunc('month', {}, 'UTC')").format(sql.Identifier(time))
    origin = "1970-01-05T00:00:00Z" if timeframe.minutes % (7 * 1440) == 0 else "1970-01-01T00:00:00Z"
    width = f"{timeframe.minutes} minutes"
    return sql.SQL("date_bin({}, {}, {})").format(sql.Literal(width), sql.Identifier(time), sql.Literal(origin))


def _made(timeframe: Timeframe) -> sql.Composable:
    """The query that makes a timeframe's candles: short ones of minutes, longer ones of what divides them."""
    minutes = timeframe.minutes
    if minutes == 1:
        return MINUTES
    if minutes and minutes < 15:
        return SHORT.format(bin=_bin(timeframe, "open_time"), figures=FROM_MINUTES, series=SERIES)
    relation, own = next((relation, own) for relation, own in SOURCES if minutes % own == 0)
    if relation == "candles_1d":
        parts: sql.Composable = DAY_PARTS
    else:
        parts = PARTS.format(
            series=SERIES,
            columns=COLUMNS,
            relation=sql.Identifier(relation),
            width=sql.Literal(f"{own} minutes"),
            figures=FROM_MINUTES,
        )
    if minutes == own:
        return WHOLE.format(parts=parts, columns=COLUMNS)
    return GROUPED.format(parts=parts, bin=_bin(timeframe, "bucket"), figures=FROM_BUCKETS)


QUERIES = {
    (timeframe.name, newest): ORDERED.format(
        columns=COLUMNS, made=_made(timeframe), direction=sql.SQL("DESC" if newest else "ASC")
    )
    for timeframe in set(SPELLINGS.values())
    for newest in (True, False)
}


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
    if minute is not None and (known.settled is None or moment_of(minute.kline.open_time) >= known.settled):
        found = _with_open(found, candle_of(minute.kline, closed=False), question, now)
        heard_at = moment_of(minute.heard_at)
    return (found[-question.limit :] if question.first is None else found[: question.limit]), heard_at


def _with_open(found: list[Candle], minute: Candle, question: cache.Question, now: datetime) -> list[Candle]:
    """The candles with what is known of the open minute added to the one that holds it."""
    opening = question.timeframe.open_of(minute.open_time)
    if opening > question.last or (question.first is not None and opening < question.first):
        return found
    joins = bool(found) and found[-1].open_time == opening
    if not joins and question.first is not None and len(found) >= question.limit:
        return found
    return with_open(found, minute, question.timeframe, now)


def _stored(question: cache.Question) -> cache.Stored:
    """What the database answers: one stretch of `limit` candles, or longer and longer ones until enough are found."""
    key, timeframe, limit = question.key, question.timeframe, question.limit
    with connection.cursor() as cursor:
        cursor.execute(BOUNDS, _named(key))
        oldest, until = cursor.fetchone()
        if oldest is None:
            return cache.Stored(until, [])
        newest_first = question.first is None
        low = max(timeframe.open_of(oldest), question.first or timeframe.open_of(oldest))
        high = timeframe.end_of(min(question.last, timeframe.open_of(until - MINUTE)))
        rows: list[tuple[Any, ...]] = []
        size = limit
        while low < high and len(rows) < limit:
            cut = timeframe.shift(high, -size) if newest_first else timeframe.shift(low, size)
            start, end = (max(low, cut), high) if newest_first else (low, min(high, cut))
            asked = {**_named(key), "start": start, "end": end, "limit": limit - len(rows)}
            cursor.execute(QUERIES[timeframe.name, newest_first], asked)
            rows += cursor.fetchall()
            low, high = (low, start) if newest_first else (end, high)
            size *= 4
    ordered = reversed(rows) if newest_first else rows
    return cache.Stored(until, [_candle(row, timeframe.minutes) for row in ordered])


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
