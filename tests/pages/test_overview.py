"""The overview in a real browser: what is shown, sorted, filtered and starred, and how it behaves when things fail."""

import json
import time

import pytest

from tests.pages.conftest import (
    PHONE,
    SHAPES,
    asked_in_a_minute,
    both_ways,
    chosen_while_away,
    drawn,
    grave_in_all_looks,
    opener,
    polls_until,
)

pytestmark = pytest.mark.browser


@pytest.fixture
def overview(open_page):
    return opener(open_page, "/", "overview")


def asked(watch):
    return [url for url in watch.requests if "/api/v1/" in url]


def by_itself(began):
    """How often a page may have asked by itself since then."""
    return (time.monotonic() - began) // 5


def names(page):
    return page.eval_on_selector_all(
        "#overview tbody tr:not([hidden])", "rows => rows.map((row) => row.dataset.symbol)"
    )


def cell(page, symbol, key):
    return page.locator(f"tr[data-symbol='{symbol}'] [data-cell={key}]")


def test_the_first_answer_holds_the_whole_table(overview):
    page, watch = overview("?market=SPOT&depth=1")
    assert asked(watch) == []
    assert names(page) == ["BTCUSDT", "ETHUSDT", "OLDUSDT", "NEWUSDT"]
    assert cell(page, "BTCUSDT", "price").inner_text().startswith("6")
    assert cell(page, "NEWUSDT", "price").inner_text() == "–"
    assert "old" in page.locator("tr[data-symbol=OLDUSDT]").get_attribute("class")
    assert page.locator("tr[data-symbol=BTCUSDT] .trend .line").get_attribute("d").count("M") > 30
    assert page.locator("nav.pages [aria-current]").inner_text() == "Overview"
    assert page.locator("#live-pill").inner_text().startswith("LIVE")
    assert page.locator(".banner").inner_text().startswith("SIMULATED MARKET")


def test_a_band_beyond_the_book_is_told_as_a_lower_bound(overview):
    page, _ = overview("?depth=5")
    assert cell(page, "BTCUSDT", "bid").inner_text().startswith(">= ")
    assert cell(page, "BTCUSDT", "percentage").inner_text().startswith("~ ")
    assert page.locator("tr[data-symbol=BTCUSDT]").get_attribute("data-quality") == "unknown"
    assert page.locator("tr[data-symbol=BTCUSDT] .trend .line").get_attribute("d") == ""
    assert page.locator("tr[data-symbol=BTCUSDT] .trend .dashed").get_attribute("d") != ""
    cell(page, "BTCUSDT", "percentage").locator("span").hover()
    assert "at least this much" in page.locator("#tip").inner_text()


@pytest.mark.parametrize("sort", ["volume&dir=desc", "percentage&dir=asc", "reach&dir=asc", "age&dir=desc", "symbol"])
def test_the_script_renders_the_same_as_the_server(web, browser, sort):
    texts = []
    for page in both_ways(browser, f"{web.address}/?depth=1.5&sort={sort}", "overview"):
        shown = "#overview tbody tr"
        rows = [text.rsplit("\t", 1)[0] for text in page.locator(shown).all_inner_texts()]  # without the age
        paths = page.eval_on_selector_all(
            f"{shown} path", "all => all.map((one) => (one.getAttribute('d') ?? '').length > 0)"
        )
        texts.append((rows, paths))
    assert texts[0] == texts[1]
    assert len(texts[0][0]) == 4


