"""Files of series: what they hold, in every form, for every choice; and what is refused before the first byte."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connection
from django.test import AsyncClient
from psycopg.sql import SQL

from api.file_forms import ROW_GROUP
from api.files import KINDS
from api.times import epoch_ms, iso
from depth import export
from depth.export import RowCount, Selection, count_rows, stretches
from depth.models import Snapshot
from depth.selectors import SeriesPoint

HEAD = "timestamp,symbol,market,depth,bidVolume,askVolume,bidVolumeUsd,askVolumeUsd,bidComplete,askComplete"
ALL = "/api/v1/export?symbol=BTCUSDT"
MANY = """
    INSERT INTO snapshots (symbol, market_type, depth, timestamp, bid_volume, ask_volume, bid_volume_usd,
                           ask_volume_usd, bid_complete, ask_complete)
    SELECT 'BTCUSDT', 'SPOT', 5, minute, 1, 2, 3, 4, true, false
    FROM generate_series({first}::timestamptz, {last}::timestamptz, INTERVAL '1 minute') AS minute
"""


def body(answer):
    return b"".join(answer.streaming_content)


def lines(answer):
    head, *rows = body(answer).decode().splitlines()
    assert head == HEAD
    return list(csv.DictReader([head, *rows]))


def fill(first, minutes):
    with connection.cursor() as cursor:
        cursor.execute(SQL(MANY).format(first=first, last=first + timedelta(minutes=minutes - 1)))


def series_of(row):
    return row["symbol"], row["market"], Decimal(row["depth"])


def test_csv_tells_every_stored_row(client, books):
    answer = client.get(ALL)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="BTCUSDT-SPOT-depth-1m.csv"'
    rows = lines(answer)
    stored = Snapshot.objects.filter(market_type="SPOT").order_by("depth", "timestamp")
    assert len(rows) == 10 * len(settings.DEPTH_BANDS)
    for row, kept in zip(rows, stored, strict=True):
        assert series_of(row) == ("BTCUSDT", "SPOT", kept.depth)
        assert row["timestamp"] == iso(kept.timestamp)
        assert [float(row[name]) for name in ("bidVolume", "askVolume", "bidVolumeUsd", "askVolumeUsd")] == [
            kept.bid_volume,
            kept.ask_volume,
            kept.bid_volume_usd,
            kept.ask_volume_usd,
        ]
        assert (row["bidComplete"] == "true", row["askComplete"] == "true") == (kept.bid_complete, kept.ask_complete)


def test_the_three_forms_hold_the_same(client, books):
    rows = lines(client.get(ALL))
    answer = client.get(f"{ALL}&format=json")
    assert answer["Content-Type"] == "application/json"
    told = json.loads(body(answer))
    assert told["count"] == len(told["data"]) == len(rows)
    table = pq.read_table(io.BytesIO(body(client.get(f"{ALL}&format=parquet"))))
    assert table.column_names == HEAD.split(",")
    for line, entry, column in zip(rows, told["data"], table.to_pylist(), strict=True):
        assert iso(column["timestamp"]) == line["timestamp"]
        assert entry["timestamp"] == epoch_ms(column["timestamp"])
        assert entry["bidVolumeUsd"] == column["bidVolumeUsd"] == float(line["bidVolumeUsd"])
        assert entry["askComplete"] is column["askComplete"] is (line["askComplete"] == "true")
        assert (entry["marketType"], entry["depth"]) == (column["market"], column["depth"])


def test_nothing_in_the_range_is_a_head_alone(client, books):
    old = f"{ALL}&from=1500000000&to=1500003600"
    assert lines(client.get(old)) == []
    assert body(client.get(f"{old}&format=json")) == b'{"success":true,"data":[],"count":0}'
    assert pq.read_table(io.BytesIO(body(client.get(f"{old}&format=parquet")))).num_rows == 0
    assert lines(client.get(f"{ALL}&from=0&to=4102444800")) != []


@pytest.mark.parametrize(
    ("query", "series"),
    [
        ("symbol=BTCUSDT&depth=5", {("BTCUSDT", "SPOT", 5)}),
        ("symbol=btcusdt&depth=5.0&market=futures", {("BTCUSDT", "FUTURES", 5)}),
        ("symbol=BTCUSDT&depth=5&depth=1.5", {("BTCUSDT", "SPOT", 5), ("BTCUSDT", "SPOT", Decimal("1.5"))}),
        ("symbol=BTCUSDT&depth=5,1.5,5", {("BTCUSDT", "SPOT", 5), ("BTCUSDT", "SPOT", Decimal("1.5"))}),
        ("symbol=BTCUSDT&depth=5&marketType=SPOT,FUTURES", {("BTCUSDT", "SPOT", 5), ("BTCUSDT", "FUTURES", 5)}),
        ("symbol=BTCUSDT,SOLUSDT&depth=5", {("BTCUSDT", "SPOT", 5)}),
        ("symbol=1000PEPEUSDT&symbol=BTCUSDT&depth=5", {("BTCUSDT", "SPOT", 5)}),
    ],
)
def test_several_symbols_markets_and_bands(client, books, query, series):
    rows = lines(client.get(f"/api/v1/export?{query}"))
    assert {series_of(row) for row in rows} == series
    assert len(rows) == 10 * len(series)


@pytest.mark.parametrize(
    ("query", "status", "code", "field"),
    [
        ("", 400, "missing_parameter", "symbol"),
        ("symbol=", 400, "invalid_parameter", "symbol"),
        ("symbol=,%20,", 400, "invalid_parameter", "symbol"),
        ("symbol=NOPE", 404, "unknown_symbol", "symbol"),
        ("symbol=BTCUSDT,NOPE", 404, "unknown_symbol", "symbol"),
        ("symbol=%00", 404, "unknown_symbol", "symbol"),
        ("symbol=DOGEUSDT", 404, "not_collected", "symbol"),
        ("symbol=SOLUSDT&marketType=FUTURES", 404, "not_collected", "symbol"),
        ("symbol=BTCUSDT&depth=5,7", 400, "invalid_parameter", "depth"),
        ("symbol=BTCUSDT&marketType=MARS", 400, "invalid_parameter", "marketType"),
        ("symbol=BTCUSDT&market=SPOT&market=MARS", 400, "invalid_parameter", "market"),
        ("symbol=BTCUSDT&interval=5m", 400, "invalid_parameter", "interval"),
        ("symbol=BTCUSDT&format=xls", 400, "invalid_parameter", "format"),
        ("symbol=BTCUSDT&dataset=candels", 400, "invalid_parameter", "dataset"),
        ("symbol=BTCUSDT&from=2&to=1", 400, "invalid_parameter", "from"),
        ("symbol=" + ",".join(f"S{n}" for n in range(1001)), 400, "invalid_parameter", "symbol"),
    ],
)
def test_refused_before_the_file_begins(client, registry, query, status, code, field):
    answer = client.get(f"/api/v1/export?{query}")
    assert answer.status_code == status
    assert (answer.json()["code"], answer.json()["field"]) == (code, field)
    assert answer["Content-Type"] == "application/json"


def test_long_series_come_in_stretches_without_seams(client, registry, monkeypatch):
    monkeypatch.setattr(export, "STRETCH", 7)
    first = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=100)
    fill(first, 100)
    fill(first - timedelta(days=3), 5)
    end = first + timedelta(minutes=90)
    asked = Selection((("BTCUSDT", "SPOT"),), (Decimal(5),), first - timedelta(days=4), end, "1m")
    found = [point.time for stretch in stretches(asked) for point in stretch.points]
    assert found == [first - timedelta(days=3) + timedelta(minutes=n) for n in range(5)] + [
        first + timedelta(minutes=n) for n in range(91)
    ]
    assert max(len(stretch.points) for stretch in stretches(asked)) == 7
    assert count_rows(asked) == RowCount(96, True)


@pytest.mark.parametrize("interval", ["1h", "1d"])
def test_hours_and_days(client, registry, interval):
    now = datetime.now(UTC)
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(days=2, hours=5)
    fill(first, 400)
    span = f"from={int(first.timestamp())}&to={int(now.timestamp())}"
    rows = lines(client.get(f"{ALL}&depth=5&interval={interval}&{span}"))
    unit = {"1h": 3600, "1d": 86400}[interval]
    starts = sorted({(int(first.timestamp()) + 60 * n) // unit * unit for n in range(400)})
    assert [row["timestamp"] for row in rows] == [iso(datetime.fromtimestamp(start, UTC)) for start in starts]
    assert {(row["bidVolume"], row["askVolumeUsd"], row["bidComplete"], row["askComplete"]) for row in rows} == {
        ("1.0", "4.0", "true", "false")
    }
    asked = Selection((("BTCUSDT", "SPOT"),), (Decimal(5),), first, now, interval)
    assert count_rows(asked) == RowCount(len(rows), True)


def test_a_count_that_takes_too_long_is_a_guess(registry, monkeypatch):
    first = datetime.now(UTC) - timedelta(days=1)
    fill(first, 1000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE snapshots")
    asked = Selection((("BTCUSDT", "SPOT"),), (Decimal(5),), first, datetime.now(UTC), "1m")
    slow = "SELECT count(*) FROM pg_sleep(5) WHERE %(symbols)s IS NOT NULL"
    monkeypatch.setitem(export.COUNT, "1m", slow)
    monkeypatch.setattr(export, "COUNT_MILLISECONDS", 50)
    counted = count_rows(asked)
    assert not counted.exact
    assert counted.rows > 0


def test_parquet_is_written_in_row_groups():
    minute = datetime(2026, 1, 1, tzinfo=UTC)
    points = [SeriesPoint(minute + timedelta(minutes=n), n, 1.0, 2.0, 3.0, True, False) for n in range(10_000)]
    made = [export.Stretch("BTCUSDT", "SPOT", Decimal(5), points) for _ in range(12)]
    parts = list(KINDS["parquet"].parts(made))
    assert len(parts) == 3
    file = pq.ParquetFile(io.BytesIO(b"".join(parts)))
    groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert groups == [ROW_GROUP, ROW_GROUP, 20_000]
    assert file.read().column("bidVolume").to_pylist() == [float(n) for n in range(10_000)] * 12


def test_a_reader_that_goes_away_ends_the_reading(registry, monkeypatch):
    made = []

    def endless(selection):
        while True:
            made.append(1)
            yield export.Stretch("BTCUSDT", "SPOT", Decimal(5), [])

    monkeypatch.setattr("api.views.export.stretches", endless)

    async def read_three():
        answer = await AsyncClient().get(ALL)
        parts = aiter(answer.streaming_content)
        for _ in range(3):
            await anext(parts)
        await parts.aclose()

    async_to_sync(read_three)()
    assert len(made) <= 4
