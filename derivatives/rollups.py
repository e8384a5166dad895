"""Hours and days of trades, liquidations, mark prices and open interest: made from the stored events, kept true.

They are continuous aggregates under TimescaleDB and tables elsewhere; only making them differs. A trigger marks each
series' hour that events were added to in `derivatives_unrolled`, once. Readers (derivatives.history) take a marked hour
from its events, so that what they answer never depends on when this ran. Whoever makes an hour first sets `taken`; a
writer that comes meanwhile takes that back, and the mark stays. Writers and the maker lock marks in one order."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from time import monotonic

from django.db import connection, transaction
from psycopg import sql

from derivatives.series import DAY, HOUR, ROLLUPS, Rollup, day_of, hour_of, settled_before
from markets.storage import REFRESH, alone

LOCK = 0x6576656E7473  # "events": one roller at a time
HOURS_AT_ONCE = 48  # of one series in one transaction

IS_CONTINUOUS = "SELECT relkind = 'v' FROM pg_class WHERE oid = 'agg_trades_1h'::regclass"
MARKS = """
    SELECT market_type, symbol, array_agg(hour ORDER BY hour) FROM derivatives_unrolled
    WHERE source = %s AND hour < %s GROUP BY 1, 2 ORDER BY 1, 2
"""
MARKED_HOURS = "SELECT DISTINCT hour FROM derivatives_unrolled WHERE source = %s AND hour < %s ORDER BY hour"
BEHIND = "SELECT EXISTS (SELECT FROM derivatives_unrolled WHERE source = %s AND hour < %s)"
CHOSEN_MARKS = "source = %(source)s AND market_type = %(market)s AND symbol = %(symbol)s AND hour = ANY (%(hours)s)"
ALL_MARKS = "source = %(source)s AND hour = ANY (%(hours)s)"
CLAIM = """
    WITH chosen AS (
        SELECT source, market_type, symbol, hour FROM derivatives_unrolled WHERE {marks}
        ORDER BY source, market_type, symbol, hour FOR UPDATE
    )
    UPDATE derivatives_unrolled AS mark SET taken = true FROM chosen
    WHERE (mark.source, mark.market_type, mark.symbol, mark.hour)
        = (chosen.source, chosen.market_type, chosen.symbol, chosen.hour)
"""
UNMARK = "DELETE FROM derivatives_unrolled WHERE {marks} AND taken"
MARK = """
    INSERT INTO derivatives_unrolled (source, market_type, symbol, hour, taken)
    SELECT DISTINCT %(source)s, {market}, symbol, date_trunc('hour', {time}, 'UTC'), false FROM {table}
    WHERE {time} >= %(start)s AND {time} < %(end)s ORDER BY 1, 2, 3, 4
    ON CONFLICT (source, market_type, symbol, hour) DO UPDATE SET taken = false WHERE derivatives_unrolled.taken
"""
CLEAR = sql.SQL("DELETE FROM {relation} WHERE {series} AND bucket = ANY (%(buckets)s)")
MAKE = sql.SQL("""
    INSERT INTO {relation} ({keys}, bucket, {columns})
    SELECT {values}, wanted.bucket, made.* FROM unnest(%(buckets)s::timestamptz[]) AS wanted (bucket)
    CROSS JOIN LATERAL (
        SELECT {figures} FROM {source}
        WHERE {series} AND {time} >= wanted.bucket AND {time} < wanted.bucket + {width} HAVING count(*) > 0
    ) AS made
""")
ROLLED = sql.SQL("SELECT DISTINCT bucket FROM {relation} WHERE {series} AND bucket = ANY (%(buckets)s)")
MATERIALIZED = """
    SELECT materialization_hypertable_schema, materialization_hypertable_name
    FROM timescaledb_information.continuous_aggregates WHERE view_name = %s
"""
PARAMETERS = {"market_type": "%(market)s", "symbol": "%(symbol)s"}


def behind(rollup: Rollup, before: datetime) -> bool:
    """Whether an hour before `before` still waits to be made."""
    with connection.cursor() as cursor:
        cursor.execute(BEHIND, [rollup.source, before])
        return bool(cursor.fetchone()[0])


def refresh(now: datetime, start: datetime, end: datetime) -> int:
    """Makes every closed hour from `start` to before `end` (aware) again; gives the number of hours."""
    with connection.cursor() as cursor:
        for rollup in ROLLUPS:
            statement = MARK.format(market=rollup.market, time=rollup.time, table=rollup.source)
            cursor.execute(statement, {"source": rollup.source, "start": start, "end": end})
    return roll_up(now, None)


def roll_up(now: datetime, seconds: float | None = 40.0) -> int:
    """Brings hours and days up to date with the events stored before `now`'s hour, for about `seconds` (None: until
    done); gives the number of hours, in tables each series' on its own. Does nothing while another process is at it.

    Not inside a transaction: under TimescaleDB a refresh is several."""
    until = monotonic() + seconds if seconds is not None else None
    with alone(LOCK) as held:
        if not held:
            return 0
        work = _view_work if is_continuous() else _table_work
        rolled = 0
        for rollup in ROLLUPS:
            for hours in work(rollup, now):
                rolled += hours
                if until is not None and monotonic() > until:
                    return rolled
        return rolled


def is_continuous() -> bool:
    """Whether the hours and days are TimescaleDB's."""
    with connection.cursor() as cursor:
        cursor.execute(IS_CONTINUOUS)
        return bool(cursor.fetchone()[0])


