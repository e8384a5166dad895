"""The analysis page in a real browser: how it goes with the market, and what it does when the server is away."""

import itertools
import re
import time
from contextlib import suppress

import pytest
from playwright.sync_api import Error as PlaywrightError

from tests.pages.conftest import (
    asked_in_a_minute,
    chosen_while_away,
    dragged,
    legend,
    polls_until,
    settled,
    within_a_minute,
)

pytestmark = pytest.mark.browser


def without_socket(page):
    page.route_web_socket("**/ws/chart-data", lambda socket: socket.close())


def tell(web, page, price):
    """The open minute at a price, and the page that shows it."""
    web.run(f"from tests.pages.candle_market import tell; tell('{price}')")
    page.wait_for_function("price => document.querySelector('#price').textContent === price", arg=f"{price:,.2f}")


def test_the_open_candle_and_its_indicators_go_live(analysis, web):
    """By the socket, without a question; the numbers are those that the server computes."""
    page, watch = analysis("?symbol=BTCUSDT&timeframe=1H&show=&indicators=sma:20,obv,ichimoku")
    settled(page)
    page.wait_for_function("() => document.querySelector('#live-pill').dataset.state === 'live'")
    before, began = len(watch.requests), time.monotonic()
    for price in (71234.5, 70111.25):
        tell(web, page, price)
        assert f"C {price:,.2f}" in legend(page)
    assert "live, still open" in legend(page)
    asked = [url for url in watch.requests[before:] if "/analysis/data" in url]
    assert len(asked) <= 1 + (time.monotonic() - began) // 30  # one was under way

    prices = itertools.count(70_222.75)

    def compared():
        tell(web, page, next(prices))
        address = "/api/v1/indicators?symbol=BTCUSDT&timeframe=1H&indicators=sma:20,obv,ichimoku"
        return page.evaluate(VALUES), page.request.get(address).json()["indicators"]

    values, computed = within_a_minute(compared)
    assert values["sma"] == pytest.approx(computed["sma:20"][-1], rel=1e-9)
    assert values["obv"] == pytest.approx(computed["obv"][-1] - computed["obv"][-2], rel=1e-6)
    assert values["tenkan"] == pytest.approx(computed["ichimoku"]["tenkan"][-1], rel=1e-9)
    assert values["chikou"] == pytest.approx(computed["ichimoku"]["chikou"][-26], rel=1e-9)


VALUES = """() => {
    const { sorted } = globalThis.analysisCandles;
    const [last, before] = [sorted.at(-1).values, sorted.at(-2).values];
    const { tenkan, chikou } = { tenkan: last["ichimoku|tenkan"], chikou: sorted.at(-26).values["ichimoku|chikou"] };
    return { sma: last["sma:20"], obv: last.obv - before.obv, tenkan, chikou };
}"""


def test_a_candle_that_closes_is_followed_by_the_next(analysis, web):
    web.run("from tests.pages.candle_market import fill_other; fill_other()")
    page, _ = analysis("?symbol=ETHUSDT&timeframe=1&show=&indicators=sma:20")
    settled(page)
    web.run("from tests.pages.candle_market import close; close('70555.5')")
    page.wait_for_function("() => document.querySelector('#price').textContent === '70,555.50'")
    assert "live, still open" in legend(page)


def test_without_its_socket_the_page_asks(analysis, web):
    page, watch = analysis("?symbol=BTCUSDT&timeframe=1H&show=&indicators=sma:20", clock=True, before=without_socket)
    settled(page)
    polls_until(
        page,
        "() => document.querySelector('#price').textContent === '71,234.50'",
        before=lambda: web.run("from tests.pages.candle_market import tell; tell('71234.5')"),
    )
    assert "C 71,234.50" in legend(page)
    assert any("after=" in url for url in watch.requests)


def test_a_socket_that_is_lost_is_opened_again_and_a_hidden_page_has_none(analysis, web):
    sockets = []

    def watched(page):
        page.on("websocket", lambda socket: sockets.append(socket) if "chart-data" in socket.url else None)

    page, _ = analysis("?symbol=BTCUSDT&timeframe=1H&show=&indicators=sma:20", before=watched)
    settled(page)
    page.wait_for_function("() => globalThis.analysisLive.socket?.readyState === 1")
    assert len(sockets) == 1
    page.evaluate("() => globalThis.analysisLive.socket.close()")
    end = time.monotonic() + 40
    while len(sockets) < 2:
        assert time.monotonic() < end
        page.wait_for_timeout(50)
    tell(web, page, 69999.5)
    page.evaluate(HIDE.format(hidden="true"))
    page.wait_for_function("() => globalThis.analysisLive.socket === null")
    page.evaluate(HIDE.format(hidden="false"))
    page.wait_for_function("() => globalThis.analysisLive.socket?.readyState === 1")


