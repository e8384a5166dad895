"""Out of the depth series: what many symbols were at one minute, and what their DIFF was over a time before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection

Key = tuple[str, str]  # symbol, market

# What is missing at the very minute is not made up from another one, but a price of a few minutes before still dates a
# move: `within` says how far back one may be.
PRICES = """
    SELECT DISTINCT ON (symbol, market_type) symbol, market_type, time,
           best_bid::float8, best_ask::float8
    FROM depth_snapshots
    WHERE time > %(at)s - %(within)s AND time <= %(at)s
    ORDER BY symbol, market_type, time DESC
"""
FIGURES = """
    SELECT symbol, market_type, bid_volume, ask_volume, bid_complete, ask_complete
    FROM snapshots WHERE timestamp = %(minute)s AND depth = %(band)s
"""
PAST_SHARES = """
    SELECT symbol, market_type,
           array_agg(CASE WHEN bid_volume + ask_volume > 0 THEN
               (bid_volume - ask_volume)::float8 / (bid_volume + ask_volume) * 100 ELSE 0 END)
    FROM snapshots
    WHERE timestamp >= %(minute)s - %(window)s AND timestamp < %(minute)s AND depth = %(band)s
      AND bid_complete AND ask_complete
    GROUP BY symbol, market_type
"""
NEWEST = "SELECT max(time) FROM depth_snapshots WHERE time > %s - INTERVAL '5 minutes' AND time <= %s"


@dataclass(frozen=True, slots=True)
class Price:
    """Best prices of a stored book, and the minute that it is of."""

    minute: datetime
    best_bid: float
    best_ask: float

    @property
    def mid(self) -> float:
        return (self.best_bid + self.best_ask) / 2


@dataclass(frozen=True, slots=True)
class Figures:
    """BID and ASK volume of one band at one minute, in the base asset."""

    bid: float
    ask: float
    bid_complete: bool
    ask_complete: bool

    @property
    def share(self) -> float:
        """DIFF in percent of both sides; 0 when both are 0."""
        total = self.bid + self.ask
        return (self.bid - self.ask) / total * 100 if total else 0.0


def newest_minute(now: datetime) -> datetime | None:
    """The newest minute of which books are stored; None when there is none of the last five."""
    with connection.cursor() as cursor:
        cursor.execute(NEWEST, [now, now])
        return cursor.fetchone()[0]


def prices(at: datetime, within: timedelta) -> Mapping[Key, Price]:
    """The newest book of each series at that minute, or before it by less than `within`."""
    with connection.cursor() as cursor:
        cursor.execute(PRICES, {"at": at, "within": within})
        return {(symbol, market): Price(minute, bid, ask) for symbol, market, minute, bid, ask in cursor.fetchall()}


def figures(minute: datetime, band: Decimal) -> Mapping[Key, Figures]:
    """One band of every series at that very minute."""
    with connection.cursor() as cursor:
        cursor.execute(FIGURES, {"minute": minute, "band": band})
        return {(symbol, market): Figures(*rest) for symbol, market, *rest in cursor.fetchall()}


def past_shares(minute: datetime, band: Decimal, window: timedelta) -> Mapping[Key, list[float]]:
    """Every series' DIFF in percent over the window before the minute, complete minutes alone, in no order."""
    with connection.cursor() as cursor:
        cursor.execute(PAST_SHARES, {"minute": minute, "band": band, "window": window})
        return {(symbol, market): values for symbol, market, values in cursor.fetchall()}
