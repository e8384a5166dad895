"""The supervisor with real servers and stand-in programs under load: starts, kills, stops, and refused starts."""

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from tests.platform.running import OURS
from tests.web_process import ROOT, free_port
from tradingplatform import embedded, supervisor
from tradingplatform.env import read_file

STANDIN = Path(__file__).with_name("standin.py")
CHILDREN = {
    "postgres": "/bin/postgres",
    "redis": "valkey-server",
    "web": "standin.py web",
    "writer": "standin.py writer",
    "parent": "standin.py parent",
}
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
# The Python of this checkout may stand where nobody but root can look.
READING = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


class Run:
    """One stand-in platform on a folder and a port of its own."""

    def __init__(self, folder, mode="demo", prefix=(), **variables):
        self.folder, self.port = Path(folder), int(variables.get("PORT") or free_port())
        environ = {name: value for name, value in os.environ.items() if name not in OURS}
        environ |= {"ENV_FILE": os.devnull, "DATA_DIR": str(folder), "PORT": str(self.port), "PYTHONPATH": str(ROOT)}
        self.environ, self.argv = environ | variables, [*prefix, sys.executable, str(STANDIN), mode]
        self.log = Path(f"{folder}.log")
        self.process = None

    def start(self):
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.argv, cwd=ROOT, env=self.environ, stdout=log, stderr=log)
        return self

    def until(self, condition, what, patience=100):
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, f"not {what} in {patience} s:\n{self.text()[-3000:]}"
            assert self.process.poll() is None, f"ended ({self.process.returncode}) before {what}:\n{self.text()}"
            time.sleep(0.02)

    def start_ready(self):
        self.start().until(lambda: "ready," in self.text(), "ready")
        return self

    def text(self):
        return self.log.read_text(errors="replace")

    def told(self):
        """What the programs were told by their environment."""
        line = next(line for line in self.text().splitlines() if "| told " in line)
        return json.loads(line.partition("| told ")[2])

    def child(self, name):
        for process in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.Error):
                if CHILDREN[name] in " ".join(process.cmdline()):
                    return process.pid
        return None

    def acknowledged(self):
        notes = self.folder / "acknowledged"
        return [int(line) for line in notes.read_text().split("\n")[:-1]] if notes.exists() else []

    def until_writing(self):
        before = len(self.acknowledged())
        self.until(lambda: len(self.acknowledged()) > before + 20, "writing")

    def lost(self):
        """Acknowledged numbers that the database or Redis does not hold."""
        home = embedded.home(self.folder, simulated="demo" in self.argv)
        where = embedded.addresses(home)
        noted = set(self.acknowledged())
        with psycopg.connect(where.database_url) as connection:
            stored = {number for (number,) in connection.execute("SELECT number FROM numbers")}
        queued = {int(number) for number in redis.Redis.from_url(where.redis_url).smembers("numbers")}
        return (noted - stored) | (noted - queued)

    def belonging(self):
        """Whatever runs of this platform: marked, working in its folder, or started for it."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                ours = process.environ().get("DATA_DIR") == str(self.folder)
                inside = process.cwd().startswith(f"{self.folder}/")
                if (ours or inside) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append((process.pid, process.cmdline()))
        return found

    def stubborn(self):
        """Children of `parent` that ignore every polite request."""
        return [pid for pid, argv in self.belonging() if "SIG_IGN" in " ".join(argv)]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def end(self):
        """Whatever the test did, nothing stays."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
            self.process.kill()
            self.process.wait()
        for pid, _ in self.belonging():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def place():
    path = Path(tempfile.mkdtemp(prefix="tp-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def platform(place):
    """Make runs; each ends with the test."""
    runs = []

    def make(name="data", **options):
        runs.append(Run(place / name, **options))
        return runs[-1]

    yield make
    for run in runs:
        run.end()


def refused(run):
    """Exit code and words of a start that must not begin."""
    run.start().process.wait(60)
    return run.process.returncode, run.text()


def test_a_run_from_start_to_stop_and_on_with_the_same_data(platform):
    run = platform().start_ready()
    told = run.told()
    where = embedded.addresses(run.folder / "simulated")
    assert (told["DATABASE_URL"], told["REDIS_URL"]) == (where.database_url, where.redis_url)
    assert (told["SIMULATED_MARKET"], told["PORT"], told["DATA_DIR"]) == ("1", str(run.port), str(run.folder))
    host, _, port = told["BINANCE_SPOT_REST_URL"].rpartition(":")
    assert host == "http://127.0.0.1"
    assert int(port) in supervisor.PRIVATE_PORTS
    shared = read_file(run.folder / "environment")
    assert shared["DATABASE_URL"] == told["DATABASE_URL"]
    assert shared["BINANCE_FUTURES_WS_URL"] == told["BINANCE_SPOT_REST_URL"].replace("http", "ws")
    assert stat.S_IMODE((run.folder / "environment").stat().st_mode) == 0o600
    password = embedded.read_admin_password(run.folder)
    assert f"password {password} (told once" in run.text()
    assert f"http://127.0.0.1:{run.port}/admin/" in run.text()
    run.until_writing()
    idle = psycopg.connect(where.database_url)
    begun = time.monotonic()
    assert run.stop() == 0
    assert time.monotonic() - begun < 10
    idle.close()
    assert run.belonging() == []
    assert not (run.folder / "environment").exists()
    before = len(run.acknowledged())
    run.start_ready()
    assert password not in run.text()
    assert "admin, see " in run.text()
    run.until_writing()
    assert len(run.acknowledged()) > before
    assert run.lost() == set()


def test_what_dies_comes_back_and_no_acknowledged_row_is_lost(platform):
    run = platform().start_ready()
    for name in CHILDREN:
        run.until_writing()
        others = {other: run.child(other) for other in ("postgres", "redis", "web", "parent") if other != name}
        victim = run.child(name)
        os.kill(victim, signal.SIGKILL)
        run.until(lambda name=name, victim=victim: run.child(name) not in {None, victim}, f"{name} back")
        assert {other: run.child(other) for other in others} == others
        run.until_writing()
    assert run.lost() == set()
    run.until(lambda: len(run.stubborn()) == 1, "left with only the new parent's child")
    assert psutil.Process(run.stubborn()[0]).ppid() == run.child("parent")


def test_a_killed_supervisor_leaves_nothing_and_the_next_start_works(platform):
    run = platform().start_ready()
    for _ in range(2):
        run.until_writing()
        run.process.kill()
        run.process.wait()
        run.start_ready()  # at once, with whatever is still ending
        assert run.lost() == set()
    run.until_writing()
    run.process.kill()
    run.process.wait()
    deadline = time.monotonic() + 60
    while left := run.belonging():  # the stubborn one too, which asks for no signal at its parent's death
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
    run.start_ready()
    assert run.stop() == 0
    assert run.belonging() == []


def test_two_run_side_by_side_and_end_apart(platform):
    one, other = platform("one").start(), platform("other", mode="run").start()
    for run in (one, other):
        run.until(lambda run=run: "ready," in run.text(), "ready")
        run.until_writing()
    assert one.told()["DATABASE_URL"] != other.told()["DATABASE_URL"]
    assert other.told()["SIMULATED_MARKET"] == "0"
    assert one.stop() == 0
    other.until_writing()
    assert other.lost() == set()


def test_a_second_start_on_the_same_folder_is_refused(platform):
    run = platform().start_ready()
    code, text = refused(Run(run.folder.parent / "data", mode="run"))
    assert (code, text.count("\n")) == (2, 1)
    assert f"DATA_DIR {run.folder} is in use by a running platform" in text
    assert run.process.poll() is None


def test_a_port_that_is_held_is_told_before_anything_starts(platform):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        run = platform(PORT=str(port))
        code, text = refused(run)
    assert (code, text) == (
        2,
        f"configuration: PORT {port} is held by another process: stop it or choose another PORT\n",
    )
    assert not (run.folder / "simulated").exists()


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "eighty"), ("DEPTH_BANDS", "1,x"), ("DATABASE_URL", "mysql://x"), ("API_PUBLIC", "7")]
)
def test_a_malformed_value_is_told_in_one_line(platform, name, value):
    run = platform(**({name: value} if name != "PORT" else {}))
    run.environ[name] = value
    code, text = refused(run)
    assert (code, text.count("\n")) == (2, 1)
    assert text.startswith(f"configuration: {name} ")
    assert repr(value) in text
    assert not (run.folder / "simulated").exists()
    assert not (run.folder / "admin_password").exists()


