"""Around every process: starts programs in order, keeps them running, shows their logs, stops them in reverse order."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TextIO

from tradingplatform.launch import SELF, Identity, command

BACK_OFF = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds before each restart in a row
HEALTHY_AFTER = 30.0  # seconds alive that make the next death the first of its row
FIRST_STARTS = 5  # deaths before the first answer that give the start up
LINE_MAX = 16_384  # bytes of a log line that are held back while its end is missing
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)


class StartError(Exception):
    """The platform cannot start; the message is one line, the programs' own words stand above it."""


@dataclass(frozen=True, slots=True)
class Program:
    """One program and how it lives.

    `stage` orders the stop: the highest first, and what shares one stops together, within the seconds from the stop's
    begin that STOP_BY names. `prepare` and `ready` block and run in a thread; `once` programs have to end with exit 0,
    and the next one starts after that unless they run `beside` it.
    """

    name: str
    argv: tuple[str, ...]
    stage: int
    environ: Mapping[str, str] = field(default_factory=dict)
    once: bool = False
    beside: bool = False
    stop_signal: int = signal.SIGTERM
    death_signal: int = signal.SIGTERM
    identity: Identity = SELF
    prepare: Callable[[], None] | None = None
    ready: Callable[[], bool] | None = None


POSTGRES, REDIS, EXCHANGE, APPLICATION = range(4)
STOP_BY = {APPLICATION: 5.5, EXCHANGE: 6.5, REDIS: 7.5, POSTGRES: 9.0}


class Log:
    """Lines of many programs on one output, each behind its program's name; coloured on a terminal."""

    def __init__(self, names: Sequence[str], out: TextIO | None = None) -> None:
        self._out = sys.stdout if out is None else out
        self._width = max(map(len, [*names, "platform"]))
        tty = self._out.isatty()
        self._colours = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)} if tty else {}

    def line(self, name: str, text: str) -> None:
        head = f"{name:<{self._width}} |"
        if name in self._colours:
            head = f"\033[{self._colours[name]}m{head}\033[0m"
        try:
            self._out.write(f"{head} {text}\n")
            self._out.flush()
        except (OSError, ValueError):  # whoever read our output has gone; the platform runs on without a reader
            nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - open until we end
            with contextlib.suppress(OSError, ValueError):  # what is left in its buffer must not fail when we end
                os.dup2(nowhere.fileno(), self._out.fileno())
            self._out = nowhere

    async def copy(self, name: str, reader: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await reader.read(65_536):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LINE_MAX:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self.line(name, line.decode("utf-8", "replace").rstrip("\r"))
        if rest:
            self.line(name, rest.decode("utf-8", "replace"))


class Child:
    """One program over all its starts."""

    def __init__(self, program: Program, log: Log) -> None:
        self.program = program
        self.process: asyncio.subprocess.Process | None = None
        self.deaths = 0  # in a row
        self.answered = asyncio.Event()  # it was ready once, or a `once` program has done its work
        self.failure: str | None = None
        self._stopping = asyncio.Event()
        self._log = log

    async def keep(self) -> None:
        """Start the program again and again until `ask` was called (or, `once`, until it has succeeded)."""
        while not self._stopping.is_set():
            begun = asyncio.get_running_loop().time()
            code = await self._run()
            if self._stopping.is_set():
                return
            if self.program.once and code == 0:
                self.answered.set()
                return
            lived = asyncio.get_running_loop().time() - begun
            self.deaths = 1 if lived > HEALTHY_AFTER else self.deaths + 1
            if self.deaths >= FIRST_STARTS and not self.answered.is_set():
                self.failure = self.failure or f"{self.program.name} does not start"
            delay = BACK_OFF[min(self.deaths, len(BACK_OFF)) - 1]
            self._log.line(self.program.name, f"ended ({code}); again in {delay} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)

    async def _run(self) -> int | str:
        """One life: the exit code, negative for a signal, or why it could not even begin."""
        try:
            if self.program.prepare is not None:
                await asyncio.to_thread(self.program.prepare)
            if self._stopping.is_set():
                return "stopped before its start"
            copying = await self._begin()
        except Exception as error:  # whatever keeps one program from starting must not end the others
            if not self.answered.is_set():
                self.failure = f"{self.program.name}: {error}"
            return f"{type(error).__name__}: {error}"
        assert self.process is not None  # noqa: S101 - `_begin` has made it
        if self._stopping.is_set():  # asked while the process was being made
            self.signal(self.program.stop_signal)
        code = await self.process.wait()
        self.signal(signal.SIGKILL, group=True)  # what it has left behind
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(copying, 1)
        self.process = None
        return code

    async def _begin(self) -> asyncio.Task[None]:
        """Start the process; gives the task that copies its output.

        The pipe is ours: with asyncio's own, wait() lasts until whoever inherited the output has ended, too.
        """
        program = self.program
        reading, writing = os.pipe()
        try:
            self.process = await asyncio.create_subprocess_exec(
                *command(program.argv, program.death_signal, program.identity),
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                env={**os.environ, **program.environ},
                cwd=Path(__file__).resolve().parent.parent,
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return asyncio.create_task(self._copy(os.fdopen(reading, "rb", 0)))

    async def _copy(self, pipe: IO[bytes]) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            await self._log.copy(self.program.name, reader)
        finally:
            transport.close()

    def signal(self, number: int, *, group: bool = False) -> None:
        """Signal the program, or all that it has started too; nothing where there is nothing."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if group else os.kill)(self.process.pid, number)

    def ask(self) -> None:
        """Ask it to end; from now on it is not started again."""
        self._stopping.set()
        self.signal(self.program.stop_signal)

    async def wait_ready(self) -> None:
        """Return when the program answers (or has done its work). Raises StartError when it never will."""
        probe = self.program.ready
        while not self.answered.is_set():
            if self.failure:
                raise StartError(self.failure)
            if not self.program.once and self.process is not None and (probe is None or await asyncio.to_thread(probe)):
                self.answered.set()
            await asyncio.sleep(0.05)


class Supervisor:
    """Runs programs until SIGTERM, SIGINT or SIGHUP, each started when the one before it answers."""

    def __init__(self, programs: Sequence[Program], log: Log, started: Callable[[], Awaitable[None]]) -> None:
        self._children = [Child(program, log) for program in programs]
        self._tasks: dict[Child, asyncio.Task[None]] = {}
        self._started = started
        self._log = log

    async def run(self) -> None:
        """Everything from the first start to the last stop. Raises StartError after a start that failed."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        waiting, starting = asyncio.create_task(stop.wait()), asyncio.create_task(self._start())
        done, _ = await asyncio.wait({waiting, starting}, return_when=asyncio.FIRST_COMPLETED)
        failed = starting.exception() if starting in done else None
        if failed is None:
            await waiting
        self._log.line("platform", "stopping")
        for task in (starting, waiting):
            task.cancel()
        await self._stop()
        if failed is not None:
            raise failed

    async def _start(self) -> None:
        for child in self._children:
            self._tasks[child] = asyncio.create_task(child.keep())
            if not child.program.beside:
                await child.wait_ready()
        await self._started()

    async def _stop(self) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for stage in sorted(STOP_BY, reverse=True):
            running = [child for child in reversed(self._tasks) if child.program.stage == stage]
            for child in running:
                child.ask()
            tasks = [self._tasks[child] for child in running]
            if tasks:
                await asyncio.wait(tasks, timeout=max(0.1, begun + STOP_BY[stage] - loop.time()))
            for child in running:
                child.signal(signal.SIGKILL, group=True)
            await asyncio.gather(*tasks)
