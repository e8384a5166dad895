"""Out of futures events for those who watch them: sums over a window, single large ones, changes, of many contracts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection

LIQUIDATED = """
    SELECT symbol, sum(notional)::float8, count(*) FROM force_orders
    WHERE trade_time > %(since)s AND trade_time <= %(until)s AND (%(position)s = '' OR position = %(position)s)
    GROUP BY symbol
"""
LARGE = """
    SELECT symbol, trade_time, content::text, position, notional::float8, average_price::float8 FROM force_orders
    WHERE trade_time > %(since)s AND trade_time <= %(until)s AND notional > %(least)s
      AND (%(position)s = '' OR position = %(position)s)
    ORDER BY trade_time, symbol, content
"""
INTEREST = """
    SELECT DISTINCT ON (symbol) symbol, time, open_interest::float8 FROM open_interest
    WHERE time > %(at)s - %(within)s AND time <= %(at)s ORDER BY symbol, time DESC
"""
RATES = """
    SELECT DISTINCT ON (symbol) symbol, event_time, funding_rate::float8 FROM mark_prices
    WHERE event_time > %(at)s - INTERVAL '1 minute' AND event_time <= %(at)s AND funding_rate IS NOT NULL
    ORDER BY symbol, event_time DESC
"""


@dataclass(frozen=True, slots=True)
class LargeLiquidation:
    """One liquidation; `notional` in the quote asset."""

    symbol: str
    time: datetime
    content: str
    position: str
    notional: float
    price: float


def liquidated(since: datetime, until: datetime, position: str = "") -> Mapping[str, tuple[float, int]]:
    """Notional and number of the liquidations that the exchange told of, by symbol: at least so much. `position` is
    long, short or empty for both. `since` is not included."""
    with connection.cursor() as cursor:
        cursor.execute(LIQUIDATED, {"since": since, "until": until, "position": position})
        return {symbol: (notional, count) for symbol, notional, count in cursor.fetchall()}


def large_liquidations(
    since: datetime, until: datetime, least: Decimal | float, position: str = ""
) -> Sequence[LargeLiquidation]:
    """Single ones above `least`, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(LARGE, {"since": since, "until": until, "least": least, "position": position})
        return [LargeLiquidation(*row) for row in cursor.fetchall()]


def interest(at: datetime, within: timedelta) -> Mapping[str, tuple[datetime, float]]:
    """Open interest in the base asset by symbol, the newest at that time that is not older than `within`."""
    with connection.cursor() as cursor:
        cursor.execute(INTEREST, {"at": at, "within": within})
        return {symbol: (time, value) for symbol, time, value in cursor.fetchall()}


def funding_rates(at: datetime) -> Mapping[str, tuple[datetime, float]]:
    """Funding rate (a share, not percent) by symbol, known in the minute before."""
    with connection.cursor() as cursor:
        cursor.execute(RATES, {"at": at})
        return {symbol: (time, rate) for symbol, time, rate in cursor.fetchall()}
