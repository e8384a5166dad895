"""Who may do what: everybody, keys of every kind, sessions of every kind; open and closed platforms."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from api.keys import InvalidKey, UnknownScope, issue, verify
from api.models import ApiKey, Scope

READS = (
    "symbols",
    "binance/spot?symbol=BTCUSDT",
    "chart-data?symbol=BTCUSDT&depth=1",
    "snapshots?symbol=BTCUSDT",
    "collector",
)
WRITES = (
    ("POST", "snapshots", [], Scope.SNAPSHOTS_WRITE),
    ("POST", "collector", None, Scope.COLLECTOR_CONTROL),
    ("DELETE", "collector", None, Scope.COLLECTOR_CONTROL),
    ("POST", "collector/symbols", {"symbols": ["SOLUSDT"]}, Scope.SYMBOLS_WRITE),
    ("DELETE", "collector/symbols", {"symbols": ["SOLUSDT"]}, Scope.SYMBOLS_WRITE),
)


def send(client, method, resource, body):
    return client.generic(method, f"/api/v1/{resource}", _text(body), content_type="application/json")


def _text(body):
    import json

    return "" if body is None else json.dumps(body)


@pytest.mark.parametrize(("method", "resource", "body", "scope"), WRITES)
def test_writing_needs_the_scope(client, registry, key_client, method, resource, body, scope):
    refused = send(client, method, resource, body)
    assert (refused.status_code, refused.json()["code"]) == (401, "not_authenticated")
    assert refused["WWW-Authenticate"] == "Api-Key"
    other = send(key_client(*(other for other in Scope.values if other != scope)), method, resource, body)
    assert (other.status_code, other.json()["code"]) == (403, "permission_denied")
    assert scope in other.json()["error"]
    assert send(key_client(), method, resource, body).status_code == 403
    assert send(key_client(scope), method, resource, body).status_code == 200


@pytest.mark.parametrize(("method", "resource", "body", "scope"), WRITES)
def test_staff_write_with_their_token_only(registry, user_client, method, resource, body, scope):
    assert send(user_client(), method, resource, body).status_code == 200
    forged = send(user_client(csrf=False), method, resource, body)
    assert (forged.status_code, forged.json()["code"]) == (403, "csrf_failed")
    stranger = send(user_client(is_staff=False), method, resource, body)
    assert (stranger.status_code, stranger.json()["code"]) == (403, "permission_denied")


@pytest.mark.parametrize("resource", READS)
def test_reading_is_open(client, books, resource):
    assert client.get(f"/api/v1/{resource}").status_code == 200


@pytest.mark.parametrize("resource", READS)
def test_reading_can_be_closed(client, books, key_client, user_client, settings, resource):
    settings.API_PUBLIC = False
    answer = client.get(f"/api/v1/{resource}")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert key_client(Scope.READ).get(f"/api/v1/{resource}").status_code == 200
    assert user_client(is_staff=False).get(f"/api/v1/{resource}").status_code == 200


def test_health_and_docs_of_a_closed_platform(client, db, settings):
    settings.API_PUBLIC = False
    assert client.get("/api/v1/health").status_code == 200
    assert client.get("/metrics").status_code == 401
    assert client.get("/api/v1/schema").status_code == 401
    assert client.get("/api/v1/nothing").status_code == 404


@pytest.mark.parametrize(
    "header",
    [
        "Api-Key wrong",
        "Api-Key tp_aaaaaaaa.bbbb",
        "Api-Key",
        "api-key \xff\xfe",
        "Api-Key " + "x" * 10_000,
        "Api-Key \x00",
    ],
)
def test_a_wrong_key_is_refused_even_where_none_is_needed(client, db, header):
    answer = client.get("/api/v1/symbols", HTTP_AUTHORIZATION=header)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_key")


def test_other_schemes_are_nobody(client, db):
    assert client.get("/api/v1/symbols", HTTP_AUTHORIZATION="Basic YTpi").status_code == 200
    assert client.delete("/api/v1/collector", HTTP_AUTHORIZATION="Bearer x").status_code == 401


def test_a_key_with_one_letter_changed(db, now):
    _, key = issue("mine", [])
    assert verify(key, now).name == "mine"
    for changed in (
        key[:-1] + ("A" if key[-1] != "A" else "B"),
        key + "A",
        key[:-1],
        key.upper(),
        key.replace("tp_", ""),
    ):
        with pytest.raises(InvalidKey, match="not known"):
            verify(changed, now)


def test_expired_and_revoked_keys(db, now, client):
    row, key = issue("short", [], expires_at=now + timedelta(minutes=1))
    assert verify(key, now)
    with pytest.raises(InvalidKey, match="expired"):
        verify(key, now + timedelta(minutes=1))
    ApiKey.objects.update(revoked=True)
    with pytest.raises(InvalidKey, match="revoked"):
        verify(key, now)
    assert client.get("/api/v1/symbols", HTTP_AUTHORIZATION=f"Api-Key {key}").json()["code"] == "invalid_key"
    assert "tp_" not in str(row)


def test_only_a_hash_is_kept(db):
    row, key = issue("mine", ["read"])
    row.refresh_from_db()
    secret = key.split(".")[1]
    assert all(secret not in str(getattr(row, field.attname)) for field in row._meta.fields)
    assert len(secret) >= 40
    assert key.startswith(f"tp_{row.prefix}.")


def test_the_last_use_is_written_once_a_minute(db, now, django_assert_num_queries):
    row, key = issue("mine", [])
    with django_assert_num_queries(2):
        verify(key, now)
    with django_assert_num_queries(1):
        verify(key, now + timedelta(seconds=59))
    with django_assert_num_queries(2):
        verify(key, now + timedelta(seconds=60))
    row.refresh_from_db()
    assert row.last_used_at == now + timedelta(seconds=60)


def test_a_key_of_the_command_works(registry):
    out = StringIO()
    call_command("create_api_key", "bot", "--scope", "snapshots:write", "--scope=symbols:write,read", stdout=out)
    key = out.getvalue().strip()
    assert ApiKey.objects.get(name="bot").scopes == ["snapshots:write", "symbols:write", "read"]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {key}")
    assert send(client, "POST", "snapshots", []).status_code == 200
    assert send(client, "POST", "collector", None).status_code == 403


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["bot", "--scope", "everything"], "the scopes are read, snapshots:write, collector:control, symbols:write"),
        (["bot", "--scope", "read", "--expires", "soon"], "--expires"),
        (["bot", "--scope", "read", "--expires", "2020-01-01"], "future"),
        (["", "--scope", "read"], "name"),
        (["taken", "--scope", "read"], "already"),
    ],
)
def test_the_command_says_what_is_wrong(db, arguments, says):
    issue("taken", [])
    with pytest.raises(CommandError, match=says):
        call_command("create_api_key", *arguments)
    assert ApiKey.objects.count() == 1


def test_expiry_given_to_the_command(db):
    call_command("create_api_key", "bot", "--scope", "read", "--expires", "2999-01-31", stdout=StringIO())
    assert ApiKey.objects.get().expires_at == datetime(2999, 1, 31, tzinfo=UTC)


def test_unknown_scopes_are_named(db):
    with pytest.raises(UnknownScope, match="'x'"):
        issue("mine", ["x"])
