"""The analysis page in a real browser: candles, indicators, what the rules say, and how they are chosen."""

import itertools
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.pages.conftest import (
    ANALYSIS_FILL,
    GREEN,
    ORANGE,
    PHONE,
    RED,
    SHAPES,
    VIOLET,
    dragged,
    drawn,
    grave_in_all_looks,
    legend,
    near,
    painted,
    pixels,
    saved_picture,
    settled,
    told,
    within_a_minute,
)

pytestmark = pytest.mark.browser
MOMENT = re.compile(r"\d\d [A-Z][a-z]{2}, \d\d:\d\d")


def test_the_first_answer_holds_candles_and_overlays(analysis):
    page, watch = analysis("?symbol=BTCUSDT&show=volume,profile")
    settled(page)
    asked = [url for url in watch.requests if ("/data" in url and "after=" not in url) or "/api/" in url]
    assert [url for url in asked if "/api/v1/analysis" not in url] == []
    state = json.loads(page.locator("#state").text_content())
    assert len(state["candles"]) == 500
    assert set(state["indicators"]) == {"sma:20", "ema:50", "rsi:14"}
    counts = pixels(page)
    assert min(near(counts, GREEN), near(counts, RED)) > 200
    assert near(counts, ORANGE) > 50
    assert "SMA 20" in legend(page)
    assert "EMA 50" in legend(page)
    assert "RSI 14" in legend(page, 1)
    assert page.locator("nav.pages [aria-current]").inner_text() == "Analysis"
    assert page.locator("#live-pill .pill-word").inner_text() == "LIVE"
    assert "TradingView" in page.locator(".attribution").text_content()


def test_timeframes_by_the_strip_and_by_keys(analysis):
    page, _ = analysis()
    page.click("#timeframes a[data-set='timeframe=1H']")
    told(page, "BTCUSDT SPOT · 1H")
    page.keyboard.press("3")
    told(page, "· 5")
    assert "timeframe=5" in page.url
    page.go_back()
    told(page, "· 1H")
    assert page.locator("#timeframes [aria-current]").inner_text() == "1H"
    assert "timeframe=1H" in page.locator("a[data-export=parquet]").get_attribute("href")


def test_indicators_by_the_menu_and_by_the_address(analysis):
    page, _ = analysis()
    page.keyboard.press("i")
    page.click("[data-add=macd]")
    told(page, "MACD 12 26 9", 3)
    row = page.locator("#chosen-indicators fieldset[data-label='macd:12:26:9']")
    row.locator("input").nth(1).fill("30")
    row.locator("input").nth(1).press("Tab")
    told(page, "MACD 12 30 9", 3)
    assert "macd:12:30:9" in page.url
    page.locator("#chosen-indicators fieldset[data-label='rsi:14'] button").click()
    told(page, "MACD 12 30 9", 2)
    other, _ = analysis(page.url[page.url.index("?") :])
    assert "MACD 12 30 9" in legend(other, 2)
    other.goto("/analysis/?symbol=BTCUSDT&indicators=ichimoku,obv,nonsense:4&show=")
    drawn(other, "analysis")
    told(other, "Ichimoku")
    assert "OBV" in legend(other, 1)
    assert "nonsense" in other.locator("#notice").inner_text()


def test_a_colour_is_chosen_in_the_menu_and_kept_in_the_address(analysis):
    page, _ = analysis("?symbol=BTCUSDT&indicators=sma:20,ema:50&show=")
    before = near(pixels(page), VIOLET)
    page.keyboard.press("i")
    row = page.locator("#chosen-indicators fieldset[data-label='ema:50']")
    assert row.locator("input[type=radio]").nth(1).is_checked()
    row.locator("input[type=radio]").nth(2).check()
    page.wait_for_function("() => location.search.includes('colors=,2')")
    page.keyboard.press("i")
    assert near(pixels(page), VIOLET) > before + 50
    page.keyboard.press("i")
    row.locator("input[type=number]").fill("30")
    row.locator("input[type=number]").press("Tab")
    told(page, "EMA 30")
    assert "colors=,2" in page.url
    page.locator("#chosen-indicators fieldset[data-label='sma:20'] button").click()
    page.wait_for_function("() => location.search.includes('colors=2')")
    other, _ = analysis(page.url[page.url.index("?") :])
    assert near(pixels(other), VIOLET) > before + 50
    other.goto("/analysis/?symbol=BTCUSDT&colors=9,nonsense&show=")
    drawn(other, "analysis")
    assert json.loads(other.locator("#state").text_content())["choice"].get("colors") is None


