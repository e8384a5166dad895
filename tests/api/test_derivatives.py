"""Futures events over the API: exact, newest first, page by page, filtered, and honest about what is a sample."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyarrow.parquet as pq
import pytest
from django.utils import timezone

from api.paging import encode
from derivatives import services
from derivatives.events import IdRange, Interest, Mark, Trade
from tests.derivatives.test_events import forced

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MS = int(NOON.timestamp() * 1000)


@pytest.fixture
def told(registry):
    services.store_trades(
        [
            Trade("FUTURES", "BTCUSDT", i, MS + i * 10, MS + i * 10 + 5, "84551.10", f"0.00{i}", i, i + 1, i % 2 == 0)
            for i in range(1, 8)
        ]
    )
    services.store_trades([Trade("SPOT", "BTCUSDT", 50, MS, None, "84550.00000000", "1", 1, 1, True)])
    services.store_gaps([IdRange("FUTURES", "BTCUSDT", 20, 30)])
    services.store_marks([Mark("BTCUSDT", MS + i * 1000, "101", "100", "100.5", "0.0001", MS + 9**9) for i in range(3)])
    services.store_forced_orders(
        [
            forced(symbol="BTCUSDT", trade_time=MS, filled_quantity="2", average_price="100"),
            forced(symbol="BTCUSDT", trade_time=MS + 1, side="BUY", filled_quantity="1", average_price="100"),
            forced(symbol="1000PEPEUSDT", trade_time=MS + 1, filled_quantity="5", average_price="0.1"),
        ]
    )
    services.store_interest([Interest("BTCUSDT", MS + i * 60_000, f"9{i}.5") for i in range(3)])


def get(client, path, **query):
    return client.get(f"/api/v1/{path}", query)


def paged(client, path, **query):
    rows, cursor = [], None
    while True:
        answer = get(client, path, **query, **({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.json()
        rows += answer.json()["data"]
        cursor = answer.json()["next"]
        if cursor is None:
            return rows


def test_trades(client, told):
    body = get(client, "trades", symbol="btcusdt", marketType="futures").json()
    assert [row["id"] for row in body["data"]] == [7, 6, 5, 4, 3, 2, 1]
    assert body["data"][0] == {
        "id": 7,
        "timestamp": MS + 70,
        "eventTime": MS + 75,
        "price": "84551.10",
        "quantity": "0.007",
        "side": "buy",
        "firstTradeId": 7,
        "lastTradeId": 8,
    }
    assert (body["symbol"], body["marketType"], body["openGaps"]) == ("BTCUSDT", "FUTURES", 1)
    spot = get(client, "trades", symbol="BTCUSDT").json()
    assert (spot["marketType"], spot["data"][0]["price"]) == ("SPOT", "84550.00000000")
    assert (spot["data"][0]["eventTime"], spot["openGaps"]) == (None, 0)


def test_pages_hold_every_row_once(client, told):
    assert [row["id"] for row in paged(client, "trades", symbol="BTCUSDT", market="FUTURES", limit=2)] == [
        *range(7, 0, -1)
    ]
    assert len(paged(client, "liquidations", limit=1)) == 3
    assert len({row["timestamp"] for row in paged(client, "mark-prices", symbol="BTCUSDT", limit=1)}) == 3
    assert [row["openInterest"] for row in paged(client, "open-interest", symbol="BTCUSDT", limit=2)] == [
        *("92.5", "91.5", "90.5"),
    ]


def test_filters(client, told):
    futures = {"symbol": "BTCUSDT", "marketType": "FUTURES"}
    assert [row["id"] for row in get(client, "trades", **futures, side="SELL").json()["data"]] == [6, 4, 2]
    assert [row["id"] for row in get(client, "trades", **futures, minQuantity="0.006").json()["data"]] == [7, 6]
    start = (NOON + timedelta(milliseconds=60)).isoformat()
    assert [row["id"] for row in get(client, "trades", **futures, **{"from": start}).json()["data"]] == [7, 6]
    assert get(client, "liquidations", side="short").json()["count"] == 1
    assert get(client, "liquidations", minNotional=150).json()["data"][0]["notional"] == "200"
    assert get(client, "liquidations", symbol="1000PEPEUSDT").json()["count"] == 1


def test_liquidations_say_that_they_are_a_sample(client, told):
    body = get(client, "liquidations", symbol="BTCUSDT").json()
    assert body["lowerBound"] is True
    assert [(row["side"], row["liquidated"]) for row in body["data"]] == [("BUY", "short"), ("SELL", "long")]


def test_funding_and_basis(client, told):
    body = get(client, "funding").json()
    assert [row["symbol"] for row in body["data"]] == ["BTCUSDT"]
    row = body["data"][0]
    assert (row["timestamp"], row["fundingRate"], row["basisPercent"]) == (MS + 2000, "0.0001", 1.0)
    assert get(client, "funding", symbol="1000PEPEUSDT").json()["data"] == []


def test_without_an_index_there_is_no_basis(client, registry):
    services.store_marks([Mark("BTCUSDT", MS, "101", "0", "100", None, None)])
    [row] = get(client, "funding", symbol="BTCUSDT").json()["data"]
    assert (row["markPrice"], row["indexPrice"], row["basisPercent"]) == ("101", "0", None)


def test_nothing_was_heard_of_liquidations_that_are_not_taken(client, registry, settings):
    ms = int(timezone.now().timestamp() * 1000)
    services.store_marks([Mark("BTCUSDT", ms - i * 60_000 - 500, "99", "100", "1", None, None) for i in range(5)])

    def heard():
        return {row["symbol"]: row["heardMinutes"] for row in get(client, "derivatives/summary").json()["data"]}[
            "BTCUSDT"
        ]

    settings.STREAM_KINDS = {**settings.STREAM_KINDS, "FUTURES": {"markPrice", "forceOrder"}}
    assert heard() == 5
    settings.STREAM_KINDS = {**settings.STREAM_KINDS, "FUTURES": {"markPrice"}}
    assert heard() == 0


DAY = {"from": (NOON - timedelta(hours=1)).isoformat(), "to": (NOON + timedelta(hours=1)).isoformat()}


def test_hours_and_days_of_trades(client, told):
    asked = {"symbol": "BTCUSDT", "marketType": "FUTURES", **DAY}
    for interval in ("1h", "1d"):
        body = get(client, "trades", interval=interval, **asked).json()
        assert (body["interval"], body["symbol"], body["marketType"], body["count"]) == (
            *(interval, "BTCUSDT", "FUTURES", 1),
        )
        assert body["newest"] == MS + 70
        [row] = body["data"]
        assert (row["trades"], row["fills"], row["missingTrades"], row["closed"]) == (7, 14, 0, True)
        assert (row["takerBuyVolume"], row["takerSellVolume"]) == pytest.approx((0.016, 0.012))
        assert (row["delta"], row["cvd"]) == pytest.approx((0.004, 0.004))
        assert row["complete"] is False, "nothing is known of what came before and after"
    assert row["time"] == int(NOON.timestamp()) // 86400 * 86400


def test_hours_of_marks_liquidations_and_interest(client, told):
    [mark] = get(client, "mark-prices", symbol="BTCUSDT", interval="1h", **DAY).json()["data"]
    assert (mark["samples"], mark["markClose"], mark["indexClose"], mark["basisPercent"]) == (3, 101, 100, 1)
    assert (mark["fundingRate"], mark["complete"]) == (0.0001, False)
    assert get(client, "funding", symbol="BTCUSDT", interval="1h", **DAY).json()["data"] == [mark]
    body = get(client, "liquidations", symbol="BTCUSDT", interval="1h", **DAY).json()
    assert (body["lowerBound"], body["symbol"]) == (True, "BTCUSDT")
    [row] = body["data"]
    assert (row["longNotional"], row["shortNotional"], row["largest"]) == (200, 100, 200)
    [row] = get(client, "liquidations", interval="1d", **DAY).json()["data"]
    assert (row["longNotional"], row["longCount"], row["shortCount"]) == (200.5, 2, 1)
    [row] = get(client, "open-interest", symbol="BTCUSDT", interval="1d", **DAY).json()["data"]
    assert (row["open"], row["high"], row["low"], row["close"], row["samples"]) == (90.5, 92.5, 90.5, 92.5, 3)


def test_the_market_at_a_glance(client, registry, django_assert_max_num_queries):
    now = timezone.now()
    ms = int(now.timestamp() * 1000)
    services.store_marks([Mark("BTCUSDT", ms - i * 60_000 - 500, "99", "100", "1", "0.0001", ms) for i in range(30)])
    ages = {0: "110", 60: "100", 24 * 60: "200"}
    services.store_interest([Interest("BTCUSDT", ms - age * 60_000, value) for age, value in ages.items()])
    for side, quantity, age in (("SELL", "3", 1), ("BUY", "2", 59), ("BUY", "9", 61)):
        amounts = {"filled_quantity": quantity, "average_price": "10", "side": side}
        services.store_forced_orders([forced(symbol="BTCUSDT", trade_time=ms - age * 60_000, **amounts)])
    with django_assert_max_num_queries(3):
        body = get(client, "derivatives/summary").json()
    rows = {row["symbol"]: row for row in body["data"]}
    assert (body["lowerBound"], body["count"]) == (True, len(rows))
    row = rows["BTCUSDT"]
    assert (row["basisPercent"], row["fundingRate"], row["nextFundingTime"]) == (-1, 0.0001, ms)
    assert (row["openInterest"], row["change1h"], row["change24h"]) == (110, 10, -45)
    assert (row["longLiquidations1h"], row["shortLiquidations1h"], row["liquidations1h"]) == (30, 20, 2)
    assert (row["heardMinutes"], row["stale"]) == (30, False)
    other = rows["1000PEPEUSDT"]
    assert (other["markPrice"], other["change1h"], other["heardMinutes"], other["stale"]) == (None, None, 0, True)


@pytest.mark.parametrize(
    ("path", "query", "status", "field"),
    [
        ("trades", {}, 400, "symbol"),
        ("trades", {"symbol": "NOPE"}, 404, "symbol"),
        ("trades", {"symbol": "BTCUSDT", "side": "up"}, 400, "side"),
        ("trades", {"symbol": "BTCUSDT", "minQuantity": "-1"}, 400, "minQuantity"),
        ("trades", {"symbol": "BTCUSDT", "cursor": "x"}, 400, "cursor"),
        ("mark-prices", {"symbol": "SOLUSDT"}, 404, "symbol"),
        ("liquidations", {"limit": 0}, 400, "limit"),
        ("trades", {"symbol": "BTCUSDT", "interval": "1m"}, 400, "interval"),
        ("trades", {"symbol": "BTCUSDT", "interval": "1h", "side": "buy"}, 400, "side"),
        ("trades", {"symbol": "BTCUSDT", "interval": "1h", "from": "2020-01-01"}, 400, "from"),
        ("funding", {"interval": "1h"}, 400, "symbol"),
        ("funding", {"from": "2026-03-01"}, 400, "from"),
        ("funding", {"symbol": "BTCUSDT", "to": "2026-03-01"}, 400, "to"),
        ("trades", {"symbol": "BTC\x00USDT"}, 404, "symbol"),
        ("liquidations", {"cursor": encode([NOON, "\x00", UUID(int=1)])}, 400, "cursor"),
        ("liquidations", {"cursor": encode(["0001-01-01T00:00:00+23:00", "A", UUID(int=1)])}, 400, "cursor"),
        ("trades", {"symbol": "BTCUSDT", "cursor": encode([NOON, 2**63])}, 400, "cursor"),
        ("mark-prices", {"symbol": "BTCUSDT", "cursor": encode(["2026-03-01T00:00:00"])}, 400, "cursor"),
        ("open-interest", {"symbol": "BTCUSDT", "from": "2026-03-02", "to": "2026-03-01"}, 400, "from"),
    ],
)
def test_bad_questions_are_named(client, told, path, query, status, field):
    answer = get(client, path, **query)
    assert (answer.status_code, answer.json()["field"]) == (status, field)


def test_queries_do_not_grow_with_the_page(client, told, django_assert_max_num_queries):
    with django_assert_max_num_queries(3):
        get(client, "trades", symbol="BTCUSDT", market="FUTURES")


# --- files -----------------------------------------------------------------------------------------------------------


def body(answer):
    return b"".join(answer.streaming_content)


def exported(client, **query):
    answer = get(client, "export", **DAY, **query)
    assert answer.status_code == 200, body(answer) if answer.streaming else answer.json()
    return body(answer)


def rows_of(client, **query):
    return list(csv.DictReader(exported(client, **query).decode().splitlines()))


def test_files_hold_every_digit(client, told):
    rows = rows_of(client, dataset="trades", symbol="BTCUSDT", marketType="FUTURES")
    assert [row["id"] for row in rows] == ["1", "2", "3", "4", "5", "6", "7"]
    assert (rows[0]["price"], rows[0]["quantity"], rows[0]["side"]) == ("84551.10", "0.001", "buy")
    assert (rows[0]["timestamp"], rows[0]["symbol"]) == ("2026-03-01T12:00:00.010000Z", "BTCUSDT")
    both = json.loads(exported(client, dataset="trades", symbol="BTCUSDT", marketType="SPOT,FUTURES", format="json"))
    assert (both["count"], both["data"][0]["price"], both["data"][0]["eventTime"]) == (8, "84550.00000000", None)
    marks = rows_of(client, dataset="mark-prices", symbol="BTCUSDT")
    assert [(row["markPrice"], row["settlePrice"], row["fundingRate"]) for row in marks] == [
        ("101", "100.5", "0.0001"),
    ] * 3
    assert [row["openInterest"] for row in rows_of(client, dataset="open-interest", symbol="BTCUSDT")] == [
        *("90.5", "91.5", "92.5"),
    ]
    forced_orders = rows_of(client, dataset="liquidations")
    assert [(row["symbol"], row["liquidated"], row["notional"]) for row in forced_orders] == [
        *(("BTCUSDT", "long", "200"), ("1000PEPEUSDT", "long", "0.5"), ("BTCUSDT", "short", "100")),
    ]
    assert len(rows_of(client, dataset="liquidations", symbol="1000PEPEUSDT")) == 1


def test_a_small_basis_is_the_same_in_every_form(client, registry):
    services.store_marks([Mark("BTCUSDT", MS, "100.0000003", "100", "100", "0.0001", MS)])
    asked = {"dataset": "mark-prices", "symbol": "BTCUSDT", "interval": "1h"}
    [row] = rows_of(client, **asked)
    [told] = json.loads(exported(client, format="json", **asked))["data"]
    assert float(row["basisPercent"]) == told["basisPercent"] == pytest.approx(3e-7, rel=1e-9)


def test_files_of_hours_and_days(client, told):
    [row] = rows_of(client, dataset="trades", symbol="BTCUSDT", marketType="FUTURES", interval="1h")
    assert (row["timestamp"], row["trades"], row["complete"]) == ("2026-03-01T12:00:00Z", "7", "false")
    assert float(row["delta"]) == pytest.approx(0.004)
    [row] = rows_of(client, dataset="funding", symbol="BTCUSDT")
    assert (row["fundingRate"], row["markClose"], row["closed"]) == ("0.0001", "101", "true")
    [row] = rows_of(client, dataset="liquidations", interval="1d")
    assert (row["longNotional"], row["shortCount"], row["lowerBound"]) == ("200.5", "1", "true")
    [row] = json.loads(exported(client, dataset="open-interest", symbol="BTCUSDT", interval="1d", format="json"))[
        "data"
    ]
    assert (row["open"], row["close"], row["complete"]) == (90.5, 92.5, False)


@pytest.mark.parametrize("dataset", ["trades", "mark-prices", "liquidations", "open-interest", "funding"])
@pytest.mark.parametrize("interval", ["1m", "1h"])
def test_parquet_has_the_columns_of_csv(client, told, dataset, interval):
    asked = {"dataset": dataset, "symbol": "BTCUSDT", "marketType": "FUTURES", "interval": interval}
    table = pq.read_table(io.BytesIO(exported(client, format="parquet", **asked)))
    rows = rows_of(client, **asked)
    assert (table.num_rows, table.column_names) == (len(rows), [*rows[0]])


def test_long_files_come_in_stretches_and_miss_nothing(client, told, monkeypatch):
    monkeypatch.setattr("derivatives.export.STRETCH", 2)
    for dataset, count in (("trades", 7), ("mark-prices", 3), ("open-interest", 3), ("liquidations", 2)):
        rows = rows_of(client, dataset=dataset, symbol="BTCUSDT", marketType="FUTURES")
        assert len({tuple(row.values()) for row in rows}) == len(rows) == count
    assert len(rows_of(client, dataset="liquidations")) == 3


def test_a_file_needs_a_symbol_and_one_that_is_collected_there(client, told):
    assert get(client, "export", dataset="trades").json()["field"] == "symbol"
    assert get(client, "export", dataset="mark-prices", symbol="SOLUSDT").status_code == 404