# --- tables ----------------------------------------------------------------------------------------------------------


def _table_work(rollup: Rollup, now: datetime) -> Iterator[int]:
    """Series by series, some hours at a time."""
    with connection.cursor() as cursor:
        cursor.execute(MARKS, [rollup.source, hour_of(now)])
        found = cursor.fetchall()
    for market, symbol, hours in found:
        for first in range(0, len(hours), HOURS_AT_ONCE):
            chosen = hours[first : first + HOURS_AT_ONCE]
            _make_tables(rollup, {"market": market, "symbol": symbol}, chosen, settled_before(rollup, now))
            yield len(chosen)


def _make_tables(rollup: Rollup, key: dict[str, str], hours: list[datetime], settled: datetime) -> None:
    """The marks are taken first, on their own, so that every writer that is not seen below takes its mark back. Then
    one transaction: readers see the marks with the old sums, or neither."""
    marks = {**key, "source": rollup.source, "hours": hours}
    with connection.cursor() as cursor:
        cursor.execute(CLAIM.format(marks=CHOSEN_MARKS), marks)
        with transaction.atomic():
            due = _due(rollup, sql.Identifier(rollup.hours), _series(rollup), key, hours, settled)
            days = sorted({day_of(hour) for hour in due})
            for statement, buckets in zip(_steps(rollup), (due, due, days, days), strict=True):
                cursor.execute(statement, {**key, "buckets": buckets})
            cursor.execute(UNMARK.format(marks=CHOSEN_MARKS), marks)


def _steps(rollup: Rollup) -> Iterator[sql.Composed]:
    """Hours away, hours from events, days away, days from hours."""
    keys = sql.SQL(", ").join(map(sql.Identifier, rollup.series))
    values = sql.SQL(", ").join(sql.SQL(PARAMETERS[name]) for name in rollup.series)
    for relation, source, time, width, figures in (
        (rollup.hours, rollup.source, rollup.time, "1 hour", rollup.from_events),
        (rollup.days, rollup.hours, "bucket", "1 day", rollup.from_hours),
    ):
        named = {"relation": sql.Identifier(relation), "series": _series(rollup)}
        yield CLEAR.format(**named)
        yield MAKE.format(
            keys=keys,
            values=values,
            columns=rollup.names,
            figures=figures,
            source=sql.Identifier(source),
            time=sql.Identifier(time),
            width=sql.SQL("INTERVAL {}").format(sql.Literal(width)),
            **named,
        )


def _series(rollup: Rollup) -> sql.Composed:
    parts = (sql.SQL("{} = {}").format(sql.Identifier(name), sql.SQL(PARAMETERS[name])) for name in rollup.series)
    return sql.SQL(" AND ").join(parts)


def _due(
    rollup: Rollup,
    relation: sql.Composable,
    series: sql.Composable,
    key: dict[str, str],
    hours: Sequence[datetime],
    settled: datetime,
) -> list[datetime]:
    """Those of `hours` that are to be made: settled ones only where there is nothing yet (an imported past)."""
    old = [hour for hour in hours if hour < settled]
    if not old:
        return list(hours)
    with connection.cursor() as cursor:
        cursor.execute(ROLLED.format(relation=relation, series=series), {**key, "buckets": old})
        made = {row[0] for row in cursor.fetchall()}
    return [hour for hour in hours if hour not in made]


# --- continuous aggregates -------------------------------------------------------------------------------------------


def _view_work(rollup: Rollup, now: datetime) -> Iterator[int]:
    """Day by day for all series at once. Marks go after the refreshes, which saw all that they stand for."""
    with connection.cursor() as cursor:
        cursor.execute(MARKED_HOURS, [rollup.source, hour_of(now)])
        marked = [row[0] for row in cursor.fetchall()]
        if not marked:
            return
        cursor.execute(MATERIALIZED, [rollup.hours])  # the view itself also shows what was never materialized
        materialized = sql.Identifier(*cursor.fetchone())
    for day, group in groupby(marked, key=day_of):
        hours = list(group)
        marks = {"source": rollup.source, "hours": hours}
        with connection.cursor() as cursor:
            cursor.execute(CLAIM.format(marks=ALL_MARKS), marks)
            due = _due(rollup, materialized, sql.SQL("true"), {}, hours, settled_before(rollup, now))
            for start, end in _runs(due):
                cursor.execute(REFRESH, [rollup.hours, start, end])
            if due:
                cursor.execute(REFRESH, [rollup.days, day, day + DAY])
            cursor.execute(UNMARK.format(marks=ALL_MARKS), marks)
        yield len(due)


def _runs(hours: Iterable[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """Ascending hours as stretches without a hole, ends not included."""
    for _, run in groupby(enumerate(hours), key=lambda pair: pair[1] - pair[0] * HOUR):
        stretch = [hour for _, hour in run]
        yield stretch[0], stretch[-1] + HOUR
