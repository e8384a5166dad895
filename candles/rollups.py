"""Between minutes and long timeframes: quarters of an hour, hours and days, made from the stored minutes, kept true.

`candles_15m`, `candles_1h` and `candles_1d` are continuous aggregates under TimescaleDB and tables elsewhere; only
making them differs. Readers (candles.selectors) take an hour that is marked in `candles_unrolled` from its minutes, so
that what they answer never depends on when this ran."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from time import monotonic

from django.db import connection, transaction
from psycopg import sql

from candles.candle import SeriesKey
from markets.storage import REFRESH, alone

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAYS_AT_ONCE = 8  # of one series in one transaction
LOCK = 0x63616E646C6573  # "candles": one roller at a time
RELATIONS = ("candles_15m", "candles_1h", "candles_1d")

# The same columns, in the same order, wherever candles are made or read.
COLUMNS = sql.SQL("""
    open_price, high_price, low_price, close_price, volume, quote_volume, trades,
    taker_buy_volume, taker_buy_quote_volume, minutes
""")
FIGURES = """
    (array_agg(open_price ORDER BY {time}))[1] AS open_price,
    max(high_price) AS high_price, min(low_price) AS low_price,
    (array_agg(close_price ORDER BY {time}))[count(*)] AS close_price,
    sum(volume) AS volume, sum(quote_volume) AS quote_volume, sum(trades)::bigint AS trades,
    sum(taker_buy_volume) AS taker_buy_volume, sum(taker_buy_quote_volume) AS taker_buy_quote_volume,
    {minutes} AS minutes
"""
FROM_MINUTES = sql.SQL(FIGURES).format(time=sql.SQL("open_time"), minutes=sql.SQL("count(*)"))
FROM_BUCKETS = sql.SQL(FIGURES).format(time=sql.SQL("bucket"), minutes=sql.SQL("sum(minutes)::bigint"))
SERIES = sql.SQL("exchange = %(exchange)s AND market_type = %(market)s AND symbol = %(symbol)s")

IS_CONTINUOUS = "SELECT relkind = 'v' FROM pg_class WHERE oid = 'candles_15m'::regclass"
MARKS = """
    SELECT exchange, market_type, symbol, hour, array_agg(id) FROM candles_unrolled WHERE hour < %s
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
MARKS_OF = """
    SELECT exchange, market_type, symbol, hour, array_agg(id) FROM candles_unrolled
    WHERE hour < %s AND (exchange, market_type, symbol) IN (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]))
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
UNMARK = "DELETE FROM candles_unrolled WHERE id = ANY (%s)"
MARK = """
    INSERT INTO candles_unrolled (exchange, market_type, symbol, hour)
    SELECT DISTINCT exchange, market_type, symbol, date_trunc('hour', open_time, 'UTC') FROM candles
    WHERE open_time >= %s AND open_time < %s
"""
CLEAR = sql.SQL("DELETE FROM {relation} WHERE {series} AND bucket >= %(start)s AND bucket < %(end)s AND {chosen}")
CHOSEN_HOURS = sql.SQL("date_trunc('hour', {time}, 'UTC') = ANY (%(hours)s)")
CHOSEN_DAYS = sql.SQL("date_trunc('day', {time}, 'UTC') = ANY (%(days)s)")
MAKE = sql.SQL("""
    INSERT INTO {relation} (exchange, market_type, symbol, bucket, {columns})
    SELECT exchange, market_type, symbol, date_bin({width}, {time}, 'epoch'), {figures} FROM {source}
    WHERE {series} AND {time} >= %(start)s AND {time} < %(end)s AND {chosen}
    GROUP BY 1, 2, 3, 4
""")

Marks = dict[SeriesKey, dict[datetime, list[int]]]


def _steps() -> list[sql.Composed]:
    """The statements that make a series' marked hours and their days again, in order."""
    found = []
    for relation, width, source, time in (
        ("candles_15m", "15 minutes", "candles", "open_time"),
        ("candles_1h", "1 hour", "candles_15m", "bucket"),
        ("candles_1d", "1 day", "candles_1h", "bucket"),
    ):
        chosen = CHOSEN_DAYS if relation == "candles_1d" else CHOSEN_HOURS
        names = {"relation": sql.Identifier(relation), "series": SERIES}
        found.append(CLEAR.format(chosen=chosen.format(time=sql.SQL("bucket")), **names))
        found.append(
            MAKE.format(
                columns=COLUMNS,
                width=sql.Literal(width),
                time=sql.Identifier(time),
                figures=FROM_MINUTES if source == "candles" else FROM_BUCKETS,
                source=sql.Identifier(source),
                chosen=chosen.format(time=sql.Identifier(time)),
                **names,
            )
        )
    return found


