"""The chart page in a real browser: what is chosen, what is drawn, how it behaves when things go wrong."""

import csv
import io
import json
import re

import pytest

from tests.pages import market
from tests.pages.conftest import PHONE, SHAPES, WIDE, asked_in_a_minute, drawn, grave, grave_in_all_looks, next_poll

pytestmark = pytest.mark.browser


def query(page):
    return dict(pair.split("=") for pair in page.evaluate("location.search").lstrip("?").split("&"))


def pixels(page, selector="#chart"):
    """Colours of the picture of an element, counted: {(r, g, b): how many pixels}."""
    shot = page.locator(selector).screenshot(type="png")
    script = """async (bytes) => {
        const image = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
        const canvas = new OffscreenCanvas(image.width, image.height);
        const pen = canvas.getContext("2d");
        pen.drawImage(image, 0, 0);
        const data = pen.getImageData(0, 0, image.width, image.height).data;
        const counts = {};
        for (let i = 0; i < data.length; i += 4) {
            const key = `${data[i]},${data[i + 1]},${data[i + 2]}`;
            counts[key] = (counts[key] ?? 0) + 1;
        }
        return counts;
    }"""
    counts = page.evaluate(script, list(shot))
    return {tuple(map(int, key.split(","))): count for key, count in counts.items()}


def near(counts, color, distance=40):
    return sum(n for rgb, n in counts.items() if sum(abs(a - b) for a, b in zip(rgb, color, strict=True)) < distance)


GREEN, RED, BLUE = (46, 189, 133), (246, 86, 107), (111, 211, 255)


def test_the_first_answer_holds_the_whole_picture_and_nothing_is_fetched_for_it(open_page):
    page, watch = open_page("/charts/?symbol=BTCUSDT&market=SPOT&depth=1&range=1h")
    assert watch.data_requests() == []
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
    texts = []
    for scripted in (False, True):
        context = browser.new_context(viewport=WIDE, java_script_enabled=scripted)
        page = context.new_page()
        page.goto(f"{web.address}/charts/?symbol=BTCUSDT&unit=quote")
        if scripted:
            drawn(page, "chart")
        texts.append(page.locator("#diff-table tbody, #bids tbody, #asks tbody, .price, #spread").all_inner_texts())
        context.close()
    assert texts[0] == texts[1]
    assert any(">= " in text for text in texts[0])


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
    assert len(watch.data_requests()) <= 6


