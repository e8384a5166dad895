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


def test_an_answer_that_is_given_up_or_breaks_off_is_none(open_page):
    """Its head has come, its body has not: the page must neither take it nor forget what it waits for."""
    page, _ = open_page()
    address = next(url for url in page.evaluate(NAMED) if "/js/poll." in url)
    told = page.evaluate(
        """async (address) => {
            const { getJson } = await import(address);
            const own = window.fetch;
            const given = (text, end) => (_, { signal }) => Promise.resolve(new Response(new ReadableStream({
                start(stream) {
                    stream.enqueue(new TextEncoder().encode(text));
                    if (end) stream.close();
                    else signal.addEventListener("abort", () => stream.error(signal.reason));
                },
            })));
            const told = ({ name, message }) => (name === "Error" ? message : name);
            const name = (asked) => asked.then(() => "taken", told);
            const giving = new AbortController();
            window.fetch = given('{"step"', false);
            const left = name(getJson("/", giving.signal));
            setTimeout(() => giving.abort(), 50);
            const names = [await left];
            window.fetch = given('{"step"', true);
            names.push(await name(getJson("/")));
            window.fetch = given('{"step": 60}', true);
            names.push(await name(getJson("/")));
            window.fetch = own;
            return names;
        }""",
        address,
    )
    assert told == ["AbortError", "no_answer", "taken"]