HIDE = """() => {{
    Object.defineProperty(document, "hidden", {{ configurable: true, get: () => {hidden} }});
    document.dispatchEvent(new Event("visibilitychange"));
}}"""


def test_a_server_that_is_away_is_said_and_comes_back(analysis):
    page, watch = analysis("?symbol=BTCUSDT&show=", clock=True, before=without_socket)
    settled(page)
    watch.expected.append("Failed to load resource")
    page.route("**/analysis/data*", lambda route: route.fulfill(status=503, json={}))
    polls_until(page, "() => document.querySelector('#live-pill').dataset.state === 'down'")
    assert "The database does not answer" in page.locator("#notice").inner_text()
    page.unroute("**/analysis/data*")
    page.locator("#notice button").click()
    page.clock.run_for(1500)
    page.wait_for_function("() => document.querySelector('#live-pill').dataset.state === 'live'")


def test_what_was_chosen_while_the_server_was_away_comes_whole(analysis):
    page, watch = analysis("?symbol=BTCUSDT&timeframe=15&show=", clock=True, before=without_socket)
    settled(page)
    chosen_while_away(page, watch, "**/analysis/data*", lambda: page.keyboard.press("7"))
    polls_until(page, "() => globalThis.analysisCandles.minutes === 60")
    steps = page.evaluate("globalThis.analysisCandles.sorted.map(({ time }) => time % 3600)")
    assert len(steps) > 100
    assert set(steps) == {0}


def test_older_candles_do_not_come_into_a_picture_that_is_new(analysis):
    """They were asked for before the oldest candle of another one."""
    page, _ = analysis("?symbol=BTCUSDT&timeframe=5&show=", clock=True, before=without_socket)
    settled(page)
    held = []
    page.route("**/analysis/data*before=*", lambda route: held.append(route))
    page.route(
        "**/analysis/data*after=*", lambda route: route.continue_(url=re.sub("&after=[0-9]+", "", route.request.url))
    )
    while not held:
        dragged(page, 200, 900, steps=4)
        page.clock.run_for(100)
        page.wait_for_timeout(20)
    older = held[0].fetch()
    assert len(older.json()["candles"]) == 500
    before = page.evaluate_handle("globalThis.analysisCandles")
    polls_until(page, "before => globalThis.analysisCandles !== before", before)
    whole = page.evaluate("globalThis.analysisCandles.sorted.length")
    with suppress(PlaywrightError):  # nobody waits for it
        held[0].fulfill(response=older)
    page.wait_for_timeout(300)
    assert page.evaluate("globalThis.analysisCandles.sorted.length") == whole


def test_a_band_chosen_before_a_picture_has_come_is_asked_for_with_it(analysis):
    page, watch = analysis("?symbol=BTCUSDT&timeframe=15&show=depth", before=without_socket)
    settled(page)
    held = []
    page.route("**/analysis/data*", lambda route: held.append(route))
    page.keyboard.press("7")
    page.wait_for_function("() => document.querySelector('#workspace').dataset.busy !== undefined")
    before = len(watch.requests)
    page.evaluate("""() => {
        const select = document.querySelector("#depth");
        select.value = "1.5";
        select.dispatchEvent(new Event("change", { bubbles: true }));
    }""")
    page.wait_for_function("() => location.search.includes('depth=1.5')")
    page.wait_for_timeout(300)
    beside = [url for url in watch.requests[before:] if "/api/" in url]
    assert beside == []  # the picture is still of the other timeframe
    with page.expect_response(lambda answer: "chart-data" in answer.url and "depth=1.5" in answer.url):
        held[0].continue_()


def test_a_minute_asks_no_more_than_it_may(analysis):
    page, watch = analysis()
    settled(page)
    assert len(asked_in_a_minute(page, watch)) <= 15  # the page, what stands beside, and one in five seconds
