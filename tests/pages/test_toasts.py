"""Notes about new alerts on any page: each once, not again on the next page, a few at a time, and not if off."""

import pytest

from tests.pages.conftest import asked_in_a_minute, drawn, grave, painted
from tests.pages.test_alerts import SEE

pytestmark = pytest.mark.browser
SYMBOLS = ("AAUSDT", "ABUSDT", "ACUSDT", "ADUSDT", "AEUSDT", "AFUSDT")


@pytest.fixture
def overview(open_page):
    """An ordinary page that has been open for a while when alerts come."""

    def opened(path="/", **options):
        with_answer = lambda response: "/alerts/new" in response.url  # noqa: E731
        page, watch = open_page("about:blank", ready=False, clock=True, **options)
        with page.expect_response(with_answer):
            page.goto(path)
        drawn(page, "overview")
        page.wait_for_function("() => localStorage.getItem('alerts-newest') !== null")
        return page, watch

    return opened


def see(web, *symbols, value=1.5):
    for symbol in symbols:
        web.run(SEE.format(symbol=symbol, value=0.0, bound="EXACT"))  # it has come back
        web.run(SEE.format(symbol=symbol, value=value, bound="EXACT"))


def half_a_minute(page):
    """Goes on until the page has asked whether there is anything new."""
    answers = []
    page.on("response", lambda response: answers.append(response) if "/alerts/new?after" in response.url else None)
    for _ in range(60):
        if answers:
            return painted(page)
        page.clock.fast_forward(5500)
        page.wait_for_timeout(100)
    raise AssertionError("the page does not ask")


def toasts(page):
    return page.locator(".toast").all_inner_texts()


def test_what_is_new_is_told_once_and_not_again_elsewhere(web, overview):
    page, _ = overview()
    assert toasts(page) == []
    see(web, "AGUSDT", value=2.25)
    half_a_minute(page)
    page.wait_for_selector(".toast:has-text('AGUSDT SPOT: spread 2.25')")
    assert len(toasts(page)) == 1
    assert page.locator("#toasts").get_attribute("role") == "status"
    assert page.locator(".toast a").get_attribute("href") == "/alerts/?symbol=AGUSDT&kind=spread"
    assert grave(page) == []
    half_a_minute(page)
    page.wait_for_function("() => document.querySelectorAll('.toast').length === 0")
    page.goto("/status/")
    drawn(page, "status")
    half_a_minute(page)
    assert toasts(page) == []


def test_many_at_once_are_a_few_and_a_sum(web, overview):
    page, _ = overview()
    see(web, *SYMBOLS)
    half_a_minute(page)
    page.wait_for_selector(".toast:has-text('3 more alerts')")
    assert len(toasts(page)) == 4
    assert "AFUSDT" in toasts(page)[-1]
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.querySelectorAll('.toast').length === 3")
    page.locator(".toast button").first.click()
    assert len(toasts(page)) == 2


def test_one_that_is_read_stays(web, overview):
    page, _ = overview()
    see(web, "AHUSDT")
    half_a_minute(page)
    page.wait_for_selector(".toast")
    page.hover(".toast")
    page.clock.fast_forward(60_000)
    assert len(toasts(page)) == 1
    page.mouse.move(5, 5)
    page.clock.fast_forward(10_500)
    page.wait_for_function("() => document.querySelectorAll('.toast').length === 0")


def test_they_can_be_switched_off(web, overview):
    page, _ = overview()
    page.click("button[popovertarget=preferences]")
    page.check("input[name=toasts][value=off]")
    see(web, "AHUSDT", value=1.75)
    half_a_minute(page)
    assert toasts(page) == []
    page.reload()
    assert page.locator("html").get_attribute("data-toasts") == "off"


def test_they_cost_no_page_a_request_more(overview):
    page, watch = overview()
    asked = asked_in_a_minute(page, watch)
    assert 1 <= len([url for url in asked if "/alerts/new" in url]) <= 2
    assert len(asked) <= 12


def test_a_server_that_is_away_is_the_pages_to_tell(web, overview):
    page, watch = overview()
    watch.expected += ["Failed to load resource"]
    page.route("**/alerts/new*", lambda route: route.fulfill(status=503))
    half_a_minute(page)
    assert page.locator("#live-pill").get_attribute("data-state") != "down"