def test_png_is_a_picture_of_the_chart(analysis):
    page, _ = analysis("?symbol=BTCUSDT&timeframe=5&indicators=sma:20,rsi:14&show=volume")
    name, content = saved_picture(page)
    assert name == "BTCUSDT-SPOT-5.png"
    box = page.locator("#chart").bounding_box()
    width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))
    assert abs(width - box["width"]) <= 2
    assert height > box["height"] + 40  # a head and a foot


def test_files_hold_the_candles_in_view(analysis):
    page, _ = analysis("?symbol=BTCUSDT&timeframe=1H&show=")
    for kind in ("csv", "parquet"):
        with page.expect_download() as download:
            page.click(f"a[data-export={kind}]")
        content = download.value.path().read_bytes()
        assert content.startswith(b"PAR1") if kind == "parquet" else content.count(b"\n") > 200
        assert download.value.suggested_filename.endswith(f".{kind}")


def test_going_from_page_to_page_keeps_symbol_and_market(analysis):
    page, _ = analysis("?symbol=BTCUSDT&market=SPOT&show=")
    page.click("nav.pages a:text('Depth')")
    drawn(page, "chart")
    assert "/charts/?symbol=BTCUSDT&market=SPOT" in page.url
    page.fill("#symbol-search", "ETHUSDT")
    page.locator("#search-results [role=option]").first.click()
    page.wait_for_function("() => location.search.includes('symbol=ETHUSDT')")
    assert "symbol=ETHUSDT&market=SPOT" in page.locator(".actions a[data-carry]").evaluate(
        "link => { link.dispatchEvent(new PointerEvent('pointerover', { bubbles: true })); return link.href; }"
    )
    page.click("nav.pages a:text('Alerts')")
    page.click("nav.pages a:text('Analysis')")
    drawn(page, "analysis")
    assert page.locator("#symbol").inner_text() == "ETHUSDT"
    page.click("nav.pages a:text('Overview')")
    drawn(page, "overview")
    link = page.locator("tr[data-symbol='BTCUSDT'] .to-analysis")
    assert link.get_attribute("aria-label") == "Analysis of BTCUSDT"
    page.hover("tr[data-symbol='BTCUSDT']")
    link.click()
    drawn(page, "analysis")
    assert page.locator("#symbol").inner_text() == "BTCUSDT"
    plain = page.request.get("/status/?symbol=BTCUSDT&market=FUTURES").text()
    assert 'href="/analysis/?symbol=BTCUSDT&amp;market=FUTURES"' in plain
    assert "<script>x" not in page.request.get("/status/?symbol=<script>x&market=MARS").text()


def test_every_indicator_is_drawn_with_values(analysis):
    labels = "bollinger:20:2,vwap:0,ichimoku:9:26:52:26,stochastic:14:3:1,williams:14,atr:14,adx:14,obv,cvd"
    page, _ = analysis(f"?symbol=BTCUSDT&indicators={labels}&show=")
    assert page.locator("#legends .legend").count() == 7
    for index in range(7):
        values = page.locator(f"#legend-{index} .value").all_inner_texts()
        assert any(any(letter.isdigit() for letter in text) for text in values), index


def test_what_is_missing_shows(analysis, web):
    def opened():  # while the candle that is open is
        web.run(ANALYSIS_FILL)
        return analysis("?symbol=BTCUSDT&timeframe=15&show=")

    page, _ = within_a_minute(opened)
    state = json.loads(page.locator("#state").text_content())
    times = [row[0] for row in state["candles"]]
    holes = [after - before for before, after in itertools.pairwise(times) if after - before > 900]
    assert len(holes) == 1
    assert any(row[8] < row[9] for row in state["candles"][:-1])
    box = page.locator("#chart").bounding_box()
    seen = set()
    for step in range(40, 100):
        page.mouse.move(box["x"] + (box["width"] - 76) * step / 100, box["y"] + 200)
        text = legend(page)
        seen |= {word for word in ("missing", "incomplete", "still open") if word in text}
    assert seen == {"missing", "incomplete", "still open"}


