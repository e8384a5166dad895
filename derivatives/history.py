"""The way out for hours and days: volumes and CVD, liquidations by side, mark prices and funding, open interest.

What a bucket lacks it says: trades by their ids, samples by how many a full bucket would hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection
from psycopg import sql

from derivatives.series import DAY, HOUR, INTEREST, LIQUIDATIONS, MARKS, TRADES, Rollup, day_of, hour_of, settled_before

INTERVALS = {"1h": HOUR, "1d": DAY}
AHEAD = {"1h": DAY, "1d": 2 * DAY}  # where the trade behind the last bucket is looked for
INTEREST_EVERY = timedelta(minutes=1)
ENOUGH = 0.99  # of the samples of a full bucket: clocks of both sides are not one

# Hours come from the aggregates, except those that were added to since: they are summed up from their events. A settled
# hour is what its aggregate says, whatever comes later: its own events may be gone. Of days, those with such an hour
# are made of their hours. `start` is the beginning of a day where days are asked for.
HOURS = sql.SQL("""
    WITH unrolled AS MATERIALIZED (
        SELECT {keys}, hour FROM derivatives_unrolled
        WHERE source = {source} AND {chosen_marks} AND hour >= %(start)s AND hour < %(end)s
    ), kept AS MATERIALIZED (
        SELECT {keys}, bucket, {columns} FROM {hours} AS rolled
        WHERE {chosen} AND bucket >= {first} AND bucket < %(end)s
          AND (bucket < %(settled)s OR NOT EXISTS (
              SELECT FROM unrolled WHERE hour = bucket AND ({unrolled_keys}) = ({rolled_keys})))
    ), hours AS (
        SELECT {keys}, bucket, {columns} FROM kept
        UNION ALL
        SELECT {unrolled_keys}, hour, made.* FROM unrolled CROSS JOIN LATERAL (
            SELECT {from_events} FROM {events} AS told
            WHERE ({told_keys}) = ({unrolled_keys}) AND {time} >= hour AND {time} < hour + INTERVAL '1 hour'
            HAVING count(*) > 0
        ) AS made
        WHERE hour >= %(settled)s OR NOT EXISTS (
            SELECT FROM kept WHERE bucket = hour AND ({kept_keys}) = ({unrolled_keys}))
    )
""")
DAYS = sql.SQL("""
    , touched AS (
        SELECT DISTINCT {keys}, date_trunc('day', hour, 'UTC') AS day FROM unrolled
    ), days AS (
        SELECT {keys}, bucket, {columns} FROM {days} AS rolled
        WHERE {chosen} AND bucket >= %(start)s AND bucket < %(end)s
          AND NOT EXISTS (SELECT FROM touched WHERE day = bucket AND ({touched_keys}) = ({rolled_keys}))
        UNION ALL
        SELECT {touched_keys}, day, made.* FROM touched CROSS JOIN LATERAL (
            SELECT {from_hours} FROM hours
            WHERE ({hours_keys}) = ({touched_keys}) AND bucket >= day AND bucket < day + INTERVAL '1 day'
        ) AS made
    )
""")
FIRST_TOUCHED_DAY = sql.SQL("(SELECT date_trunc('day', min(hour), 'UTC') FROM unrolled)")
ONE = sql.SQL("SELECT bucket, {columns} FROM {buckets} ORDER BY bucket")
ALL = sql.SQL("SELECT bucket, {from_hours} FROM {buckets} GROUP BY bucket ORDER BY bucket")
# From the trades themselves while they are there, as hours are made a little later; then from those.
LAST_BEFORE = """
    SELECT greatest(
        (SELECT id FROM agg_trades
         WHERE market_type = %(market)s AND symbol = %(symbol)s AND trade_time < %(start)s
         ORDER BY trade_time DESC, id DESC LIMIT 1),
        (SELECT last_id FROM agg_trades_1h
         WHERE market_type = %(market)s AND symbol = %(symbol)s AND bucket < %(start)s
         ORDER BY bucket DESC LIMIT 1))
