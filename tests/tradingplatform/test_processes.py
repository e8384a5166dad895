"""Programs under the supervisor's loop, in this very process: order, restarts, failures, stops, log lines."""

import asyncio
import io
import os
import signal
import sys
import time

import psutil
import pytest

from tradingplatform import processes
from tradingplatform.processes import APPLICATION, EXCHANGE, POSTGRES, Log, Program, StartError, Supervisor

NOTE = "import sys, time; file = open(sys.argv[1], 'a', buffering=1); print('begin', sys.argv[2], file=file)"
STAY = f"""import signal
{NOTE}
def leave(*_):
    print('end', sys.argv[2], file=file)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print('up', sys.argv[2], file=file)
time.sleep(1000)"""


class Scene:
    """Programs that note their lives in one file, run until the supervisor says that all is started."""

    def __init__(self, folder):
        self.file = folder / "notes"
        self.file.touch()
        self.out = io.StringIO()

    def program(self, name, code=STAY, stage=APPLICATION, **options):
        return Program(name, (sys.executable, "-c", code, str(self.file), name), stage, **options)

    def notes(self):
        return self.file.read_text().splitlines()

    def up(self, name):
        return lambda: f"up {name}" in self.notes()

    def run(self, *programs, then=lambda: True):
        """Until `then` holds, after the start; the stop is a SIGTERM, as a terminal or `make` sends it."""

        async def started():
            while not then():
                await asyncio.sleep(0.02)
            os.kill(os.getpid(), signal.SIGTERM)

        log = Log([program.name for program in programs], self.out)
        asyncio.run(Supervisor(programs, log, started).run())


@pytest.fixture
def scene(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "BACK_OFF", (0.01, 0.02))
    yield Scene(tmp_path)
    left = [child.cmdline() for child in psutil.Process().children(recursive=True)]
    assert [argv for argv in left if str(tmp_path / "notes") in argv] == []


def test_programs_start_in_order_and_stop_in_reverse(scene):
    scene.run(
        scene.program("store", stage=POSTGRES, ready=scene.up("store")),
        scene.program("once", code=f"{NOTE}\nprint('up', 'once', file=file)", once=True),
        scene.program("venue", stage=EXCHANGE, ready=scene.up("venue")),
        scene.program("web", ready=scene.up("web")),
    )
    started = ["begin store", "up store", "begin once", "up once", "begin venue", "up venue", "begin web", "up web"]
    assert scene.notes() == [*started, "end web", "end venue", "end store"]


def test_what_runs_beside_does_not_hold_up_the_rest(scene):
    slow = scene.program("slow", once=True, beside=True)  # it never ends by itself
    scene.run(slow, scene.program("web", ready=scene.up("web")), then=scene.up("slow"))
    assert set(scene.notes()[-2:]) == {"end web", "end slow"}


def test_what_ends_is_started_again_and_its_output_shown(scene):
    code = f"{NOTE}\nprint('life'); sys.stdout.write('no newline'); sys.exit(3)"
    scene.run(scene.program("short", code), then=lambda: scene.notes().count("begin short") > 3)
    text = scene.out.getvalue()
    assert text.count("short    | life\nshort    | no newline\n") >= 3
    assert "short    | ended (3); again in 0.02 s\n" in text


def test_a_work_that_fails_at_first_is_done_again(scene):
    code = f"{NOTE}\nsys.exit(open(sys.argv[1]).read().count('begin') < 3)"
    scene.run(scene.program("work", code, once=True), scene.program("web", ready=scene.up("web")))
    assert scene.notes()[:5] == ["begin work"] * 3 + ["begin web", "up web"]


def test_a_program_that_never_starts_ends_it_all(scene):
    programs = scene.program("store", stage=POSTGRES, ready=scene.up("store")), scene.program("work", "1/0", once=True)
    with pytest.raises(StartError, match=r"^work does not start$"):
        scene.run(*programs, scene.program("web"))
    assert scene.notes() == ["begin store", "up store", "end store"]
    assert scene.out.getvalue().count("ZeroDivisionError") == processes.FIRST_STARTS


def test_a_preparation_that_fails_is_told(scene):
    def prepare():
        raise OSError("the disk is full")

    with pytest.raises(StartError, match=r"^store: the disk is full$"):
        scene.run(scene.program("store", prepare=prepare, ready=lambda: False))


def test_a_missing_program_is_told(scene):
    with pytest.raises(StartError, match="absent does not start"):
        scene.run(Program("absent", ("/no/such/program",), APPLICATION, ready=lambda: False))
    assert "No such file or directory" in scene.out.getvalue()


def test_a_program_that_ignores_the_stop_is_killed_with_its_children(scene, monkeypatch):
    monkeypatch.setattr(processes, "STOP_BY", {APPLICATION: 0.3, POSTGRES: 0.6})
    code = f"""import os, signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
{NOTE}
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)', sys.argv[1]])
print('child', child.pid, file=file)
print('up deaf', file=file)
time.sleep(1000)"""
    scene.run(scene.program("deaf", code, ready=scene.up("deaf")))
    child = next(int(line.split()[1]) for line in scene.notes() if line.startswith("child"))
    deadline = time.monotonic() + 60
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_long_life_makes_the_next_death_the_first(scene, monkeypatch):
    monkeypatch.setattr(processes, "HEALTHY_AFTER", 0.0)
    scene.run(scene.program("short", f"{NOTE}\nsys.exit(1)"), then=lambda: scene.notes().count("begin short") > 3)
    assert "again in 0.02" not in scene.out.getvalue()


def copied(data, out, names=("a",)):
    async def copy():
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        await log.copy("a", reader)

    log = Log(names, out)
    asyncio.run(copy())
    return log


def test_lines_of_any_length_and_bytes_are_shown():
    out = io.StringIO()
    copied(b"one\r\n\xff\n" + b"x" * 40_000, out)
    lines = out.getvalue().splitlines()
    assert lines[:2] == ["a        | one", "a        | \ufffd"]
    assert "".join(line.removeprefix("a        | ") for line in lines[2:]) == "x" * 40_000


def test_names_have_colours_on_a_terminal_only():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal, file = Terminal(), io.StringIO()
    copied(b"text\n", terminal, ("b", "a"))
    copied(b"text\n", file, ("b", "a"))
    assert terminal.getvalue() == "\033[33ma        |\033[0m text\n"
    assert file.getvalue() == "a        | text\n"


def test_an_output_that_nobody_reads_is_given_up():
    reading, writing = os.pipe()
    os.close(reading)
    log = copied(b"one\ntwo\n", os.fdopen(writing, "w"))
    log.line("a", "three")
