"""The chart page while its book is live: tables, price, chart and pill go with every state, and tell when it ends."""

import contextlib
import socket
import threading
import time

import pytest

from depth.broadcast import publish, publish_status, state_message
from markets.clients import client_figures
from markets.connections import broker_redis
from tests.depth.test_broadcast import told
from tests.pages.conftest import PATIENCE, WIDE

pytestmark = pytest.mark.browser
PAGE = "/charts/?symbol=BTCUSDT&market=SPOT&depth=1"


class Feed:
    """Publishes states of one book in place of the feed; each has another price."""

    def __init__(self, symbol="BTCUSDT", market="SPOT"):
        self.symbol, self.market, self.seq = symbol, market, 0

    def publish(self, mid, status="connected", quantity=2.5):
        self.seq += 1
        now = int(time.time() * 1000)
        book = told(
            symbol=self.symbol, market=self.market, mid=mid, read_at=now, quantity=quantity, step=0.02, levels=60
        )
        publish(broker_redis(), [state_message(book, status, now, self.seq)])

    def until(self, page, mid, condition):
        """Goes on publishing until the page says so."""
        end = time.monotonic() + 40
        while not page.evaluate(condition):
            assert time.monotonic() < end, "the page does not follow"
            self.publish(mid)
            page.wait_for_timeout(100)


@pytest.fixture
def feed(empty_redis):
    yield Feed()
    empty_redis.flushdb()


@pytest.fixture(scope="module", autouse=True)
def _forgotten(web):
    """The web process must have let go of these books before other tests look at what is stored."""
    yield
    end = time.monotonic() + 60
    while not (told := client_figures()) or any(process.topics for process in told):
        assert time.monotonic() < end, "live books are held without anybody who watches"
        time.sleep(0.1)


def pill(page):
    return page.locator("#live-pill").inner_text().replace("\n", " ")


PILL = "document.querySelector('#live-pill').textContent"


def test_book_price_bands_and_pill_go_with_the_live_states(open_page, feed):
    page, watch = open_page(PAGE)
    assert "synced" not in pill(page)
    feed.until(page, 70_000.0, f"{PILL}.includes('synced')")
    assert page.locator("#live-pill").get_attribute("data-state") == "live"
    for mid in (70_100.0, 70_200.0):
        feed.until(page, mid, f"document.querySelector('#mid').textContent.startsWith('{mid:,.0f}')")
    assert page.locator("#bids tbody tr").first.locator("[data-cell=price]").inner_text() == "70,185.96"
    assert page.locator("#asks tbody tr").first.locator("[data-cell=amount]").inner_text() == "2.500"
    band = page.locator("#diff-table tr[data-depth='0.5']")  # the states know of two bands: 0.5 and 5
    assert band.get_attribute("data-quality") == "exact"
    assert page.locator("#diff-table tr[data-depth='5'] [data-cell=bid]").inner_text().startswith(">= ")
    assert "70,2" in page.title()
    assert watch.choices() == []


def test_a_book_that_is_not_right_is_amber_and_its_return_is_seen(open_page, feed):
    page, _ = open_page(PAGE)
    feed.until(page, 70_000.0, f"{PILL}.includes('synced')")
    publish_status(broker_redis(), "SPOT", "BTCUSDT", "disconnected")
    page.wait_for_function(f"() => {PILL}.includes('disconnected')")
    assert page.locator("#live-pill").get_attribute("data-state") == "stale"
    feed.until(page, 70_001.0, f"{PILL}.includes('synced')")
    page.wait_for_function(f"() => {PILL}.includes('stale')")  # the feed falls silent
    assert page.locator("#live-pill").get_attribute("data-state") == "stale"


