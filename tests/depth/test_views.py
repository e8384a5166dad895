"""The chart page and its data, as the server gives them."""

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError

from depth import charts
from depth.services import store_books
from markets.models import Symbol
from tests.depth.factories import collected

pytestmark = pytest.mark.django_db


def add_symbol(name="BTCUSDT", market="SPOT", is_collected=True, volume=1e9):
    facts = {"base": name.removesuffix("USDT"), "quote": "USDT", "tick_size": "0.01", "lot_size": "0.00001"}
    return Symbol.objects.create(
        name=name, market=market, status="TRADING", quote_volume=volume, collected=is_collected, **facts
    )


@pytest.fixture
def now():
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def history(now):
    """Ten minutes of BTCUSDT on spot, the fifth of them missing."""
    add_symbol()
    minutes = [ago for ago in range(10) if ago != 5]
    store_books([collected(now - timedelta(minutes=ago), levels=60, step=0.02) for ago in minutes])


def state_of(answer):
    found = re.search(rb'<script id="state" type="application/json">(.*?)</script>', answer.content, re.S)
    return json.loads(found[1])


def test_addresses_that_lead_to_the_chart(client):
    assert client.get("/dashboard")["Location"] == "/"
    assert client.get("/charts?symbol=X")["Location"] == "/charts/?symbol=X"


def test_the_page_holds_its_first_state(client, history, django_assert_max_num_queries):
    with django_assert_max_num_queries(7):
        answer = client.get("/charts/?symbol=btcusdt&depth=1.00")
    assert answer.status_code == 200
    state = state_of(answer)
    assert state["choice"] == {
        "symbol": "BTCUSDT",
        "market": "SPOT",
        "depth": "1",
        "side": "both",
        "range": "1h",
        "unit": "quote",
        "tab": "chart",
        "compare": None,
        "from": None,
        "to": None,
    }
    times = state["series"]["time"]
    assert len(times) == 9
    assert sorted({later - sooner for sooner, later in pairwise(times)}) == [60, 120]
    assert len(state["bands"]) == 10
    assert len(state["book"]["bids"]) == 20
    assert b"no-cache" in answer["Cache-Control"].encode()


def test_diff_is_the_contracts(client, history):
    band = next(band for band in state_of(client.get("/charts/?symbol=BTCUSDT"))["bands"] if band["depth"] == "1")
    figures = band["base"]
    assert figures["diff"] == pytest.approx(figures["bid"] - figures["ask"])
    total = figures["bid"] + figures["ask"]
    assert figures["percentage"] == pytest.approx(figures["diff"] / total * 100)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("depth=abc&side=up&range=2h&unit=x&tab=y&market=MOON", ("1", "both", "1h", "quote", "chart", "SPOT")),
        (
            "depth=0.50&side=DIFF&range=24H&unit=base&tab=book&market=spot",
            ("0.5", "diff", "24h", "base", "book", "SPOT"),
        ),
        ("depth=NaN&from=9999999999999&to=x", ("1", "both", "1h", "quote", "chart", "SPOT")),
        ("depth=1e400&from=-1&to=5", ("1", "both", "1h", "quote", "chart", "SPOT")),
    ],
)
def test_what_cannot_be_understood_is_the_default(client, history, query, expected):
    choice = state_of(client.get(f"/charts/?symbol=BTCUSDT&{query}"))["choice"]
    assert tuple(choice[name] for name in ("depth", "side", "range", "unit", "tab", "market")) == expected
    assert choice["from"] is None


def test_without_a_symbol_the_largest_is_shown(client, history):
    add_symbol("ETHUSDT", volume=9e9)
    assert b"ETHUSDT" in client.get("/charts/").content


@pytest.mark.parametrize("symbol", ["NOPE", "<script>alert(1)</script>", "\x00", "%", "'", "Ω" * 300])
def test_unknown_symbols_are_a_page(client, history, symbol):
    answer = client.get("/charts/", {"symbol": symbol})
    assert answer.status_code == 404
    assert b"No market lists" in answer.content
    assert b"<script>alert" not in answer.content.lower()
    assert client.get("/charts/data", {"symbol": symbol}).json() == {"code": "unknown_symbol"}


def test_known_but_not_collected(client, history):
    add_symbol("DOGEUSDT", is_collected=False)
    add_symbol("BTCUSDT", "FUTURES", is_collected=False)
    assert b"DOGEUSDT is not collected on SPOT" in client.get("/charts/?symbol=DOGEUSDT").content
    answer = client.get("/charts/?symbol=BTCUSDT&market=FUTURES")
    assert answer.status_code == 404
    assert b"BTCUSDT SPOT</a>" in answer.content
    assert client.get("/charts/data?symbol=DOGEUSDT").json() == {"code": "not_collected"}