STEPS = _steps()


def hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def day_of(moment: datetime) -> datetime:
    return hour_of(moment).replace(hour=0)


def refresh(now: datetime, start: datetime, end: datetime) -> int:
    """Makes every closed hour of every series from `start` to `end` (aware) again; gives the number of hours."""
    with connection.cursor() as cursor:
        cursor.execute(MARK, [start, end])
    return roll_up(now, None)


def roll_up(now: datetime, seconds: float | None = 20.0, keys: Sequence[SeriesKey] | None = None) -> int:
    """Brings quarters, hours and days up to date with the minutes stored before `now`'s hour, for about `seconds`
    (None: until done), of the series `keys` or of all; gives the number of hours, in tables each series' on its own.
    Does nothing while another process is at it.

    Not inside a transaction: under TimescaleDB a refresh is several."""
    until = monotonic() + seconds if seconds is not None else None
    with alone(LOCK) as held:
        if not held:
            return 0
        continuous = is_continuous()
        marks = _marks(hour_of(now), None if continuous else keys)
        work = _view_work(marks) if continuous else _table_work(marks)
        rolled = 0
        for hours in work:
            rolled += hours
            if until is not None and monotonic() > until:
                break
    return rolled


def is_continuous() -> bool:
    """Whether the aggregates are TimescaleDB's: then one refresh is for all series, and is not worth making often."""
    with connection.cursor() as cursor:
        cursor.execute(IS_CONTINUOUS)
        return bool(cursor.fetchone()[0])


def _marks(before: datetime, keys: Sequence[SeriesKey] | None) -> Marks:
    with connection.cursor() as cursor:
        if keys is None:
            cursor.execute(MARKS, [before])
        else:
            columns = ([k.exchange for k in keys], [k.market for k in keys], [k.symbol for k in keys])
            cursor.execute(MARKS_OF, [before, *columns])
        found: Marks = {}
        for exchange, market, symbol, hour, ids in cursor.fetchall():
            found.setdefault(SeriesKey(exchange, market, symbol), {})[hour] = ids
        return found


def _table_work(marks: Marks) -> Iterator[int]:
    """Series by series, a few days at a time; newest first, as that is what people look at."""
    for key, hours in marks.items():
        for _, group in groupby(sorted(hours, reverse=True), key=lambda hour: hour.toordinal() // DAYS_AT_ONCE):
            chosen = sorted(group)
            _make_tables(key, chosen, [mark for hour in chosen for mark in hours[hour]])
            yield len(chosen)


def _make_tables(key: SeriesKey, hours: list[datetime], marks: list[int]) -> None:
    """One transaction: readers see the marks with the old sums, or neither. Marks that were set meanwhile stay."""
    days = sorted({day_of(hour) for hour in hours})
    series = {"exchange": key.exchange, "market": key.market, "symbol": key.symbol, "hours": hours, "days": days}
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in STEPS:
            cursor.execute(statement, {**series, "start": days[0], "end": days[-1] + DAY})
        cursor.execute(UNMARK, [marks])


def _view_work(marks: Marks) -> Iterator[int]:
    """Day by day for all series at once, newest first. Marks go after the refreshes, which saw all that they stand for;
    until then readers take the minutes."""
    by_hour: dict[datetime, list[int]] = {}
    for hours in marks.values():
        for hour, ids in hours.items():
            by_hour.setdefault(hour, []).extend(ids)
    for day, group in groupby(sorted(by_hour, reverse=True), key=day_of):
        chosen = sorted(group)
        with connection.cursor() as cursor:
            for start, end in _runs(chosen):
                cursor.execute(REFRESH, ["candles_15m", start, end])
                cursor.execute(REFRESH, ["candles_1h", start, end])
            cursor.execute(REFRESH, ["candles_1d", day, day + DAY])
            cursor.execute(UNMARK, [[mark for hour in chosen for mark in by_hour[hour]]])
        yield len(chosen)


def _runs(hours: Iterable[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """Ascending hours as stretches without a hole, ends not included."""
    for _, run in groupby(enumerate(hours), key=lambda pair: pair[1] - pair[0] * HOUR):
        stretch = [hour for _, hour in run]
        yield stretch[0], stretch[-1] + HOUR
