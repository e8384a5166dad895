"""After a supervisor's death: ends what is left of its run. Standard library only; it is started by its path.

Its programs die with it by the parent-death signal; what those have started in turn, or a program that takes too long
over its end, is found here by a mark in its environment.
"""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

GRACE = 3.0  # seconds for the programs' own end


def marked(mark: bytes) -> list[int]:
    """Processes other than this one that were started with `mark` (NAME=value) in their environment."""
    own = os.getpid()
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and int(entry.name) != own and mark in _environment(entry)
    ]


def _environment(entry: Path) -> list[bytes]:
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:  # gone, or somebody else's
        return []


def end(mark: bytes) -> None:
    """Kill every marked process; returns when none is left."""
    while pids := marked(mark):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def main(mark: bytes) -> None:
    """Wait for the end of standard input, whose other side only the supervisor holds, then for the end of all else."""
    sys.stdin.buffer.read()
    deadline = time.monotonic() + GRACE
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    end(mark)


if __name__ == "__main__":
    main(os.fsencode(sys.argv[1]))
