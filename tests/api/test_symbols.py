"""The registry as the API tells it."""

import pytest


def names(answer):
    return [entry["symbol"] for entry in answer.json()["symbols"]]


def test_an_entry_has_the_contracts_fields(client, registry):
    entry = next(row for row in client.get("/api/v1/symbols").json()["symbols"] if row["symbol"] == "BTCUSDT")
    assert entry == {
        "symbol": "BTCUSDT",
        "base": "BTC",
        "quote": "USDT",
        "markets": ["SPOT", "FUTURES"],
        "tickSize": 0.01,
        "lotSize": 0.00001,
        "status": "TRADING",
        "collected": True,
        "live": False,
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["1000PEPEUSDT", "BTCUSDT", "DOGEUSDT", "SOLUSDT"]),
        ("collected=true", ["1000PEPEUSDT", "BTCUSDT", "SOLUSDT"]),
        ("collected=false", ["DOGEUSDT"]),
        ("search=pepe", ["1000PEPEUSDT"]),
        ("search=", ["1000PEPEUSDT", "BTCUSDT", "DOGEUSDT", "SOLUSDT"]),
        ("search=%25", []),
        ("search=o&collected=1", ["SOLUSDT"]),
        ("whatever=1&search=btc", ["BTCUSDT"]),
    ],
)
def test_search_and_choice(client, registry, query, found):
    assert names(client.get(f"/api/symbols?{query}")) == found


@pytest.mark.parametrize(
    ("query", "field"), [("collected=maybe", "collected"), ("collected=", "collected"), ("search=%00", "search")]
)
def test_refusals(client, registry, query, field):
    answer = client.get(f"/api/v1/symbols?{query}")
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_one_query(client, registry, django_assert_num_queries):
    with django_assert_num_queries(1):
        client.get("/api/v1/symbols?search=btc&collected=true")


def test_the_root_address_answers_the_same(client, registry):
    assert client.get("/symbols").json() == client.get("/api/v1/symbols").json()
