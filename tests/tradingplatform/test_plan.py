"""What a start decides, and what it tells the person at the terminal; nothing is started here."""

import asyncio
import http.server
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from tradingplatform import aftermath, env, supervisor
from tradingplatform.processes import Log

NAMES = ["postgres", "redis", "simulator", "migrate", "prepare", "web", "worker", "beat", "feed"]


def plan(mode, folder, **variables):
    given = {"ENV_FILE": os.devnull, "DATA_DIR": str(folder)} | variables
    return supervisor.decide(mode, env.load(given), given, "secret")


def test_the_demo_runs_everything_against_its_own_exchange(tmp_path):
    decided = plan("demo", tmp_path, BINANCE_SPOT_REST_URL="https://api.binance.com")
    programs = {program.name: program for program in supervisor.programs(decided)}
    assert [name for name in programs if name in NAMES] == NAMES
    web = programs["web"].environ
    assert web["BINANCE_SPOT_REST_URL"] == f"http://127.0.0.1:{decided.simulator_port}"
    assert web["BINANCE_FUTURES_WS_URL"] == f"ws://127.0.0.1:{decided.simulator_port}"
    assert (web["SIMULATED_MARKET"], web["PLATFORM_PROCESS"]) == ("1", "web")
    assert env.load({"ENV_FILE": os.devnull, **web}).simulated_market


def test_a_run_leaves_the_exchange_as_it_is_configured(tmp_path):
    decided = plan("run", tmp_path, BINANCE_SPOT_REST_URL="http://127.0.0.1:1")
    programs = {program.name: program for program in supervisor.programs(decided)}
    assert list(programs) == [name for name in NAMES if name != "simulator"]
    assert "BINANCE_SPOT_REST_URL" not in programs["web"].environ
    assert decided.home == tmp_path / "live"


def test_servers_that_are_given_are_not_started(tmp_path):
    given = {"DATABASE_URL": "postgresql://u@h/d", "REDIS_URL": "redis://h/1", "CACHE_REDIS_URL": "redis://h/2"}
    decided = plan("run", tmp_path, **given)
    assert list(supervisor.servers(decided)) == []
    assert given.items() <= decided.decided.items()


def test_the_password_reaches_the_preparation_alone(tmp_path):
    programs = supervisor.programs(plan("demo", tmp_path, ADMIN_USER="root"))
    told = {program.name: dict(program.environ) for program in programs if "secret" in program.environ.values()}
    assert list(told) == ["prepare"]
    assert told["prepare"]["ADMIN_USER"] == "root"


def test_a_password_is_told_once_unless_it_was_given(tmp_path):
    given_password, words = supervisor.administrator(tmp_path, {"ADMIN_PASSWORD": "p", "ADMIN_USER": "u"})
    assert (given_password, words) == ("p", "u, password as in ADMIN_PASSWORD")
    password, first = supervisor.administrator(tmp_path, {})
    again, second = supervisor.administrator(tmp_path, {})
    assert again == password
    assert password in first
    assert password not in second


