"""The DEX page in a real browser."""

import pytest

from tests.dex.factories import ALICE, BOB, BTC, USDT
from tests.pages.conftest import PHONE, SHAPES, asked_in_a_minute, drawn, grave_in_all_looks, polls_until

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
PRICED = f"""
from dex import services
from dex.models import Order
from tests.dex import factories as f
from tests.pages import candle_market
candle_market.fill()
if not Order.objects.filter(order_id=1001).exists():
    cursor = services.begin(f.DEPLOYMENT)
    sell = dict(tokenIn={BTC!r}, tokenOut={USDT!r}, amountIn=10**7)
    f.store([f.log("OrderCreated", 1001, cursor.block + 1, targetPrice=66_000 * 10**18, **sell),
             f.log("OrderCreated", 1002, cursor.block + 1, 1, targetPrice=60_000 * 10**18, orderType=1, **sell),
             f.log("OrderCreated", 1003, cursor.block + 1, 2, targetPrice=10**18 // 62_500)], cursor=cursor)
"""
TELL = """
from dex import services
from tests.dex import factories as f
cursor = services.begin(f.DEPLOYMENT)
stretch = f.stretch(cursor.block + 1, [f.log({event!r}, {number}, cursor.block + 1, **{values!r})])
services.apply(f.DEPLOYMENT, f.DECODER, cursor, stretch, tell=True)
"""
TAKE_BACK = """
from dex import services
from tests.dex import factories as f
newest, before, *_ = services.known_hashes(f.DEPLOYMENT)
services.take_back(f.DEPLOYMENT, newest, before)
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
        return open_page(path, ready="dex", **options)

    return opened


def ids(page):
    return [int(text[1:]) for text in page.locator("#orders a").all_inner_texts()]


def test_the_first_answer_holds_the_newest_orders(dex):
    page, watch = dex()
    asked = [url for url in watch.requests if "/api/" in url or "/data" in url]
    assert [url for url in asked if "/candles?" not in url] == []
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
    links = page.locator("#history a").evaluate_all("all => all.map((one) => one.getAttribute('href'))")
    assert links[0] == "https://explorer.example/block/13"
    assert links[1].startswith("https://explorer.example/tx/0x")
    assert page.locator("#one-facts a").first.get_attribute("href") == f"https://explorer.example/address/{ALICE}"
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


def count(page, word):
    return int(page.locator(f"[data-count={word}]").inner_text().replace(",", ""))


COUNTED = "([word, number]) => document.querySelector(`[data-count=${word}]`).textContent === String(number)"


def becomes(page, word, number):
    page.wait_for_function(COUNTED, arg=[word, number])


def tell(web, event, number, **values):
    web.run(TELL.format(event=event, number=number, values=values))


def followed(page):
    page.wait_for_function("() => document.querySelector('#read-at').textContent.endsWith('live')")


def test_changes_come_by_the_socket(web, dex):
    page, watch = dex()
    followed(page)
    pending, executed = count(page, "pending"), count(page, "executed")
    tell(web, "OrderCreated", 501)
    becomes(page, "pending", pending + 1)
    assert ids(page)[0] == 501
    page.locator("#orders a").first.click()
    page.wait_for_function("() => document.querySelectorAll('#history li').length === 1")
    tell(web, "OrderExecuted", 501, amountOut=77)
    becomes(page, "executed", executed + 1)
    page.wait_for_function("() => document.querySelectorAll('#history li').length === 2")
    assert "EXECUTED" in page.locator("#orders tr").first.inner_text()
    web.run(TAKE_BACK)  # the chain changes its mind
    becomes(page, "executed", executed)
    page.wait_for_function("() => document.querySelector('#history li:last-child').classList.contains('orphaned')")
    web.run(TAKE_BACK)
    becomes(page, "pending", pending)
    page.wait_for_function("() => document.querySelector('#orders a').textContent !== '#501'")
    watch.expected.append("404")  # the order itself is gone


def test_filtered_lists_follow_too(web, dex):
    page, _ = dex(f"/dex/?user={BOB}&status=pending")
    followed(page)
    before, shown = ids(page), page.locator("#shown").inner_text()
    tell(web, "OrderCreated", 502)  # somebody else's
    tell(web, "OrderCreated", 503, user=BOB)
    page.wait_for_function("() => document.querySelector('#orders a').textContent === '#503'")
    assert ids(page) == [503, *before]
    tell(web, "OrderCancelled", 503, user=BOB)
    page.wait_for_function("() => document.querySelector('#orders a').textContent !== '#503'")
    assert (ids(page), page.locator("#shown").inner_text()) == (before, shown)


def test_without_a_socket_it_polls(web, browser_page_without_sockets):
    page = browser_page_without_sockets
    assert "ago" in page.locator("#read-at").inner_text()
    before = count(page, "executed")
    number = next(number for number in range(40, 60) if number % 4 and number not in (2, 3))
    web.run(EXECUTE.format(number=number))
    polls_until(page, COUNTED, ["executed", before + 1])
    assert page.locator(".status-EXECUTED").count() == before + 1


@pytest.fixture
def browser_page_without_sockets(web, open_page):
    web.run(FILL)
    page, watch = open_page("/status/", ready=False, clock=True)
    page.route_web_socket("**/ws/orders*", lambda socket: socket.close(code=1013))
    watch.expected.append("WebSocket")
    page.goto("/dex/")
    drawn(page, "dex")
    return page


TOLD = """() => [
    [...document.querySelectorAll("#lines .lines-told li")].map((line) => line.textContent),
    document.querySelector(".last-price").textContent,
]"""


def test_pending_orders_stand_on_the_price(web, dex):
    web.run(PRICED)
    page, _ = dex()
    card = page.locator("#lines")
    page.wait_for_function("() => !['', 'no price'].includes(document.querySelector('.last-price').textContent)")
    assert card.locator("select[name=chart]").input_value() == "BTCUSDT"
    told, last = page.evaluate(TOLD)
    price = float(last.replace(",", ""))
    sell = next(text for text in told if text.startswith("Order 1001:"))
    assert sell.startswith("Order 1001: sell, LIMIT at 66000.00, ")
    assert float(sell.rpartition(", ")[2].partition("%")[0]) == pytest.approx((66_000 / price - 1) * 100, abs=0.01)
    assert any(text.startswith("Order 1002: sell, STOP at 60000.00") for text in told)
    assert any(text.startswith("Order 1003: buy, LIMIT at 62500.00") for text in told)
    assert card.locator("canvas").first.bounding_box()["height"] > 200
    assert "30 of" in card.locator(".what").inner_text()
    followed(page)
    tell(web, "OrderCancelled", 1001)
    page.wait_for_function("() => !document.querySelector('.lines-told').textContent.includes('Order 1001:')")
    card.locator("select[name=tf]").select_option("15")
    page.wait_for_function("() => location.search.includes('tf=15')")


def test_files_are_of_the_filter(dex):
    page, _ = dex(f"/dex/?user={BOB}&status=pending")
    with page.expect_download() as found:
        page.get_by_label("Export CSV").click()
    rows = found.value.path().read_text().splitlines()
    assert len(rows) == 1 + int(page.locator("#shown").inner_text().rpartition(" ")[2])
    assert all(BOB in row and "PENDING" in row for row in rows[1:])


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