"""


def _statement(rollup: Rollup, interval: str, every_symbol: bool) -> sql.Composed:
    parts: dict[str, sql.Composable] = {
        "columns": rollup.names,
        "from_events": rollup.from_events,
        "from_hours": rollup.from_hours,
        "source": sql.Literal(rollup.source),
        "events": sql.Identifier(rollup.source),
        "time": sql.Identifier(rollup.time),
        "hours": sql.Identifier(rollup.hours),
        "days": sql.Identifier(rollup.days),
        "keys": sql.SQL(", ").join(map(sql.Identifier, rollup.series)),
        "chosen": sql.SQL("true") if every_symbol else _chosen(rollup.series),
        "chosen_marks": sql.SQL("true") if every_symbol else _chosen(("market_type", "symbol")),
        "first": sql.SQL("%(start)s") if interval == "1h" else FIRST_TOUCHED_DAY,
    }
    for name in ("unrolled", "rolled", "kept", "told", "touched", "hours"):
        parts[f"{name}_keys"] = sql.SQL(", ").join(sql.Identifier(name, key) for key in rollup.series)
    buckets = sql.Identifier("hours" if interval == "1h" else "days")
    told = (ALL if every_symbol else ONE).format(**{**parts, "buckets": buckets})
    return HOURS.format(**parts) + (sql.SQL("") if interval == "1h" else DAYS.format(**parts)) + told


def _chosen(names: Sequence[str]) -> sql.Composed:
    given = {"market_type": "%(market)s", "symbol": "%(symbol)s"}
    parts = (sql.SQL("{} = {}").format(sql.Identifier(name), sql.SQL(given[name])) for name in names)
    return sql.SQL(" AND ").join(parts)


STATEMENTS = {
    (rollup.source, interval, every): _statement(rollup, interval, every)
    for rollup in (TRADES, LIQUIDATIONS, MARKS, INTEREST)
    for interval in INTERVALS
    for every in (False, True)
}


@dataclass(frozen=True, slots=True)
class Flow:
    """Trades of a series in one bucket. Volumes are in the base asset, quote volumes in the quote asset; `buy` is what
    takers bought. `cvd` is bought minus sold since the beginning of what was asked for, `cvd_quote` in the quote asset.

    `missing` are the trades whose ids did not come, in it or before the next bucket; `complete`: none is, and its
    beginning and end are known. What is not complete is a lower bound. `closed`: the bucket is over."""

    time: datetime
    count: int
    fills: int
    volume: Decimal
    quote_volume: Decimal
    buy_volume: Decimal
    buy_quote_volume: Decimal
    cvd: Decimal
    cvd_quote: Decimal
    missing: int
    complete: bool
    closed: bool

    @property
    def sell_volume(self) -> Decimal:
        return self.volume - self.buy_volume

    @property
    def sell_quote_volume(self) -> Decimal:
        return self.quote_volume - self.buy_quote_volume


@dataclass(frozen=True, slots=True)
class Liquidated:
    """Liquidations in one bucket by the side that was closed, notional in the quote asset: of a sample, at least so
    much."""

    time: datetime
    long_count: int
    long_notional: Decimal
    short_count: int
    short_notional: Decimal
    largest: Decimal
    closed: bool


@dataclass(frozen=True, slots=True)
class MarkBucket:
    """Mark prices of a contract in one bucket, and the funding rate at its end (None: the exchange told none).
    `complete`: nearly all samples that there are in a bucket, or in its part that is over, are there."""

    time: datetime
    samples: int
    mark_open: Decimal
    mark_high: Decimal
    mark_low: Decimal
    mark_close: Decimal
    index_close: Decimal
    funding_rate: Decimal | None
    funding_low: Decimal | None
    funding_high: Decimal | None
    next_funding_time: datetime | None
    complete: bool
    closed: bool


@dataclass(frozen=True, slots=True)
class InterestBucket:
    """Open interest of a contract in one bucket, in the base asset; notionals in the quote asset, None where no mark
    price was known. `complete` as for MarkBucket."""

    time: datetime
    samples: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    notional_open: Decimal | None
    notional_close: Decimal | None
    complete: bool
    closed: bool


def flow(market: str, symbol: str, start: datetime, end: datetime, interval: str, now: datetime) -> list[Flow]:
    """Buckets of a series' trades that begin from `start`'s to `end`'s (aware UTC), oldest first; those without a trade
    are absent. Two queries. Exact whenever hours were rolled up; what is missing is told by the ids."""
    first, last = bucket_of(start, interval), bucket_of(end, interval)
    rows = _rows(TRADES, interval, market, symbol, first, last + AHEAD[interval], now)
    with connection.cursor() as cursor:
        cursor.execute(LAST_BEFORE, {"market": market, "symbol": symbol, "start": first})
        before = cursor.fetchone()[0]
    return _flows(rows, before, last, INTERVALS[interval], now)


def _flows(rows: list[Any], before: int | None, last: datetime, width: timedelta, now: datetime) -> list[Flow]:
    made: list[Flow] = []
    cvd = cvd_quote = Decimal(0)
    for row, after in zip(rows, [*rows[1:], None], strict=False):
        time, count, fills, volume, quote, buy, buy_quote, first_id, last_id = row
        if time > last:
            break
        cvd, cvd_quote = cvd + 2 * buy - volume, cvd_quote + 2 * buy_quote - quote
        lead = max(0, first_id - before - 1) if before is not None else 0
        tail = max(0, after[7] - last_id - 1) if after else 0
        inside = last_id - first_id + 1 - count
        closed = time + width <= now
        known = before is not None and (after is not None or not closed)
        # A gap between two buckets counts once, with the one that it comes after, and spoils both.
        missing = inside + tail
        whole = known and not (inside or tail or lead)
        made.append(Flow(time, count, fills, volume, quote, buy, buy_quote, cvd, cvd_quote, missing, whole, closed))
        before = last_id
    return made


def liquidated(symbol: str, start: datetime, end: datetime, interval: str, now: datetime) -> list[Liquidated]:
    """Buckets with a liquidation of a contract, or with no `symbol` of all together, oldest first. One query."""
    width = INTERVALS[interval]
    rows = _rows(LIQUIDATIONS, interval, "FUTURES", symbol, bucket_of(start, interval), end, now)
    return [Liquidated(*(row[0], *row[2:], row[0] + width <= now)) for row in rows]


def marks(symbol: str, start: datetime, end: datetime, interval: str, now: datetime) -> list[MarkBucket]:
    """Buckets with a mark price, oldest first. One query."""
    width, every = INTERVALS[interval], timedelta(seconds=settings.MARK_PRICE_SECONDS)
    rows = _rows(MARKS, interval, "FUTURES", symbol, bucket_of(start, interval), end, now)
    return [MarkBucket(*(*row, _whole(row, width, every, now), row[0] + width <= now)) for row in rows]


def interest(symbol: str, start: datetime, end: datetime, interval: str, now: datetime) -> list[InterestBucket]:
    """Buckets with an open interest, oldest first. One query."""
    width = INTERVALS[interval]
    rows = _rows(INTEREST, interval, "FUTURES", symbol, bucket_of(start, interval), end, now)
    return [InterestBucket(*(*row, _whole(row, width, INTEREST_EVERY, now), row[0] + width <= now)) for row in rows]


def bucket_of(moment: datetime, interval: str) -> datetime:
    """The beginning of the hour or day (UTC) that a moment is in."""
    moment = moment.astimezone(UTC)
    return hour_of(moment) if interval == "1h" else day_of(moment)


def _whole(row: Any, width: timedelta, every: timedelta, now: datetime) -> bool:
    passed = min(width, max(now - row[0], timedelta(0)))
    return row[1] + 1 >= (passed // every) * ENOUGH


def _rows(
    rollup: Rollup, interval: str, market: str, symbol: str, start: datetime, end: datetime, now: datetime
) -> list[Any]:
    """(bucket, columns of the rollup) of buckets that begin from `start`, itself a bucket's beginning, to `end`."""
    asked = {"market": market, "symbol": symbol, "start": start, "settled": settled_before(rollup, now)}
    last = bucket_of(end, interval) + INTERVALS[interval]
    with connection.cursor() as cursor:
        cursor.execute(STATEMENTS[rollup.source, interval, not symbol], {**asked, "end": last})
        return cursor.fetchall()