def test_sides_change_what_is_drawn(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT")
    page.keyboard.press("a")
    page.wait_for_timeout(200)
    only_ask = pixels(page)
    assert near(only_ask, RED) > 200
    assert near(only_ask, GREEN) < 20
    page.keyboard.press("d")
    page.wait_for_timeout(200)
    assert "DIFF" in page.locator("#legend-lines b").first.text_content() or page.locator("#legend-diff").is_hidden()
    assert page.locator("#legend-diff").is_hidden()
    page.keyboard.press("o")
    page.wait_for_timeout(200)
    assert page.locator("#legend-diff").is_visible()
    assert query(page)["side"] == "both"


def test_search_finds_chooses_and_remembers(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT")
    page.keyboard.press("/")
    page.wait_for_selector("[role=option]")
    assert page.locator("#symbol-search").evaluate("field => field === document.activeElement")
    page.keyboard.type("eth")
    page.wait_for_function("() => document.querySelectorAll('[role=option]').length === 1")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('#symbol').textContent === 'ETHUSDT'")
    assert query(page)["symbol"] == "ETHUSDT"
    assert page.title().endswith("ETHUSDT SPOT · Trading Platform")
    page.keyboard.press("/")
    page.wait_for_selector("[role=option]")
    options = page.locator("[role=option]").evaluate_all("all => all.map(option => option.dataset.symbol)")
    assert options[:2] == ["ETHUSDT", "BTCUSDT"]
    # A symbol of the other market takes its market along.
    page.keyboard.type("pepe")
    page.wait_for_function("() => document.querySelectorAll('[role=option]').length === 1")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('#market').textContent === 'FUTURES'")
    assert re.fullmatch(r"0\.\d{7}", page.locator("#mid").text_content())
    page.keyboard.press("/")
    page.keyboard.type("nothinglikethis")
    page.wait_for_selector(".search-results .note")
    page.keyboard.press("Escape")
    assert page.locator("#search-results").is_hidden()


def test_search_with_html_in_it_is_text(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT")
    page.keyboard.press("/")
    page.keyboard.type("<img src=x>")
    page.wait_for_selector(".search-results .note")
    assert page.locator(".search-results img").count() == 0


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
    web.add("ETHUSDT", "SPOT", web.now + 60, 3_100.0, 40)
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
    page.wait_for_timeout(120)
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
    amber = near(pixels(page), (240, 180, 41), 30)
    assert amber > 20


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
        page.mouse.move(box["x"] + 100, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(box["x"] + 700, box["y"] + 200, steps=6)
        page.mouse.up()
        page.wait_for_timeout(250)
    page.wait_for_function("from => !location.search.includes('from=' + from)", arg=zoomed["from"])
    assert any("before=" in url for url in watch.data_requests())
    page.mouse.dblclick(box["x"] + 400, box["y"] + 200)
    page.wait_for_function("() => !location.search.includes('from=')")


def scroll_back(page, times):
    box = page.locator("#chart").bounding_box()
    for _ in range(times):
        page.mouse.move(box["x"] + 100, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(box["x"] + 800, box["y"] + 200, steps=3)
        page.mouse.up()
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
    assert near(pixels(page), (240, 180, 41), 30) > 20


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
    assert len(watch.data_requests()) <= 3


def test_one_market_alone_has_nothing_to_compare(open_page):
    page, _ = open_page("/charts/?symbol=ETHUSDT&compare=1")
    assert page.locator("#compare").is_hidden()
    assert "not collected on the other market" in page.locator("#legend-lines").inner_text()
    page.keyboard.press("c")
    assert query(page)["symbol"] == "ETHUSDT"


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
    with page.expect_download() as download:
        page.keyboard.press("p")
    content = download.value.path().read_bytes()
    assert content.startswith(b"\x89PNG")
    assert download.value.suggested_filename == "BTCUSDT-SPOT-1-1h.png"
    assert len(content) > 10_000


def test_theme_and_colours_persist_and_come_with_the_first_paint(open_page, browser, web):
    page, _ = open_page("/charts/?symbol=BTCUSDT")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    dark = pixels(page)
    page.keyboard.press("t")
    page.wait_for_timeout(200)
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


def test_sorting_the_diff_table(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT")
    page.click("button[data-sort=bid]")
    assert page.locator("th[aria-sort]").inner_text().startswith("BID")
    depths = page.locator("#diff-table tbody tr").evaluate_all("rows => rows.map(row => row.dataset.depth)")
    assert depths[-1] == "0.1"
    page.keyboard.press("Enter")  # the heading has the focus
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"


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


def test_a_new_minute_appears_by_itself_and_moves_the_price(open_page, web):
    page, watch = open_page("/charts/?symbol=1000PEPEUSDT&market=FUTURES", clock=True)
    before = page.locator("#mid").text_content()
    web.add("1000PEPEUSDT", "FUTURES", web.now + 60, 0.0119)
    next_poll(page)
    page.wait_for_function("text => document.querySelector('#mid').textContent !== text", arg=before)
    assert page.locator(".price").get_attribute("data-direction") == "up"
    assert page.title().startswith("▲ ")
    assert len(watch.data_requests()) <= 3


def test_an_old_book_is_stale_and_greyed(open_page):
    page, _ = open_page("/charts/?symbol=OLDUSDT")
    assert page.locator("#live-pill").inner_text().startswith("STALE")
    assert re.search(r"(2[5-9]|3\d) min old", page.locator("#notice").inner_text())
    assert page.locator("body.stale").count() == 1
    assert grave(page) == []
    page.click("#live-pill")
    assert "Book read" in page.locator("#pill-details").inner_text()


def test_a_fresh_book_is_live_with_age_source_and_reach(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT")
    assert re.match(r"LIVE\s+\d+ s ago\s+rest · reach −1.58% \+1.58%", page.locator("#live-pill").inner_text())
    assert page.locator("#notice").is_hidden()


def test_the_server_going_away_is_said_and_survived(open_page):
    page, watch = open_page("/charts/?symbol=BTCUSDT", clock=True)
    watch.expected.append("ERR_FAILED")
    page.route("**/charts/data*", lambda route: route.abort())
    next_poll(page)
    next_poll(page)  # the first may have asked for the causes of gaps
    page.wait_for_selector("#live-pill[data-state=down]")
    assert "does not answer" in page.locator("#notice").inner_text()
    assert "What you see is of" in page.locator("#notice").inner_text()
    page.unroute("**/charts/data*")
    page.click("#notice button")
    page.wait_for_selector("#live-pill[data-state=live]")
    assert page.locator("#notice").is_hidden()


def test_a_server_in_trouble_is_asked_less_and_less(open_page):
    page, watch = open_page("/charts/?symbol=BTCUSDT", ready=True)
    watch.expected.append("503")
    page.clock.install()
    page.reload()
    page.route("**/charts/data*", lambda route: route.fulfill(status=503, body='{"code": "database_away"}'))
    for _ in range(60):
        page.clock.run_for(1000)
    page.wait_for_selector("#live-pill[data-state=down]")
    assert "database" in page.locator("#notice").inner_text()
    assert 2 <= len(watch.data_requests()) <= 5


def test_a_hidden_tab_asks_nothing(open_page):
    page, watch = open_page("/charts/?symbol=ETHUSDT")
    page.clock.install()
    page.reload()
    page.evaluate("""() => {
        Object.defineProperty(document, "hidden", {get: () => window.away ?? true, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    for _ in range(40):
        page.clock.run_for(1000)
    assert watch.data_requests() == []
    page.evaluate("() => { window.away = false; document.dispatchEvent(new Event('visibilitychange')); }")
    page.clock.run_for(1500)
    page.wait_for_timeout(300)
    assert len(watch.data_requests()) == 1


def test_at_most_one_request_in_five_seconds(open_page):
    page, watch = open_page("/charts/?symbol=BTCUSDT")
    assert 6 <= len(asked_in_a_minute(page, watch)) <= 12


def test_before_the_first_minute(open_page):
    page, _ = open_page("/charts/?symbol=NEWUSDT")
    assert "Waiting for the first minute" in page.locator("#chart-empty").inner_text()
    assert page.locator("#live-pill").inner_text().startswith("WAITING")
    assert "No book has been read yet" in page.locator("#diff-table").inner_text()


def test_symbols_without_a_picture_say_why(open_page):
    page, watch = open_page("/charts/?symbol=NOSUCHUSDT", ready=False)
    watch.expected.append("404")
    assert "No market lists NOSUCHUSDT" in page.locator("main").inner_text()
    page, watch = open_page("/charts/?symbol=DOGEUSDT", ready=False)
    watch.expected.append("404")
    assert "DOGEUSDT is not collected on SPOT" in page.locator("main").inner_text()
    page, watch = open_page("/charts/?symbol=ETHUSDT&market=FUTURES", ready=False)
    watch.expected.append("404")
    page.click("main a:has-text('ETHUSDT SPOT')")
    page.wait_for_function("() => document.querySelector('#mid')?.textContent.startsWith('3,')")


def test_reduced_motion_flashes_nothing(open_page, web):
    page, _ = open_page("/charts/?symbol=1000PEPEUSDT&market=FUTURES", reduced_motion="reduce", clock=True)
    page.evaluate("() => { window.flashes = 0; Element.prototype.animate = () => { window.flashes += 1; }; }")
    before = page.locator("#mid").text_content()
    web.add("1000PEPEUSDT", "FUTURES", web.now + 120, 0.0125)
    next_poll(page)
    page.wait_for_function("text => document.querySelector('#mid').textContent !== text", arg=before)
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