def test_sorting_turns_round_and_is_in_the_address(overview):
    began = time.monotonic()
    page, watch = overview()
    page.click("button[data-sort=symbol]")
    assert names(page) == ["BTCUSDT", "ETHUSDT", "NEWUSDT", "OLDUSDT"]
    assert page.locator("th[data-column=symbol]").get_attribute("aria-sort") == "ascending"
    page.click("button[data-sort=symbol]")
    assert names(page) == ["OLDUSDT", "NEWUSDT", "ETHUSDT", "BTCUSDT"]
    page.click("button[data-sort=price]")
    assert names(page) == ["BTCUSDT", "ETHUSDT", "OLDUSDT", "NEWUSDT"]
    page.click("button[data-sort=price]")
    assert names(page) == ["OLDUSDT", "ETHUSDT", "BTCUSDT", "NEWUSDT"]  # what has no price stays last
    assert "sort=price" in page.url
    assert len(asked(watch)) <= by_itself(began)
    again, _ = overview(page.url[page.url.index("?") :])
    assert names(again) == ["OLDUSDT", "ETHUSDT", "BTCUSDT", "NEWUSDT"]
    page.go_back()
    page.wait_for_function("() => location.search.includes('dir=desc')")
    assert names(page)[0] == "BTCUSDT"


def test_the_filter_leaves_out_what_does_not_hold_the_text(overview):
    page, _ = overview()
    page.keyboard.press("f")
    page.keyboard.type("eth")
    assert names(page) == ["ETHUSDT"]
    assert page.locator("#shown").inner_text() == "1 of 4"
    assert "q=ETH" in page.url
    page.keyboard.type("x")
    assert names(page) == []
    page.click("#clear")
    assert len(names(page)) == 4
    again, _ = overview("?q=old")
    assert names(again) == ["OLDUSDT"]


def test_stars_stay(overview):
    began = time.monotonic()
    page, watch = overview()
    page.click("tr[data-symbol=ETHUSDT] .star")
    page.click("#starred")
    assert names(page) == ["ETHUSDT"]
    assert page.locator("#starred").get_attribute("aria-pressed") == "true"
    page.reload()
    assert names(page) == ["ETHUSDT"]
    drawn(page, "overview")
    page.click("tr[data-symbol=ETHUSDT] .star")
    assert names(page) == []
    assert "No symbol is starred yet" in page.locator("#nothing").inner_text()
    assert len(asked(watch)) <= by_itself(began)


def test_band_and_market_change_in_place(overview):
    began = time.monotonic()
    page, watch = overview()
    page.evaluate("() => { window.kept = true; }")
    before = cell(page, "BTCUSDT", "bid").inner_text()
    page.click("#bands a[data-set='depth=0.1']")
    page.wait_for_function("text => document.querySelector('[data-cell=bid]').innerText !== text", arg=before)
    page.click("nav.switch a[data-set='market=FUTURES']")
    page.wait_for_function("() => document.querySelectorAll('#overview tbody tr').length === 2")
    assert sorted(names(page)) == ["1000PEPEUSDT", "BTCUSDT"]
    assert "market=FUTURES" in page.locator("tr[data-symbol=BTCUSDT] a").first.get_attribute("href")
    assert "depth=0.1" in page.url
    assert page.evaluate("window.kept")
    assert len(asked(watch)) <= 2 + by_itself(began)  # the band, the market
    page.go_back()
    page.wait_for_function("() => document.querySelectorAll('#overview tbody tr').length === 4")


def test_what_is_in_view_keeps_its_name_until_there_is_an_answer(overview):
    page, watch = overview()
    chosen_while_away(page, watch, "**/api/v1/overview*", lambda: page.keyboard.press("m"))
    assert "market=FUTURES" in page.url
    market, title = page.locator("#market").text_content(), page.title()
    assert (market, title.split()[0]) == ("SPOT", "SPOT")
    page.click("#notice button")
    page.wait_for_function("() => document.querySelector('#market').textContent === 'FUTURES'")
    assert page.title().startswith("FUTURES")


def test_a_row_leads_to_its_chart(overview):
    page, _ = overview("?market=FUTURES&depth=0.5")
    cell(page, "BTCUSDT", "spread").click()
    page.wait_for_url("**/charts/?symbol=BTCUSDT&market=FUTURES&depth=0.5")


def test_a_new_book_is_shown_by_itself(overview, web):
    page, _ = overview("?market=FUTURES", clock=True)
    before = cell(page, "1000PEPEUSDT", "price").inner_text()
    web.add("1000PEPEUSDT", "FUTURES", 0.0131)
    polls_until(
        page,
        "text => document.querySelector('[data-symbol=\"1000PEPEUSDT\"] [data-cell=price]').innerText !== text",
        before,
    )
    assert cell(page, "1000PEPEUSDT", "price").inner_text() == "0.0131000"


