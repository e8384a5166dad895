"""The chart page in a real browser: what it asks for, what it says of its age, and when things go wrong."""

import re

import pytest

from tests.pages.conftest import asked_in_a_minute, chosen_while_away, grave, polls_until

pytestmark = pytest.mark.browser


def test_a_new_minute_appears_by_itself_and_moves_the_price(open_page, web):
    page, watch = open_page("/charts/?symbol=1000PEPEUSDT&market=FUTURES", clock=True)
    before = page.locator("#mid").text_content()
    web.add("1000PEPEUSDT", "FUTURES", 0.0119)
    polls_until(page, "text => document.querySelector('#mid').textContent !== text", before)
    assert page.locator(".price").get_attribute("data-direction") == "up"
    assert page.title().startswith("▲ ")
    assert watch.choices() == []


def test_an_old_book_is_stale_and_greyed(open_page):
    page, _ = open_page("/charts/?symbol=OLDUSDT")
    assert page.locator("#live-pill").inner_text().startswith("STALE")
    assert 25 <= int(re.search(r"(\d+) min old", page.locator("#notice").inner_text())[1]) < 120
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
    polls_until(page, "() => document.querySelector('#live-pill').dataset.state === 'down'")
    assert "does not answer" in page.locator("#notice").inner_text()
    assert "What you see is of" in page.locator("#notice").inner_text()
    page.unroute("**/charts/data*")
    page.click("#notice button")
    page.wait_for_selector("#live-pill[data-state=live]")
    assert page.locator("#notice").is_hidden()


def test_what_was_chosen_while_the_server_was_away_comes_whole(open_page):
    page, watch = open_page("/charts/?symbol=BTCUSDT", clock=True)
    chosen_while_away(page, watch, "**/charts/data*", lambda: page.keyboard.press("m"))
    polls_until(page, "() => document.querySelector('#market').textContent === 'FUTURES'")
    assert "after=" not in watch.data_requests()[-1]  # not the newest of one market behind the other's past
    assert "FUTURES" in page.locator("#legend-lines").text_content()


def test_what_was_chosen_while_the_server_was_away_and_is_not_there_says_so(open_page):
    page, watch = open_page("/charts/?symbol=ETHUSDT", clock=True)
    watch.expected.append("404")
    chosen_while_away(page, watch, "**/charts/data*", lambda: page.keyboard.press("m"))
    page.click("#notice button")
    page.clock.run_for(1500)
    page.wait_for_selector("main a:has-text('ETHUSDT SPOT')")
    assert "ETHUSDT is not collected on FUTURES" in page.locator("main").inner_text()


def test_a_server_in_trouble_is_asked_less_and_less(open_page):
    page, watch = open_page("/charts/?symbol=BTCUSDT", ready=True)
    watch.expected.append("503")
    page.clock.install()
    page.reload()
    page.route("**/charts/data*", lambda route: route.fulfill(status=503, body='{"code": "database_away"}'))
    watch.minute(page)
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
    watch.settle(page)
    before = len(watch.data_requests())  # until it was hidden
    for _ in range(40):
        page.clock.run_for(1000)
    assert len(watch.data_requests()) == before
    page.evaluate("() => { window.away = false; document.dispatchEvent(new Event('visibilitychange')); }")
    page.clock.run_for(1500)
    watch.settle(page)
    assert len(watch.data_requests()) == before + 1


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
