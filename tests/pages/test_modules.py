"""What pages load, in a real browser: every module at once, none after another has been read."""

import pytest

pytestmark = pytest.mark.browser
PAGES = {
    "/": "overview",
    "/charts/?symbol=BTCUSDT": "chart",
    "/analysis/?symbol=BTCUSDT": "analysis",
    "/derivatives/?symbol=BTCUSDT": "derivatives",
    "/dex/": "dex",
    "/alerts/": "alerts",
    "/status/": "status",
}
NAMED = """() => [...document.querySelectorAll("link[rel=modulepreload], script[type=module]")]
    .map((one) => one.href || one.src)"""


def test_every_module_is_named_in_the_head(open_page):
    late = {}
    for address, name in PAGES.items():
        page, watch = open_page(address, ready=name)
        loaded = {url for url in watch.requests if "/static/js/" in url}
        late[address] = loaded - set(page.evaluate(NAMED))
    assert late == {address: set() for address in PAGES}
