"""The chart page in a real browser: zoomed, scrolled back, and over years."""

import json

import pytest

from tests.pages.conftest import AMBER, dragged, near, pixels, query

pytestmark = pytest.mark.browser


def test_zoom_and_scroll_are_in_the_address_and_a_double_click_resets(open_page):
    page, watch = open_page("/charts/?symbol=BTCUSDT&range=1h")
    box = page.locator("#chart").bounding_box()
    page.mouse.move(box["x"] + 400, box["y"] + 200)
    page.mouse.wheel(0, -300)
    page.wait_for_function("() => location.search.includes('from=')")
    zoomed = query(page)
    assert 0 < int(zoomed["to"]) - int(zoomed["from"]) < 3600
    other, _ = open_page(page.url)
    assert query(other)["from"] == zoomed["from"]
    # Dragging to the right brings older minutes, which are loaded on the way.
    for _ in range(3):
        dragged(page, 100, 700, steps=6)
        page.wait_for_timeout(250)
    page.wait_for_function("from => !location.search.includes('from=' + from)", arg=zoomed["from"])
    assert any("before=" in url for url in watch.data_requests())
    page.mouse.dblclick(box["x"] + 400, box["y"] + 200)
    page.wait_for_function("() => !location.search.includes('from=')")


def scroll_back(page, times):
    for _ in range(times):
        dragged(page, 100, 800, steps=3)
        page.wait_for_timeout(100)


@pytest.mark.parametrize(("chosen", "interval", "step"), [("7d", "1 h average", 3600), ("1y", "1 day average", 86400)])
def test_scrolling_back_loads_older_points_at_every_interval(open_page, chosen, interval, step):
    page, watch = open_page(f"/charts/?symbol=ETHUSDT&range={chosen}")
    legend = page.locator("#legend-lines")
    assert interval in legend.text_content()
    shown = json.loads(page.locator("#state").text_content())
    assert shown["step"] == step
    with page.expect_response(lambda answer: "before=" in answer.url) as response:
        scroll_back(page, 2)
    older = response.value.json()
    assert older["step"] == step
    assert older["series"]["to"] == shown["series"]["from"] - step
    assert older["series"]["to"] - older["series"]["from"] >= 59 * 86400
    if chosen == "7d":
        assert older["series"]["time"]
        page.wait_for_function(
            "from => Number(new URLSearchParams(location.search).get('from')) < from", arg=shown["series"]["from"]
        )
    assert len([url for url in watch.data_requests() if "before=" in url]) <= 2


def test_all_is_from_the_first_day_and_says_which_hours_lack_minutes(open_page):
    page, _ = open_page("/charts/?symbol=ETHUSDT&range=all")
    state = json.loads(page.locator("#state").text_content())
    assert state["interval"] == "1h"  # 130 days
    assert state["series"]["time"][0] - state["series"]["from"] < 86400
    assert abs(state["span"] - 130 * 86400) < 2 * 86400
    assert set(state["series"]["minutes"][:-2]) == {1}
    page.keyboard.press("8")
    assert query(page)["range"] == "all"
    page.keyboard.press("7")
    page.wait_for_function("() => document.querySelector('#legend-lines').textContent.includes('1 day average')")
    box = page.locator("#chart").bounding_box()
    axis = page.evaluate("document.querySelector('#chart table td:last-child').getBoundingClientRect().width")
    page.mouse.move(box["x"] + (box["width"] - axis) * (1 - 30 / 372), box["y"] + 120)
    page.wait_for_function("() => document.querySelector('#legend-lines').textContent.includes('4 of 1440 min')")
    assert near(pixels(page), AMBER, 30) > 20