def test_another_symbol_is_another_book(open_page, feed):
    page, _ = open_page(PAGE)
    feed.until(page, 70_000.0, f"{PILL}.includes('synced')")
    page.keyboard.press("m")
    page.wait_for_function("() => document.querySelector('#market').textContent === 'FUTURES'")
    feed.publish(71_000.0)
    page.wait_for_timeout(300)
    assert not page.locator("#mid").inner_text().startswith("71,0")
    futures = Feed(market="FUTURES")
    futures.until(page, 72_000.0, "document.querySelector('#mid').textContent.startsWith('72,0')")


def test_only_amounts_that_changed_at_their_price_light_up(open_page, feed):
    page, _ = open_page(PAGE)
    feed.until(page, 70_000.0, f"{PILL}.includes('synced')")
    page.evaluate("() => { window.lights = 0; Element.prototype.animate = () => { window.lights += 1; }; }")
    feed.until(page, 70_400.0, "document.querySelector('#mid').textContent.startsWith('70,4')")
    assert page.evaluate("window.lights") == 0  # other prices, nothing that stood there before
    feed.publish(70_400.0, quantity=3.5)
    page.wait_for_function("() => window.lights >= 40")
    assert page.evaluate("window.lights") == 40


def test_motion_is_left_out_where_it_is_not_wanted(open_page, feed):
    page, _ = open_page(PAGE, reduced_motion="reduce")
    feed.until(page, 70_000.0, f"{PILL}.includes('synced')")
    for step in range(5):
        feed.publish(70_000.0 + step)
        page.wait_for_timeout(60)
        assert page.evaluate("document.getAnimations().length") == 0


class Door:
    """A way to the web process that can be shut, with all that goes through it, and opened again."""

    def __init__(self, address):
        self.target = ("127.0.0.1", int(address.rsplit(":", 1)[1]))
        self.lines = []
        self.port = 0
        self.open()

    def open(self):
        self.listening = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listening,), daemon=True).start()

    def accept(self, listening):
        with contextlib.suppress(OSError):
            while True:
                near = listening.accept()[0]
                far = socket.create_connection(self.target)
                self.lines += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self.carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def carry(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)

    def shut(self):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for line in self.lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        self.lines.clear()


def test_a_server_that_stops_and_comes_back(web, browser, feed):
    web.keep_fresh()
    door, context = Door(web.address), browser.new_context(viewport=WIDE)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{door.port}{PAGE}")
    page.wait_for_function("() => performance.getEntriesByName('chart-drawn').length > 0")
    feed.until(page, 70_000.0, f"{PILL}.includes('synced')")
    door.shut()
    page.wait_for_function(f"() => !{PILL}.includes('synced')")
    page.wait_for_function("() => document.querySelector('#live-pill').dataset.state === 'down'")
    door.open()
    feed.until(page, 70_500.0, f"{PILL}.includes('synced')")
    assert page.locator("#mid").inner_text().startswith("70,5")
    context.close()
    door.shut()


def test_a_server_that_refuses_is_asked_later_each_time(open_page):
    """An error that comes before the end of a connection is no sign that things are well again."""
    asked = []

    def refuse(connection):
        asked.append(time.monotonic())
        connection.send('{"type": "error", "code": "unavailable", "message": "try again"}')
        connection.close(code=1013)

    page, watch = open_page(PAGE, before=lambda page: page.route_web_socket("**/ws/depth*", refuse))
    watch.expected.append("WebSocket")
    end = time.monotonic() + 60
    while len(asked) < 4:
        assert time.monotonic() < end
        page.wait_for_timeout(100)
    assert asked[3] - asked[2] > 1.9  # 0.5, 1 and 2 seconds


def test_a_hidden_tab_hears_nothing(open_page, feed):
    page, _ = open_page(PAGE)
    feed.until(page, 70_000.0, f"{PILL}.includes('synced')")
    hide = """hidden => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    page.wait_for_function(f"() => !{PILL}.includes('synced')")
    page.evaluate(hide, False)
    feed.until(page, 70_300.0, "document.querySelector('#mid').textContent.startsWith('70,3')")