@pytest.fixture
def site():
    """A web server that answers with the status and body that a test sets, and keeps the names it was asked by."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.hosts.append(self.headers["Host"])
            status, body = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.hosts, server.answers = [], [(200, b'{"status": "healthy"}')]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("answer", "healthy"),
    [
        ((200, b'{"status": "healthy"}'), True),
        ((200, b'{"status": "degraded"}'), False),
        ((503, b'{"status": "unhealthy"}'), False),
        ((200, b"<html>"), False),
    ],
)
def test_health_is_what_the_site_says(tmp_path, site, answer, healthy):
    site.answers = [answer]
    configuration = plan("run", tmp_path, PORT=str(site.server_port), HOST="0.0.0.0").configuration
    assert supervisor.is_healthy(configuration) is healthy


@pytest.mark.parametrize(
    ("hosts", "asked"), [("a.example,b.example", "a.example"), ("*", "localhost"), (".example", "example")]
)
def test_health_is_asked_by_a_name_that_the_site_answers_to(tmp_path, site, hosts, asked):
    configuration = plan("run", tmp_path, PORT=str(site.server_port), ALLOWED_HOSTS=hosts).configuration
    assert supervisor.is_healthy(configuration)
    assert site.hosts == [asked]


def test_where_everything_is_comes_once_it_is_healthy(tmp_path, site, monkeypatch):
    site.answers = [(503, json.dumps({"status": "unhealthy"}).encode()), (200, b'{"status": "healthy"}')]
    out = io.StringIO()
    decided = plan("run", tmp_path, PORT=str(site.server_port))
    asyncio.run(supervisor.announce(decided, "admin, password x", Log([], out)))
    assert len(site.hosts) == 2
    assert "ready, " in out.getvalue()
    assert f"http://127.0.0.1:{site.server_port}/admin/  admin, password x" in out.getvalue()


def test_nobody_listening_is_not_healthy(tmp_path):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        assert not supervisor.is_healthy(plan("run", tmp_path, PORT=str(port)).configuration)
        assert not supervisor.listens("127.0.0.1", port)


def test_a_port_of_ipv6_is_looked_at_too():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as holder:
        assert "is held by another process" in supervisor.port_trouble("::1", holder.getsockname()[1])
        assert supervisor.listens("::", holder.getsockname()[1])


def test_what_is_left_of_a_run_is_ended_and_nothing_else(tmp_path):
    decided = plan("run", tmp_path)
    sleep = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(1000)"]
    with supervisor.no_remains(decided):
        ours = subprocess.Popen(sleep, env={**os.environ, **decided.marks})
        other = subprocess.Popen(sleep, env={**os.environ, **replace(decided, marks={supervisor.RUN: "other"}).marks})
    assert ours.wait(60) == -signal.SIGKILL
    assert other.poll() is None
    other.kill()
    other.wait()


def test_marked_processes_are_found_and_ended():
    mark = b"PLATFORM_RUN=of-this-test"
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(1000)"], env={"PLATFORM_RUN": "of-this-test"}
    )
    deadline = time.monotonic() + 60
    while process.pid not in aftermath.marked(mark):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert aftermath.marked(b"PLATFORM_RUN=of-this") == []
    reaper = threading.Thread(target=process.wait)
    reaper.start()
    aftermath.end(mark)
    reaper.join()
    assert process.returncode == -signal.SIGKILL


def test_the_demo_brings_a_chain_unless_one_is_given(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor.anvil, "anvil", lambda: tmp_path / "anvil")
    decided = plan("demo", tmp_path)
    programs = {program.name: program for program in supervisor.programs(decided)}
    assert {"chain", "crowd", "scanner"} <= set(programs)
    assert str(decided.chain_port) in programs["chain"].argv
    told = env.load({"ENV_FILE": os.devnull, **programs["web"].environ})
    assert told.web3_providers == (f"http://127.0.0.1:{decided.chain_port}",)
    assert (told.trading_address, told.confirmations) == (supervisor.anvil.ORDERS, 1)
    given = {"WEB3_PROVIDERS": "https://node.example", "TRADING_ADDRESS": supervisor.anvil.ORDERS}
    programs = [program.name for program in supervisor.programs(plan("demo", tmp_path, **given))]
    assert "scanner" in programs
    assert not {"chain", "crowd"} & set(programs)


def test_a_machine_without_the_chains_program_does_without(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor.anvil, "anvil", lambda: None)
    programs = [program.name for program in supervisor.programs(plan("demo", tmp_path))]
    assert not {"chain", "crowd", "scanner"} & set(programs)


def test_a_chain_needs_a_contract(tmp_path):
    with pytest.raises(env.ConfigurationError, match="TRADING_ADDRESS"):
        plan("run", tmp_path, WEB3_PROVIDERS="https://node.example")
    with pytest.raises(env.ConfigurationError, match="WEB3_PROVIDERS"):
        plan("run", tmp_path, WEB3_PROVIDERS="node.example", TRADING_ADDRESS=supervisor.anvil.ORDERS)


def test_a_chains_file_that_was_cut_short_is_put_aside(tmp_path):
    state = tmp_path / "new" / "chain.json"
    supervisor.anvil.make_ready(state)
    state.write_text('{"block": 1}')
    supervisor.anvil.make_ready(state)
    assert state.exists()
    state.write_text('{"block": 1')
    supervisor.anvil.make_ready(state)
    assert (state.exists(), state.with_suffix(".broken").exists()) == (False, True)
