"""The chart page in a real browser: themes, zones, widths, and that everybody can read it."""

import pytest

from tests.pages.conftest import PHONE, SHAPES, grave, grave_in_all_looks, near, pixels, polls_until, query

pytestmark = pytest.mark.browser


def test_theme_and_colours_persist_and_come_with_the_first_paint(open_page, browser, web):
    page, _ = open_page("/charts/?symbol=BTCUSDT")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    dark = pixels(page)
    page.keyboard.press("t")
    light = pixels(page)
    assert near(dark, (17, 21, 29), 12) > 100_000
    assert near(light, (255, 255, 255), 12) > 100_000
    page.click("[popovertarget=preferences]")
    page.check("input[name=palette][value=safe]")
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "light"
    assert page.locator("html").get_attribute("data-palette") == "safe"
    body = page.request.get(f"{web.address}/charts/").text()
    assert 'data-theme="light" data-palette="safe"' in body


def test_local_times_are_named(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT", timezone_id="Asia/Tokyo")
    assert page.locator("#clock").text_content().endswith("UTC")
    page.click("[popovertarget=preferences]")
    page.check("input[name=zone][value=local]")
    assert "GMT+9" in page.locator("#clock").text_content()
    assert "GMT+9" in page.locator("#legend-lines").text_content()


def test_a_phone_has_one_part_at_a_time(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT", viewport=PHONE, is_mobile=True, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.locator("#chart").is_visible()
    assert page.locator("#panel-book").is_hidden()
    page.locator(".tabs a[data-set='tab=book']").tap()
    assert page.locator("#panel-book").is_visible()
    assert page.locator("#chart").is_hidden()
    page.locator(".tabs a[data-set='tab=diff']").tap()
    assert page.locator("#panel-diff").is_visible()
    assert page.locator("#panel-book").is_hidden()
    assert query(page)["tab"] == "diff"
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_panels_fold_below_the_chart_on_a_narrow_window(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT", viewport={"width": 1000, "height": 900})
    chart, book = page.locator(".chart-panel").bounding_box(), page.locator("#panel-book").bounding_box()
    assert book["y"] > chart["y"] + chart["height"] - 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 1000


def test_the_header_fits_whatever_the_width(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT")
    for width in (1440, 1280, 1120, 1020, 900, 780, 390):
        page.set_viewport_size({"width": width, "height": 800})
        overlaps = page.evaluate("""() => {
            const boxes = [...document.querySelectorAll("header.frame > *")]
                .filter((one) => one.offsetWidth && !one.matches("[popover], .spring"))
                .map((one) => one.getBoundingClientRect());
            const clipped = document.querySelector(".switch");
            const within = boxes.at(-1).right <= innerWidth && clipped.scrollWidth <= clipped.clientWidth;
            return !within || boxes.some((box, at) => at && box.left < boxes[at - 1].right - 1);
        }""")
        assert not overlaps, width


def test_reduced_motion_flashes_nothing(open_page, web):
    page, _ = open_page("/charts/?symbol=1000PEPEUSDT&market=FUTURES", reduced_motion="reduce", clock=True)
    page.evaluate("() => { window.flashes = 0; Element.prototype.animate = () => { window.flashes += 1; }; }")
    before = page.locator("#mid").text_content()
    web.add("1000PEPEUSDT", "FUTURES", 0.0125)
    polls_until(page, "text => document.querySelector('#mid').textContent !== text", before)
    assert page.evaluate("window.flashes") == 0


@pytest.mark.parametrize("viewport", SHAPES)
def test_axe_finds_nothing_serious(open_page, viewport):
    page, _ = open_page("/charts/?symbol=BTCUSDT", viewport=viewport)
    assert grave_in_all_looks(page) == {}
    if viewport == PHONE:
        page.click(".tabs a[data-set='tab=diff']")
        assert grave_in_all_looks(page) == {}
    else:
        page.keyboard.press("?")
        assert grave(page) == []
        page.keyboard.press("Escape")
        page.click("[popovertarget=preferences]")
        assert grave(page) == []
