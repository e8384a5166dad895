"""A real web process on a filled test database, and a real Chromium that watches its own console."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import TimeoutError as TookTooLong

from tests.dex.factories import BTC, USDT
from tests.web_process import ROOT, free_port, new_database, run_python, served

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PATIENCE = 40_000  # milliseconds that a page may take for anything, on however slow a machine
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
SHAPES = [pytest.param(WIDE, id="wide"), pytest.param(PHONE, id="phone")]
GREEN, RED, AMBER, BLUE = (46, 189, 133), (246, 86, 107), (240, 180, 41), (111, 211, 255)
ORANGE, VIOLET = (255, 180, 84), (199, 146, 234)
ANALYSIS_FILL = "from tests.pages.candle_market import fill; fill()"
LOOKS = [(theme, palette) for theme in ("dark", "light") for palette in ("classic", "safe")]


def chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass
class Web:
    """The running web process. `address` has no slash at its end; `now` is when the newest books were read."""

    address: str
    now: float
    keeper: "Keeper"
    filled: float  # when its history was made: `market` counts its gap back from here

    def keep_fresh(self) -> None:
        """Stores the minutes that have passed, so that a long run of tests does not end on old books."""
        if time.time() - self.now > 45:
            self.now = self.keeper.ask("go_on", self.now)

    def add(self, name: str, market: str, price: float, *bid_levels: int) -> None:
        """Stores one more book, a minute after the newest, as the collector would."""
        self.keeper.ask("add", name, market, price, *bid_levels)

    def run(self, code: str) -> None:
        """Runs Python with Django at hand, on the web process's database."""
        self.keeper.ask("run", code)


class Keeper:
    """A process of `tests.pages.market` on the web process's database, asked line by line: it starts once."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "tests.pages.market"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, name: str, *arguments: Any) -> Any:
        self.process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"{name} ended its process; the error is above"
        answer, error = json.loads(line)
        assert error is None, f"{name} failed: {error}"
        return answer

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(30)


def pytest_collection_modifyitems(items):
    """A browser and a web process start within the first test; on a slow machine that alone takes minutes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="session")
def web(tmp_path_factory) -> Iterator[Web]:
    """The web process as a deployment has it: static files collected, Daphne, a database filled by `market`."""
    if chromium() is None:
        pytest.skip("no Chromium on this machine: the browser tests need one")
    folder, port = tmp_path_factory.mktemp("web"), free_port()
    with new_database("pages") as database:
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tradingplatform.settings",
            "DATABASE_URL": database,
            "DATA_DIR": str(folder),
            "SIMULATED_MARKET": "1",
            "EXPLORER_URL": "https://explorer.example/",
            "TOKEN_ASSETS": f"{USDT}=USDT,{BTC}=BTC",
            "API_RATE_LIMIT": "0",
        }
        run_python(environment, "manage.py", "migrate", "--noinput", "-v0")
        run_python(environment, "manage.py", "collectstatic", "--noinput", "-v0")
        keeper = Keeper(environment)
        try:
            now = keeper.ask("fill")
            with served(port, environment, folder / "web.log") as address:
                yield Web(address, now, keeper, now)
        finally:
            keeper.end()


@pytest.fixture(scope="package")
def browser(web) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield opened
        opened.close()


