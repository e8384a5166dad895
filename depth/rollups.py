"""Hours and days of the depth series: made from the stored minutes, and which of them are not up to date.

`snapshots_agg_1h` and `snapshots_agg_1d` are continuous aggregates under TimescaleDB and tables elsewhere; only making
them differs. Readers (depth.selectors) take an hour that is marked in `snapshots_unrolled` from its minutes instead, so
that what they answer never depends on when this ran."""

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from time import monotonic

from django.db import connection, transaction
from psycopg import sql

from depth.models import LIFETIMES
from markets.storage import REFRESH, alone

logger = logging.getLogger(__name__)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LOCK = 0x6465707468  # "depth": one roller at a time

# The same columns, in the same order, wherever hours and days are made or read.
COLUMNS = sql.SQL("""
    count, avg_bid_volume, min_bid_volume, max_bid_volume, avg_ask_volume, min_ask_volume, max_ask_volume,
    avg_bid_volume_usd, min_bid_volume_usd, max_bid_volume_usd,
    avg_ask_volume_usd, min_ask_volume_usd, max_ask_volume_usd, bid_complete, ask_complete
""")
FROM_MINUTES = sql.SQL("""
    count(*) AS count,
    avg(bid_volume) AS avg_bid_volume, min(bid_volume) AS min_bid_volume, max(bid_volume) AS max_bid_volume,
    avg(ask_volume) AS avg_ask_volume, min(ask_volume) AS min_ask_volume, max(ask_volume) AS max_ask_volume,
    avg(bid_volume_usd) AS avg_bid_volume_usd, min(bid_volume_usd) AS min_bid_volume_usd,
    max(bid_volume_usd) AS max_bid_volume_usd,
    avg(ask_volume_usd) AS avg_ask_volume_usd, min(ask_volume_usd) AS min_ask_volume_usd,
    max(ask_volume_usd) AS max_ask_volume_usd,
    bool_and(bid_complete) AS bid_complete, bool_and(ask_complete) AS ask_complete
""")
# Means weighted by the minutes behind them, so that a day is what its minutes make it.
FROM_HOURS = sql.SQL("""
    sum(count)::bigint AS count,
    sum(avg_bid_volume * count) / sum(count)::float8 AS avg_bid_volume,
    min(min_bid_volume) AS min_bid_volume, max(max_bid_volume) AS max_bid_volume,
    sum(avg_ask_volume * count) / sum(count)::float8 AS avg_ask_volume,
    min(min_ask_volume) AS min_ask_volume, max(max_ask_volume) AS max_ask_volume,
    sum(avg_bid_volume_usd * count) / sum(count)::float8 AS avg_bid_volume_usd,
    min(min_bid_volume_usd) AS min_bid_volume_usd, max(max_bid_volume_usd) AS max_bid_volume_usd,
    sum(avg_ask_volume_usd * count) / sum(count)::float8 AS avg_ask_volume_usd,
    min(min_ask_volume_usd) AS min_ask_volume_usd, max(max_ask_volume_usd) AS max_ask_volume_usd,
    bool_and(bid_complete) AS bid_complete, bool_and(ask_complete) AS ask_complete
""")

IS_CONTINUOUS = "SELECT relkind = 'v' FROM pg_class WHERE oid = 'snapshots_agg_1h'::regclass"
MARKS = "SELECT hour, array_agg(id) FROM snapshots_unrolled WHERE hour < %s GROUP BY hour ORDER BY hour"
UNMARK = "DELETE FROM snapshots_unrolled WHERE id = ANY (%s)"
BEHIND = "SELECT EXISTS (SELECT FROM snapshots_unrolled WHERE hour < %s)"
MARK = """
    INSERT INTO snapshots_unrolled (hour)
    SELECT hour FROM generate_series(date_trunc('hour', %(start)s::timestamptz, 'UTC'), %(end)s, INTERVAL '1 hour') hour
    WHERE EXISTS (SELECT FROM snapshots WHERE timestamp >= hour AND timestamp < hour + INTERVAL '1 hour')
    RETURNING id
"""
BOUNDS = "SELECT min(timestamp), max(timestamp) FROM snapshots"
MATERIALIZED = """
    SELECT materialization_hypertable_schema, materialization_hypertable_name
    FROM timescaledb_information.continuous_aggregates WHERE view_name = 'snapshots_agg_1h'
"""
ROLLED = "SELECT DISTINCT bucket FROM {relation} WHERE bucket = ANY (%s)"
CLEAR_HOUR = "DELETE FROM snapshots_agg_1h WHERE bucket = %s"
MAKE_HOUR = sql.SQL("""
    INSERT INTO snapshots_agg_1h (symbol, market_type, depth, bucket, {columns})
    SELECT symbol, market_type, depth, %(hour)s, {figures} FROM snapshots
    WHERE timestamp >= %(hour)s AND timestamp < %(hour)s + INTERVAL '1 hour'
    GROUP BY symbol, market_type, depth
""").format(columns=COLUMNS, figures=FROM_MINUTES)
CLEAR_DAY = "DELETE FROM snapshots_agg_1d WHERE bucket = %s"
MAKE_DAY = sql.SQL("""
    INSERT INTO snapshots_agg_1d (symbol, market_type, depth, bucket, {columns})
    SELECT symbol, market_type, depth, %(day)s, {figures} FROM snapshots_agg_1h
    WHERE bucket >= %(day)s AND bucket < %(day)s + INTERVAL '1 day'
    GROUP BY symbol, market_type, depth
""").format(columns=COLUMNS, figures=FROM_HOURS)


def hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def day_of(moment: datetime) -> datetime:
    return hour_of(moment).replace(hour=0)


def raw_kept_from(now: datetime) -> datetime:
    """The beginning of the first day (UTC) whose minutes are kept; days go whole."""
    return day_of(now - LIFETIMES["snapshots"][1])


def settled_before(now: datetime) -> datetime:
    """Hours before this are made once and then never again: by now their minutes may be gone, or soon will be.

    A day lies between it and the first minutes that go, so that no hour is caught halfway."""
    return day_of(now - LIFETIMES["snapshots"][1] + DAY)


def behind(before: datetime) -> bool:
    """Whether an hour before `before` still waits to be rolled up."""
    with connection.cursor() as cursor:
        cursor.execute(BEHIND, [before])
        return bool(cursor.fetchone()[0])


def refresh(now: datetime, start: datetime | None = None, end: datetime | None = None) -> int:
    """Makes every closed hour from `start` to `end` (aware; default: all that is stored) and its day again from the
    minutes; gives the number of hours. Hours whose minutes may be gone stay as they are."""
    with connection.cursor() as cursor:
        cursor.execute(BOUNDS)
        first, last = cursor.fetchone()
        if first is None:
            return 0
        span = {"start": max(start or first, first), "end": min(end or last, last)}
        cursor.execute(MARK, span)
    return roll_up(now, seconds=None)


def roll_up(now: datetime, seconds: float | None = 40.0) -> int:
    """Brings hours and days up to date with the minutes stored before `now`'s hour, oldest day first, for about
    `seconds` (None: until done); gives the number of hours. Does nothing while another process is at it.

    Not inside a transaction: under TimescaleDB a refresh is several."""
    until = monotonic() + seconds if seconds is not None else None
    rolled = 0
    with alone(LOCK) as held:
        marked = _marks(hour_of(now)) if held else {}
        continuous = bool(marked) and _is_continuous()
        for day, group in groupby(marked, key=day_of):
            if until is not None and monotonic() > until:
                break
            hours = list(group)
            due = _due(hours, settled_before(now), continuous)
            marks = [mark for hour in hours for mark in marked[hour]]
            (_refresh_views if continuous else _refresh_tables)(day, due, marks)
            rolled += len(due)
    return rolled


def _marks(before: datetime) -> dict[datetime, list[int]]:
    with connection.cursor() as cursor:
        cursor.execute(MARKS, [before])
        return dict(cursor.fetchall())


def _is_continuous() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(IS_CONTINUOUS)
        return bool(cursor.fetchone()[0])


def _due(hours: list[datetime], settled: datetime, continuous: bool) -> list[datetime]:
    """Those of `hours` that are to be made: settled ones only where there is nothing yet (an imported past)."""
    old = [hour for hour in hours if hour < settled]
    if not old:
        return hours
    with connection.cursor() as cursor:
        relation = sql.Identifier("snapshots_agg_1h")
        if continuous:  # the view itself also shows what was never materialized
            cursor.execute(MATERIALIZED)
            relation = sql.Identifier(*cursor.fetchone())
        cursor.execute(sql.SQL(ROLLED).format(relation=relation), [old])
        made = {row[0] for row in cursor.fetchall()}
    return [hour for hour in hours if hour not in made]


def _refresh_tables(day: datetime, hours: list[datetime], marks: list[int]) -> None:
    """One transaction: readers see the marks with the old sums, or neither. Marks that were set meanwhile stay."""
    with transaction.atomic(), connection.cursor() as cursor:
        for hour in hours:
            cursor.execute(CLEAR_HOUR, [hour])
            cursor.execute(MAKE_HOUR, {"hour": hour})
        if hours:
            cursor.execute(CLEAR_DAY, [day])
            cursor.execute(MAKE_DAY, {"day": day})
        cursor.execute(UNMARK, [marks])


def _refresh_views(day: datetime, hours: list[datetime], marks: list[int]) -> None:
    """Marks go after the refresh, which saw all that they stand for; until then readers take the minutes."""
    with connection.cursor() as cursor:
        for start, end in _runs(hours):
            cursor.execute(REFRESH, ["snapshots_agg_1h", start, end])
        if hours:
            cursor.execute(REFRESH, ["snapshots_agg_1d", day, day + DAY])
        cursor.execute(UNMARK, [marks])


def _runs(hours: Iterable[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """Ascending hours as stretches without a hole, ends not included."""
    for _, run in groupby(enumerate(hours), key=lambda pair: pair[1] - pair[0] * HOUR):
        stretch = [hour for _, hour in run]
        yield stretch[0], stretch[-1] + HOUR
