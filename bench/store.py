"""Writing snapshot rows: binary COPY with conflict handling, and Django's bulk_create(ignore_conflicts=True)."""

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


def main() -> None:
    print(f"storage: {database.ready()}")
    rows = []
    minutes = count()
    for books in (120, 2000):
        median = interleaved({"copy": partial(copy, books, minutes), "orm": partial(orm, books, minutes)}, 7)
        size = books * len(BANDS)
        rows.append([size, size / median["copy"], size / median["orm"], median["orm"] / median["copy"]])
    show(["rows a batch", "COPY rows/s", "bulk_create rows/s", "times faster"], rows)


def volumes(books: int, minutes: Iterator[int]) -> list[tuple]:
    minute = START + timedelta(minutes=next(minutes))
    random = np.random.default_rng(7).random((books * len(BANDS), 4)).tolist()
    names = ((f"S{n}USDT", band) for n in range(books) for band in BANDS)
    return [(name, band, minute, *figures) for (name, band), figures in zip(names, random, strict=True)]


def copy(books: int, minutes: Iterator[int]) -> None:
    from depth.services import SnapshotRow, store_rows
    from depth.volumes import BandVolumes

    rows = volumes(books, minutes)
    store_rows([SnapshotRow(s, "SPOT", t, BandVolumes(b, *figures, True, False)) for s, b, t, *figures in rows])


def orm(books: int, minutes: Iterator[int]) -> None:
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
        for s, b, t, *figures in volumes(books, minutes)
    ]
    Snapshot.objects.bulk_create(made, ignore_conflicts=True, batch_size=5000)
