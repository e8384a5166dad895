"""The derivatives page in a real browser: what it shows, what it says is missing, and how it lives."""

import json
import time

import pytest

from derivatives.broadcast import TapeMessage, TapeTrade, channel, publish
from markets.connections import broker_redis
from tests.pages.conftest import (
    GREEN,
    ORANGE,
    PHONE,
    RED,
    SHAPES,
    VIOLET,
    asked_in_a_minute,
    chosen_while_away,
    grave,
    grave_in_all_looks,
    legend,
    near,
    next_poll,
    opener,
    pixels,
    polls_until,
    told,
)
from tests.pages.derivative_market import LOST

pytestmark = pytest.mark.browser
EMPTY = """
from derivatives.models import ForceOrder, MarkPrice, OpenInterest, Trade, TradeGap
for model in (ForceOrder, MarkPrice, OpenInterest, Trade, TradeGap):
    model.objects.all().delete()
"""
# The contract's trades up to one of them, as if that one were made now.
SHIFT = """
from django.utils import timezone
from derivatives.models import Trade
trades = Trade.objects.filter(market_type="FUTURES", symbol="BTCUSDT")
kept = list(trades.filter(id__lte={newest}).order_by("id"))
trades.delete()
shift = timezone.now() - kept[-1].trade_time
for trade in kept:
    trade.trade_time += shift
Trade.objects.bulk_create(kept)  # not an update: a row cannot move to another chunk
"""
FILL = "from tests.pages.derivative_market import fill; fill()"


@pytest.fixture
def derivatives(web, open_page):
    web.run(FILL)
    return opener(open_page, "/derivatives/", "derivatives", "?symbol=BTCUSDT")


def under_the_mouse(page):
    """Everything that the legends say on the way across the chart."""
    box = page.locator("#chart").bounding_box()
    seen = [set() for _ in range(4)]
    for step in range(0, int(box["width"] - 80), 4):
        page.mouse.move(box["x"] + step, box["y"] + 200)
        for texts, text in zip(seen, page.locator("#legends .legend").all_text_contents(), strict=True):
            texts.add(text)
    return [" | ".join(texts) for texts in seen]


def test_the_first_answer_holds_everything(derivatives):
    page, watch = derivatives()
    assert [url for url in watch.requests if ("/data" in url and "after=" not in url) or "/api/" in url] == []
    assert page.locator("#live-pill .pill-word").inner_text() == "LIVE"
    state = json.loads(page.locator("#state").text_content())
    assert len(state["points"]) == 360
    assert page.locator("#price").inner_text().startswith(("63,", "64,"))
    assert "mark price · 1 min" in legend(page)
    assert "longs ≥ " in legend(page)
    assert "FUTURES from trades" in legend(page, 1)
    assert "Open interest, BTC" in legend(page, 2)
    assert "Funding rate" in legend(page, 3)
    counts = pixels(page)
    assert min(near(counts, colour) for colour in (GREEN, RED, ORANGE, VIOLET)) > 60
    page.wait_for_selector("#tape tr[data-id]")
    assert page.locator("#contracts tbody tr").count() == 2
    assert page.locator("nav.pages [aria-current]").inner_text() == "Derivatives"
    assert "TradingView" in page.locator(".attribution").text_content()


def test_what_is_missing_shows(derivatives):
    page, _ = derivatives()
    price, flow, interest, funding = under_the_mouse(page)
    assert "no mark price came" in price
    assert "liquidated ≥ " in price
    assert "trades are missing here" in flow
    assert "trades are missing before" in flow
    assert "not had in time" in interest
    assert "not told" in funding
    state = json.loads(page.locator("#state").text_content())
    assert any(to - since > 300 for since, to in state["silences"])
    assert f"{LOST[1] - LOST[0] + 1} are lost for good" in page.locator("#tape-holes").inner_text()


def test_the_lost_trades_stand_between_those_around_them(derivatives, web):
    web.run(SHIFT.format(newest=LOST[1] + 18))
    page, _ = derivatives()
    hole = page.locator("#tape tr.hole")
    hole.wait_for()
    assert hole.inner_text() == "12 trades are lost"
    assert hole.locator("xpath=preceding-sibling::tr[1]").get_attribute("data-id") == str(LOST[1] + 1)
    assert hole.locator("xpath=following-sibling::tr[1]").get_attribute("data-id") == str(LOST[0] - 1)
    web.run(EMPTY)


def send(*ids, market="FUTURES", status="connected", quantity="0.5", **options):
    trades = [TapeTrade(number, int(time.time() * 1000), "64001.00", quantity, "buy") for number in ids]
    first, last = options.get("span", (ids[0], ids[-1]) if ids else (None, None))
    message = TapeMessage("BTCUSDT", market, status, int(time.time() * 1000), trades, [], first, last)
    publish(broker_redis(), [message])


def listening(page, market="FUTURES"):
    """Waits until the page's socket is heard, that of its newest choice."""
    page.wait_for_function(
        "() => document.querySelector('#workspace').dataset.busy === undefined"
        " && !['none', 'connecting'].includes(document.querySelector('#tape-status').dataset.status ?? 'none')"
    )
    assert broker_redis().pubsub_numsub(channel(market, "BTCUSDT"))[0][1]


