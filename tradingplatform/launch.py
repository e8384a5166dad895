"""Before the data's way: a program in a new process sets how it dies and as whom it runs, then becomes the program.

Runs by its path under `python -I -S` and needs the standard library only: a preexec function in a process that has
threads can deadlock, and a program that outlives its supervisor blocks the next start.
"""

import ctypes
import os
import signal
import sys
from dataclasses import dataclass
from typing import Literal

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
REFUSED = 125  # exit code of a launch whose identity the system does not allow


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a program runs as: as we do, as the only user of a namespace of its own, or as another user (root only)."""

    kind: Literal["self", "namespace", "user"] = "self"
    uid: int = 0
    gid: int = 0


SELF = Identity()


def command(argv: tuple[str, ...], death_signal: int, identity: Identity = SELF) -> tuple[str, ...]:
    """The argv that starts `argv` as `identity` and ends it by `death_signal` as soon as the calling process dies.

    "Dies" is the thread that starts it (prctl(2)): start long-lived programs from a thread that lives as long.
    """
    options = (os.getpid(), int(death_signal), identity.kind, identity.uid, identity.gid)
    return (sys.executable, "-I", "-S", __file__, *map(str, options), *argv)


def _checked(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def die_with_parent(death_signal: int) -> None:
    """End this process by `death_signal` when the thread that has made it dies. Raises OSError where that fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0), "prctl")


def _become(identity: Identity) -> None:
    if identity.kind == "namespace":
        libc = ctypes.CDLL(None, use_errno=True)
        uid, gid = os.geteuid(), os.getegid()
        _checked(libc.unshare(CLONE_NEWUSER), "unshare")
        for name, line in (
            ("setgroups", "deny"),
            ("uid_map", f"{identity.uid} {uid} 1"),
            ("gid_map", f"{identity.gid} {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - pathlib doubles this program's start time
                file.write(line)
    elif identity.kind == "user":
        os.setgroups([])
        os.setgid(identity.gid)
        os.setuid(identity.uid)


def main(arguments: list[str]) -> None:
    """Arguments: parent's pid, death signal, identity's kind, uid, gid, program and its arguments."""
    parent, death_signal, uid, gid = (int(arguments[index]) for index in (0, 1, 3, 4))
    kind, argv = arguments[2], arguments[5:]
    try:
        _become(Identity(kind, uid, gid))  # type: ignore[arg-type]
    except OSError as error:
        sys.stderr.write(f"cannot run {argv[0]} as {kind} {uid}: {error}\n")
        sys.exit(REFUSED)
    # Last, because a change of user or namespace clears it.
    die_with_parent(death_signal)
    if os.getppid() != parent:  # the parent died before prctl could tell
        os.kill(os.getpid(), signal.SIGKILL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what is ignored stays so
    os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
