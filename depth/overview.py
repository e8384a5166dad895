"""Out of the store for the overview: the newest book of every collected symbol of a market, and its last hour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from django.conf import settings
from django.db import connection

from depth.formats import decimals_of
from depth.volumes import diff
from markets.models import Symbol
from markets.selectors import collected_symbols

MINUTE = timedelta(minutes=1)
TREND_MINUTES = 60

NEWEST = """
    SELECT wanted.name, book.time, book.received_at, book.best_bid::float8, book.best_ask::float8,
           book.bid_reach, book.ask_reach, book.bid_levels, book.ask_levels, book.source,
           band.bid_volume, band.ask_volume, band.bid_volume_usd, band.ask_volume_usd,
           band.bid_complete, band.ask_complete, hour.mid, day.mid
    FROM unnest(%(names)s::varchar[]) AS wanted (name)
    CROSS JOIN LATERAL (
        SELECT time, received_at, best_bid, best_ask, bid_reach, ask_reach, bid_levels, ask_levels, source
        FROM depth_snapshots WHERE symbol = wanted.name AND market_type = %(market)s ORDER BY time DESC LIMIT 1
    ) AS book
    LEFT JOIN LATERAL (
        SELECT bid_volume, ask_volume, bid_volume_usd, ask_volume_usd, bid_complete, ask_complete
        FROM snapshots WHERE symbol = wanted.name AND market_type = %(market)s AND depth = %(band)s
          AND timestamp = book.time
    ) AS band ON true
    LEFT JOIN LATERAL (
        SELECT ((best_bid + best_ask) / 2)::float8 AS mid FROM depth_snapshots
        WHERE symbol = wanted.name AND market_type = %(market)s
          AND time <= book.time - INTERVAL '1 hour' AND time >= book.time - INTERVAL '1 hour 5 minutes'
        ORDER BY time DESC LIMIT 1
    ) AS hour ON true
    LEFT JOIN LATERAL (
        SELECT ((best_bid + best_ask) / 2)::float8 AS mid FROM depth_snapshots
        WHERE symbol = wanted.name AND market_type = %(market)s
          AND time <= book.time - INTERVAL '24 hours' AND time >= book.time - INTERVAL '24 hours 5 minutes'
        ORDER BY time DESC LIMIT 1
    ) AS day ON true
"""
TRENDS = """
    SELECT wanted.name, trend.minutes, trend.shares, trend.whole
    FROM unnest(%(names)s::varchar[]) AS wanted (name)
    CROSS JOIN LATERAL (
        SELECT array_agg(timestamp ORDER BY timestamp) AS minutes,
               array_agg(CASE WHEN bid_volume_usd + ask_volume_usd > 0 THEN
                   (bid_volume_usd - ask_volume_usd)::float8 / (bid_volume_usd + ask_volume_usd) * 100
                   ELSE 0 END ORDER BY timestamp) AS shares,
               array_agg(bid_complete AND ask_complete ORDER BY timestamp) AS whole
        FROM snapshots WHERE symbol = wanted.name AND market_type = %(market)s AND depth = %(band)s
          AND timestamp > %(start)s AND timestamp <= %(end)s
    ) AS trend
