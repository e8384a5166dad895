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


def module(page, name):
    """The address of a page's module."""
    return next(url for url in page.evaluate(NAMED) if f"/js/{name}." in url)


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
        module(page, "poll"),
    )
    assert told == ["AbortError", "no_answer", "taken"]


HELD = """
    const held = [];
    const own = window.fetch;
    window.fetch = (address) => new Promise((answer) => held.push({ address, answer }));
    const body = (told, status = 200) => new Response(JSON.stringify(told), { status });
"""


def test_causes_of_another_symbols_gaps_are_not_taken(open_page):
    page, _ = open_page()
    told = page.evaluate(
        f"""async (address) => {{
            const {{ Freshness }} = await import(address);
            {HELD}
            const kept = new Freshness({{ gapsUrl: "/gaps" }}, () => {{}});
            const gap = {{ market: "SPOT", from: 60 }};
            const stats = {{ gaps: [{{ from: 60, to: 120, cause: "stopped" }}] }};
            const causes = [];
            for (const other of [true, false]) {{
                kept.took({{ symbol: "AUSDT", market: "SPOT", now: 0, book: null }});
                kept.gaps = [gap];
                const asked = kept.asksInstead();
                if (other) kept.took({{ symbol: "BUSDT", market: "SPOT", now: 0, book: null }});
                held.pop().answer(body({{ stats }}));
                await asked;
                causes.push(kept.causeAt(90, "SPOT"));
            }}
            window.fetch = own;
            return causes;
        }}""",
        module(page, "freshness"),
    )
    assert told == ["", "stopped"]


def test_a_depth_that_another_choice_does_not_have_is_not_this_ones_problem(open_page):
    page, _ = open_page("/analysis/?symbol=BTCUSDT", ready="analysis")
    told = page.evaluate(
        f"""async (address) => {{
            const {{ Depth }} = await import(address);
            {HELD}
            const depth = new Depth("/depth");
            const problems = [];
            for (const other of [true, false]) {{
                depth.reset("A");
                const asked = depth.fetch({{ symbol: "A", market: "SPOT", depth: "5" }}, 1, 0, 600);
                if (other) depth.reset("B");
                held.pop().answer(body({{ code: "not_collected" }}, 404));
                problems.push([await asked, depth.problem]);
            }}
            window.fetch = own;
            return problems;
        }}""",
        module(page, "analysis_depth"),
    )
    assert told == [[False, ""], [True, "its depth is not collected"]]


def test_a_socket_that_is_not_open_yet_tells_nothing(open_page):
    """Or the page would ask for nothing while its socket is tried again and again."""
    page, _ = open_page("/analysis/?symbol=BTCUSDT", ready="analysis")
    told = page.evaluate(
        """async (address) => {
            const { LiveCandles } = await import(address);
            const own = window.WebSocket;
            class Fake {
                static CONNECTING = 0;
                static OPEN = 1;
                readyState = 0;
                send() {}
                close() {}
            }
            window.WebSocket = Fake;
            const live = new LiveCandles(() => {});
            live.watch("BTCUSDT", "SPOT", "1", []);
            const told = [live.on];
            live.socket.readyState = 1;
            live.socket.onopen();
            const data = { timestamp: 0, live: true };
            const message = { type: "price_update", symbol: "BTCUSDT", marketType: "SPOT", timeframe: "1", data };
            live.socket.onmessage({ data: JSON.stringify(message) });
            told.push(live.on);
            live.socket.onclose({ code: 1006 });
            live.open();
            told.push(live.on);
            live.close();
            window.WebSocket = own;
            return told;
        }""",
        module(page, "analysis_live"),
    )
    assert told == [False, True, False]


def test_without_an_index_there_is_no_basis(open_page):
    page, _ = open_page("/derivatives/?symbol=BTCUSDT", ready="derivatives")
    told = page.evaluate(
        """async (address) => {
            const { basis } = await import(address);
            return [{ price: 64.064, index: 64 }, { mark: 63.936, index: 64 }, { mark: 64, index: 0 }].map(basis);
        }""",
        module(page, "derivatives_legend"),
    )
    assert told == ["+0.100%", "-0.100%", "–"]


def test_what_is_drawn_stays_below_its_legend(open_page):
    """Room grows with the legend, at most to half of a pane; it shrinks only where the chart has another width."""
    page, _ = open_page()
    told = page.evaluate(
        """async (address) => {
            const { PanesChart } = await import(address);
            const tops = [0.1, 0.1];
            const scale = (i) => ({
                options: () => ({ scaleMargins: { top: tops[i], bottom: 0.05 } }),
                applyOptions: ({ scaleMargins }) => (tops[i] = scaleMargins.top),
            });
            const panes = [{ getHeight: () => 400 }, { getHeight: () => 100 }];
            const chart = { panes: () => panes, priceScale: (_, i) => scale(i) };
            const drawn = { element: { clientWidth: 300 }, frame: { margins: { top: 0.1 } }, chart };
            const clear = (...taken) => {
                PanesChart.prototype.clearOf.call(drawn, taken);
                return tops.map((top) => top.toFixed(2));
            };
            const told = [clear(76, 26), clear(36, 90), clear(0, 0)];
            drawn.element.clientWidth = 900;
            return [...told, clear(36, 0)];
        }""",
        module(page, "panes_chart"),
    )
    assert told == [["0.20", "0.30"], ["0.20", "0.50"], ["0.20", "0.50"], ["0.10", "0.50"]]
