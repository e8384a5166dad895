"""The DEX page in a real browser."""

import pytest

from tests.dex.factories import ALICE, BOB
from tests.pages.conftest import PHONE, SHAPES, asked_in_a_minute, drawn, grave_in_all_looks, next_poll

pytestmark = pytest.mark.browser

FILL = """
from dex import services
from dex.models import SystemState
from tests.dex import factories as f
if not SystemState.objects.exists():
    logs = [f.log("OrderCreated", number, 10 + number, user=f.BOB if number % 4 == 0 else f.ALICE)
            for number in range(1, 61)]
    logs += [f.log("OrderExecuted", 2, 80, amountOut=123_456_789), f.log("OrderCancelled", 3, 81),
             f.log("OrderExecuted", 3, 82)]
    f.store(logs)
    services.store_tokens(f.DEPLOYMENT, f.TOKENS)
    quotes = [(one, 2_000_000) for one in services.pending_quotes(f.DEPLOYMENT, 100)]
    services.store_quotes(f.DEPLOYMENT, quotes)
"""
EXECUTE = """
from dex import services
from tests.dex import factories as f
cursor = services.begin(f.DEPLOYMENT)
f.store([f.log("OrderExecuted", {number}, cursor.block + 1, amountOut=5)], cursor=cursor)
"""


@pytest.fixture
def dex(web, open_page):
    web.run(FILL)

    def opened(path="/dex/", **options):
        page, watch = open_page(path, ready=False, **options)
        drawn(page, "dex")
        return page, watch

    return opened


def ids(page):
    return [int(text[1:]) for text in page.locator("#orders a").all_inner_texts()]


def test_the_first_answer_holds_the_newest_orders(dex):
    page, watch = dex()
    assert [url for url in watch.requests if "/api/" in url or "/data" in url] == []
    assert len(ids(page)) == 50
    assert page.locator("nav.pages [aria-current]").inner_text() == "DEX"
    assert page.locator("#live-pill .pill-word").inner_text() == "NO CHAIN"
    assert "1 to 50 of 60" in page.locator("#shown").inner_text()
    assert "up to block" in page.locator("#read-at").inner_text()
    cancelled = page.locator("#orders tr", has=page.locator("a", has_text="#3")).first
    assert "CANCELLED" in cancelled.inner_text()
    assert page.locator("[data-count=refused_events]").inner_text() == "1"
    assert "USDT" in page.locator("#volumes").inner_text()


def test_filters_stand_in_the_address_and_go_back(dex):
    page, _ = dex()
    page.get_by_text("Cancelled", exact=True).last.click()
    page.wait_for_function("() => document.querySelectorAll('#orders a').length === 1")
    assert ids(page) == [3]
    assert page.url.endswith("?status=cancelled")
    page.get_by_text("All", exact=True).click()
    page.locator("input[name=user]").fill(BOB.lower())
    page.locator("input[name=user]").press("Enter")
    page.wait_for_function("() => document.querySelector('#shown').textContent.endsWith('of 15')")
    assert all(number % 4 == 0 for number in ids(page))
    page.go_back()
    page.go_back()
    page.wait_for_function("() => document.querySelectorAll('#orders a').length === 1")
    assert page.locator("input[name=status]:checked").get_attribute("value") == "cancelled"


def test_pages_of_the_list(dex):
    page, _ = dex()
    assert page.locator("#newer").is_disabled()
    page.locator("#older").click()
    page.wait_for_function("() => document.querySelectorAll('#orders a').length === 10")
    assert page.locator("#older").is_disabled()
    page.locator("#newer").click()
    page.wait_for_function("() => document.querySelectorAll('#orders a').length === 50")


def test_one_order_with_its_history(dex):
    page, watch = dex("/dex/?order=3")
    page.locator("#history li").nth(2).wait_for()
    told = page.locator("#history li span").all_inner_texts()
    assert [text.strip() for text in told] == [
        "nothing → PENDING",
        "PENDING → CANCELLED",
        "refused: the order had ended before",
    ]
    page.locator("#orders a").nth(5).click()
    page.wait_for_function("() => document.querySelector('#one-title').textContent !== 'Order #3'")
    page.locator("#close-one").click()
    assert page.locator("#one").is_hidden()
    assert "order=" not in page.url
    watch.expected.append("404")
    page.goto("/dex/?order=777")
    page.wait_for_function("() => document.querySelector('#problem').textContent === 'There is no order 777.'")


def test_an_address_that_cannot_be_used_says_so(dex):
    page, _ = dex(f"/dex/?user={ALICE[:-1]}")
    assert "must be an address" in page.locator("#problem").inner_text()
    assert ids(page) == []


def test_what_changes_meanwhile_is_shown(web, dex):
    page, _ = dex(clock=True)
    number = page.locator("[data-count=executed]")
    before = int(number.inner_text())
    web.run(EXECUTE.format(number=58 - before))
    next_poll(page)
    page.wait_for_function(
        "count => document.querySelector('[data-count=executed]').textContent === count", arg=str(before + 1)
    )
    assert page.locator(".status-EXECUTED").count() == before + 1


def test_a_minute_asks_no_more_than_it_may(dex):
    page, watch = dex()
    assert len(asked_in_a_minute(page, watch)) <= 13


@pytest.mark.parametrize("viewport", SHAPES)
def test_everybody_can_read_it(dex, viewport):
    page, _ = dex("/dex/?order=2", viewport=viewport)
    page.locator("#history li").nth(1).wait_for()
    assert grave_in_all_looks(page) == {}
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_fits_a_phone(dex):
    page, _ = dex(viewport=PHONE)
    assert page.locator("#orders tr").first.bounding_box()["width"] <= PHONE["width"]
