"""The only way out for the depth series: the newest book, and history at three resolutions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection
from psycopg import sql

from depth import cache
from depth.models import LIFETIMES, DepthSnapshot, Snapshot
from depth.rollups import COLUMNS, FROM_HOURS, FROM_MINUTES, settled_before
from depth.volumes import BandVolumes

INTERVALS = {"1m": timedelta(minutes=1), "1h": timedelta(hours=1), "1d": timedelta(days=1)}
RAW_RANGE = timedelta(days=2.5)
HOURLY_RANGE = timedelta(days=150)

VERSION = "SELECT version FROM series_versions WHERE symbol = %s AND market_type = %s"
SERIES = """
    SELECT timestamp, bid_volume, ask_volume, bid_volume_usd, ask_volume_usd, bid_complete, ask_complete
    FROM snapshots
    WHERE symbol = %(symbol)s AND market_type = %(market)s AND depth = %(band)s
      AND timestamp >= %(start)s AND timestamp <= %(end)s
    ORDER BY timestamp
"""
# Hours come from the aggregates, except those that were written to since: they are summed up from their minutes.
# A settled hour is what its aggregate says, whatever comes later: its own minutes may be gone.
HOURS = sql.SQL("""
    WITH unrolled AS MATERIALIZED (
        SELECT DISTINCT hour FROM snapshots_unrolled WHERE hour >= %(start)s AND hour < %(end)s
    ), kept AS MATERIALIZED (
        SELECT bucket, {columns} FROM snapshots_agg_1h
        WHERE symbol = %(symbol)s AND market_type = %(market)s AND depth = %(band)s
          AND bucket >= {first} AND bucket < %(end)s
          AND (bucket < %(settled)s OR bucket NOT IN (SELECT hour FROM unrolled))
    ), hours AS (
        SELECT * FROM kept
        UNION ALL
        SELECT hour, minutes.* FROM unrolled CROSS JOIN LATERAL (
            SELECT {figures} FROM snapshots
            WHERE symbol = %(symbol)s AND market_type = %(market)s AND depth = %(band)s
              AND timestamp >= hour AND timestamp < hour + INTERVAL '1 hour'
            HAVING count(*) > 0
        ) AS minutes
        WHERE hour >= %(settled)s OR hour NOT IN (SELECT bucket FROM kept)
    )
""")
HOURLY = sql.SQL("{hours} SELECT {told} FROM hours ORDER BY bucket")
# A day with such an hour is made of its hours; all others are read.
DAILY = sql.SQL("""
    {hours}, touched AS (
        SELECT DISTINCT date_trunc('day', hour, 'UTC') AS day FROM unrolled
    ), days AS (
        SELECT bucket, {columns} FROM snapshots_agg_1d
        WHERE symbol = %(symbol)s AND market_type = %(market)s AND depth = %(band)s
          AND bucket >= %(start)s AND bucket < %(end)s AND bucket NOT IN (SELECT day FROM touched)
        UNION ALL
        SELECT date_trunc('day', bucket, 'UTC') AS day, {figures} FROM hours
        WHERE date_trunc('day', bucket, 'UTC') IN (SELECT day FROM touched)
        GROUP BY day
    )
    SELECT {told} FROM days ORDER BY bucket
""")
FIRST_TOUCHED_DAY = sql.SQL("(SELECT date_trunc('day', min(hour), 'UTC') FROM unrolled)")
MEANS = sql.SQL("""
    bucket, avg_bid_volume, avg_ask_volume, avg_bid_volume_usd, avg_ask_volume_usd, bid_complete, ask_complete, count
""")


def _aggregated(told: sql.Composable) -> dict[str, sql.Composed]:
    """By interval: the query that tells these columns."""
    hours, touched = (
        HOURS.format(columns=COLUMNS, figures=FROM_MINUTES, first=first)
        for first in (sql.SQL("%(start)s"), FIRST_TOUCHED_DAY)
    )
    daily = DAILY.format(hours=touched, columns=COLUMNS, figures=FROM_HOURS, told=told)
    return {"1h": HOURLY.format(hours=hours, told=told), "1d": daily}


AGGREGATED_SERIES = _aggregated(MEANS)
HISTORY = _aggregated(sql.SQL("bucket, {columns}").format(columns=COLUMNS))
STORED_PERIODS = """
    WITH minutes AS (
        SELECT timestamp AS minute, count(*) AS rows FROM snapshots
        WHERE symbol = %s AND market_type = %s GROUP BY timestamp
    ), numbered AS (
        SELECT minute, rows, minute - row_number() OVER (ORDER BY minute) * INTERVAL '1 minute' AS period FROM minutes
    )
    SELECT min(minute), max(minute) + INTERVAL '1 minute', sum(rows)::bigint FROM numbered GROUP BY period ORDER BY 1
