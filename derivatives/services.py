"""The only way in: batches of events stored once each, gaps in trades written down and settled."""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from time import monotonic

from django.db import connection
from psycopg import sql

from derivatives import holes, rollups, store
from derivatives.events import DepthUpdate, ForcedOrder, IdRange, Interest, Mark, Trade, missing_ids
from derivatives.models import LIFETIMES, TradeGap
from derivatives.series import ROLLUPS, kept_from

logger = logging.getLogger(__name__)

MOST_DELETED = 50_000  # rows of a table in one go
# Series by series, as the key's index begins with them: there is none of the time alone, and the tables are large.
DELETE = sql.SQL("""
    WITH RECURSIVE series AS (
        (SELECT {keys} FROM {table} ORDER BY {keys} LIMIT 1)
        UNION ALL
        SELECT following.* FROM series CROSS JOIN LATERAL (
            SELECT {keys} FROM {table} WHERE ({keys}) > ({series_keys}) ORDER BY {keys} LIMIT 1
        ) AS following
    )
    DELETE FROM {table} WHERE ctid = ANY(ARRAY(
        SELECT old.place FROM series CROSS JOIN LATERAL (
            SELECT {table}.ctid AS place FROM {table} WHERE ({keys}) = ({series_keys}) AND {time} < %(before)s
            ORDER BY {time} LIMIT %(most)s
        ) AS old LIMIT %(most)s
    ))
""")


def store_trades(trades: list[Trade]) -> int:
    """Stores what is not there yet; gives how many. Repeating it adds nothing."""
    return store.write_trades(trades)


def store_marks(marks: list[Mark]) -> int:
    return store.write_marks(marks)


def store_forced_orders(orders: list[ForcedOrder]) -> int:
    return store.write_forced_orders(orders)


def store_interest(rows: list[Interest]) -> int:
    """With the notional by the mark price of that minute, where one is stored."""
    return store.write_interest(rows)


def store_depth_updates(updates: list[DepthUpdate]) -> int:
    return store.write_depth_updates(updates)


def roll_up(now: datetime, seconds: float | None = 40.0) -> int:
    """Hours and days of what was stored before `now`'s hour, as derivatives.rollups says."""
    return rollups.roll_up(now, seconds)


def store_gaps(gaps: list[IdRange]) -> int:
    """Writes down what is missing; a range that is known already stays as it is, unless this one goes further."""
    return store.write_gaps(gaps)


def find_holes(now: datetime) -> int:
    """Writes down trades that are missing between stored ones and of which nobody knows, of the hours that are over and
    of which the exchange still gives trades; gives how many ranges. It is what is left of a feed that was killed at the
    wrong moment, or of a database that lost its last one."""
    found = holes.unknown_holes(now)
    return store.write_gaps(found) if found else 0


def open_gaps(limit: int) -> Sequence[TradeGap]:
    """The oldest ones that are to be fetched."""
    return list(TradeGap.objects.filter(state=TradeGap.State.OPEN).order_by("found_at", "pk")[:limit])


def settle(gap: TradeGap, present: Iterable[int], now: datetime, reason: str = "") -> int:
    """Closes a gap after the exchange was asked for all of it: `present` are the ids that are stored now. Gives how
    many are missing for good."""
    wanted = IdRange(gap.market_type, gap.symbol, gap.first, gap.last)
    missing = sum(hole.count for hole in missing_ids(wanted, present))
    gap.state = TradeGap.State.LOST if missing else TradeGap.State.FILLED
    gap.missing, gap.settled_at, gap.error = missing, now, reason
    gap.save(update_fields=["state", "missing", "settled_at", "error"])
    if missing:
        logger.warning("%d trades of %s %s are lost: %s", missing, gap.symbol, gap.market_type, reason)
    return missing


def retain(now: datetime, seconds: float = 90.0) -> int:
    """Deletes rows past their lifetime, in turns of MOST_DELETED of each table, for about `seconds`; events only when
    their hours are made, a whole day (UTC) at a time. For plain tables: a chunk has row ids of its own."""
    until, deleted = monotonic() + seconds, 0
    rollups.roll_up(now, seconds / 3)
    due = _past_lifetime(now)
    with connection.cursor() as cursor:
        while due and (not deleted or monotonic() < until):
            left = []
            for statement, before in due:
                cursor.execute(statement, {"before": before, "most": MOST_DELETED})
                deleted += cursor.rowcount
                if cursor.rowcount == MOST_DELETED:
                    left.append((statement, before))
            due = left
    return deleted


def _past_lifetime(now: datetime) -> list[tuple[sql.Composed, datetime]]:
    """What deletes of each table, and before when."""
    rolled, found = {rollup.source: rollup for rollup in ROLLUPS}, []
    for table, (time, lifetime) in LIFETIMES.items():
        rollup = rolled.get(table)
        before = kept_from(rollup, now) if rollup else now - lifetime
        if rollup and rollups.behind(rollup, before):
            continue
        keys = rollup.series if rollup else ("market_type", "symbol")
        statement = DELETE.format(
            table=sql.Identifier(table),
            time=sql.Identifier(time),
            keys=sql.SQL(", ").join(map(sql.Identifier, keys)),
            series_keys=sql.SQL(", ").join(sql.Identifier("series", key) for key in keys),
        )
        found.append((statement, before))
    return found
