"""Errors that belong to no resource, request ids, headers, CORS; and that no text at all makes a 500."""

import json
import logging

import pytest
from django.db import OperationalError
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg_pool import PoolTimeout

from api.request_id import RequestIdFilter

SHAPE = ["success", "error", "code", "field", "requestId", "timestamp"]
RESOURCES = ["health", "symbols", "binance/spot", "binance/futures", "binance/depth", "chart-data", "snapshots"]
RESOURCES += ["collector", "collector/symbols", "schema", "docs", "analytics/history", "analytics/stats", "export"]
GARBAGE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.parametrize(
    "address",
    ["/api", "/api/", "/api/v1", "/api/v1/", "/api/v2/health", "/api/v1/healthy", "/api/v1/binance", "/api/v1/health/x",
     "/api/v1/%00", "/api/v1/%ff", "/api//health"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["get", "post"])
def test_unknown_addresses(client, db, address, method):
    answer = getattr(client, method)(address)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")
    assert list(answer.json()) == SHAPE
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("root", ["/api/", "/api/v1/"])
def test_a_slash_at_the_end_makes_no_difference(client, books, root, resource):
    plain, slashed = client.get(f"{root}{resource}"), client.get(f"{root}{resource}/")
    assert plain.status_code == slashed.status_code
    assert plain.status_code in {200, 400, 405}


@pytest.mark.parametrize("root", ["/api/", "/api/v1/"])
def test_a_body_reaches_either_spelling(writer, registry, root):
    for address in (f"{root}snapshots", f"{root}snapshots/"):
        assert writer.post(address, "[]", content_type="application/json").json()["saved"] == 0


@pytest.mark.parametrize(
    ("method", "resource", "allowed"),
    [
        ("POST", "health", "GET, HEAD"),
        ("PUT", "snapshots", "GET, POST, HEAD"),
        ("PATCH", "collector", "GET, POST, DELETE, HEAD"),
        ("GET", "collector/symbols", "POST, DELETE"),
        ("OPTIONS", "symbols", "GET, HEAD"),
        ("POST", "docs", "GET, HEAD"),
        ("BREW", "schema", "GET, HEAD"),
        ("DELETE", "symbols", "GET, HEAD"),
    ],
)
def test_other_methods(writer, registry, method, resource, allowed):
    answer = writer.generic(method, f"/api/v1/{resource}")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer["Allow"] == allowed


def test_another_media_type_is_not_acceptable(client, registry):
    answer = client.get("/api/v1/symbols", HTTP_ACCEPT="application/xml")
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
    assert client.get("/api/v1/symbols", HTTP_ACCEPT="text/html,*/*;q=0.8").status_code == 200


def test_format_is_nobodys_parameter(client, registry):
    assert client.get("/api/v1/symbols?format=csv").status_code == 200


def test_a_head_request(client, registry):
    answer = client.head("/api/v1/symbols")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("given", ["abc-123", "A.b:c_9"])
def test_a_callers_own_request_id_is_kept(client, db, given):
    answer = client.get("/api/v1/nothing", HTTP_X_REQUEST_ID=given)
    assert answer["X-Request-ID"] == given == answer.json()["requestId"]


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "é", 'a"b', "a\tb"])
def test_any_other_is_replaced(client, db, given):
    answer = client.get("/api/v1/nothing", HTTP_X_REQUEST_ID=given)
    assert answer["X-Request-ID"] != given
    assert len(answer["X-Request-ID"]) == 32


@pytest.mark.parametrize("address", ["/api/v1/health", "/metrics", "/nowhere", "/admin/login/", "/static/none.css"])
def test_every_answer_of_the_site_has_an_id(client, db, address):
    first, second = client.get(address), client.get(address)
    assert len({first["X-Request-ID"], second["X-Request-ID"]}) == 2


def test_log_records_carry_the_id(client, db, caplog, monkeypatch):
    def broken(*_):
        raise RuntimeError("secret words")

    monkeypatch.setattr("api.views.symbols.registry", broken)
    caplog.handler.addFilter(RequestIdFilter())
    with caplog.at_level(logging.ERROR):
        answer = client.get("/api/v1/symbols", HTTP_X_REQUEST_ID="mine")
    assert {record.request_id for record in caplog.records if record.name == "api.exceptions"} == {"mine"}
    body = answer.json()
    assert (answer.status_code, body["code"], body["requestId"]) == (500, "internal_error", "mine")
    assert "secret" not in answer.content.decode()


