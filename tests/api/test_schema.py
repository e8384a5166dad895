"""The description of the API: complete, and true of every answer that it describes."""

import json
import re
from pathlib import Path

import pytest
from drf_spectacular.validation import validate_schema
from jsonschema import Draft4Validator

from api.urls import described, resources
from api.views.documentation import openapi

LATER = {"schema", "docs"}  # they describe, and are not described
PARAMETERS = {"order_id": "{id}"}  # as people write them

CALLS = (
    ("get", "health"),
    ("get", "symbols"),
    ("get", "symbols?collected=x"),
    ("get", "binance/spot?symbol=BTCUSDT"),
    ("get", "binance/futures?symbol=BTCUSDT"),
    ("get", "binance/futures?symbol=SOLUSDT"),
    ("get", "binance/depth?symbol=BTCUSDT&depth=1.5"),
    ("get", "binance/depth?symbol=BTCUSDT&depth=5&type=spot"),
    ("get", "binance/depth?symbol=BTCUSDT"),
    ("get", "chart-data?symbol=BTCUSDT&depth=5"),
    ("get", "chart-data?symbol=BTCUSDT&depth=5&type=both"),
    ("get", "chart-data?symbol=BTCUSDT&depth=5&from=x"),
    ("get", "chart-data?symbol=BTCUSDT&timeframe=1H"),
    ("get", "chart-data?symbol=BTCUSDT&timeframe=x"),
    ("get", "candles?symbol=BTCUSDT"),
    ("get", "candles?symbol=BTCUSDT&limit=5000"),
    ("get", "price?symbol=BTCUSDT&timeframe=1D"),
    ("get", "snapshots?symbol=BTCUSDT"),
    ("get", "snapshots?symbol=BTCUSDT&type=ask"),
    ("get", "snapshots?symbol=X"),
    ("post", "snapshots", []),
    ("post", "snapshots", {}),
    ("post", "snapshots", [{"timestamp": 1, "symbol": "X"}]),
    ("get", "analytics/history?symbol=BTCUSDT&depth=5"),
    ("get", "analytics/history?symbol=BTCUSDT&depth=5&interval=x"),
    ("get", "analytics/stats?symbol=BTCUSDT&marketType=futures"),
    ("get", "analytics/stats?symbol=SOLUSDT"),
    ("get", "analytics/stats?symbol=DOGEUSDT"),
    ("get", "overview?depth=5"),
    ("get", "overview?market=futures"),
    ("get", "overview?depth=x"),
    ("get", "status"),
    ("get", "orders/pending"),
    ("get", "orders/executed?limit=0"),
    ("get", "statistics"),
    ("get", "collector"),
    ("post", "collector"),
    ("delete", "collector"),
    ("post", "collector/symbols", {"symbols": ["SOLUSDT"]}),
    ("post", "collector/symbols", {"symbols": ["NOPE"]}),
    ("delete", "collector/symbols", {"symbols": ["SOLUSDT"]}),
)


def strict(schema):
    """OpenAPI 3.0's `nullable` in JSON Schema's words; and nothing that is not described."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    told = {key: strict(value) for key, value in schema.items() if key != "nullable"}
    if told.get("type") == "object" and "properties" in told:
        told["additionalProperties"] = False
    return {"anyOf": [told, {"type": "null"}]} if schema.get("nullable") else told


def test_the_description_is_valid_openapi():
    validate_schema(openapi())


def test_every_resource_is_described():
    paths = {f"/api/v1/{resource.pattern}" for resource in resources if str(resource.pattern) not in LATER}
    assert {re.sub("{[^}]*}", "{}", path) for path in openapi()["paths"]} == {
        re.sub("<[^>]*>", "{}", path) for path in paths
    }
    assert described[0].pattern


def test_every_operation_tells_its_errors_and_who_may():
    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            codes = set(operation["responses"])
            assert {"200", "406", "500", "503"} <= codes, path
            if method != "get":
                assert {"401", "403"} <= codes, path
                assert {} not in operation["security"], path
            if "requestBody" in operation:
                assert {"400", "413", "415"} <= codes, path


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]} {call[1]}")
def test_answers_are_as_described(writer, books, call):
    method, address, *body = call
    answer = writer.generic(
        method.upper(), f"/api/v1/{address}", json.dumps(body[0]) if body else "", content_type="application/json"
    )
    operation = openapi()["paths"][f"/api/v1/{address.partition('?')[0]}"][method]
    described_as = operation["responses"][str(answer.status_code)]["content"][answer["Content-Type"]]["schema"]
    schema = {**strict(described_as), "components": strict(openapi()["components"])}
    Draft4Validator(schema).validate(answer.json())


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/vnd.oai.openapi+json"),
        ("application/json", "application/json"),
        ("application/yaml", "application/yaml"),
    ],
)
def test_the_description_comes_as_json_or_yaml(client, db, accept, kind):
    answer = client.get("/api/v1/schema", HTTP_ACCEPT=accept)
    assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (200, kind)
    if "json" in kind:
        assert answer.json()["openapi"].startswith("3.")


def test_the_page_says_that_the_market_is_simulated(client, db, settings):
    assert "SIMULATED MARKET" not in client.get("/api/v1/docs").content.decode()
    settings.SIMULATED_MARKET = True
    assert "SIMULATED MARKET" in client.get("/api/v1/docs").content.decode()


def test_the_page_has_the_chosen_theme_and_leads_to_the_others(client, db):
    dark = client.get("/api/v1/docs").content.decode()
    assert 'class="dark-mode"' in dark
    assert 'href="/charts/"' in dark
    assert '/admin/"' not in dark
    client.cookies["theme"] = "light"
    light = client.get("/api/v1/docs").content.decode()
    assert 'data-theme="light"' in light
    assert "dark-mode" not in light


def test_the_page_holds_no_script_and_no_foreign_address(client, db):
    page = client.get("/api/v1/docs").content.decode()
    assert "<script>" not in page
    assert "<style" not in page
    assert "http" not in page.replace('lang="en"', "")
    script = client.get("/api/v1/docs?script=")
    assert script["Content-Type"].startswith("application/javascript")
    assert "/api/v1/schema" in script.content.decode()


def test_the_documentation_names_every_address():
    told = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    rows = "\n".join(line for line in told.splitlines() if line.startswith("| `"))
    named = set(re.findall(r"`(?:(?:GET|POST|PUT|DELETE) )?([a-z][a-z/{}_-]*)", rows))
    addresses = {path.removeprefix("/api/v1/") for path in openapi()["paths"]}
    spelled = {re.sub(r"\{(\w+)\}", lambda found: PARAMETERS.get(found[1], found[0]), one) for one in addresses}
    assert spelled - named - LATER == set()