def test_scrolling_back_loads_older_candles_and_the_picture_stays(analysis):
    page, _ = analysis("?symbol=BTCUSDT&timeframe=5&indicators=obv&show=")
    held = []
    page.route("**/analysis/data*before=*", lambda route: held.append(route))
    oldest = page.locator("a[data-export=csv]").get_attribute("href")
    box = page.locator("#chart").bounding_box()
    for _ in range(12):
        dragged(page, 200, 900, steps=4)
        page.wait_for_timeout(50)
        if held:
            break
    page.wait_for_timeout(1700)  # what the hand has thrown comes to rest
    painted(page)
    before = legend(page), legend(page, 1)
    answer = held[0].fetch()
    rows = answer.json()["candles"]
    assert len(rows) == 500
    assert rows[-1][0] == json.loads(page.locator("#state").text_content())["candles"][0][0]
    held[0].fulfill(response=answer)
    page.wait_for_function(
        "href => document.querySelector('a[data-export=csv]').href.endsWith(href) === false", arg=oldest
    )
    page.mouse.move(box["x"] + 900, box["y"] + 201)
    assert (legend(page), legend(page, 1)) == before


def test_the_rules_votes_signals_and_levels_are_told(analysis):
    page, watch = analysis("?symbol=BTCUSDT&timeframe=15")
    settled(page)
    answer = page.request.get("/api/v1/analysis?symbol=BTCUSDT&timeframe=15").json()
    assert page.locator("#trend").text_content() == answer["trend"]
    assert page.locator("#votes tr").count() == len(answer["votes"]) == 6
    assert page.locator("#signals article").count() == len(answer["signals"])
    if answer["signals"]:
        past = page.locator("#signals article").first.locator("tbody tr")
        assert past.count() == len(answer["signals"][-1]["past"]) == 3
        assert str(answer["signals"][-1]["past"][0]["count"]) in past.first.inner_text()
        told_past = page.locator("#signals article").first.inner_text()
        assert "no promise" in told_past or "No past signal" in told_past
        assert f"Tested on {answer['tested']:,} candles, " in page.locator("#tested").inner_text()
    assert page.locator("#levels tr").count() >= len(answer["support_levels"]) + len(answer["fibonacci_levels"])
    told(page, "Depth DIFF ±1%", 1)
    assert any("/api/v1/chart-data" in url and "type=both" in url for url in watch.requests)


def test_too_few_candles_are_said_without_asking(analysis):
    page, watch = analysis("?symbol=BTCUSDT&timeframe=1W&show=")
    page.wait_for_function("() => document.querySelector('#trend-note').textContent.includes('60 are needed')")
    assert [url for url in watch.requests if "/api/v1/analysis" in url] == []
    assert page.locator("#signals").is_hidden()


def test_a_symbol_without_candles_says_how_far_it_is(analysis):
    page, _ = analysis("?symbol=NEWUSDT")
    assert "No candles of NEWUSDT SPOT yet" in page.locator("#chart-empty").inner_text()
    assert "history" in page.locator("#empty-why").inner_text()
    assert page.locator("#live-pill .pill-word").inner_text() == "WAITING"


def test_what_is_not_collected_is_404_and_says_where_to_go(web, open_page):
    page, watch = open_page("/charts/?symbol=BTCUSDT")
    watch.expected.append("404")
    page.goto("/analysis/?symbol=DOGEUSDT")
    assert "not collected" in page.locator(".empty").inner_text()
    page.goto("/analysis/?symbol=NOPE")
    assert "No market lists NOPE" in page.locator(".empty").inner_text()


def test_a_phone_has_one_chart_and_tabs(analysis):
    page, _ = analysis("?symbol=BTCUSDT&indicators=sma:20,rsi:14,macd:12:26:9", viewport=PHONE)
    assert page.locator("#legends .legend").count() == 2
    assert "+2 more on a wider screen" in legend(page)
    page.click(".tabs a[data-set='tab=analysis']")
    page.locator("#trend").wait_for(state="visible")
    assert page.locator("#chart").is_hidden()


@pytest.mark.parametrize("viewport", SHAPES)
def test_nothing_grave_in_any_look(analysis, viewport):
    page, _ = analysis(viewport=viewport)
    settled(page)
    assert grave_in_all_looks(page) == {}
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if viewport is PHONE:
        page.click(".tabs a[data-set='tab=analysis']")
    else:
        page.keyboard.press("i")
    assert grave_in_all_looks(page) == {}


