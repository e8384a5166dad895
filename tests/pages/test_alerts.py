"""The alert centre in a real browser: what was seen, what is watched, what comes while it is open."""

import pytest

from tests.pages.conftest import SHAPES, asked_in_a_minute, grave_in_all_looks, opener, polls_until

pytestmark = pytest.mark.browser
SEE = """
from datetime import datetime, timedelta, UTC
from alerts.models import Rule
from alerts.rules import Bound, Kind, Reading
from alerts.services import consider
Rule.objects.get_or_create(name="Wide spread", defaults=dict(kind=Kind.SPREAD, cooldown_minutes=0))
Rule.objects.get_or_create(name="Switched off", defaults=dict(kind=Kind.SPOOL_FILLING, enabled=False))
consider(Kind.SPREAD, [Reading("{symbol} SPOT", {value}, datetime.now(UTC), Bound.{bound},
                               details={{"symbol": "{symbol}", "market": "SPOT"}})])
"""


def see(web, symbol, value, bound="EXACT"):
    web.run(SEE.format(symbol=symbol, value=value, bound=bound))


@pytest.fixture
def alerts(web, open_page):
    see(web, "BTCUSDT", 0.7)
    see(web, "BTCUSDT", 0.0)  # it has come back
    see(web, "ETHUSDT", 2.5, "AT_LEAST")
    return opener(open_page, "/alerts/", "alerts")


def test_the_first_answer_holds_what_was_seen_and_what_is_watched(alerts):
    page, watch = alerts()
    assert [url for url in watch.requests if "/api/v1/alerts" in url] == []
    first = page.locator("#seen tr").first
    assert first.locator("td").nth(1).inner_text() == "ETHUSDT SPOT"
    assert first.locator("td").nth(2).get_attribute("data-bound") == "at_least"
    assert first.locator("a").get_attribute("href") == "/charts/?symbol=ETHUSDT&market=SPOT"
    assert "after" in page.locator("#seen tr", has_text="BTCUSDT").first.inner_text()
    rules = page.locator("section[aria-labelledby=rules-title]")
    assert "> 0.5" in rules.locator("tr", has_text="Wide spread").inner_text()
    assert "off" in rules.locator("tr", has_text="Switched off").inner_text()
    assert page.locator("nav.pages [aria-current]").inner_text() == "Alerts"


def test_a_symbol_and_a_kind_choose(alerts):
    page, _ = alerts("?symbol=ethusdt&kind=spread")
    assert set(page.locator("#seen tr td:nth-child(2)").all_inner_texts()) == {"ETHUSDT SPOT"}
    page.fill(".choose input", "nope")
    page.click(".choose button")
    page.wait_for_selector("#seen:has-text('Nothing was seen')")
    assert "symbol=nope" in page.url


def test_a_new_alert_comes_by_itself_and_is_announced(alerts, web):
    page, _ = alerts(clock=True)
    see(web, "SOLUSDT", 3.25)
    polls_until(
        page,
        "text => [...document.querySelectorAll('.toast')].some((toast) => toast.textContent.includes(text))",
        "SOLUSDT SPOT: spread 3.25",
    )
    assert page.locator("#seen tr").first.locator("td").nth(2).inner_text() == "3.25"


def test_a_server_that_is_away_is_said(alerts):
    page, watch = alerts(clock=True)
    watch.expected += ["Failed to load resource"]
    page.route("**/api/v1/alerts*", lambda route: route.fulfill(status=503, json={}))
    polls_until(page, "() => !document.querySelector('#notice').hidden")
    assert "The database does not answer" in page.locator("#notice").inner_text()


def test_it_asks_seldom(alerts):
    page, watch = alerts()
    assert len(asked_in_a_minute(page, watch)) <= 24  # the list and the pill, each every five seconds at most


@pytest.mark.parametrize("viewport", SHAPES)
def test_nothing_grave_in_any_look(alerts, viewport):
    page, _ = alerts(viewport=viewport)
    assert not any(grave_in_all_looks(page).values())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
