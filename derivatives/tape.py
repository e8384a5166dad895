"""Out of stored trades for a tape: the newest from a size on, and between which of them some are missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from derivatives.broadcast import TapeTrade

NEWEST = """
    SELECT id, (extract(epoch FROM trade_time) * 1000)::int8, price::text, quantity::text, buyer_is_maker
    FROM agg_trades
    WHERE market_type = %(market)s AND symbol = %(symbol)s AND trade_time >= %(since)s
      AND (%(least)s = 0 OR price * quantity >= %(least)s)
    ORDER BY trade_time DESC, id DESC LIMIT %(limit)s
"""
# When the missing trades of a range were made is between the stored trades around it; those of a range that was found
# by the next trade end then. A scan backwards meets the one before it at once.
HOLES = """
    SELECT gap.first, gap.last, gap.state, gap.missing, gap.found_at,
           (SELECT trade_time FROM agg_trades
            WHERE market_type = gap.market_type AND symbol = gap.symbol AND id < gap.first
              AND trade_time <= gap.found_at AND trade_time > gap.found_at - INTERVAL '2 days'
            ORDER BY trade_time DESC, id DESC LIMIT 1) AS begins
    FROM agg_trade_gaps gap
    WHERE gap.market_type = %(market)s AND gap.symbol = %(symbol)s AND gap.state <> 'filled'
      AND gap.found_at >= %(since)s
    ORDER BY gap.found_at DESC LIMIT %(limit)s
"""
MOST_HOLES = 100


@dataclass(frozen=True, slots=True)
class Hole:
    """Trades `first` to `last` that are not stored, `missing` of them for good where it is `lost`. They were made from
    `start` (None: nothing is stored before) to `end`, at the latest."""

    first: int
    last: int
    lost: bool
    missing: int
    start: datetime | None
    end: datetime


def newest(market: str, symbol: str, least: float, limit: int, since: datetime) -> list[TapeTrade]:
    """At most `limit` trades of a series made since then, newest first, each of at least `least` in the quote asset."""
    asked = {"market": market, "symbol": symbol, "least": least, "limit": limit, "since": since}
    with connection.cursor() as cursor:
        cursor.execute(NEWEST, asked)
        return [
            TapeTrade(trade_id, at, price, quantity, "sell" if maker else "buy")
            for trade_id, at, price, quantity, maker in cursor.fetchall()
        ]


def holes(market: str, symbol: str, since: datetime) -> Sequence[Hole]:
    """Ranges of a series' trades that are still to be fetched, or lost, found since then; newest first."""
    with connection.cursor() as cursor:
        cursor.execute(HOLES, {"market": market, "symbol": symbol, "since": since, "limit": MOST_HOLES})
        return [
            Hole(first, last, state == "lost", missing if state == "lost" else last - first + 1, begins, found)
            for first, last, state, missing, found, begins in cursor.fetchall()
        ]
