"""Writing snapshot rows: as the platform does, and Django's bulk_create(ignore_conflicts=True).

A minute of 120 books, and a stretch of the past. Ours raises the versions of the series and feeds the cache as well."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count

import numpy as np

from bench import database
from bench.tables import interleaved, show
from tradingplatform.env import DEFAULT_BANDS

BANDS = tuple(map(Decimal, DEFAULT_BANDS.split(",")))
START = datetime(2026, 1, 1, tzinfo=UTC)
BOOKS = 120


def main() -> None:
    print(f"storage: {database.ready()}")
    rows = []
    minutes = count()
    for length in (1, 17):
        median = interleaved({"copy": partial(copy, length, minutes), "orm": partial(orm, length, minutes)}, 7)
        size = length * BOOKS * len(BANDS)
        rows.append([size, size / median["copy"], size / median["orm"], median["orm"] / median["copy"]])
    show(["rows a batch", "COPY rows/s", "bulk_create rows/s", "times faster"], rows)


def volumes(length: int, minutes: Iterator[int]) -> list[tuple]:
    """Rows of so many minutes that are not stored yet."""
    made = [START + timedelta(minutes=next(minutes)) for _ in range(length)]
    random = np.random.default_rng(7).random((length * BOOKS * len(BANDS), 4)).tolist()
    keys = ((f"S{n}USDT", band, minute) for minute in made for n in range(BOOKS) for band in BANDS)
    return [(*key, *figures) for key, figures in zip(keys, random, strict=True)]


def copy(length: int, minutes: Iterator[int]) -> None:
    from depth.services import SnapshotRow, store_rows
    from depth.volumes import BandVolumes

    rows = volumes(length, minutes)
    store_rows([SnapshotRow(s, "SPOT", t, BandVolumes(b, *figures, True, False)) for s, b, t, *figures in rows])


def orm(length: int, minutes: Iterator[int]) -> None:
    from depth.models import Snapshot

    fields = ("bid_volume", "ask_volume", "bid_volume_usd", "ask_volume_usd")
    made = [
        Snapshot(
            symbol=s,
            market_type="SPOT",
            depth=b,
            timestamp=t,
            bid_complete=True,
            ask_complete=False,
            **dict(zip(fields, figures, strict=True)),
        )
        for s, b, t, *figures in volumes(length, minutes)
    ]
    Snapshot.objects.bulk_create(made, ignore_conflicts=True, batch_size=5000)
