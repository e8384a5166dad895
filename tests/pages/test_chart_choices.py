"""The chart page in a real browser: what is chosen by hand, by keys and by the address, and its files."""

import csv
import io

import pytest

from tests.pages.conftest import GREEN, RED, near, painted, pixels, query, saved_picture

pytestmark = pytest.mark.browser


def test_choices_are_in_the_address_and_history_goes_back_through_them(open_page):
    page, watch = open_page("/charts/?symbol=BTCUSDT")
    page.click("#bands a[data-set='depth=0.5']")
    page.wait_for_function("() => document.querySelector('#legend-lines').textContent.includes('±0.5%')")
    page.click("#sides a[data-set='side=bid']")
    page.click("#ranges a[data-set='range=6h']")
    page.wait_for_function("() => document.querySelector('#workspace').dataset.busy === undefined")
    page.click("nav.switch a[data-set='market=FUTURES']")
    page.wait_for_function("() => document.querySelector('#market').textContent === 'FUTURES'")
    chosen = query(page)
    assert {name: chosen[name] for name in ("symbol", "market", "depth", "side", "range")} == {
        "symbol": "BTCUSDT",
        "market": "FUTURES",
        "depth": "0.5",
        "side": "bid",
        "range": "6h",
    }
    legend = page.locator("#legend-lines").text_content()
    assert "BID" in legend
    assert "ASK" not in legend
    page.go_back()
    page.wait_for_function("() => document.querySelector('#market').textContent === 'SPOT'")
    page.go_back()
    page.wait_for_function("() => location.search.includes('range=1h')")
    assert page.locator("#ranges [aria-current]").text_content() == "1h"
    page.go_forward()
    page.wait_for_function("() => document.querySelector('#ranges [aria-current]').textContent === '6h'")
    # The same address shows another reader the same picture.
    other, _ = open_page(page.url)
    assert other.locator("#sides [aria-current]").text_content() == "BID"
    assert other.locator("#bands [aria-current]").text_content() == "0.5%"
    assert len(watch.choices()) <= 6


def test_sides_change_what_is_drawn(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT")
    page.keyboard.press("a")
    only_ask = pixels(page)
    assert near(only_ask, RED) > 200
    assert near(only_ask, GREEN) < 20
    page.keyboard.press("d")
    painted(page)
    assert "DIFF" in page.locator("#legend-lines b").first.text_content() or page.locator("#legend-diff").is_hidden()
    assert page.locator("#legend-diff").is_hidden()
    page.keyboard.press("o")
    painted(page)
    assert page.locator("#legend-diff").is_visible()
    assert query(page)["side"] == "both"


def test_keys_for_ranges_bands_units_and_help(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT&depth=1")
    page.keyboard.press("3")
    page.wait_for_function("() => location.search.includes('range=24h')")
    page.keyboard.press("]")
    page.wait_for_function("() => location.search.includes('depth=1.5')")
    page.keyboard.press("[")
    page.keyboard.press("[")
    page.wait_for_function("() => location.search.includes('depth=0.5')")
    page.keyboard.press("u")
    assert query(page)["unit"] == "base"
    assert page.locator("#diff-unit").text_content() == "BTC"
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("1")  # keys rest while the list is open
    page.keyboard.press("Escape")
    assert page.locator("#help").is_hidden()
    assert query(page)["range"] == "24h"
    page.keyboard.press("m")
    page.wait_for_function("() => document.querySelector('#market').textContent === 'FUTURES'")


def test_sorting_the_diff_table(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT")
    page.click("button[data-sort=bid]")
    assert page.locator("th[aria-sort]").inner_text().startswith("BID")
    depths = page.locator("#diff-table tbody tr").evaluate_all("rows => rows.map(row => row.dataset.depth)")
    assert depths[-1] == "0.1"
    page.keyboard.press("Enter")  # the heading has the focus
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"


def test_export_gives_the_band_and_range_as_csv(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT&depth=1&range=1h")
    with page.expect_download() as download:
        page.click("#export-csv")
    rows = list(csv.reader(io.StringIO(download.value.path().read_text())))
    assert ",".join(rows[0]) == (
        "timestamp,symbol,market,depth,bidVolume,askVolume,bidVolumeUsd,askVolumeUsd,bidComplete,askComplete"
    )
    assert {tuple(row[1:4]) for row in rows[1:]} == {("BTCUSDT", "SPOT", "1")}
    assert 45 <= len(rows) - 1 <= 61
    assert download.value.suggested_filename == "BTCUSDT-SPOT-depth-1m.csv"


def test_png_is_a_picture_of_the_chart(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT&depth=1&range=1h")
    name, _ = saved_picture(page)
    assert name == "BTCUSDT-SPOT-1-1h.png"
