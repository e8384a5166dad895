"""The way out for the whole market at a glance: every collected contract, its newest figures and how old they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection

TOLERANCE = timedelta(minutes=10)  # how much older than an hour or a day the open interest compared with may be
STALE_INTEREST = timedelta(minutes=5)
STALE_MARK = timedelta(seconds=15)

# Each figure is a step down one index. Minutes of the last hour that have a mark price tell how long the feed listened:
# all contracts' come over one stream, so a minute is looked for once for all, between a contract's own first and last.
TABLE = """
    WITH minutes AS MATERIALIZED (
        SELECT %(now)s - ago * INTERVAL '1 minute' AS since FROM generate_series(1, 60) AS ago WHERE EXISTS (
            SELECT FROM mark_prices WHERE symbol = ANY (%(symbols)s::varchar[])
              AND event_time > %(now)s - ago * INTERVAL '1 minute'
              AND event_time <= %(now)s - (ago - 1) * INTERVAL '1 minute')
    )
    SELECT wanted.symbol,
           mark.event_time, mark.mark_price, mark.index_price, mark.funding_rate, mark.next_funding_time,
           newest.time, newest.open_interest, newest.notional, hour_ago.open_interest, day_ago.open_interest,
           coalesce(forced.longs, 0), coalesce(forced.shorts, 0), coalesce(forced.count, 0), heard.minutes
    FROM unnest(%(symbols)s::varchar[]) AS wanted (symbol)
    LEFT JOIN LATERAL (
        SELECT event_time, mark_price, index_price, funding_rate, next_funding_time FROM mark_prices
        WHERE symbol = wanted.symbol AND event_time <= %(now)s AND event_time > %(now)s - INTERVAL '1 day'
        ORDER BY event_time DESC LIMIT 1
    ) AS mark ON true
    LEFT JOIN LATERAL (
        SELECT time, open_interest, notional FROM open_interest
        WHERE symbol = wanted.symbol AND time <= %(now)s AND time > %(now)s - INTERVAL '1 day'
        ORDER BY time DESC LIMIT 1
    ) AS newest ON true
    LEFT JOIN LATERAL (
        SELECT open_interest FROM open_interest
        WHERE symbol = wanted.symbol AND time <= newest.time - INTERVAL '1 hour' + INTERVAL '30 seconds'
          AND time > newest.time - INTERVAL '1 hour' - %(tolerance)s
        ORDER BY time DESC LIMIT 1
    ) AS hour_ago ON true
    LEFT JOIN LATERAL (
        SELECT open_interest FROM open_interest
        WHERE symbol = wanted.symbol AND time <= newest.time - INTERVAL '1 day' + INTERVAL '30 seconds'
          AND time > newest.time - INTERVAL '1 day' - %(tolerance)s
        ORDER BY time DESC LIMIT 1
    ) AS day_ago ON true
    LEFT JOIN (
        SELECT symbol, count(*) AS count, sum(notional) FILTER (WHERE position = 'long') AS longs,
               sum(notional) FILTER (WHERE position = 'short') AS shorts
        FROM force_orders WHERE trade_time > %(now)s - INTERVAL '1 hour' AND trade_time <= %(now)s GROUP BY symbol
    ) AS forced ON forced.symbol = wanted.symbol
    LEFT JOIN LATERAL (
        SELECT event_time FROM mark_prices
        WHERE symbol = wanted.symbol AND event_time <= %(now)s AND event_time > %(now)s - INTERVAL '1 hour'
        ORDER BY event_time LIMIT 1
    ) AS first ON true
    CROSS JOIN LATERAL (
        SELECT count(*) AS minutes FROM minutes
        WHERE since < mark.event_time AND since + INTERVAL '1 minute' >= first.event_time
    ) AS heard
    ORDER BY wanted.symbol
"""


@dataclass(frozen=True, slots=True)
class ContractRow:
    """One contract now; None: not known. Changes are percent of the open interest in the base asset, liquidations the
    notional (quote asset) of the last hour, as told: at least so much. `heard_minutes` of the last 60 had a mark price:
    in the others the feed may have missed liquidations too. None was heard where liquidations are not taken."""

    symbol: str
    mark_time: datetime | None
    mark_price: Decimal | None
    index_price: Decimal | None
    funding_rate: Decimal | None
    next_funding_time: datetime | None
    interest_time: datetime | None
    open_interest: Decimal | None
    notional: Decimal | None
    change_1h: float | None
    change_24h: float | None
    long_liquidations: Decimal
    short_liquidations: Decimal
    liquidations: int
    heard_minutes: int
    now: datetime

    @property
    def basis_percent(self) -> float | None:
        """(mark - index) / index * 100."""
        if self.mark_price is None or not self.index_price:
            return None
        return float((self.mark_price - self.index_price) / self.index_price * 100)

    @property
    def mark_age(self) -> timedelta | None:
        return self.now - self.mark_time if self.mark_time else None

    @property
    def interest_age(self) -> timedelta | None:
        return self.now - self.interest_time if self.interest_time else None

    @property
    def stale(self) -> bool:
        """Whether mark price or open interest is older than it should be, or missing."""
        mark, interest = self.mark_age, self.interest_age
        return mark is None or mark > STALE_MARK or interest is None or interest > STALE_INTEREST


def market_table(symbols: Sequence[str], now: datetime) -> list[ContractRow]:
    """Every one of these contracts at `now` (aware), by name. One query."""
    with connection.cursor() as cursor:
        cursor.execute(TABLE, {"symbols": list(symbols), "now": now, "tolerance": TOLERANCE})
        rows = cursor.fetchall()
    taken = "forceOrder" in settings.STREAM_KINDS["FUTURES"]
    return [_row(row, taken, now) for row in rows]


def _row(row: tuple[Any, ...], taken: bool, now: datetime) -> ContractRow:
    changes = _change(row[7], row[9]), _change(row[7], row[10])
    return ContractRow(*(*row[:9], *changes, *row[11:14], row[14] if taken else 0, now))


def _change(value: Decimal | None, before: Decimal | None) -> float | None:
    return float((value - before) / before * 100) if value is not None and before else None
