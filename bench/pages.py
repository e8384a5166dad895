"""How soon the chart page shows data, how fast it changes symbols, and what the overview costs with 500 rows.

By Chromium's own clock.

    python -m bench.pages [ADDRESS] [--runs N]

Asks the platform that runs at ADDRESS; without one, a demo of its own whose past is loaded."""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.platform.running import Platform

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
# The chart's canvas is painted in the first frame after its module has run; a task queued in that frame runs after it.
# Watched from within the page: whoever asks from outside once it is there comes later than that.
WATCHED = """window.firstPixels = new Promise((done) => {
    const figures = () => ({
        answer: performance.getEntriesByType("navigation")[0].responseEnd,
        paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN,
        drawn: performance.getEntriesByName("chart-drawn")[0].startTime,
        shown: performance.now(),
    });
    new PerformanceObserver((list, observer) => {
        if (!list.getEntriesByName("chart-drawn").length) return;
        observer.disconnect();
        requestAnimationFrame(() => setTimeout(() => done(figures())));
    }).observe({ type: "mark", buffered: true });
})"""
SWITCH = """(symbol) => new Promise((done) => {
    const start = performance.now();
    const shown = document.querySelector("#symbol");
    new MutationObserver((_, observer) => {
        observer.disconnect();
        requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
    }).observe(shown, { childList: true, characterData: true, subtree: true });
    const detail = { symbol, markets: ["SPOT"] };
    document.dispatchEvent(new CustomEvent("symbol-chosen", { detail, cancelable: true }));
})"""

ROWS = 500
# Time in script (handlers, until they return), and until the frame that shows it has been made.
INTERACT = """([kind, value]) => new Promise((done) => {
    const filter = document.getElementById("filter");
    const act = {
        sort: () => document.querySelector(`button[data-sort=${value}]`).click(),
        search: () => { filter.value = value; filter.dispatchEvent(new Event("input", { bubbles: true })); },
        star: () => document.querySelectorAll("#overview .star")[value].click(),
        starred: () => document.getElementById("starred").click(),
        scroll: () => { document.getElementById("board").scrollTop = value; },
    }[kind];
    const start = performance.now();
    act();
    const script = performance.now() - start;
    requestAnimationFrame(() => setTimeout(() => done({ script, frame: performance.now() - start })));
})"""
INTERACTIONS = {
    "sort": [("sort", key) for key in ("price", "bid", "percentage", "symbol", "reach", "trend", "age", "volume")],
    "search": [("search", text) for text in ("X", "X1", "X12", "X1", "X", "")],
    "favourite": [("star", row) for row in (0, 3, 10, 20, 0, 3, 10, 20)],
    "only favourites": [("starred", None)] * 4,
    "scroll": [("scroll", top) for top in (500, 1000, 3000, 9000, 13000, 0)],
}


def main(address: str | None = None, runs: int = 10) -> None:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        sys.exit("no Chromium on this machine")
    with nullcontext(address) if address else demo() as asked, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        for name, warm in (("cold cache", False), ("warm cache", True)):
            report(f"first chart pixels, {name}", first_pixels(browser, asked, runs, warm))
        report("symbol switch", switches(browser, asked, runs))
        for name, figures in interactions(browser, asked, max(1, runs // 5)).items():
            report(f"overview of {ROWS}, {name}", figures)
        browser.close()


@contextmanager
def demo() -> Iterator[str]:
    """The whole platform on the simulated market, once its two days of past are there."""
    with tempfile.TemporaryDirectory() as folder, Platform("demo", Path(folder) / "data") as platform:
        platform.wait_healthy(180)
        while "48 hours" not in platform.log.read_text():
            time.sleep(1)
        yield f"http://127.0.0.1:{platform.port}"


def measure(page: Page, address: str) -> dict[str, float]:
    page.goto(f"{address}/charts/?range=24h")
    return page.evaluate("window.firstPixels")


def first_pixels(browser, address: str, runs: int, warm: bool) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"answer": [], "paint": [], "drawn": [], "shown": []}
    for _ in range(runs):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.add_init_script(WATCHED)
        if warm:
            measure(page, address)
        for key, value in measure(page, address).items():
            found[key].append(value)
        context.close()
    return found


def switches(browser, address: str, runs: int) -> dict[str, list[float]]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    measure(page, address)
    body = page.evaluate("async () => (await fetch('/api/v1/symbols?collected=true')).json()")
    names = [entry["symbol"] for entry in body["symbols"] if "SPOT" in entry["markets"]][:6]
    if len(names) < 2:
        sys.exit("two collected symbols on SPOT are needed to switch between")
    found = [page.evaluate(SWITCH, names[i % len(names)]) for i in range(1, runs + 1) if not same(page, names, i)]
    return {"shown": found}


def interactions(browser, address: str, runs: int) -> dict[str, dict[str, list[float]]]:
    """What each kind of interaction costs on an overview with ROWS symbols, made of those that the platform has."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.route("**/api/v1/overview?*", lambda route: route.fulfill(json=widened(route.fetch().json())))
    page.goto(f"{address}/")
    page.locator("#bands a").last.click()  # another band is asked for at once
    page.wait_for_function("rows => document.getElementById('overview').ariaRowCount === String(rows + 1)", arg=ROWS)
    found: dict[str, dict[str, list[float]]] = {}
    for name, acts in INTERACTIONS.items():
        told = found.setdefault(name, {"script": [], "frame": []})
        for act in acts * runs:
            for key, value in page.evaluate(INTERACT, list(act)).items():
                told[key].append(value)
    return found


def widened(body: dict) -> dict:
    """The answer with ROWS rows: each of its own again and again, under another name and with another price."""
    rows = [body["data"][i % len(body["data"])] for i in range(ROWS)]
    named = [{**row, "symbol": f"X{i}{row['symbol']}", "base": f"X{i}{row['base']}"} for i, row in enumerate(rows)]
    priced = [
        row | {"book": row["book"] | {"midPrice": row["book"]["midPrice"] * (1 + i / 1e4)}} if row["book"] else row
        for i, row in enumerate(named)
    ]
    return body | {"data": priced, "count": ROWS}


def same(page: Page, names: list[str], turn: int) -> bool:
    return page.locator("#symbol").text_content() == names[turn % len(names)]


def report(title: str, found: dict[str, list[float]]) -> None:
    for key, values in found.items():
        ordered = sorted(values)
        p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
        print(f"{title:32} {key:8} median {statistics.median(ordered):7.1f} ms   p95 {p95:7.1f} ms   n {len(ordered)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", nargs="?")
    parser.add_argument("--runs", type=int, default=10)
    main(**vars(parser.parse_args()))
