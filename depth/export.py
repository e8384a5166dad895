"""The way out for files: which series are wanted, how many rows they hold, and their points stretch by stretch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled

from depth.selectors import INTERVALS, SeriesPoint, bucket_of, series
from markets.errors import NotCollected, UnknownSymbol
from markets.models import Market, Symbol

STRETCH = 10_000  # points that one query may give: what is in memory at once
COUNT_MILLISECONDS = 2_000
FIRST_MARKET = datetime(2017, 7, 1, tzinfo=UTC)  # nothing was traded before

OLDEST_MINUTE = "SELECT min(timestamp) FROM snapshots"
CHOSEN = """
    (symbol, market_type) IN (SELECT * FROM unnest(%(symbols)s::text[], %(markets)s::text[]))
    AND depth = ANY(%(bands)s::numeric[])
"""
MINUTES = f"FROM snapshots WHERE {CHOSEN} AND timestamp >= %(start)s AND timestamp < %(end)s"
# Buckets that have an aggregate, and those of hours that were written to since.
BUCKETS = f"""
    SELECT count(*) FROM (
        SELECT symbol, market_type, depth, bucket FROM {{relation}}
        WHERE {CHOSEN} AND bucket >= %(start)s AND bucket < %(end)s
        UNION
        SELECT symbol, market_type, depth, date_trunc('{{unit}}', hour, 'UTC')
        FROM snapshots_unrolled CROSS JOIN LATERAL (
            SELECT DISTINCT symbol, market_type, depth FROM snapshots
            WHERE {CHOSEN} AND timestamp >= hour AND timestamp < hour + INTERVAL '1 hour'
        ) AS written
        WHERE hour >= %(start)s AND hour < %(end)s
    ) AS buckets
"""  # noqa: S608 - made of constants
COUNT = {
    "1m": f"SELECT count(*) {MINUTES}",
    "1h": BUCKETS.format(relation="snapshots_agg_1h", unit="hour"),
    "1d": BUCKETS.format(relation="snapshots_agg_1d", unit="day"),
}


@dataclass(frozen=True, slots=True)
class Selection:
    """What a file holds: each book (symbol, market) at each band, from `start` to `end` (aware UTC, both included),
    minute by minute or as averages of whole hours or days."""

    books: tuple[tuple[str, str], ...]
    bands: tuple[Decimal, ...]
    start: datetime
    end: datetime
    interval: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """Points of one series, oldest first; at most STRETCH of them."""

    symbol: str
    market: str
    band: Decimal
    points: list[SeriesPoint]


@dataclass(frozen=True, slots=True)
class RowCount:
    """How many rows a selection holds; not exact when counting them would take too long."""

    rows: int
    exact: bool


def choose_books(names: Sequence[str], markets: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The collected books of these names: on each of `markets` that has them; with no market named SPOT, or FUTURES
    for what is collected only there. One query.

    Raises UnknownSymbol, and NotCollected for a name that none of the markets collects."""
    storable = [name for name in names if "\x00" not in name]
    rows = Symbol.objects.filter(exchange="binance", name__in=storable).values_list("name", "market", "collected")
    listed = {name for name, _, _ in rows}
    collected = {(name, market) for name, market, is_collected in rows if is_collected}
    chosen: list[tuple[str, str]] = []
    for name in names:
        if name not in listed:
            raise UnknownSymbol(name)
        wanted = markets or Market.values
        found = [(name, market) for market in wanted if (name, market) in collected]
        if not found:
            raise NotCollected(name, markets[0] if len(markets) == 1 else None)
        chosen += found if markets else found[:1]
    return tuple(chosen)


def stored_books(names: Sequence[str], markets: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The books of these names on these markets that the registry knows, collected now or not: what was stored of
    them may still be there. One query."""
    rows = Symbol.objects.filter(exchange="binance", name__in=names, market__in=markets)
    return tuple(rows.order_by("name", "-market").values_list("name", "market"))


def stretches(selection: Selection) -> Iterator[Stretch]:
    """Every point of a selection, series after series in the order of its books and bands; empty stretches are left
    out. Each step is one short query, so whoever reads slowly or stops holds nothing of the database."""
    start, end = _kept(selection)
    for symbol, market in selection.books:
        for band in selection.bands:
            for first, last in _windows(start, end, selection.interval):
                points = series(symbol, market, band, first, last, selection.interval)
                if points:
                    yield Stretch(symbol, market, band, points)


def _windows(start: datetime, end: datetime, interval: str) -> Iterator[tuple[datetime, datetime]]:
    """`start` to `end` cut into pieces of at most STRETCH buckets; both ends of each are included."""
    step = INTERVALS[interval]
    bucket = bucket_of(start, interval)
    while start <= end and bucket <= end:
        last = bucket + (STRETCH - 1) * step
        yield max(bucket, start), min(last, end)
        bucket = last + step


def _kept(selection: Selection) -> tuple[datetime, datetime]:
    """The part of a selection's range that can hold anything: there is no end of asking for empty centuries."""
    first = FIRST_MARKET
    if selection.interval == "1m":
        with connection.cursor() as cursor:
            cursor.execute(OLDEST_MINUTE)
            first = cursor.fetchone()[0] or selection.end
    return max(selection.start, first), min(selection.end, datetime.now(UTC))


def count_rows(selection: Selection) -> RowCount:
    """How many rows a selection holds, within seconds: the planner's guess where counting takes longer."""
    step = INTERVALS[selection.interval]
    whole = selection.interval != "1m"
    asked = {
        "symbols": [symbol for symbol, _ in selection.books],
        "markets": [market for _, market in selection.books],
        "bands": list(selection.bands),
        "start": bucket_of(selection.start, selection.interval) if whole else selection.start,
        "end": bucket_of(selection.end, selection.interval) + step,
    }
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {COUNT_MILLISECONDS}")
            cursor.execute(COUNT[selection.interval], asked)
            return RowCount(cursor.fetchone()[0], True)
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) SELECT 1 {MINUTES}", asked)
        guess = cursor.fetchone()[0][0]["Plan"]["Plan Rows"]
    return RowCount(int(guess // (step // INTERVALS["1m"])), False)
