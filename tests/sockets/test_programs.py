"""Programs of other people: those of the documents word by word, and every example of examples/."""

import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from tests.sockets.fill_candles import COUNT, NAMES
from tests.sockets.test_candles import minutes, say, start  # noqa: F401 - fixtures
from tests.sockets.test_many import node
from tests.web_process import ROOT

SYMBOL = NAMES[3]
EXAMPLES = ("candles_socket", "orderbook_socket", "chart_data_socket", "rest_api")


@pytest.fixture
def program():
    found = node()
    if found is None or not (ROOT / "node_modules" / "ws").is_dir():
        pytest.skip("no Node.js, or no package ws in node_modules")
    return found


def finished(commands, feed, rows, seconds=100):
    """What these programs print, run side by side while books and prices come; each must end well."""
    with ExitStack() as stack:
        processes = {}
        for name, command in commands.items():
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "NO_COLOR": "1"}, **pipes)
            processes[name] = stack.enter_context(process)
            stack.callback(process.kill)
        until, trades = time.monotonic() + seconds, 1
        while any(process.poll() is None for process in processes.values()):
            assert time.monotonic() < until, [n for n, process in processes.items() if process.poll() is None]
            feed.publish(SYMBOL)
            say(SYMBOL, rows[COUNT], trades=trades)
            trades += 1
            time.sleep(0.1)
        told = {name: process.communicate() for name, process in processes.items()}
        for name, process in processes.items():
            assert process.returncode == 0, (name, told[name])
    return {name: out for name, (out, _) in told.items()}


def test_the_clients_of_the_documents_work_unchanged(site, feed, minutes, program):  # noqa: F811
    address = site.address.removeprefix("ws://")
    command = [program, "tests/sockets/documents.mjs", address, SYMBOL]
    told = finished({"documents": command}, feed, minutes)["documents"]
    assert told.count("Connected to ChartGenius WebSocket") == 1
    assert f"subscribed {SYMBOL} 1h" in told
    for line in (rf"{SYMBOL} Price: \d", rf"{SYMBOL} Bid: \d", rf"{SYMBOL} 1h \d", rf"{SYMBOL} rsi (null|\d)"):
        assert re.search(line, told), line
    assert "undefined" not in told


def test_every_example_runs(site, feed, minutes, program):  # noqa: F811
    address = site.address.removeprefix("ws://")
    feed.publish(SYMBOL)
    commands = {}
    for name in EXAMPLES:
        arguments = (address, SYMBOL, "8" if name == "chart_data_socket" else "3")
        commands[f"{name}.py"] = [sys.executable, f"examples/{name}.py", *arguments]
        commands[f"{name}.mjs"] = [program, f"examples/{name}.mjs", *arguments]
    told = finished(commands, feed, minutes)
    for name, text in told.items():
        assert "undefined" not in text, name
        assert SYMBOL in text or "rest_api" in name, name
    assert len(told["candles_socket.py"].splitlines()) == 3
    assert "rsi" in told["chart_data_socket.py"]
    assert "rsi" in told["chart_data_socket.mjs"]
    assert "within" in told["orderbook_socket.py"]
    for name in ("rest_api.py", "rest_api.mjs"):
        assert re.search(r"within [\d.]+ %: bid [\d,]+, ask [\d,]+", told[name]), told[name]


def test_no_example_is_left_out():
    known = {f"{name}.{kind}" for name in (*EXAMPLES, "connection") for kind in ("py", "mjs")} | {"README.md"}
    assert {path.name for path in (ROOT / "examples").iterdir() if path.is_file()} == known
