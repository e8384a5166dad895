"""How much smaller TimescaleDB's compression makes 30 days of minutes, and how fast it is read afterwards."""

from datetime import UTC, datetime, timedelta
from statistics import median

from bench import database
from bench.tables import seconds, show

DAYS = 30
SYMBOLS = ["AAAUSDT", "BBBUSDT"]
COMPRESS = "SELECT count(compress_chunk(chunk)) FROM show_chunks('snapshots') AS chunk"
STATISTICS = """
    SELECT total_chunks, before_compression_total_bytes, after_compression_total_bytes
    FROM hypertable_compression_stats('snapshots')
"""


def main() -> None:
    storage = database.ready()
    if storage != "timescaledb":
        print(f"storage: {storage}; there is no compression to measure without TimescaleDB")
        return
    from django.db import connection

    from bench.walks import BANDS, fill

    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE snapshots, snapshots_unrolled")
        rows = fill(SYMBOLS, start, DAYS)
        plain = read(start, BANDS[0])
        cursor.execute(COMPRESS)
        cursor.execute(STATISTICS)
        chunks, before, after = cursor.fetchone()
    print(f"{rows:,} rows of {len(SYMBOLS)} symbols, {DAYS} days in {chunks} chunks of 7 days")
    show(
        ["", "bytes a row", "MB", "an hour, ms", "the newest, ms"],
        [
            ["plain", before / rows, before / 1e6, *plain],
            ["compressed", after / rows, after / 1e6, *read(start, BANDS[0])],
            ["times", before / after, before / after, "", ""],
        ],
    )


def read(start: datetime, band: object) -> list[float]:
    """Median milliseconds of one hour from the middle of the range, and of the newest row of a series."""
    from depth.models import Snapshot
    from depth.selectors import series

    middle = start + timedelta(days=DAYS / 2)
    newest = Snapshot.objects.filter(symbol=SYMBOLS[0], market_type="SPOT", depth=band).order_by("-timestamp")
    works = (
        lambda: series(SYMBOLS[0], "SPOT", band, middle, middle + timedelta(hours=1)),
        lambda: newest.values_list("timestamp").first(),
    )
    return [median(seconds(work, 15)) * 1000 for work in works]