"""


@dataclass(frozen=True, slots=True)
class NewestBook:
    """The newest stored book of a symbol: prices, reaches (percent, None when whole), the volumes of one band (None
    where that band was not kept), and the middle prices an hour and a day before (None where not kept)."""

    symbol: str
    time: datetime
    received_at: datetime
    best_bid: float
    best_ask: float
    bid_reach: float | None
    ask_reach: float | None
    bid_levels: int
    ask_levels: int
    source: str
    bid_volume: float | None
    ask_volume: float | None
    bid_value: float | None
    ask_value: float | None
    bid_complete: bool | None
    ask_complete: bool | None
    hour_ago: float | None
    day_ago: float | None

    @property
    def mid(self) -> float:
        return (self.best_bid + self.best_ask) / 2


@dataclass(frozen=True, slots=True)
class Trend:
    """DIFF in percent of a band's values, one item a minute from `start` on, None where no book was kept;
    `whole` says of each minute whether both sides of the band were complete."""

    start: datetime
    shares: list[float | None]
    whole: list[bool]


@dataclass(frozen=True, slots=True)
class Overview:
    """Every collected symbol of a market, largest 24 h volume first, with the newest book of those that have one."""

    market: str
    band: Decimal
    symbols: list[Symbol]
    books: dict[str, NewestBook]

    @property
    def tag(self) -> str:
        """A word that changes with every new book and with the registry. Rows that come late into the hour of the
        trends show with the next book."""
        told = [self.market, str(self.band)]
        told += [f"{row.name} {row.tick_size} {row.quote_volume}" for row in self.symbols]
        told += sorted(f"{b.symbol} {b.received_at.timestamp()} {b.hour_ago} {b.day_ago}" for b in self.books.values())
        return blake2b("\n".join(told).encode(), digest_size=12).hexdigest()


def overview(market: str, band: Decimal) -> Overview:
    """The newest state of a market at one band. Two queries, however many symbols there are."""
    symbols = collected_symbols(market)
    return Overview(market, band, symbols, newest_books([row.name for row in symbols], market, band))


def default_band() -> Decimal:
    """1% where it is configured, else the narrowest band."""
    bands: tuple[Decimal, ...] = settings.DEPTH_BANDS
    return Decimal(1) if Decimal(1) in bands else bands[0]


def newest_books(names: Sequence[str], market: str, band: Decimal) -> dict[str, NewestBook]:
    """By symbol; those of which nothing is kept are absent. One query."""
    with connection.cursor() as cursor:
        cursor.execute(NEWEST, {"names": list(names), "market": market, "band": band})
        return {row[0]: NewestBook(*row) for row in cursor.fetchall()}


def trends(names: Sequence[str], market: str, band: Decimal, end: datetime) -> dict[str, Trend]:
    """The TREND_MINUTES minutes up to `end` (a minute, included) by symbol; without any minute, absent. One query."""
    start = end - (TREND_MINUTES - 1) * MINUTE
    bounds = {"start": start - MINUTE, "end": end}
    with connection.cursor() as cursor:
        cursor.execute(TRENDS, {"names": list(names), "market": market, "band": band, **bounds})
        return {name: _trend(start, *columns) for name, *columns in cursor.fetchall() if columns[0]}


def _trend(start: datetime, minutes: list[datetime], shares: list[float], whole: list[bool]) -> Trend:
    slots: list[float | None] = [None] * TREND_MINUTES
    complete = [True] * TREND_MINUTES
    for minute, share, is_whole in zip(minutes, shares, whole, strict=True):
        at = (minute - start) // MINUTE
        slots[at], complete[at] = round(share, 1), is_whole
    return Trend(start, slots, complete)


# --- JSON-ready --------------------------------------------------------------------------------------------------


def overview_state(found: Overview, now: datetime) -> dict[str, Any]:
    """What the API and the page tell of an overview; times are epoch milliseconds. One query, for the trends."""
    newest = max((book.time for book in found.books.values()), default=now)
    lines = trends(list(found.books), found.market, found.band, newest)
    rows = [_row(symbol, found.books.get(symbol.name), lines.get(symbol.name)) for symbol in found.symbols]
    return {
        "market": found.market,
        "depth": int(found.band) if found.band == int(found.band) else float(found.band),
        "timestamp": _ms(now),
        "count": len(rows),
        "data": rows,
    }


def _row(symbol: Symbol, book: NewestBook | None, trend: Trend | None) -> dict[str, Any]:
    return {
        "symbol": symbol.name,
        "base": symbol.base,
        "quote": symbol.quote,
        "priceDecimals": decimals_of(symbol.tick_size),
        "volume24h": symbol.quote_volume,
        "book": _book(book) if book else None,
        "trend": _trend_state(trend) if trend else None,
    }


def _book(book: NewestBook) -> dict[str, Any]:
    return {
        "timestamp": _ms(book.received_at),
        "source": book.source,
        "midPrice": book.mid,
        "change1h": _change(book.mid, book.hour_ago),
        "change24h": _change(book.mid, book.day_ago),
        "spreadBps": round((book.best_ask - book.best_bid) / book.mid * 10_000, 4),
        "coverage": {
            "bidPercent": book.bid_reach,
            "askPercent": book.ask_reach,
            "bidLevels": book.bid_levels,
            "askLevels": book.ask_levels,
        },
        "band": _band(book),
    }


def _band(book: NewestBook) -> dict[str, Any] | None:
    if book.bid_value is None or book.ask_value is None or book.bid_volume is None or book.ask_volume is None:
        return None
    difference, percentage = diff(book.bid_volume, book.ask_volume)
    return {
        "bidVolume": book.bid_volume,
        "askVolume": book.ask_volume,
        "totalBidValue": book.bid_value,
        "totalAskValue": book.ask_value,
        "diff": difference,
        "percentage": percentage,
        "bidComplete": book.bid_complete,
        "askComplete": book.ask_complete,
    }


def _trend_state(trend: Trend) -> dict[str, Any]:
    return {"from": _ms(trend.start), "percentage": trend.shares, "incomplete": stretches(trend)}


def stretches(trend: Trend) -> list[list[int]]:
    """Where a side was incomplete: [first, beyond the last] of every run of such minutes."""
    runs: list[list[int]] = []
    for at, whole in enumerate(trend.whole):
        if whole:
            continue
        if runs and runs[-1][1] == at:
            runs[-1][1] = at + 1
        else:
            runs.append([at, at + 1])
    return runs


def _change(price: float, before: float | None) -> float | None:
    """Percent since `before`."""
    return round((price - before) / before * 100, 3) if before else None


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