def test_a_moved_picture_is_in_the_address(analysis):
    page, _ = analysis("?symbol=BTCUSDT&timeframe=15&show=")
    box = page.locator("#chart").bounding_box()
    dragged(page, 300, 700, steps=4)
    page.wait_for_function("() => location.search.includes('from=')")
    page.wait_for_timeout(1700)  # what the hand has thrown comes to rest
    painted(page)
    page.mouse.move(box["x"] + 400, box["y"] + 201)
    there = legend(page)
    other, _ = analysis(page.url[page.url.index("?") :])
    other.mouse.move(box["x"] + 400, box["y"] + 201)
    moments = [
        datetime.strptime(MOMENT.search(text)[0], "%d %b, %H:%M").replace(tzinfo=UTC) for text in (there, legend(other))
    ]
    assert abs(moments[0] - moments[1]) <= timedelta(minutes=15)  # to the candle
    page.keyboard.press("r")
    page.wait_for_function("() => !location.search.includes('from=')")


JOIN = """async () => {
    const { Candles } = await import("/static/js/analysis_candles.js");
    const row = (time, closed = true, minutes = 5) => [time, 1, 2, 0.5, 1.5, 10, 3, closed, minutes, 5];
    const candles = new Candles(5, new Set(["obv"]));
    const take = (times, obv) => candles.take({ candles: times.map((time) => row(time)), indicators: { obv } });
    take([3000, 3300, 3600], [0, 10, 5]);
    const added = take([2100, 2400, 3000], [100, 130, 90]);  // older, with a sum that began elsewhere
    candles.take({ candles: [row(3600), row(3900, false, 2)], indicators: { obv: [0, -4] } });
    const { points, gaps } = candles.axis(2);
    const months = new Candles(0);
    return {
        added,
        obv: candles.sorted.map(({ values }) => values.obv),
        times: points.map(({ time }) => time),
        whitespace: points.filter(({ open }) => open === undefined).map(({ time }) => time),
        gaps: gaps.map(({ from, to, text }) => [from, to, text]),
        month: months.shift(Date.UTC(2026, 0, 1) / 1000, 1),
        between: months.missingBetween(Date.UTC(2025, 10, 1) / 1000, Date.UTC(2026, 2, 1) / 1000),
    };
}"""


def test_parts_of_a_history_are_joined_and_gaps_are_known(analysis):
    page, _ = analysis("?symbol=NEWUSDT")
    made = page.evaluate(JOIN)
    assert made["added"] == 2
    # 90 of the older part is 0 of the newer one, and the newest part's 0 is 5.
    assert made["obv"] == [10, 40, 0, 10, 5, 1]
    assert made["times"] == [2100, 2400, 2700, 3000, 3300, 3600, 3900, 4200, 4500]
    assert made["whitespace"] == [2700, 4200, 4500]
    assert made["gaps"] == [[2400, 3000, "1 candle missing"], [3900, 3900, "3 min missing"]]
    assert made["month"] == 1769904000  # the first of February 2026
    assert made["between"] == 3


MEAN = """async () => {
    const { Candles } = await import("/static/js/analysis_candles.js");
    const { Depth } = await import("/static/js/analysis_depth.js");
    const candles = new Candles(5);
    candles.take({ candles: [600, 900].map((time) => [time, 1, 1, 1, 1, 1, 1, true, 5, 5]), indicators: {} });
    const depth = new Depth("/");
    const point = (time, bid, ask, bidComplete, step = 60) =>
        depth.points.set(time, { time, bid, ask, bidComplete, askComplete: true, step });
    point(540, 9, 9, true);
    point(600, 4, 1, true);
    point(840, 2, 1, true);
    point(900, 1, 3, false);
    point(1200, 9, 9, true);
    point(960, 99, 1, true, 3600);
    return [...depth.byCandle(candles)].map(([time, one]) => [time, one.diff, one.percentage, one.quality, one.count]);
}"""


def test_depth_of_a_candle_is_the_mean_of_its_minutes_with_its_mark(analysis):
    page, _ = analysis("?symbol=NEWUSDT")
    assert page.evaluate(MEAN) == [[600, 2, 50, "exact", 2], [900, -2, -50, "least", 1]]
