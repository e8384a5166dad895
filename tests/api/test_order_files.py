"""Files of DEX orders: every order once, in every form, no digit lost; odd names of tokens do no harm."""

import csv
import io
import json

import pyarrow.parquet as pq
import pytest

from dex import export, services
from dex.events import TokenFacts
from tests.dex.factories import ALICE, BOB, BTC, DEPLOYMENT, TOKENS, USDT, log, store, time_of

HUGE = 2**256 - 1
ORDERS = "/api/v1/export?dataset=orders"
ODD = "0x" + "34" * 20


@pytest.fixture
def stored(db):
    """Order 1 executed, 2 of BOB cancelled, 3 of the largest amounts, one whose id is as large, one of an odd token."""
    store(
        [
            log("OrderCreated", 1, 10),
            log("OrderCreated", 2, 11, user=BOB, tokenIn=BTC, tokenOut=USDT, amountIn=10**8, targetPrice=6 * 10**22),
            log("OrderExecuted", 1, 12, amountOut=123_456_789),
            log("OrderCancelled", 2, 13, user=BOB),
            log("OrderCreated", 3, 14, amountIn=HUGE, targetPrice=HUGE),
            log("OrderCreated", HUGE, 15),
            log("OrderCreated", 4, 16, tokenIn=ODD),
        ]
    )
    services.store_tokens(DEPLOYMENT, [*TOKENS, TokenFacts(ODD, '=HYPERLINK("x")', "", 0)])


def body(answer):
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content)


def rows(answer):
    return list(csv.DictReader(io.StringIO(body(answer).decode())))


def test_csv_tells_every_order_exactly(client, stored):
    answer = client.get(ORDERS)
    assert answer["Content-Disposition"] == 'attachment; filename="orders.csv"'
    found = rows(answer)
    assert [row["id"] for row in found] == ["1", "2", "3", "4", str(HUGE)]
    first, second, third, odd, _ = found
    assert (first["status"], first["amount_in"], first["amount_out"], first["user_address"]) == (
        "EXECUTED",
        "1.5",
        "1.23456789",
        ALICE,
    )
    assert first["timestamp"] == first["executed_at"] == "2023-11-14T22:15:44Z"
    assert (second["status"], second["target_price"], second["executed_at"]) == ("CANCELLED", "60000", "")
    assert third["amount_in_raw"] == str(HUGE)
    assert (third["amount_in"].replace(".", ""), third["target_price"].replace(".", "")) == (str(HUGE), str(HUGE))
    assert odd["token_in_symbol"] == '\'=HYPERLINK("x")'


def test_json_tells_what_the_api_tells(client, stored):
    told = json.loads(body(client.get(f"{ORDERS}&format=json")))
    assert (told["success"], told["count"], len(told["data"])) == (True, 5, 5)
    for row in told["data"]:
        order = client.get(f"/api/v1/orders/{row['id']}").json()
        assert {name: row[name] for name in row if name != "timestamp"} == {
            name: value for name, value in order.items() if name in row and name != "timestamp"
        }
    assert told["data"][0]["timestamp"] == time_of(12).timestamp() * 1000


def test_parquet_keeps_every_digit(client, stored):
    table = pq.read_table(io.BytesIO(body(client.get(f"{ORDERS}&format=parquet"))))
    assert table["id"].to_pylist() == ["1", "2", "3", "4", str(HUGE)]
    assert table["amount_in_raw"].to_pylist()[2] == str(HUGE)
    assert table["executed_at"].to_pylist() == [time_of(12), None, None, None, None]


def test_without_orders_a_file_has_its_head_only(client, db):
    assert rows(client.get(ORDERS)) == []
    assert json.loads(body(client.get(f"{ORDERS}&format=json"))) == {"success": True, "data": [], "count": 0}
    assert pq.read_table(io.BytesIO(body(client.get(f"{ORDERS}&format=parquet")))).num_rows == 0


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("status=cancelled", ["2"]),
        (f"user={BOB.lower()}", ["2"]),
        (f"token_in={ODD}", ["4"]),
        (f"pair={USDT}/{BTC}&status=executed", ["1"]),
        (f"from={time_of(14).timestamp():.0f}&to={time_of(15).timestamp():.0f}", ["3", str(HUGE)]),
    ],
)
def test_filters(client, stored, query, ids):
    assert [row["id"] for row in rows(client.get(f"{ORDERS}&{query}"))] == ids


@pytest.mark.parametrize(
    ("query", "field"),
    [("status=open", "status"), ("user=0x1", "user"), ("format=xml", "format"), ("from=9&to=5", "from")],
)
def test_refusals_come_before_the_first_byte(client, stored, query, field):
    answer = client.get(f"{ORDERS}&{query}")
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_other_series_still_need_a_symbol(client, db):
    answer = client.get("/api/v1/export?dataset=depth")
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "missing_parameter", "symbol")


def test_many_orders_are_read_in_short_steps(client, stored, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(export, "STRETCH", 2)
    with django_assert_max_num_queries(8):
        found = rows(client.get(ORDERS))
    assert [row["id"] for row in found] == ["1", "2", "3", "4", str(HUGE)]
