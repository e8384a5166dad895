"""The collector's switches and figures, and the choice of symbols."""

import json

import pytest

from collector.models import RunChange, RunState
from markets.models import Symbol


def send(client, method, body, query=""):
    text = "" if body is None else json.dumps(body)
    return client.generic(method, f"/api/v1/collector/symbols{query}", text, content_type="application/json")


def collected(name):
    return set(Symbol.objects.filter(name=name, collected=True).values_list("market", flat=True))


def test_statistics_before_anything_was_collected(client, db):
    stats = client.get("/api/v1/collector").json()["stats"]
    assert (stats["totalRequests"], stats["successRate"], stats["lastCollectionTime"]) == (0, 100, None)
    assert (stats["running"], stats["lastCycle"]) == (True, None)
    assert set(stats["weight"]) == {"spot", "futures"}
    assert list(stats["weight"]["spot"]) == ["used", "limit", "blockedUntil"]


def test_stop_and_start_may_be_repeated_and_are_remembered(client, writer):
    for _ in range(2):
        assert writer.delete("/api/v1/collector").json() == {"success": True, "message": "Collector stopped"}
        assert client.get("/api/v1/collector").json()["stats"]["running"] is False
    assert RunState.objects.get().changed_by == f"key {writer.key.name}"
    for _ in range(2):
        assert writer.post("/api/v1/collector").json() == {"success": True, "message": "Collector started"}
        assert client.get("/api/v1/collector").json()["stats"]["running"] is True
    assert list(RunChange.objects.order_by("at").values_list("running", flat=True)) == [False, True]


def test_symbols_are_switched_on_every_market(writer, registry):
    Symbol.objects.update(collected=False)
    answer = send(writer, "POST", {"symbols": ["BTCUSDT", "solusdt", "BTCUSDT"]})
    assert answer.json() == {"success": True, "message": "Added 2 symbols", "symbols": ["BTCUSDT", "SOLUSDT"]}
    assert collected("BTCUSDT") == {"SPOT", "FUTURES"}
    assert send(writer, "POST", {"symbols": ["BTCUSDT"]}).status_code == 200
    assert send(writer, "DELETE", {"symbols": ["BTCUSDT"]}).json()["message"] == "Removed 1 symbols"
    assert collected("BTCUSDT") == set()
    assert collected("SOLUSDT") == {"SPOT"}


def test_symbols_of_the_address(writer, registry):
    assert send(writer, "DELETE", None, "?symbols=BTCUSDT,SOLUSDT").json()["symbols"] == ["BTCUSDT", "SOLUSDT"]
    assert collected("BTCUSDT") | collected("SOLUSDT") == set()


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_one_unknown_name_refuses_all_and_is_named(writer, registry, method):
    before = set(Symbol.objects.values_list("name", "market", "collected"))
    answer = send(writer, method, {"symbols": ["DOGEUSDT", "BTCUSDT", "NOPEUSDT"]})
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"]) == (400, "unknown_symbol", "symbols")
    assert "NOPEUSDT" in body["error"]
    assert set(Symbol.objects.values_list("name", "market", "collected")) == before


def test_what_does_not_trade_cannot_be_collected(writer, registry):
    Symbol.objects.filter(name="DOGEUSDT").update(status="BREAK")
    answer = send(writer, "POST", {"symbols": ["DOGEUSDT"]})
    assert (answer.status_code, answer.json()["code"]) == (400, "not_collectable")


@pytest.mark.parametrize(
    "body",
    [None, {}, [], "BTCUSDT", {"symbols": "BTCUSDT"}, {"symbols": []}, {"symbols": [1]}, {"symbols": [None]},
     {"symbols": {"a": 1}}, {"symbols": ["\x00"]}, {"symbols": [""]}, {"symbols": ["A"] * 5001}],
)  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_bad_bodies(writer, registry, method, body):
    answer = send(writer, method, body)
    assert (answer.status_code, answer.json()["field"]) == (400, "symbols")


@pytest.mark.parametrize("query", ["?symbols=", "?symbols=,", "?symbols=%00", "?symbols=NOPE,BTCUSDT"])
def test_bad_addresses(writer, registry, query):
    answer = send(writer, "DELETE", None, query)
    assert (answer.status_code, answer.json()["field"]) == (400, "symbols")
    assert collected("BTCUSDT")