def test_an_empty_registry_is_a_page(client):
    answer = client.get("/charts/")
    assert answer.status_code == 404
    assert b"Nothing is collected yet" in answer.content


def test_before_the_first_book(client):
    add_symbol()
    answer = client.get("/charts/")
    assert b"Waiting for the first minute" in answer.content
    assert state_of(answer)["book"] is None


def test_only_what_is_new(client, history, now):
    whole = client.get("/charts/data?symbol=BTCUSDT").json()
    last = whole["series"]["time"][-1]
    update = client.get(f"/charts/data?symbol=BTCUSDT&after={last}").json()
    assert update["series"]["time"] == [last]
    assert update["book"] == whole["book"]
    ancient = client.get("/charts/data?symbol=BTCUSDT&after=1300000000").json()
    assert ancient["series"]["time"] == whole["series"]["time"]


def test_older_history_ends_before_what_is_known(client, history):
    times = client.get("/charts/data?symbol=BTCUSDT").json()["series"]["time"]
    older = client.get(f"/charts/data?symbol=BTCUSDT&before={times[4]}").json()
    assert older["series"]["time"] == times[:4]
    assert "book" not in older


def test_an_address_with_a_stretch_loads_it_within_bounds(client, history, now):
    start = int((now - timedelta(hours=5)).timestamp())
    state = state_of(client.get(f"/charts/?symbol=BTCUSDT&from={start}&to={start + 600}"))
    assert state["series"]["from"] == start - start % 60
    assert (state["choice"]["from"], state["choice"]["to"]) == (start, start + 600)
    far = int((now - timedelta(days=300)).timestamp())
    state = state_of(client.get(f"/charts/?symbol=BTCUSDT&from={far}&to={far + 600}"))
    assert state["series"]["from"] >= int((now - charts.HISTORY["1m"]).timestamp()) - 60


@pytest.mark.parametrize(("span", "interval"), [("1h", "1m"), ("24h", "1m"), ("7d", "1h"), ("60d", "1h")])
def test_long_ranges_come_hourly(client, history, span, interval):
    assert client.get(f"/charts/data?symbol=BTCUSDT&range={span}").json()["interval"] == interval


def test_only_reading_is_allowed(client, history):
    assert client.post("/charts/").status_code == 405
    assert client.head("/charts/").status_code == 200


def test_where_reading_is_not_public_a_login_is_asked_for(client, history, settings):
    settings.API_PUBLIC = False
    answer = client.get("/charts/?symbol=BTCUSDT")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/?next=/charts/")
    assert client.get("/charts/data?symbol=BTCUSDT").status_code == 401
    client.force_login(get_user_model().objects.create_user("reader", password="x"))
    assert client.get("/charts/?symbol=BTCUSDT").status_code == 200


def test_the_database_away(client, history, monkeypatch):
    def away(*_args):
        raise OperationalError("connection refused")

    monkeypatch.setattr(charts.selectors, "latest", away)
    answer = client.get("/charts/?symbol=BTCUSDT")
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert b"The database does not answer" in answer.content
    assert client.get("/charts/data?symbol=BTCUSDT").json() == {"code": "database_away"}


def test_preferences_are_in_the_first_answer(client, history):
    client.cookies.load({"theme": "light", "palette": "safe", "zone": '"><script>'})
    page = client.get("/charts/?symbol=BTCUSDT").content.decode()
    assert 'data-theme="light" data-palette="safe" data-zone="utc"' in page


def test_the_banner_is_there_in_a_simulated_market_only(client, history, settings):
    settings.SIMULATED_MARKET = True
    assert b"SIMULATED MARKET" in client.get("/charts/?symbol=BTCUSDT").content
    settings.SIMULATED_MARKET = False
    assert b"SIMULATED MARKET" not in client.get("/charts/?symbol=BTCUSDT").content


def test_no_script_or_style_stands_in_the_page(client, history):
    page = client.get("/charts/?symbol=BTCUSDT").content.decode()
    inline = [tag for tag in re.findall(r"<script[^>]*>", page) if "src=" not in tag and "application/json" not in tag]
    assert inline == []
    assert "<style" not in page
    assert " style=" not in page
    assert not re.search(r"\son[a-z]+=", page)
    policy = client.get("/charts/?symbol=BTCUSDT")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