def test_trades_come_by_themselves_and_can_be_held_still(derivatives):
    page, _ = derivatives()
    listening(page)
    newest = int(page.locator("#tape tr[data-id]").first.get_attribute("data-id"))
    send(newest + 1, newest + 2)
    page.wait_for_selector(f"#tape tr[data-id='{newest + 2}']")
    assert "live" in page.locator("#tape-status").inner_text()
    page.keyboard.press(" ")
    assert page.locator("#pause").get_attribute("aria-pressed") == "true"
    send(newest + 3)
    page.wait_for_timeout(300)
    assert page.locator(f"#tape tr[data-id='{newest + 3}']").count() == 0
    page.click("#pause")
    page.wait_for_selector(f"#tape tr[data-id='{newest + 3}']")
    send(status="disconnected")
    page.wait_for_selector("#tape-status:has-text('the exchange is not connected')")


def test_large_trades_alone(derivatives):
    page, _ = derivatives()
    page.click("#least a[data-set='tape=10000']")
    page.wait_for_url("**tape=10000**")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#tape tr[data-id]')].every((row) =>"
        " parseFloat(row.cells[3].textContent) >= (row.cells[3].textContent.endsWith('K') ? 10 : 0.01))"
    )
    listening(page)
    newest = int(page.locator("#tape tr[data-id]").first.get_attribute("data-id") or 0)
    send(newest + 900, quantity="2")
    page.wait_for_selector(f"#tape tr.large[data-id='{newest + 900}']")
    page.keyboard.press("m")
    page.wait_for_function("() => document.querySelector('#markets [aria-current]').textContent === 'SPOT'")
    listening(page, "SPOT")


def test_contracts_are_sorted_and_filtered_and_chosen(derivatives):
    page, _ = derivatives()
    rows = page.locator("#contracts tbody tr")
    assert rows.first.get_attribute("data-symbol") == "BTCUSDT"
    page.click("#contracts button[data-sort=symbol]")
    assert page.locator("#contracts th[aria-sort]").get_attribute("data-column") == "symbol"
    assert rows.first.get_attribute("data-symbol") == "1000PEPEUSDT"
    assert "sort=symbol" in page.url
    page.keyboard.press("f")
    page.keyboard.type("pepe")
    page.wait_for_function("() => document.querySelectorAll('#contracts tbody tr').length === 1")
    assert page.locator("#shown").inner_text() == "1 of 2"
    rows.first.locator("a").click()
    told(page, "1000PEPEUSDT mark price")
    assert "symbol=1000PEPEUSDT" in page.url
    assert page.locator("#price").inner_text().startswith("0.011")
    page.go_back()
    told(page, "BTCUSDT mark price")
    page.go_forward()
    told(page, "1000PEPEUSDT mark price")


def test_a_row_says_how_true_it_is(derivatives):
    page, _ = derivatives()
    row = page.locator("#contracts tr[data-symbol=BTCUSDT]")
    assert row.locator("[data-cell=longs]").inner_text().startswith("≥ ")
    assert "sample" not in row.locator("[data-cell=interest]").get_attribute("data-tip")
    assert "at least this much" in row.locator("[data-cell=longs]").get_attribute("data-tip")
    assert row.locator("[data-cell=change1h]").inner_text()[0] in "+-"
    assert row.locator("[data-cell=funding]").inner_text()[0] in "+-"
    assert "old" in row.locator("[data-cell=age]").get_attribute("data-tip")


@pytest.mark.parametrize(("key", "name", "step"), [("1", "1h", "1 min"), ("3", "24h", "5 min"), ("4", "7d", "1 h"),
                                                   ("5", "30d", "2 h"), ("6", "60d", "4 h")])  # fmt: skip
def test_ranges_by_keys(derivatives, key, name, step):
    page, _ = derivatives()
    page.keyboard.press(key)
    told(page, f"mark price · {step}")
    assert f"range={name}" in page.url
    told(page, "FUTURES from trades", 1)
    page.wait_for_function("() => !document.querySelector('#legend-1').textContent.includes('reading')")
    assert "nothing kept" not in legend(page, 2)


def test_what_was_moved_is_in_the_address(derivatives):
    page, _ = derivatives()
    box = page.locator("#chart").bounding_box()
    page.mouse.move(box["x"] + 400, box["y"] + 200)
    page.mouse.wheel(0, -400)
    page.wait_for_url("**from=*")
    other, _ = derivatives(page.url[page.url.index("?") :])
    assert "from=" in other.url
    page.keyboard.press("r")
    page.wait_for_url(lambda url: "from=" not in url)


def test_files_of_what_is_shown(derivatives):
    page, _ = derivatives()
    page.keyboard.press("e")
    links = page.locator("#exports a[data-export]")
    assert links.count() == 12
    for index in range(links.count()):
        answer = page.request.get(links.nth(index).get_attribute("href"))
        assert answer.status == 200, links.nth(index).get_attribute("href")
        assert len(answer.body()) > 100
    page.keyboard.press("Escape")
    with page.expect_download() as file:
        page.click("#download-png")
    assert file.value.suggested_filename == "BTCUSDT-derivatives-6h.png"