"""


# Beginning, four means, both complete flags, number of minutes.
BucketRow = tuple[datetime, float, float, float, float, bool, bool, int]


@dataclass(frozen=True, slots=True)
class LatestBook:
    """The newest stored book of a symbol on a market, with its volumes. Reaches are percent, None when whole."""

    symbol: str
    market: str
    time: datetime
    received_at: datetime
    event_time: datetime | None
    last_update_id: int
    best_bid: float
    best_ask: float
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]
    bid_levels: int
    ask_levels: int
    bid_reach: float | None
    ask_reach: float | None
    depth_limit: int
    source: str
    bands: list[BandVolumes]


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """Liquidity of one band at one minute, or its average over one bucket that begins at `time`.

    `count` is the number of minutes behind the point; complete means that every one of them was."""

    time: datetime
    bid_volume: float
    ask_volume: float
    bid_value: float
    ask_value: float
    bid_complete: bool
    ask_complete: bool
    count: int = 1


@dataclass(frozen=True, slots=True)
class Spread:
    """What one figure did in a bucket: mean, least and most over its minutes."""

    mean: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class HistoryBucket:
    """An hour or a day of one band, from `time` on; complete means that every one of its `count` minutes was."""

    time: datetime
    count: int
    bid_volume: Spread
    ask_volume: Spread
    bid_value: Spread
    ask_value: Spread
    bid_complete: bool
    ask_complete: bool


@dataclass(frozen=True, slots=True)
class StoredPeriod:
    """Minutes without a hole between them, `end` not included, and how many rows they hold."""

    start: datetime
    end: datetime
    rows: int


def version_of(symbol: str, market: str) -> int | None:
    """The version of what is stored of a symbol on a market; another one after every commit that adds to it. None
    where nothing ever was. One query."""
    with connection.cursor() as cursor:
        cursor.execute(VERSION, [symbol, market])
        row = cursor.fetchone()
        return row[0] if row else None


def latest(symbol: str, market: str) -> LatestBook | None:
    """The newest stored book; None when there is none. One query where the cache holds it, else three."""
    version = version_of(symbol, market)
    return cache.remembered("latest", f"{symbol}:{market}", version, LatestBook | None, lambda: _latest(symbol, market))


def _latest(symbol: str, market: str) -> LatestBook | None:
    book = DepthSnapshot.objects.filter(symbol=symbol, market_type=market).order_by("-time").first()
    if book is None:
        return None
    rows = Snapshot.objects.filter(
        symbol=symbol, market_type=market, depth__in=settings.DEPTH_BANDS, timestamp=book.time
    ).order_by("depth")
    return LatestBook(
        symbol=symbol,
        market=market,
        time=book.time,
        received_at=book.received_at,
        event_time=book.event_time,
        last_update_id=book.last_update_id,
        best_bid=float(book.best_bid),
        best_ask=float(book.best_ask),
        bids=list(zip(book.bid_prices, book.bid_quantities, strict=True)),
        asks=list(zip(book.ask_prices, book.ask_quantities, strict=True)),
        bid_levels=book.bid_levels,
        ask_levels=book.ask_levels,
        bid_reach=book.bid_reach,
        ask_reach=book.ask_reach,
        depth_limit=book.depth_limit,
        source=book.source,
        bands=[_volumes(row) for row in rows],
    )


def _volumes(row: Snapshot) -> BandVolumes:
    sums = (row.bid_volume, row.ask_volume, row.bid_volume_usd, row.ask_volume_usd)
    return BandVolumes(row.depth, *sums, row.bid_complete, row.ask_complete)


def choose_interval(start: datetime, end: datetime, now: datetime) -> str:
    """`1m`, `1h` or `1d`: the finest that the range allows, and that is still kept at its beginning."""
    raw_kept = start >= now - LIFETIMES["snapshots"][1]
    if end - start <= RAW_RANGE and raw_kept:
        return "1m"
    return "1h" if end - start <= HOURLY_RANGE else "1d"


def bucket_of(moment: datetime, interval: str) -> datetime:
    """The beginning of the minute, hour or day (UTC) that holds `moment`."""
    floored = moment.replace(second=0, microsecond=0)
    if interval == "1m":
        return floored
    return floored.replace(minute=0) if interval == "1h" else floored.replace(minute=0, hour=0)


def series(
    symbol: str, market: str, band: Decimal, start: datetime, end: datetime, interval: str = "1m"
) -> list[SeriesPoint]:
    """History of one band from `start` to `end` (aware UTC, both included), oldest first. Buckets of `1h` and `1d`
    are averages over whole buckets. Minutes that were not collected are absent. The last two hours come from Redis
    where it holds them whole. One or two queries."""
    version = version_of(symbol, market)
    if interval == "1m":
        return [SeriesPoint(*row) for row in _minutes(symbol, market, band, start, end, version)]
    asked = {"symbol": symbol, "market": market, "band": band, **_buckets(start, end, interval)}
    key = _key(interval, asked)
    found = cache.remembered(
        "series", key, version, list[BucketRow], lambda: _fetched(AGGREGATED_SERIES[interval], asked)
    )
    return [SeriesPoint(*row) for row in found]


def _minutes(
    symbol: str, market: str, band: Decimal, start: datetime, end: datetime, version: int | None
) -> list[cache.Row]:
    now = datetime.now(UTC)
    key = {"symbol": symbol, "market": market, "band": band}
    since = bucket_of(now, "1m") - cache.RECENT + INTERVALS["1m"]
    if version is None or start < since:
        return _fetched(SERIES, {**key, "start": start, "end": end})
    held = cache.recent(symbol, market, band, version, start, end)
    cache.count("recent", hit=held is not None)
    if held is not None:
        return held
    all_since = _fetched(SERIES, {**key, "start": since, "end": max(now, end)})
    cache.fill(symbol, market, band, version, since, all_since)
    return [row for row in all_since if start <= row[0] <= end]


def _key(interval: str, asked: dict[str, Any]) -> str:
    parts = (asked["symbol"], asked["market"], f"{asked['band'].normalize():f}", interval)
    return ":".join((*parts, *(str(int(asked[name].timestamp())) for name in ("start", "end"))))


def _fetched(statement: Any, parameters: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def history(
    symbol: str, market: str, band: Decimal, start: datetime, end: datetime, interval: str
) -> list[HistoryBucket]:
    """The whole buckets of `1h` or `1d` that hold `start` to `end` (aware UTC), oldest first, the open one with what
    it holds by now; empty ones are absent. Two queries at most, and the same answer whenever the aggregates were
    refreshed."""
    asked = {"symbol": symbol, "market": market, "band": band, **_buckets(start, end, interval)}
    key = _key(interval, asked)
    return cache.remembered(
        "history",
        key,
        version_of(symbol, market),
        list[HistoryBucket],
        lambda: [_bucket(row) for row in _fetched(HISTORY[interval], asked)],
    )


def _buckets(start: datetime, end: datetime, interval: str) -> dict[str, datetime]:
    first, last = bucket_of(start, interval), bucket_of(end, interval) + INTERVALS[interval]
    return {"start": first, "end": last, "settled": settled_before(datetime.now(UTC))}


def _bucket(row: tuple[Any, ...]) -> HistoryBucket:
    bid_volume, ask_volume, bid_value, ask_value = (Spread(*row[at : at + 3]) for at in (2, 5, 8, 11))
    return HistoryBucket(row[0], row[1], bid_volume, ask_volume, bid_value, ask_value, row[14], row[15])


def stored_periods(symbol: str, market: str) -> list[StoredPeriod]:
    """What is stored of a symbol on a market, oldest first: one period a stretch of minutes without a hole."""

    def made() -> list[StoredPeriod]:
        with connection.cursor() as cursor:
            cursor.execute(STORED_PERIODS, [symbol, market])
            return [StoredPeriod(*row) for row in cursor.fetchall()]

    version = version_of(symbol, market)
    return cache.remembered("periods", f"{symbol}:{market}", version, list[StoredPeriod], made)


def rows(
    symbol: str,
    market: str,
    band: Decimal | None,
    start: datetime,
    end: datetime,
    limit: int,
    before: tuple[datetime, Decimal] | None = None,
) -> Sequence[Snapshot]:
    """The newest `limit` rows of a range (both ends included), oldest first; all bands when `band` is None. `before` is
    the minute and the band of a row: only those that stand before it."""
    found = Snapshot.objects.filter(symbol=symbol, market_type=market, timestamp__gte=start, timestamp__lte=end)
    if band is not None:
        found = found.filter(depth=band)
    if before is not None:
        minute, last = before
        found = found.filter(timestamp__lte=minute).exclude(timestamp=minute, depth__gte=last)
    return list(found.order_by("-timestamp", "-depth")[:limit])[::-1]


def stored_minutes(symbol: str, market: str, start: datetime, end: datetime) -> set[datetime]:
    """The minutes of a range (both ends included) whose book is stored."""
    found = DepthSnapshot.objects.filter(symbol=symbol, market_type=market, time__gte=start, time__lte=end)
    return set(found.values_list("time", flat=True))


def stored_symbols(market: str, minute: datetime, names: Sequence[str]) -> set[str]:
    """Those of `names` whose book of this minute is stored."""
    found = DepthSnapshot.objects.filter(symbol__in=names, market_type=market, time=minute)
    return set(found.values_list("symbol", flat=True))
