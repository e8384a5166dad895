"""Trades that are missing between stored ones: found by the hours' sums first, so that few trades are looked at."""

from datetime import datetime, timedelta

from django.db import connection

from derivatives.events import IdRange
from derivatives.series import hour_of

REACH = timedelta(hours=47)  # the exchange gives trades of two days
MOST = 10_000  # ranges at once

# The ids of an hour follow each other, and so do those of the next one, or else its trades are looked at.
# What follows is not known where an hour between, or the next one, was added to since it was made.
HOLES = """
    WITH hours AS (
        SELECT market_type, symbol, bucket, count, first_id, last_id,
               lead(first_id) OVER series AS next_id, lead(bucket) OVER series AS next_bucket
        FROM agg_trades_1h WHERE bucket >= %(since)s AND bucket < %(until)s
        WINDOW series AS (PARTITION BY market_type, symbol ORDER BY bucket)
    ), doubtful AS (
        SELECT market_type, symbol, bucket, CASE WHEN NOT EXISTS (
            SELECT FROM derivatives_unrolled AS mark
            WHERE mark.source = 'agg_trades' AND mark.market_type = hours.market_type AND mark.symbol = hours.symbol
              AND mark.hour > hours.bucket AND mark.hour <= hours.next_bucket
        ) THEN next_id END AS next_id
        FROM hours WHERE last_id - first_id + 1 <> count OR next_id <> last_id + 1
    ), between AS (
        SELECT doubtful.market_type, doubtful.symbol, pairs.id + 1 AS first, pairs.following - 1 AS last
        FROM doubtful CROSS JOIN LATERAL (
            SELECT id, coalesce(lead(id) OVER (ORDER BY id), doubtful.next_id) AS following FROM agg_trades AS told
            WHERE told.market_type = doubtful.market_type AND told.symbol = doubtful.symbol
              AND trade_time >= doubtful.bucket AND trade_time < doubtful.bucket + INTERVAL '1 hour'
        ) AS pairs
        WHERE pairs.following > pairs.id + 1
    )
    SELECT market_type, symbol, first, last FROM between
    WHERE NOT EXISTS (
        SELECT FROM agg_trade_gaps AS known
        WHERE known.market_type = between.market_type AND known.symbol = between.symbol
          AND known.first <= between.first AND known.last >= between.last
          AND (known.state <> 'filled' OR known.settled_at > now() - INTERVAL '1 hour')
    )
    ORDER BY market_type, symbol, first LIMIT %(most)s
"""


def unknown_holes(now: datetime) -> list[IdRange]:
    """Ranges that are missing, open or lost nowhere, of closed hours within REACH that were rolled up. One query."""
    asked = {"since": hour_of(now - REACH), "until": hour_of(now), "most": MOST}
    with connection.cursor() as cursor:
        cursor.execute(HOLES, asked)
        return [IdRange(*row) for row in cursor.fetchall()]