def test_new_figures_come_by_polling(derivatives, web):
    page, _ = derivatives(clock=True)
    before = page.locator("#price").inner_text()
    web.run(
        "import time; from derivatives.events import Mark; from derivatives.services import store_marks;"
        "store_marks([Mark('BTCUSDT', int(time.time() * 1000), '65432.10', '65400.00', '65432.10', '0.0003', None)])"
    )
    polls_until(page, "before => document.querySelector('#price').textContent !== before", before)
    assert page.locator("#price").inner_text() == "65,432.10"
    assert "+0.0300%" in page.locator("#glance").inner_text()


def test_alerts_stand_beside_and_lead_to_their_contract(derivatives, web):
    web.run(
        "from datetime import datetime, UTC; from alerts.models import Rule; from alerts.rules import Kind, Reading;"
        "from alerts.services import consider;"
        "Rule.objects.get_or_create(name='Funding', defaults=dict(kind=Kind.FUNDING, cooldown_minutes=0));"
        "consider(Kind.FUNDING, [Reading('1000PEPEUSDT FUTURES', 0.7, datetime.now(UTC),"
        " details={'symbol': '1000PEPEUSDT', 'market': 'FUTURES'})])"
    )
    page, _ = derivatives()
    row = page.locator("#alerts li", has_text="1000PEPEUSDT FUTURES: funding rate 0.7").first
    row.locator("a").click()
    told(page, "1000PEPEUSDT mark price")


def test_a_server_that_is_away_is_said(derivatives):
    page, watch = derivatives(clock=True)
    watch.expected += ["Failed to load resource"]
    page.route("**/derivatives/data*", lambda route: route.fulfill(status=503, json={}))
    polls_until(page, "() => !document.querySelector('#notice').hidden")
    assert "The database does not answer" in page.locator("#notice").inner_text()
    assert page.locator("#live-pill").get_attribute("data-state") == "down"


def test_what_was_chosen_while_the_server_was_away_comes_whole(derivatives):
    page, watch = derivatives(clock=True)
    row = page.locator("#contracts tr[data-symbol='1000PEPEUSDT'] a")
    chosen_while_away(page, watch, "**/derivatives/data*", row.click)
    polls_until(page, "() => document.querySelector('#legend-0').textContent.includes('1000PEPEUSDT mark price')")
    assert page.locator("#price").inner_text().startswith("0.011")


def test_a_flow_that_takes_long_is_asked_for_once_at_a_time(derivatives):
    page, watch = derivatives(clock=True)
    page.route("**/derivatives/data*part=flow*", lambda route: None)  # no answer comes
    page.keyboard.press("3")
    told(page, "mark price · 5 min")
    under_way = []
    for _ in range(8):
        next_poll(page)
        page.wait_for_timeout(150)
        under_way.append(len([request for request in watch.under_way if "part=flow" in request.url]))
    assert max(under_way) == 1


def test_at_most_one_request_in_five_seconds_and_none_when_hidden(derivatives):
    page, watch = derivatives()
    assert 6 <= len([url for url in asked_in_a_minute(page, watch) if not url.startswith("ws")]) <= 13
    page.evaluate("""() => {
        Object.defineProperty(document, "hidden", {get: () => true, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    before = len(watch.requests)
    for _ in range(20):
        page.clock.run_for(1000)
    assert len(watch.requests) == before


@pytest.mark.parametrize(
    ("symbol", "words"),
    [("NOPEUSDT", "No market lists NOPEUSDT"), ("ETHUSDT", "ETHUSDT is not collected on FUTURES")],
)
def test_a_symbol_without_a_contract(web, open_page, symbol, words):
    page, watch = open_page(f"/derivatives/?symbol={symbol}", ready=False)
    watch.expected += ["Failed to load resource"]
    assert words in page.locator(".empty").inner_text()
    assert page.locator(".empty .chips a").first.get_attribute("href").startswith("?symbol=")


@pytest.mark.parametrize("viewport", SHAPES)
def test_nothing_grave_in_any_look(derivatives, viewport):
    page, _ = derivatives(viewport=viewport)
    page.wait_for_selector("#tape tr", state="attached")
    assert grave_in_all_looks(page) == {}
    for tab in ("tape", "market", "alerts") if viewport == PHONE else ():
        page.click(f".tabs a[data-set='tab={tab}']")
        assert grave(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_tabs_on_a_phone(derivatives):
    page, _ = derivatives(viewport=PHONE)
    assert page.locator("#chart").is_visible()
    for tab, part in {"tape": "#tape", "market": "#contracts", "alerts": "#alerts"}.items():
        page.click(f".tabs a[data-set='tab={tab}']")
        assert page.locator(part).is_visible()
        assert not page.locator("#chart").is_visible()
        assert f"tab={tab}" in page.url
