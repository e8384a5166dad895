"""The status page in a real browser."""

import json

import pytest

from tests.pages.conftest import PHONE, SHAPES, asked_in_a_minute, grave_in_all_looks, polls_until

pytestmark = pytest.mark.browser


@pytest.fixture
def status(open_page):
    def opened(**options):
        return open_page("/status/", ready="status", **options)

    return opened


def asked(watch):
    return [url for url in watch.requests if "/api/v1/" in url]


def level(page, title):
    return page.locator(f".tile:has(b:text-is('{title}'))").get_attribute("data-level")


def test_the_first_answer_holds_every_part(status):
    page, watch = status()
    assert asked(watch) == []
    titles = page.locator(".tile b").all_inner_texts()
    assert {"Database", "Redis", "Collector", "Worker", "Schedule", "Web"} <= set(titles)
    assert level(page, "Database") == "green"
    assert level(page, "Worker") == "red"  # none runs here
    assert "since" in page.locator(".tile:has(b:text-is('Web')) small").inner_text()
    assert "seen since" in page.locator(".tile:has(b:text-is('Worker')) small").inner_text()
    assert page.locator("#strip i").count() in {144, 145}
    assert "PostgreSQL" in page.locator("#storage").inner_text()
    assert page.locator("#verdict").inner_text() == "DEGRADED"
    assert page.locator("nav.pages [aria-current]").inner_text() == "Status"


def live_feed(now):
    """What one feed with a connection and two books tells."""
    figures = dict.fromkeys(("messages", "waiting", "dropped", "published", "slowestMs", "snapshots"), 0)
    connection = {"id": "spot-1", "market": "SPOT", "state": "connected", "since": now - 60_000, "streams": 2}
    connection |= {"silent": 0, "messagesPerSecond": 20.6, "reconnects": 3, "uptimePercent": 99.5}
    reach = {"bidLevels": 900, "askLevels": 950, "bidPercent": 0.852, "askPercent": None, "resyncs": 1}
    reach |= {"auditedAt": now - 60_000, "auditPercent": 100}
    book = {"symbol": "BTCUSDT", "market": "SPOT", "status": "connected", "since": now - 50_000, "ageMs": 120} | reach
    books = [book, book | {"symbol": "ETHUSDT", "status": "stale", "ageMs": 30_000}]
    return figures | {"pid": 7, "messagesPerSecond": 20.6, "connections": [connection], "books": books}


def test_tables_of_an_answer_are_shown(status):
    page, _ = status(clock=True)
    state = json.loads(page.locator("#state").text_content())
    now = state["timestamp"]
    state["gaps"] = [{"from": now - 600_000, "to": now - 300_000, "state": "missing", "cause": "outage", "books": None}]
    error = {"error": "timed out", "errorAt": now}
    state["failing"] = [{"symbol": "ETHUSDT", "market": "SPOT", "minutes": 4, "lastMinute": now - 240_000, **error}]
    state["events"] = [{"time": now, "type": "BANNED", "symbol": "", "market": "SPOT", "message": "told to wait"}]
    state["weight"]["spot"] = {"used": 6000, "limit": 6000, "blockedUntil": now + 60_000}
    state["feed"] = [live_feed(now)]
    page.route("**/api/v1/status", lambda route: route.fulfill(json=state))
    polls_until(page, "() => document.querySelector('#gaps').innerText.includes('outage')")
    assert page.locator("#connections td").all_inner_texts() == ["spot-1", "connected", "2", "0", "21", "99.50%", "3"]
    told = page.locator("#live-books td").all_inner_texts()
    assert told[:7] == ["BTCUSDT SPOT", "connected", "0 s", "0.85%", "whole", "1", "100%"]
    assert told[7:9] == ["ETHUSDT SPOT", "stale"]
    assert page.locator("#live-sum").inner_text() == "1 of 2 synced"
    assert page.locator("#live-books td[data-level=amber]").inner_text() == "stale"
    assert page.locator("#gaps tr td").all_inner_texts()[1:] == ["5", "all", "missing: outage"]
    assert page.locator("#failing a").get_attribute("href") == "/charts/?symbol=ETHUSDT&market=SPOT"
    assert "timed out" in page.locator("#failing").inner_text()
    assert page.locator("#events td[data-level=red]").inner_text() == "BANNED"
    assert "wait until" in page.locator("#budget .use").first.inner_text()


def test_an_outage_turns_the_database_red_and_ends(status):
    page, watch = status(clock=True)
    watch.expected += ["503", "Failed to load"]
    body = json.dumps({"success": False, "code": "database_unavailable"})
    page.route("**/api/v1/status", lambda route: route.fulfill(status=503, body=body))
    polls_until(page, "() => !document.querySelector('#notice').hidden")
    assert level(page, "Database") == "red"
    assert page.locator("#verdict").inner_text() == "UNHEALTHY"
    assert page.locator("#live-pill").inner_text().startswith("DOWN")
    page.unroute("**/api/v1/status")
    page.click("#notice button")
    page.wait_for_function("() => document.querySelector('#notice').hidden")
    assert level(page, "Database") == "green"


def test_the_past_has_a_bar_on_every_page_until_it_is_loaded(status, open_page, web):
    def past(done, finished):
        finish = "datetime.now(UTC)" if finished else "None"
        code = (
            "from datetime import UTC, datetime; from collector.models import PastLoad;"
            f"PastLoad.objects.update_or_create(id=1, defaults=dict(until=datetime.now(UTC), total=400, done={done},"
            f" finished_at={finish}))"
        )
        web.run(code)

    past(100, finished=False)
    page, _ = status(clock=True)
    assert "25%" in page.locator("#past").inner_text()
    other, _ = open_page("/?market=FUTURES", ready=False)
    assert other.locator("#past progress").get_attribute("value") == "25"
    past(200, finished=False)
    polls_until(page, "() => document.querySelector('#past').innerText.includes('50%')")
    past(400, finished=True)
    polls_until(page, "() => document.querySelector('#past').hidden")
    third, _ = open_page("/", ready=False)
    assert third.locator("#past").count() == 0


def test_at_most_one_request_in_five_seconds(status):
    page, watch = status()
    assert 6 <= len(asked_in_a_minute(page, watch)) <= 12


def test_a_phone_has_no_sideways_scrolling(status):
    page, _ = status(viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


@pytest.mark.parametrize("viewport", SHAPES)
def test_axe_finds_nothing_serious(status, viewport):
    page, _ = status(viewport=viewport)
    assert grave_in_all_looks(page) == {}
