"""The way out for files: trades, mark prices, liquidations, open interest as they came, oldest first, in stretches.

Each stretch is one short query that goes on behind the last row, so whoever reads slowly or stops holds nothing of the
database."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

STRETCH = 10_000  # rows that one query may give: what is in memory at once

TRADES = """
    SELECT trade_time, symbol, market_type, id, price, quantity, CASE WHEN buyer_is_maker THEN 'sell' ELSE 'buy' END,
           first_trade_id, last_trade_id, event_time
    FROM agg_trades
    WHERE market_type = %(market)s AND symbol = %(symbol)s AND trade_time >= %(start)s AND trade_time <= %(end)s
      AND (trade_time, id) > (%(start)s, %(after)s)
    ORDER BY trade_time, id LIMIT %(limit)s
"""
MARKS = """
    SELECT event_time, symbol, mark_price, index_price, settle_price, funding_rate, next_funding_time FROM mark_prices
    WHERE symbol = %(symbol)s AND event_time >= %(start)s AND event_time <= %(end)s
      AND (event_time, 0) > (%(start)s, %(after)s)
    ORDER BY event_time LIMIT %(limit)s
"""
INTEREST = """
    SELECT time, symbol, open_interest, notional FROM open_interest
    WHERE symbol = %(symbol)s AND time >= %(start)s AND time <= %(end)s AND (time, 0) > (%(start)s, %(after)s)
    ORDER BY time LIMIT %(limit)s
"""
LIQUIDATIONS = """
    SELECT trade_time, symbol, position, side, price, average_price, quantity, filled_quantity, notional, status,
           content
    FROM force_orders
    WHERE (%(symbol)s = '' OR symbol = %(symbol)s) AND trade_time >= %(start)s AND trade_time <= %(end)s
      AND (trade_time, symbol, content) > (%(start)s, %(after_symbol)s, %(after)s::uuid)
    ORDER BY trade_time, symbol, content LIMIT %(limit)s
"""
NOBODY = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Events:
    """A kind of events in files: its statement, the columns of its rows that are told with what they hold (`moment`,
    `text`, `whole`, `exact`), and which column goes on behind a row of the same moment (None: there is only one)."""

    statement: str
    columns: tuple[tuple[str, str], ...]
    tie: int | None = None
    of_all: bool = False  # may be asked of every symbol at once


def _columns(**columns: str) -> tuple[tuple[str, str], ...]:
    return tuple(columns.items())


DATASETS = {
    "trades": Events(
        TRADES,
        _columns(
            timestamp="moment", symbol="text", marketType="text", id="whole", price="exact", quantity="exact",
            side="text", firstTradeId="whole", lastTradeId="whole", eventTime="moment",
        ),
        tie=3,
    ),
    "mark-prices": Events(
        MARKS,
        _columns(
            timestamp="moment", symbol="text", markPrice="exact", indexPrice="exact", settlePrice="exact",
            fundingRate="exact", nextFundingTime="moment",
        ),
    ),
    "liquidations": Events(
        LIQUIDATIONS,
        _columns(
            timestamp="moment", symbol="text", liquidated="text", side="text", price="exact", averagePrice="exact",
            quantity="exact", filledQuantity="exact", notional="exact", orderStatus="text",
        ),
        tie=10,
        of_all=True,
    ),
    "open-interest": Events(
        INTEREST, _columns(timestamp="moment", symbol="text", openInterest="exact", notional="exact")
    ),
}  # fmt: skip


def stretches(
    dataset: str, series: Sequence[tuple[str, str]], start: datetime, end: datetime
) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of each (symbol, market) from `start` to `end` (aware, both included), in the order of the columns; for
    liquidations a symbol may be empty: all of them. Empty stretches are left out."""
    events = DATASETS[dataset]
    for symbol, market in series:
        at, after, after_symbol = start, first(events), ""
        while True:
            asked = {"symbol": symbol, "market": market, "start": at, "end": end, "limit": STRETCH}
            with connection.cursor() as cursor:
                cursor.execute(events.statement, {**asked, "after": after, "after_symbol": after_symbol})
                rows = cursor.fetchall()
            if rows:
                yield [row[: len(events.columns)] for row in rows]
            if len(rows) < STRETCH:
                break
            last = rows[-1]
            at, after_symbol = last[0], last[1]
            after = 0 if events.tie is None else last[events.tie]


def first(events: Events) -> Any:
    """What comes before every row of the first moment."""
    return NOBODY if events.of_all else -1