class Watch:
    """What a page said and asked for; `expected` are parts of messages that a test provokes itself."""

    def __init__(self, page, address: str) -> None:
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.foreign: list[str] = []
        self.expected: list[str] = []
        self.under_way: set[Any] = set()  # requests without an answer yet
        self.address = address
        page.on("console", lambda message: self._console(message))
        page.on("pageerror", lambda error: self.messages.append(f"uncaught: {error}"))
        page.on("request", self._request)
        for end in ("requestfinished", "requestfailed"):
            page.on(end, lambda request: self.under_way.discard(request))

    def _console(self, message) -> None:
        if message.type in {"error", "warning"}:
            self.messages.append(f"{message.type}: {message.text} {message.location.get('url', '')}")

    def _request(self, request) -> None:
        self.under_way.add(request)
        self.requests.append(request.url)
        if not request.url.startswith((self.address, "blob:", "data:")):
            self.foreign.append(request.url)

    def data_requests(self) -> list[str]:
        return [url for url in self.requests if "/charts/data" in url]

    def choices(self) -> list[str]:
        """What was asked for because of a choice; what comes by polling is as much as the test takes time."""
        return [url for url in self.data_requests() if "after=" not in url]

    def minute(self, page) -> None:
        """Brings a page with a clock of the test's own a minute on. An answer is waited for wherever one is due: how
        long it takes tells nothing about how often the page asks."""
        self.under_way.clear()
        end = page.evaluate("Date.now()") + 60_000
        while page.evaluate("Date.now()") < end:
            page.clock.run_for(1000)
            self.settle(page)

    def settle(self, page) -> None:
        """Waits until what was asked for is answered, or given up by the page; of pages that were left nobody tells."""
        page.wait_for_timeout(15)
        end = time.monotonic() + 10
        while self.under_way and time.monotonic() < end:
            page.wait_for_timeout(10)
        self.under_way.clear()

    def check(self) -> None:
        unexpected = [text for text in self.messages if not any(part in text for part in self.expected)]
        assert unexpected == []
        assert self.foreign == []


