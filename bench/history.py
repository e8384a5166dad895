"""Sixty days of one band: read from the aggregates, and summed up from the minutes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import perf_counter

from bench import database
from bench.tables import interleaved, show

DAYS = 60
SYMBOLS = ["AAAUSDT", "BBBUSDT"]
BAND = Decimal(1)
FROM_MINUTES = """
    SELECT date_trunc(%s, timestamp, 'UTC') AS bucket, avg(bid_volume_usd), min(bid_volume_usd), max(bid_volume_usd),
           avg(ask_volume_usd), min(ask_volume_usd), max(ask_volume_usd), bool_and(bid_complete), count(*)
    FROM snapshots WHERE symbol = %s AND market_type = 'SPOT' AND depth = %s AND timestamp >= %s AND timestamp < %s
    GROUP BY bucket ORDER BY bucket
"""


def main() -> None:
    print(f"storage: {database.ready()}")
    from django.db import connection

    from bench.walks import fill
    from depth.rollups import roll_up

    now = datetime.now(UTC)
    start = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE snapshots, snapshots_unrolled")
        rows = fill(SYMBOLS, start, DAYS - 1)
        begun = perf_counter()
        hours = roll_up(now, seconds=None)
        print(f"{rows:,} minutes rolled up into {hours:,} hours and their days in {perf_counter() - begun:.1f} s")
        cursor.execute("VACUUM ANALYZE")
    rows = []
    for interval, unit in (("1h", "hour"), ("1d", "day")):
        times = measure(interval, unit, start, now)
        rows.append(
            [interval, times["aggregates"] * 1000, times["minutes"] * 1000, times["minutes"] / times["aggregates"]]
        )
    show([f"{DAYS} days by", "aggregates, ms", "minutes, ms", "times faster"], rows)


def measure(interval: str, unit: str, start: datetime, now: datetime) -> dict[str, float]:
    from django.db import connection

    from depth.selectors import series

    def summed() -> None:
        with connection.cursor() as cursor:
            cursor.execute(FROM_MINUTES, [unit, SYMBOLS[0], BAND, start, now])
            cursor.fetchall()

    def aggregated() -> None:
        series(SYMBOLS[0], "SPOT", BAND, start, now, interval)

    return interleaved({"aggregates": aggregated, "minutes": summed}, 9)
