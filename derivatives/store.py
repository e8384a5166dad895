"""Bulk writes: the exchange's decimal text by COPY into a temporary table, then one INSERT that skips what is there.

Times come as epoch milliseconds and become timestamps in the INSERT, exactly."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from derivatives.events import DepthUpdate, ForcedOrder, IdRange, Interest, Mark, Trade


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` of the temporary table with their types, in the order of the rows, and the INSERT that empties it."""

    name: str
    columns: str
    insert: str


TRADES = Table(
    "agg_trades",
    "market_type varchar, symbol varchar, id int8, trade_ms int8, event_ms int8, price numeric, quantity numeric, "
    "first_trade_id int8, last_trade_id int8, buyer_is_maker bool, payload jsonb",
    """
    INSERT INTO agg_trades (market_type, symbol, id, trade_time, event_time, price, quantity, first_trade_id,
                            last_trade_id, buyer_is_maker, payload)
    SELECT market_type, symbol, id, 'epoch'::timestamptz + trade_ms * INTERVAL '1 ms',
           'epoch'::timestamptz + event_ms * INTERVAL '1 ms', price, quantity, first_trade_id, last_trade_id,
           buyer_is_maker, payload
    FROM incoming_agg_trades ORDER BY market_type, symbol, trade_ms, id
    ON CONFLICT (market_type, symbol, trade_time, id) DO NOTHING
    """,
)
MARKS = Table(
    "mark_prices",
    "symbol varchar, event_ms int8, mark_price numeric, index_price numeric, settle_price numeric, "
    "funding_rate numeric, next_funding_ms int8, payload jsonb",
    """
    INSERT INTO mark_prices (symbol, event_time, mark_price, index_price, settle_price, funding_rate,
                             next_funding_time, payload)
    SELECT symbol, 'epoch'::timestamptz + event_ms * INTERVAL '1 ms', mark_price, index_price, settle_price,
           funding_rate, 'epoch'::timestamptz + next_funding_ms * INTERVAL '1 ms', payload
    FROM incoming_mark_prices ORDER BY symbol, event_ms
    ON CONFLICT (symbol, event_time) DO NOTHING
    """,
)
FORCE_ORDERS = Table(
    "force_orders",
    "symbol varchar, trade_ms int8, content uuid, event_ms int8, position varchar, side varchar, order_type varchar, "
    "time_in_force varchar, status varchar, price numeric, average_price numeric, quantity numeric, "
    "last_filled_quantity numeric, filled_quantity numeric, payload jsonb",
    """
    INSERT INTO force_orders (symbol, trade_time, content, event_time, position, side, order_type, time_in_force,
                              status, price, average_price, quantity, last_filled_quantity, filled_quantity, notional,
                              payload)
    SELECT symbol, 'epoch'::timestamptz + trade_ms * INTERVAL '1 ms', content,
           'epoch'::timestamptz + event_ms * INTERVAL '1 ms', position, side, order_type, time_in_force, status, price,
           average_price, quantity, last_filled_quantity, filled_quantity,
           filled_quantity * average_price, payload
    FROM incoming_force_orders ORDER BY symbol, trade_ms, content
    ON CONFLICT (symbol, trade_time, content) DO NOTHING
    """,
)
INTEREST = Table(
    "open_interest",
    "symbol varchar, ms int8, open_interest numeric",
    """
    INSERT INTO open_interest (symbol, time, open_interest, notional)
    SELECT i.symbol, 'epoch'::timestamptz + i.ms * INTERVAL '1 ms', i.open_interest, i.open_interest * m.mark_price
    FROM incoming_open_interest i LEFT JOIN LATERAL (
        SELECT mark_price FROM mark_prices
        WHERE symbol = i.symbol AND event_time <= 'epoch'::timestamptz + i.ms * INTERVAL '1 ms' + INTERVAL '5 seconds'
          AND event_time > 'epoch'::timestamptz + i.ms * INTERVAL '1 ms' - INTERVAL '1 minute'
        ORDER BY event_time DESC LIMIT 1
    ) AS m ON true
    ORDER BY i.symbol, i.ms
    ON CONFLICT (symbol, time) DO NOTHING
    """,
)