@pytest.fixture
def open_page(web, browser):
    """`open_page(path, viewport=..., cookies=...)` gives (page, watch); consoles are checked at the end. `ready` is the
    name of the module that has drawn by then, if any. With `clock`, `next_poll(page)` brings the moment on at which the
    page asks again; `before(page)` comes before it is loaded."""
    contexts, watches = [], []
    web.keep_fresh()

    def opened(path: str = "/charts/", viewport=WIDE, cookies=None, ready="chart", clock=False, before=None, **options):
        context = browser.new_context(viewport=viewport, base_url=web.address, **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        for name, value in (cookies or {}).items():
            context.add_cookies([{"name": name, "value": value, "url": web.address}])
        if clock:
            context.clock.install()
        page = context.new_page()
        watches.append(Watch(page, web.address))
        if before is not None:
            before(page)
        page.goto(path)
        if ready:
            drawn(page, ready)
        return page, watches[-1]

    yield opened
    for context in contexts:
        context.close()
    for watch in watches:
        watch.check()


def opener(open_page, path: str, ready: str, usual: str = "") -> Callable[..., tuple[Any, Watch]]:
    """`open_page` for one page, by the query alone."""

    def opened(query: str = usual, **options: Any) -> tuple[Any, Watch]:
        return open_page(path + query, ready=ready, **options)

    return opened


@pytest.fixture
def analysis(web, open_page):
    """`analysis(query, ...)` opens the analysis page on a filled market, as `open_page` does."""
    web.run(ANALYSIS_FILL)
    return opener(open_page, "/analysis/", "analysis", "?symbol=BTCUSDT")


def both_ways(browser, address: str, ready: str) -> Iterator[Any]:
    """The same page twice: as the server renders it, without scripts, and as its module of this name has drawn it."""
    for scripted in (False, True):
        context = browser.new_context(viewport=WIDE, java_script_enabled=scripted)
        page = context.new_page()
        page.goto(address)
        if scripted:
            drawn(page, ready)
        yield page
        context.close()


def settled(page) -> None:
    """Waits until the analysis page has all that it asks for."""
    page.wait_for_function(
        "() => document.querySelector('#workspace').dataset.busy === undefined"
        " && document.querySelectorAll('#votes tr').length > 0"
    )


def drawn(page, name: str) -> None:
    """Waits until the page's module has drawn: each leaves a mark of its name then. A page with a clock of the test's
    own keeps no marks: there the pill tells, which is set with the first picture."""
    page.wait_for_function(
        """name => performance.getEntriesByName(`${name}-drawn`).length > 0
            || ["live", "stale", "down"].includes(document.querySelector("#live-pill").dataset.state)""",
        arg=name,
    )


def next_poll(page) -> None:
    page.clock.fast_forward(5500)


def polls_until(page, condition: str, arg: Any = None, before: Callable[[], None] | None = None) -> None:
    """Brings on one poll after another until the page says so; a turn may be another question's, or still under way.
    `before` each of them comes what is to be found."""
    end = time.monotonic() + PATIENCE / 1000
    while True:
        if before is not None:
            before()
        next_poll(page)
        try:
            page.wait_for_function(condition, arg=arg, timeout=3000)
        except TookTooLong:
            assert time.monotonic() < end, f"no poll brings {condition} {arg or ''}"
        else:
            return


def chosen_while_away(page, watch, address: str, choose: Callable[[], None]) -> None:
    """Something is chosen while the server does not answer for this address; then it does again."""
    watch.expected.append("503")
    page.route(address, lambda route: route.fulfill(status=503, json={"code": "database_unavailable"}))
    choose()
    page.wait_for_selector("#live-pill[data-state=down]")
    page.unroute(address)


def within_a_minute(work: Callable[[], Any]) -> Any:
    """What `work` gives in whose course no minute has turned; it is done again where one has."""
    for _ in range(5):
        minute = time.time() // 60
        done = work()
        if time.time() // 60 == minute:
            return done
    raise AssertionError("a minute is too short for it on this machine")


def query(page) -> dict[str, str]:
    """What the page's address chooses."""
    return dict(pair.split("=") for pair in page.evaluate("location.search").lstrip("?").split("&"))


def painted(page) -> None:
    """Waits until everything that is due to be drawn is."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def legend(page, index: int = 0) -> str:
    """What the legend of a pane says."""
    return page.locator(f"#legend-{index}").text_content()


def told(page, text: str, index: int = 0) -> None:
    """Waits until a legend says this."""
    page.wait_for_function(
        "([index, text]) => document.querySelector(`#legend-${index}`)?.textContent.includes(text)", arg=[index, text]
    )


def dragged(page, start: int, end: int, steps: int) -> None:
    """Drags the chart between two distances from its left side, in pixels."""
    box = page.locator("#chart").bounding_box()
    page.mouse.move(box["x"] + start, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + end, box["y"] + 200, steps=steps)
    page.mouse.up()


def saved_picture(page) -> tuple[str, bytes]:
    """The name and content of the PNG that the key for it saves."""
    with page.expect_download() as download:
        page.keyboard.press("p")
    content = download.value.path().read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 10_000
    return download.value.suggested_filename, content


def pixels(page, selector: str = "#chart") -> dict[tuple[int, ...], int]:
    """Colours of the picture of an element, counted: {(r, g, b): how many pixels}."""
    painted(page)
    shot = page.locator(selector).screenshot(type="png")
    script = """async (bytes) => {
        const image = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
        const canvas = new OffscreenCanvas(image.width, image.height);
        const pen = canvas.getContext("2d");
        pen.drawImage(image, 0, 0);
        const data = pen.getImageData(0, 0, image.width, image.height).data;
        const counts = {};
        for (let i = 0; i < data.length; i += 4) {
            const key = `${data[i]},${data[i + 1]},${data[i + 2]}`;
            counts[key] = (counts[key] ?? 0) + 1;
        }
        return counts;
    }"""
    counts = page.evaluate(script, list(shot))
    return {tuple(map(int, key.split(","))): count for key, count in counts.items()}


def near(counts: dict[tuple[int, ...], int], color: tuple[int, ...], distance: int = 40) -> int:
    return sum(n for rgb, n in counts.items() if sum(abs(a - b) for a, b in zip(rgb, color, strict=True)) < distance)


def grave_in_all_looks(page) -> dict[str, Any]:
    """What `grave` finds in every theme with every palette; they are attributes that the page's cookies set."""
    found = {}
    for theme, palette in LOOKS:
        page.evaluate(
            "look => Object.assign(document.documentElement.dataset, look)", {"theme": theme, "palette": palette}
        )
        found[f"{theme} {palette}"] = grave(page)
    return {look: graves for look, graves in found.items() if graves}


def grave(page) -> list[tuple[str, list[Any]]]:
    """What axe finds that is serious or critical: (rule, the first places)."""
    if not page.evaluate("'axe' in window"):
        page.evaluate((ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text())
    # Without preloading: axe would put styles into the page, which its policy refuses.
    found = page.evaluate("async () => (await axe.run({ preload: false })).violations")
    graves = [one for one in found if one["impact"] in {"serious", "critical"}]
    return [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in graves]


def asked_in_a_minute(page, watch) -> list[str]:
    """What an open page asks for within a minute of its own clock, static files left out."""
    page.clock.install()
    page.reload()
    before = len(watch.requests)
    watch.minute(page)
    return [url for url in watch.requests[before:] if "/static/" not in url]
