"""The chart page in a real browser: what is drawn, and what it says of gaps and incomplete bands."""

import json

import pytest

from tests.pages import market
from tests.pages.conftest import AMBER, BLUE, GREEN, RED, both_ways, near, painted, pixels, query

pytestmark = pytest.mark.browser


def test_the_first_answer_holds_the_whole_picture_and_nothing_is_fetched_for_it(open_page):
    page, watch = open_page("/charts/?symbol=BTCUSDT&market=SPOT&depth=1&range=1h")
    assert watch.choices() == []
    state = json.loads(page.locator("#state").text_content())
    assert state["symbol"] == "BTCUSDT"
    assert len(state["series"]["time"]) >= 45
    counts = pixels(page)
    assert near(counts, GREEN) > 200
    assert near(counts, RED) > 200
    assert page.locator("#bids tbody tr").count() == 20
    assert page.locator("#diff-table tbody tr").count() == 10
    assert "TradingView" in page.locator(".attribution").text_content()
    assert page.locator(".attribution a").get_attribute("href") == "https://www.tradingview.com/"
    assert page.locator(".banner").inner_text().startswith("SIMULATED MARKET")


def test_the_script_renders_the_same_text_as_the_server(web, browser):
    shown = "#diff-table tbody, #bids tbody, #asks tbody, .price, #spread"
    pages = both_ways(browser, f"{web.address}/charts/?symbol=BTCUSDT&unit=quote", "chart")
    texts = [page.locator(shown).all_inner_texts() for page in pages]
    assert texts[0] == texts[1]
    assert any(">= " in text for text in texts[0])


def test_incomplete_bands_are_marked_and_say_how_far_the_book_reaches(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT&depth=1")
    rows = {row.get_attribute("data-depth"): row for row in page.locator("#diff-table tbody tr").all()}
    assert rows["1"].get_attribute("data-quality") == "exact"
    assert not rows["1"].locator("[data-cell=bid]").inner_text().startswith(">=")
    assert rows["5"].get_attribute("data-quality") == "unknown"
    for cell, mark in {"bid": ">= ", "ask": ">= ", "diff": "~ ", "percentage": "~ "}.items():
        assert rows["5"].locator(f"[data-cell={cell}]").inner_text().startswith(mark)
    bar = rows["5"].locator("rect").evaluate("bar => getComputedStyle(bar).fill")
    assert "hatch-unknown" in bar
    rows["5"].locator("a").focus()
    tip = page.locator("#tip").text_content()
    assert "at least this much" in tip
    assert "1.58% below best bid" in tip


def test_one_incomplete_side_bounds_diff_on_one_side(open_page, web):
    """Sums that reach on one side only make DIFF a bound: bid short means >=, ask short means <=."""
    web.add("ETHUSDT", "SPOT", 3_100.0, 40)
    page, _ = open_page("/charts/?symbol=ETHUSDT&depth=1")
    row = page.locator("#diff-table tr[data-depth='1']")
    assert row.get_attribute("data-quality") == "least"
    assert row.locator("[data-cell=bid]").inner_text().startswith(">= ")
    assert not row.locator("[data-cell=ask]").inner_text().startswith(">=")
    assert row.locator("[data-cell=diff]").inner_text().startswith(">= ")
    assert "hatch-" in row.locator("rect").evaluate("bar => getComputedStyle(bar).fill")


def hover_minutes_ago(page, minutes, count=62.4):
    """Points at the chart where that many minutes ago are, in the 1h range."""
    box = page.locator("#chart").bounding_box()
    axis = page.evaluate("document.querySelector('#chart table td:last-child').getBoundingClientRect().width")
    width = box["width"] - axis
    page.mouse.move(box["x"] + width * (1 - (minutes + 1.2) / count), box["y"] + 120)
    painted(page)
    return page.locator("#legend-lines").text_content()


def test_the_crosshair_tells_values_and_gaps(open_page, web):
    page, _ = open_page("/charts/?symbol=BTCUSDT&depth=1&range=1h")
    passed = (web.now - web.filled) / 60
    assert "BID" in hover_minutes_ago(page, 20)
    assert "not collected" in hover_minutes_ago(page, 46 + passed)
    diff = page.locator("#legend-diff").text_content()
    assert diff == "DIFF USDT"


def test_a_gap_is_a_break_with_a_marker(open_page):
    """In the columns of a gap there is no line, only the marker; the short stretch is dashed, so it has less ink."""
    page, _ = open_page("/charts/?symbol=BTCUSDT&depth=1&range=6h&side=bid")
    points = page.evaluate(
        """() => {
            const state = JSON.parse(document.getElementById("state").textContent);
            return {times: state.series.time, complete: state.series.bidComplete, step: state.step};
        }"""
    )
    steps = [later - sooner for sooner, later in zip(points["times"], points["times"][1:], strict=False)]
    assert max(steps) == 60 * (len(market.GAP) + 1)
    assert points["complete"].count(0) == len(market.SHORT)
    amber = near(pixels(page), AMBER, 30)
    assert amber > 20


def test_both_markets_are_drawn_together_and_told_apart(open_page, web):
    page, watch = open_page("/charts/?symbol=BTCUSDT&range=1h")
    assert near(pixels(page), BLUE) < 20
    page.keyboard.press("c")
    page.wait_for_function("() => document.querySelector('#legend-lines').textContent.includes('SPOT and FUTURES')")
    assert query(page)["compare"] == "1"
    assert page.locator("#compare").get_attribute("aria-pressed") == "true"
    assert page.locator("#legend-lines .stroke").all_inner_texts() == ["SPOT", "FUTURES"]
    assert page.locator("#legend-lines .other-bid").inner_text().startswith("BID ")
    assert page.locator("#legend-diff .stroke").count() == 2
    counts = pixels(page)
    assert near(counts, GREEN) > 200
    assert near(counts, BLUE) > 200
    passed = (web.now - web.filled) / 60
    assert hover_minutes_ago(page, 46 + passed).count("not collected") == 2
    # The address shows the same; the other market first turns it round.
    other, _ = open_page(page.url)
    assert near(pixels(other), BLUE) > 200
    other.keyboard.press("m")
    other.wait_for_function("() => document.querySelector('#legend-lines').textContent.includes('FUTURES and SPOT')")
    assert other.locator("#compare b").inner_text() == "SPOT"
    page.click("#compare")
    page.wait_for_function("() => !document.querySelector('#legend-lines').textContent.includes(' and ')")
    assert "compare" not in query(page)
    assert len(watch.choices()) <= 2


def test_one_market_alone_has_nothing_to_compare(open_page):
    page, _ = open_page("/charts/?symbol=ETHUSDT&compare=1")
    assert page.locator("#compare").is_hidden()
    assert "not collected on the other market" in page.locator("#legend-lines").inner_text()
    page.keyboard.press("c")
    assert query(page)["symbol"] == "ETHUSDT"
