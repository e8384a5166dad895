"""Rows of the depth series: read newest first out of a range, written all or none."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from depth.models import Snapshot
from depth.services import SnapshotRow, store_rows
from depth.volumes import BandVolumes

ADDRESS = "/api/v1/snapshots"
ROW = {
    "timestamp": 1700000000000,
    "symbol": "BTCUSDT",
    "marketType": "SPOT",
    "depth": 1.5,
    "bidVolume": 45.2,
    "askVolume": 52.3,
    "bidVolumeUsd": 2950000,
    "askVolumeUsd": 3400000,
}


def post(client, body):
    return client.post(ADDRESS, json.dumps(body), content_type="application/json")


def test_rows_are_told_as_they_are_written(client, books, settings):
    body = client.get(f"{ADDRESS}?symbol=BTCUSDT&depth=5").json()
    assert (body["success"], body["count"], len(body["data"])) == (True, 10, 10)
    assert list(body["data"][0]) == [*ROW, "bidComplete", "askComplete"]
    assert [row["timestamp"] for row in body["data"]] == sorted(row["timestamp"] for row in body["data"])
    assert {row["depth"] for row in body["data"]} == {5}
    every = client.get(f"{ADDRESS}?symbol=BTCUSDT&marketType=futures").json()
    assert every["count"] == 10 * len(settings.DEPTH_BANDS)
    assert {row["marketType"] for row in every["data"]} == {"FUTURES"}


def test_the_limit_keeps_the_newest(client, books):
    every = client.get(f"{ADDRESS}?symbol=BTCUSDT&depth=1").json()["data"]
    assert client.get(f"{ADDRESS}?symbol=BTCUSDT&depth=1&limit=3").json()["data"] == every[-3:]


def test_one_side(client, books):
    row = client.get(f"{ADDRESS}?symbol=BTCUSDT&depth=1&type=bid").json()["data"][0]
    assert [name for name in row if name.startswith(("bid", "ask"))] == ["bidVolume", "bidVolumeUsd", "bidComplete"]


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("depth=5", 400, "symbol"),
        ("symbol=BTCUSDT&limit=3601", 400, "limit"),
        ("symbol=BTCUSDT&limit=0", 400, "limit"),
        ("symbol=BTCUSDT&limit=ten", 400, "limit"),
        ("symbol=BTCUSDT&limit=99999999999999999999999999", 400, "limit"),
        ("symbol=BTCUSDT&depth=7", 400, "depth"),
        ("symbol=BTCUSDT&type=left", 400, "type"),
        ("symbol=BTCUSDT&from=2&to=1", 400, "from"),
        ("symbol=NOPE", 404, "symbol"),
        ("symbol=DOGEUSDT", 404, "symbol"),
    ],
)
def test_reading_refuses(client, books, query, status, field):
    answer = client.get(f"{ADDRESS}?{query}")
    assert (answer.status_code, answer.json()["field"]) == (status, field)


@pytest.mark.parametrize(("query", "limit"), [("", 7), ("", 1), ("&depth=5", 3), ("&depth=5&type=bid", 10)])
def test_pages_hold_every_row_once_whatever_comes_meanwhile(client, books, query, limit):
    everything = client.get(f"{ADDRESS}?symbol=BTCUSDT{query}").json()
    assert "next" not in everything
    found, cursor, pages = [], "", 0
    while cursor is not None:
        body = client.get(f"{ADDRESS}?symbol=BTCUSDT{query}&limit={limit}{cursor}").json()
        assert body["count"] == len(body["data"]) <= limit
        found, pages = body["data"] + found, pages + 1
        cursor = f"&cursor={body['next']}" if "next" in body else None
        if pages == 1:  # a newer row does not move the pages
            newest = max(row["timestamp"] for row in everything["data"]) // 1000
            volumes = BandVolumes(Decimal(5), 1.0, 1.0, 1.0, 1.0, True, True)
            store_rows([SnapshotRow("BTCUSDT", "SPOT", datetime.fromtimestamp(newest + 60, UTC), volumes)])
    assert found == everything["data"]
    assert pages == -(-len(found) // limit)


@pytest.mark.parametrize("cursor", ["x", "AAAA", "!!!", "kgEC!", "k8A", "a" * 500, "%00", "ksD/"])
def test_a_cursor_of_no_page(client, books, cursor):
    answer = client.get(f"{ADDRESS}?symbol=BTCUSDT&cursor={cursor}")
    assert (answer.status_code, answer.json()["field"]) == (400, "cursor")


def test_few_queries(client, books, django_assert_num_queries):
    with django_assert_num_queries(3):
        client.get(f"{ADDRESS}?symbol=BTCUSDT")


def test_written_rows_come_back(writer, registry):
    body = post(writer, [ROW, ROW | {"depth": 5, "bidComplete": True}]).json()
    assert body["message"] == "Saved 2 snapshots"
    assert (body["success"], body["saved"], body["duplicates"]) == (True, 2, 0)
    [first, second] = writer.get(f"{ADDRESS}?symbol=BTCUSDT&from=1699999000&to=1700001000").json()["data"]
    floored = 1700000000000 - 1700000000000 % 60_000
    assert first == ROW | {"timestamp": floored, "bidComplete": False, "askComplete": False}
    assert (second["depth"], second["bidComplete"], second["askComplete"]) == (5, True, False)


def test_repeating_saves_nothing_and_changes_nothing(writer, registry):
    assert post(writer, [ROW, ROW]).json()["duplicates"] == 1
    body = post(writer, [ROW | {"bidVolume": 1}]).json()
    assert (body["message"], body["saved"], body["duplicates"]) == ("Saved 0 snapshots", 0, 1)
    assert Snapshot.objects.get().bid_volume == pytest.approx(45.2)


def test_times_of_every_form_and_nothing_at_all(writer, registry, now):
    forms = [1700000000, 1700000060000, "2023-11-14T22:15:20Z", now.isoformat()]
    assert post(writer, [ROW | {"timestamp": form} for form in forms]).json()["saved"] == 4
    assert post(writer, []).json()["saved"] == 0


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"depth": 4}, 400, "invalid_parameter", "[1].depth"),
        ({"depth": "5"}, 400, "invalid_parameter", "[1].depth"),
        ({"depth": True}, 400, "invalid_parameter", "[1].depth"),
        ({"bidVolume": -1}, 400, "invalid_parameter", "[1].bidVolume"),
        ({"bidVolume": "1"}, 400, "invalid_parameter", "[1].bidVolume"),
        ({"askVolumeUsd": None}, 400, "invalid_parameter", "[1].askVolumeUsd"),
        ({"askVolumeUsd": 1e31}, 400, "invalid_parameter", "[1].askVolumeUsd"),
        ({"askVolumeUsd": 10**40}, 400, "invalid_parameter", "[1].askVolumeUsd"),
        ({"bidComplete": "yes"}, 400, "invalid_parameter", "[1].bidComplete"),
        ({"marketType": "MARGIN"}, 400, "invalid_parameter", "[1].marketType"),
        ({"marketType": 7}, 400, "invalid_parameter", "[1].marketType"),
        ({"timestamp": "soon"}, 400, "invalid_parameter", "[1].timestamp"),
        ({"timestamp": -1}, 400, "invalid_parameter", "[1].timestamp"),
        ({"timestamp": 10**30}, 400, "invalid_parameter", "[1].timestamp"),
        ({"timestamp": 1e308}, 400, "invalid_parameter", "[1].timestamp"),
        ({"timestamp": [1]}, 400, "invalid_parameter", "[1].timestamp"),
        ({"symbol": "NOPE"}, 404, "unknown_symbol", "[1].symbol"),
        ({"symbol": "B\x00"}, 404, "unknown_symbol", "[1].symbol"),
        ({"symbol": "DOGEUSDT"}, 404, "not_collected", "[1].symbol"),
        ({"symbol": "SOLUSDT", "marketType": "FUTURES"}, 404, "not_collected", "[1].symbol"),
    ],
)
def test_one_wrong_row_refuses_all(writer, registry, change, status, code, field):
    answer = post(writer, [ROW, ROW | change])
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"]) == (status, code, field)
    assert not Snapshot.objects.exists()


@pytest.mark.parametrize("name", list(ROW))
def test_every_field_is_needed(writer, registry, name):
    row = {key: value for key, value in ROW.items() if key != name}
    answer = post(writer, [row])
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (
        400,
        "missing_parameter",
        f"[0].{name}",
    )


@pytest.mark.parametrize("ahead", [timedelta(seconds=30), timedelta(minutes=5), timedelta(days=4000)])
def test_the_future_is_refused(writer, registry, now, ahead):
    answer = post(writer, [ROW | {"timestamp": (now + ahead).isoformat()}])
    assert (answer.status_code, answer.json()["field"]) == (400, "[0].timestamp")


@pytest.mark.parametrize("body", [ROW, {}, "rows", 7, None, [1], [None], [[ROW]], {"data": [ROW]}])
def test_anything_but_a_list_of_rows_is_refused(writer, registry, body):
    assert post(writer, body).status_code == 400


def test_five_thousand_rows_and_not_one_more(writer, registry):
    rows = [ROW | {"timestamp": 1700000000 + 60 * minute} for minute in range(5001)]
    answer = post(writer, rows)
    assert (answer.status_code, answer.json()["code"]) == (400, "too_many_rows")
    assert post(writer, rows[:5000]).json()["saved"] == 5000


def test_a_large_body_is_refused(writer, registry, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = post(writer, [ROW] * 10)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[NaN]", b"[1e999]", b"\xff\xfe[]", b"[" * 100_000, b'["\\ud800"]', b"[]]", b"\x00"]
)
def test_unreadable_bodies(writer, registry, text):
    answer = writer.post(ADDRESS, text, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["success"] is False


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_other_media_types(writer, registry, kind):
    answer = writer.generic("POST", ADDRESS, b"a=1", content_type=kind)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
