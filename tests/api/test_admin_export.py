"""The analysts' page: who may, what it offers, what it counts, and the file with the sign of its progress."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import redis
from django.contrib.auth import get_user_model
from django.test import Client

from api import admin_export
from markets.models import Symbol

PAGE = "/admin/export/"
TOKEN = "0a1b2c3d-4e5f"


@pytest.fixture
def staff(db):
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root", "", "a-long-password"))
    return client


@pytest.fixture
def choice(books):
    now = datetime.now(UTC)
    return {
        "symbol": ["BTCUSDT"],
        "market": ["SPOT", "FUTURES"],
        "depth": ["5", "1.5"],
        "start": f"{now - timedelta(hours=2):%Y-%m-%dT%H:%M}",
        "end": f"{now + timedelta(minutes=1):%Y-%m-%dT%H:%M}",
        "interval": "1m",
        "format": "csv",
    }


def address(choice, what="", **changes):
    return f"{PAGE}{what}?{urlencode({**choice, **changes}, doseq=True)}"


@pytest.mark.parametrize("what", ["", "count", "file", "progress"])
@pytest.mark.parametrize("logged_in", [False, True])
def test_for_staff_only(db, what, logged_in):
    client = Client()
    if logged_in:
        client.force_login(get_user_model().objects.create_user("reader", password="a-long-password"))
    answer = client.get(PAGE + what)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


def test_the_list_of_symbols_leads_here_with_what_was_picked(staff, registry):
    picked = Symbol.objects.filter(name__in=("BTCUSDT", "SOLUSDT"))
    data = {"action": "export", "_selected_action": [row.pk for row in picked]}
    answer = staff.post("/admin/markets/symbol/", data)
    assert parse_qs(urlsplit(answer["Location"]).query) == {"symbol": ["BTCUSDT", "SOLUSDT"]}
    page = staff.get(answer["Location"]).content.decode()
    assert '<option value="BTCUSDT" selected>' in page
    assert '<option value="1000PEPEUSDT">' in page
    assert "DOGEUSDT" not in page  # never collected: nothing of it can be stored


def test_rows_are_counted_before(staff, choice):
    assert staff.get(address(choice, "count")).json() == {"rows": 40, "exact": True}
    assert staff.get(address(choice, "count", market="SPOT", depth="5")).json() == {"rows": 10, "exact": True}
    assert "40 rows" in staff.get(address(choice)).content.decode()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"symbol": []}, "symbol"),
        ({"symbol": ["NOPE"]}, "symbol"),
        ({"market": []}, "market"),
        ({"depth": ["7"]}, "depth"),
        ({"depth": ["x"]}, "depth"),
        ({"start": "yesterday"}, "start"),
        ({"end": "1999-01-01T00:00"}, "start"),
        ({"interval": "5m"}, "interval"),
        ({"format": "xls"}, "format"),
    ],
)
def test_what_makes_no_file_is_told(staff, choice, changes, field):
    assert list(staff.get(address(choice, "count", **changes)).json()["errors"]) == [field]
    assert staff.get(address(choice, **changes)).status_code == 200
    refused = staff.get(address(choice, "file", **changes))
    assert refused.status_code == 400
    assert "errorlist" in refused.content.decode()


def test_the_file_and_its_progress(staff, choice, empty_redis):
    watched = f"{PAGE}progress?token={TOKEN}"
    assert staff.get(watched).status_code == 404
    answer = staff.get(address(choice, "file", token=TOKEN))
    parts = iter(answer.streaming_content)
    next(parts)
    next(parts)
    assert staff.get(watched).json() == {"rows": 10, "done": False}
    rest = b"".join(parts)
    assert rest.count(b"\n") == 20
    assert staff.get(watched).json() == {"rows": 40, "done": True}
    assert 0 < empty_redis.ttl(next(iter(empty_redis.scan_iter("export:*")))) <= 3600
    other = Client()
    other.force_login(get_user_model().objects.create_superuser("other", "", "a-long-password"))
    assert other.get(watched).status_code == 404


def test_without_redis_the_file_comes_all_the_same(staff, choice, monkeypatch):
    monkeypatch.setattr(admin_export, "cache_redis", lambda: redis.Redis(port=9))
    answer = staff.get(address(choice, "file", token=TOKEN, format="parquet"))
    assert b"".join(answer.streaming_content).startswith(b"PAR1")
    assert staff.get(f"{PAGE}progress?token={TOKEN}").status_code == 404


def test_history_of_what_is_no_longer_collected_can_be_had(staff, choice):
    Symbol.objects.filter(name="BTCUSDT").update(collected=False, last_minute=datetime.now(UTC))
    assert staff.get(address(choice, "count")).json()["rows"] == 40