def test_a_program_that_cannot_start_ends_the_start(platform):
    run = platform(FAIL="tables").start()
    assert run.process.wait(60) == 1
    assert "tables   | this program always fails" in run.text()
    assert run.text().endswith("not started: tables does not start\n")
    assert run.belonging() == []
    assert not (run.folder / "environment").exists()


def test_a_stop_during_the_start_is_obeyed(platform):
    run = platform().start()
    run.until(lambda: run.child("redis") is not None, "starting")
    assert run.stop() == 0
    assert run.belonging() == []


def test_given_servers_are_used_and_not_started(platform, place):
    other = platform("servers").start_ready()
    where = embedded.addresses(other.folder / "simulated")
    run = platform("guest", mode="run", DATABASE_URL=where.database_url, REDIS_URL=where.redis_url).start()
    run.until(lambda: "| told " in run.text(), "told")
    assert run.told()["DATABASE_URL"] == where.database_url
    assert run.child("postgres") is None
    assert not (run.folder / "live").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it as somebody else")
def test_an_ordinary_user_runs_it(platform, place):
    # It has to start others of itself, too: an interpreter of the system may stand in for one that cannot be reached.
    again = "import psycopg, redis, subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    runs = [sys.executable, "-c", again]
    prefix = next(
        (
            [*AS_NOBODY, *extra]
            for extra in ((), READING)
            if subprocess.run([*AS_NOBODY, *extra, *runs], capture_output=True, check=False).returncode == 0
        ),
        None,
    )
    if prefix is None:
        pytest.skip("the interpreter is where no ordinary user can read it")
    os.chown(place, 65534, 65534)
    run = platform(prefix=prefix, HOME=str(place)).start_ready()
    assert psutil.Process(run.child("postgres")).uids().effective == 65534
    run.until_writing()
    assert run.lost() == set()
    run.process.kill()
    run.process.wait()
    run.start_ready()
    assert run.lost() == set()
    assert run.stop() == 0
    assert run.belonging() == []


def test_it_stays_up_when_nobody_reads_its_output(platform):
    run = platform()
    run.process = subprocess.Popen(
        run.argv, cwd=ROOT, env=run.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert run.process.stdout.readline()
    run.process.stdout.close()
    run.log.touch()
    run.until_writing()
    assert run.stop() == 0


def test_free_ports_are_free_and_private():
    port = supervisor.free_port()
    assert port in supervisor.PRIVATE_PORTS
    with socket.create_server(("127.0.0.1", port)):
        assert "is held by another process" in supervisor.port_trouble("127.0.0.1", port)
    assert "cannot be used" in supervisor.port_trouble("192.0.2.1", port)