@pytest.mark.parametrize("error", [OperationalError("server closed the connection"), PoolTimeout("none left")])
@pytest.mark.parametrize(
    "resource", ["symbols", "binance/spot?symbol=A", "chart-data?symbol=A&depth=1", "snapshots?symbol=A"]
)
def test_the_database_away_is_said(client, db, monkeypatch, error, resource):
    def away(*_, **__):
        raise error

    for name in ("symbols.registry", "books.find", "base.find"):
        monkeypatch.setattr(f"api.views.{name}", away)
    answer = client.get(f"/api/v1/{resource}")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert int(answer["Retry-After"]) > 0


def test_a_foreign_host(client, db):
    answer = client.get("/api/v1/symbols", HTTP_HOST="evil.example")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert answer["X-Request-ID"] == answer.json()["requestId"]


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://localhost:4173"])
def test_listed_origins_may_read(client, registry, origin):
    answer = client.get("/api/v1/symbols", HTTP_ORIGIN=origin)
    assert answer["Access-Control-Allow-Origin"] == origin
    assert "X-Request-ID" in answer["Access-Control-Expose-Headers"]
    refused = client.get("/api/v1/binance/spot", HTTP_ORIGIN=origin)
    assert (refused.status_code, refused["Access-Control-Allow-Origin"]) == (400, origin)
    asked = client.options(
        "/api/v1/snapshots",
        HTTP_ORIGIN=origin,
        HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST",
        HTTP_ACCESS_CONTROL_REQUEST_HEADERS="authorization, content-type",
    )
    assert asked.status_code == 200
    assert "authorization" in asked["Access-Control-Allow-Headers"]


def test_other_origins_may_not(client, registry):
    answer = client.get("/api/v1/symbols", HTTP_ORIGIN="https://evil.example")
    assert "Access-Control-Allow-Origin" not in answer


TEXT = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["0", "-0", "1e5", "NaN", "Infinity", "null", "[]", "true", "5", "SPOT", "BTCUSDT", "\x00", "\U0010ffff"]
    ),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(str),
)
NAMES = st.sampled_from(
    [
        "symbol",
        "marketType",
        "market",
        "type",
        "depth",
        "from",
        "to",
        "limit",
        "search",
        "collected",
        "timeframe",
        "symbols",
        "format",
        "x",
    ]
)


@GARBAGE
@given(resource=st.sampled_from(RESOURCES), query=st.dictionaries(NAMES, TEXT, max_size=6), known=st.booleans())
def test_no_parameters_make_a_500(client, books, resource, query, known):
    if known:
        query = {"symbol": "BTCUSDT", "depth": "1"} | query
    answer = client.get(f"/api/v1/{resource}", query)
    assert answer.status_code in {200, 400, 404, 405}
    if answer.status_code != 200:
        assert list(answer.json()) == SHAPE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("BTCUSDT"),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.just("symbols") | st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)


@GARBAGE
@given(
    method=st.sampled_from(["POST", "DELETE"]),
    resource=st.sampled_from(["snapshots", "collector/symbols"]),
    body=st.one_of(st.binary(max_size=80), JSON.map(lambda value: json.dumps(value).encode())),
    query=st.dictionaries(st.just("symbols"), TEXT, max_size=1),
)
def test_no_body_makes_a_500(writer, registry, method, resource, body, query):
    from urllib.parse import urlencode

    address = f"/api/v1/{resource}?{urlencode(query, errors='replace')}"
    answer = writer.generic(method, address, body, content_type="application/json")
    assert answer.status_code in {200, 400, 404, 405}
    if answer.status_code != 200:
        assert list(answer.json()) == SHAPE


def test_an_error_outside_of_the_resources_is_json_too(db, monkeypatch):
    def broken(*_):
        raise RuntimeError("secret words")

    monkeypatch.setattr("api.views.base.ApiView.finalize_response", broken)
    answer = Client(raise_request_exception=False).get("/api/v1/symbols")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.content.decode()