def test_an_outage_is_told_and_ends(overview):
    page, watch = overview(clock=True)
    watch.expected += ["503", "Failed to load"]
    body = json.dumps({"success": False, "code": "database_unavailable"})
    page.route("**/api/v1/overview**", lambda route: route.fulfill(status=503, body=body))
    polls_until(page, "() => !document.querySelector('#notice').hidden")
    assert "The database does not answer" in page.locator("#notice").inner_text()
    assert page.locator("#live-pill").inner_text().startswith("DOWN")
    assert len(names(page)) == 4
    page.unroute("**/api/v1/overview**")
    page.click("#notice button")
    page.wait_for_function("() => document.querySelector('#live-pill').innerText.startsWith('LIVE')")
    assert page.locator("#notice").is_hidden()


def test_at_most_one_request_in_five_seconds(overview):
    page, watch = overview()
    assert 6 <= len(asked_in_a_minute(page, watch)) <= 12


def test_five_hundred_symbols_are_all_there_and_can_be_sorted(overview):
    page, _ = overview()
    page.route("**/api/v1/overview**", lambda _: None)  # no answer: the page's own rows stay away
    page.evaluate("""async () => {
        const { OverviewTable } = await import(document.querySelector("link[href*=overview_table]").href);
        const state = JSON.parse(document.getElementById("state").textContent);
        const [model] = state.data;
        const row = (i) => ({ ...model, symbol: `S${i}USDT`, base: `S${i}`, book: { ...model.book, midPrice: i } });
        state.data = Array.from({ length: 500 }, (_, i) => row(i));
        state.count = 500;
        const table = new OverviewTable(document.getElementById("overview"), (symbol) => `?symbol=${symbol}`);
        table.show(state, { sort: "price", dir: "desc" }, new Set(), false);
    }""")
    rows = page.locator("#overview tbody tr[data-symbol]")
    assert page.locator("#overview").get_attribute("aria-rowcount") == "501"
    assert rows.first.get_attribute("data-symbol") == "S499USDT"
    assert rows.first.get_attribute("aria-rowindex") == "2"
    assert rows.count() < 100  # the others wait outside of the page
    height = page.evaluate("document.querySelector('#overview tbody').getBoundingClientRect().height")
    assert height == pytest.approx(500 * rows.first.bounding_box()["height"], rel=0.01)
    seen = set()
    for step in range(0, 14_000, 500):
        page.evaluate(
            "step => new Promise((done) => { board.scrollTop = step; requestAnimationFrame(() => setTimeout(done)); })",
            step,
        )
        seen |= set(
            page.eval_on_selector_all("#overview tbody tr[data-symbol]", "all => all.map((row) => row.dataset.symbol)")
        )
    assert len(seen) == 500
    assert rows.last.get_attribute("data-symbol") == "S0USDT"
    last = page.locator("#overview tbody tr[data-symbol=S0USDT] a").first
    last.focus()
    assert last.bounding_box()["y"] < 900
    assert page.evaluate("document.querySelector('#overview thead th').getBoundingClientRect().top") < 200


def test_the_old_address_leads_here(open_page):
    page, _ = open_page("/dashboard?market=FUTURES", ready=False)
    assert page.locator("#market").inner_text() == "FUTURES"
    assert page.url.endswith("/?market=FUTURES")


def test_a_phone_shows_cards_within_its_width(overview):
    page, _ = overview(viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    box = page.locator("tr[data-symbol=BTCUSDT]").bounding_box()
    assert 80 < box["height"] < 200
    page.select_option("#sorter", "symbol")
    assert names(page)[0] == "BTCUSDT"
    page.click("#turn")
    assert names(page)[0] == "OLDUSDT"


@pytest.mark.parametrize("viewport", SHAPES)
def test_axe_finds_nothing_serious(overview, viewport):
    page, _ = overview("?depth=5", viewport=viewport)
    assert grave_in_all_looks(page) == {}
