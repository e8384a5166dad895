"""The derivatives page in a real browser: what it shows, what it says is missing, and how it lives."""

import json

import pytest

from tests.pages.conftest import drawn

pytestmark = pytest.mark.browser


@pytest.fixture
def derivatives(web, open_page):
    web.run("from tests.pages.derivative_market import fill; fill()")

    def opened(query="?symbol=BTCUSDT", **options):
        page, watch = open_page(f"/derivatives/{query}", ready=False, **options)
        drawn(page, "derivatives")
        return page, watch

    return opened


def legend(page, index):
    return page.locator(f"#legend-{index}").text_content()


def test_the_first_answer_holds_everything(derivatives):
    page, watch = derivatives()
    assert [url for url in watch.requests if "/data" in url or "/api/" in url] == []
    state = json.loads(page.locator("#state").text_content())
    assert len(state["points"]) == 360
    assert "63," in page.locator("#price").inner_text() or "64," in page.locator("#price").inner_text()
    assert "mark price · 1 min" in legend(page, 0)
    assert "longs ≥ " in legend(page, 0)
    assert "FUTURES from trades" in legend(page, 1)
    assert "Open interest, BTC" in legend(page, 2)
    assert "Funding rate" in legend(page, 3)
    page.wait_for_selector("#tape tr[data-id]")
    assert page.locator("#contracts tbody tr").count() == 2
    assert page.locator("nav.pages [aria-current]").inner_text() == "Derivatives"
    assert page.locator("#live-pill .pill-word").inner_text() == "LIVE"