DEPTH_UPDATES = Table(
    "depth_updates",
    "market_type varchar, symbol varchar, event_ms int8, first_update_id int8, final_update_id int8, "
    "previous_update_id int8, payload jsonb",
    """
    INSERT INTO depth_updates (market_type, symbol, event_time, first_update_id, final_update_id, previous_update_id,
                               payload)
    SELECT market_type, symbol, 'epoch'::timestamptz + event_ms * INTERVAL '1 ms', first_update_id, final_update_id,
           previous_update_id, payload
    FROM incoming_depth_updates ORDER BY market_type, symbol, event_ms, final_update_id
    ON CONFLICT (market_type, symbol, event_time, final_update_id) DO NOTHING
    """,
)


def _write(table: Table, rows: Iterable[Sequence[Any]]) -> int:
    """Adds rows that are not there yet; gives how many. All or nothing, inside the caller's transaction if any."""
    nested = connection.in_atomic_block
    temporary = f"incoming_{table.name}"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {temporary} ({table.columns}) ON COMMIT DELETE ROWS")
        with connection.wrap_database_errors, cursor.copy(f"COPY {temporary} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(table.insert)
        added: int = cursor.rowcount
        if nested:
            cursor.execute(f"TRUNCATE {temporary}")
    return added


def write_trades(trades: Iterable[Trade]) -> int:
    return _write(
        TRADES,
        (
            (t.market, t.symbol, t.id, t.trade_time, t.event_time, t.price, t.quantity, t.first_trade_id,
             t.last_trade_id, t.buyer_is_maker, t.payload)
            for t in trades
        ),
    )  # fmt: skip


def write_marks(marks: Iterable[Mark]) -> int:
    return _write(
        MARKS,
        (
            (
                m.symbol,
                m.event_time,
                m.mark_price,
                m.index_price,
                m.settle_price,
                m.funding_rate,
                m.next_funding_time,
                m.payload,
            )
            for m in marks
        ),
    )


def write_forced_orders(orders: Iterable[ForcedOrder]) -> int:
    return _write(
        FORCE_ORDERS,
        (
            (o.symbol, o.trade_time, o.content, o.event_time, o.position, o.side, o.order_type, o.time_in_force,
             o.status, o.price, o.average_price, o.quantity, o.last_filled_quantity, o.filled_quantity, o.payload)
            for o in orders
        ),
    )  # fmt: skip


def write_interest(rows: Iterable[Interest]) -> int:
    return _write(INTEREST, ((row.symbol, row.time, row.open_interest) for row in rows))


def write_depth_updates(rows: Iterable[DepthUpdate]) -> int:
    return _write(
        DEPTH_UPDATES,
        (
            (d.market, d.symbol, d.event_time, d.first_update_id, d.final_update_id, d.previous_update_id, d.payload)
            for d in rows
        ),
    )


GAPS = """
    INSERT INTO agg_trade_gaps (market_type, symbol, first, last, found_at, state, missing, error)
    SELECT market_type, symbol, first, max(last), now(), 'open', 0, ''
    FROM unnest(%(markets)s::varchar[], %(symbols)s::varchar[], %(firsts)s::int8[], %(lasts)s::int8[])
        AS told (market_type, symbol, first, last)
    GROUP BY market_type, symbol, first ORDER BY market_type, symbol, first
    ON CONFLICT (market_type, symbol, first) DO UPDATE
    SET last = excluded.last, state = 'open', settled_at = NULL, missing = 0, error = ''
    WHERE excluded.last > agg_trade_gaps.last
"""


def write_gaps(gaps: Sequence[IdRange]) -> int:
    """Adds ranges that are not known; one that begins like a known one and goes further makes that longer, and open.
    Gives how many were added or changed."""
    columns = {"markets": "market", "symbols": "symbol", "firsts": "first", "lasts": "last"}
    with connection.cursor() as cursor:
        cursor.execute(GAPS, {name: [getattr(gap, field) for gap in gaps] for name, field in columns.items()})
        changed: int = cursor.rowcount
    return changed
