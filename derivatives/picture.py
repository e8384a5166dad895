"""Out of stored events for a picture of one contract: step by step its mark price, funding, open interest, the flow of
trades, and what was liquidated; and where any of it is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

# Of each step the newest of each: one look into an index a step, however many marks a step has.
POINTS = """
    SELECT bucket, mark.mark_price::float8, mark.index_price::float8, mark.funding_rate::float8,
           mark.next_funding_time, interest.open_interest::float8, interest.notional::float8
    FROM generate_series(%(start)s::timestamptz, %(last)s::timestamptz, %(step)s::interval) AS bucket
    LEFT JOIN LATERAL (
        SELECT * FROM mark_prices WHERE symbol = %(symbol)s AND event_time >= bucket AND event_time < bucket + %(step)s
        ORDER BY event_time DESC LIMIT 1
    ) AS mark ON true
    LEFT JOIN LATERAL (
        SELECT * FROM open_interest WHERE symbol = %(symbol)s AND time >= bucket AND time < bucket + %(step)s
        ORDER BY time DESC LIMIT 1
    ) AS interest ON true
    ORDER BY bucket
"""
SILENCES = """
    SELECT before, event_time FROM (
        SELECT event_time, lag(event_time) OVER (ORDER BY event_time) AS before FROM mark_prices
        WHERE symbol = %(symbol)s AND event_time >= %(start)s AND event_time < %(end)s
    ) AS marks WHERE event_time - before > %(least)s ORDER BY event_time
"""
READINGS = """
    SELECT date_bin(%(step)s, time, 'epoch'), count(DISTINCT date_trunc('minute', time)) FROM open_interest
    WHERE symbol = %(symbol)s AND time >= %(start)s AND time < %(end)s GROUP BY 1
"""
LIQUIDATED = """
    SELECT date_bin(%(step)s, trade_time, 'epoch') AS bucket, position, sum(notional)::float8, count(*),
           (sum(notional) / nullif(sum(filled_quantity), 0))::float8, max(notional)::float8
    FROM force_orders WHERE symbol = %(symbol)s AND trade_time >= %(start)s AND trade_time < %(end)s
    GROUP BY bucket, position ORDER BY bucket, position
"""
FLOW = """
    SELECT date_bin(%(step)s, trade_time, 'epoch') AS bucket, count(*), min(id), max(id),
           coalesce(sum(price::float8 * quantity::float8) FILTER (WHERE NOT buyer_is_maker), 0),
           coalesce(sum(price::float8 * quantity::float8) FILTER (WHERE buyer_is_maker), 0)
    FROM agg_trades
    WHERE market_type = %(market)s AND symbol = %(symbol)s AND trade_time >= %(start)s AND trade_time < %(end)s
    GROUP BY bucket ORDER BY bucket
"""
BEFORE = """
    SELECT id FROM agg_trades
    WHERE market_type = %(market)s AND symbol = %(symbol)s AND trade_time < %(start)s
    ORDER BY trade_time DESC, id DESC LIMIT 1
"""
SILENT = timedelta(minutes=1)  # between two mark prices; one comes each second or three, of a loaded past each minute


@dataclass(frozen=True, slots=True)
class Point:
    """The newest of each within the step that begins at `time`, None where none came. `rate` is a share of the
    position, heading for `next_funding`; `interest` in the base asset, `interest_value` in the quote asset;
    `minutes` of the step have open interest."""

    time: datetime
    mark: float | None
    index: float | None
    rate: float | None
    next_funding: datetime | None
    interest: float | None
    interest_value: float | None
    minutes: int


@dataclass(frozen=True, slots=True)
class Liquidated:
    """What the exchange told of one side's liquidations within a step: at least so much. `price` is their mean by
    quantity."""

    time: datetime
    position: str
    notional: float
    count: int
    price: float | None
    largest: float


@dataclass(frozen=True, slots=True)
class Flow:
    """What takers bought and sold within a step, in the quote asset. `whole`: no trade of it is missing."""

    time: datetime
    bought: float
    sold: float
    trades: int
    whole: bool


def points(symbol: str, start: datetime, last: datetime, step: timedelta) -> list[Point]:
    """Every step from the one that begins at `start` to the one at `last`, empty ones too. Two queries."""
    asked = {"symbol": symbol, "start": start, "last": last, "end": last + step, "step": step}
    with connection.cursor() as cursor:
        cursor.execute(READINGS, asked)
        minutes: dict[datetime, int] = dict(cursor.fetchall())
        cursor.execute(POINTS, asked)
        rows: list[Any] = cursor.fetchall()
    return [Point(*(*row, minutes.get(row[0], 0))) for row in rows]


def silences(symbol: str, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Between which mark prices there was none for longer than SILENT."""
    with connection.cursor() as cursor:
        cursor.execute(SILENCES, {"symbol": symbol, "start": start, "end": end, "least": SILENT})
        return cursor.fetchall()


def liquidated(symbol: str, start: datetime, end: datetime, step: timedelta) -> list[Liquidated]:
    """By step and side, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(LIQUIDATED, {"symbol": symbol, "start": start, "end": end, "step": step})
        return [Liquidated(*row) for row in cursor.fetchall()]


def flow(market: str, symbol: str, start: datetime, end: datetime, step: timedelta) -> list[Flow]:
    """By step, oldest first, those with trades. Reads each trade: for hours, not for weeks. Two queries."""
    asked = {"market": market, "symbol": symbol, "start": start, "end": end, "step": step}
    with connection.cursor() as cursor:
        cursor.execute(BEFORE, asked)
        before = cursor.fetchone()
        cursor.execute(FLOW, asked)
        return judged(cursor.fetchall(), before[0] if before else None)


def judged(rows: Sequence[tuple[datetime, int, int, int, float, float]], before: int | None) -> list[Flow]:
    """Whether each is whole, by the ids that the exchange counts up by one: time, number of trades, first and last id,
    bought, sold. What is missing between two belongs to both. `before` is the trade before them all; with None of it
    nothing tells where the first step's trades begin."""
    found = []
    for place, (time, count, first, last, bought, sold) in enumerate(rows):
        whole = last - first + 1 == count
        whole = whole and (rows[place - 1][3] if place else before) == first - 1
        whole = whole and (place == len(rows) - 1 or rows[place + 1][2] == last + 1)
        found.append(Flow(time, float(bought), float(sold), count, whole))
    return found
