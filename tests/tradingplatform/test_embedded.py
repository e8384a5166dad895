"""The embedded servers on their own: addresses, locks, remains of a crash, and whom PostgreSQL runs as."""

import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest
import redis as redis_client
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from redis.connection import parse_url

from tests.servers import Running
from tradingplatform import embedded, launch

names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40)
folders = st.lists(names.filter(lambda name: name not in {".", ".."}), min_size=1, max_size=6)


@pytest.fixture
def folder(monkeypatch):
    """A short folder that other users may pass, as a home of servers and the place of their runtime folders."""
    path = Path(tempfile.mkdtemp(prefix="tp-"))
    path.chmod(0o711)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def run(folder):
    """Start servers; whatever still runs at the end of the test is stopped."""
    started = []

    def start(server):
        running = Running(lambda: server, folder / f"{server.name}.log")
        started.append(running)
        running.start()
        return running

    yield start
    for running in started:
        running.stop()


@given(folders)
def test_addresses_follow_from_the_folder_and_fit_a_socket(parts):
    home = Path("/", *parts)
    where = embedded.addresses(home, {})
    assert where == embedded.addresses(home, {})
    assert len(os.fsencode(where.sockets / ".s.PGSQL.5432")) <= 107
    asked = conninfo_to_dict(where.database_url)
    assert (asked["host"], asked["dbname"], asked["user"]) == (str(where.sockets), "trading", "postgres")
    assert "," not in asked["host"]
    assert parse_url(where.redis_url)["path"] == str(where.sockets / "redis.sock")


@given(folders, folders)
def test_two_folders_never_share_sockets(first, second):
    one, other = Path("/", *first), Path("/", *second)
    assert (one == other) == (embedded.addresses(one, {}).sockets == embedded.addresses(other, {}).sockets)


def test_a_long_runtime_folder_gives_way_to_tmp():
    home = Path("/", "x" * 120)
    assert embedded.addresses(home, {"XDG_RUNTIME_DIR": "/run/user/7"}).sockets.parent == Path("/run/user/7")
    assert embedded.addresses(home, {"XDG_RUNTIME_DIR": "/r" * 60}).sockets.parent == Path("/tmp")


def test_simulated_and_real_data_live_apart(folder):
    homes = embedded.home(folder, simulated=True), embedded.home(folder, simulated=False)
    assert len({embedded.addresses(home).database_url for home in homes}) == 2


@pytest.mark.parametrize("name", ["d" * 120, 'a space, a comma and 100% \u5e01 "quotes"'])
def test_servers_run_in_folders_with_awkward_names(folder, run, name):
    home = folder / name
    run(embedded.postgres(home, durable=False))
    run(embedded.redis(home))
    where = embedded.addresses(home)
    with psycopg.connect(where.database_url) as connection:
        row = connection.execute(
            "SELECT current_setting('data_directory'), current_setting('server_encoding'), current_setting('fsync'),"
            " current_setting('data_checksums'), current_setting('listen_addresses')"
        ).fetchone()
    assert row == (str(home / "postgres"), "UTF8", "off", "on", "")
    client = redis_client.Redis.from_url(where.redis_url)
    assert client.config_get("dir")["dir"] == str(home / "redis")
    assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
    assert stat.S_IMODE(where.sockets.stat().st_mode) == 0o700


def test_the_real_settings_lose_nothing(folder):
    argv = embedded.postgres(folder).argv
    assert not any("fsync" in part or "synchronous_commit" in part or "full_page_writes" in part for part in argv)


def test_a_runtime_folder_that_is_a_link_is_refused(folder):
    home = folder / ("x" * 120)
    sockets = embedded.addresses(home).sockets
    sockets.symlink_to(folder)
    try:
        with pytest.raises(embedded.EmbeddedError, match="not a folder of ours"):
            embedded.postgres(home).prepare()
    finally:
        sockets.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of somebody else")
def test_a_runtime_folder_of_somebody_else_is_refused(folder):
    (folder / "run").mkdir()
    os.chown(folder / "run", 12345, 12345)
    with pytest.raises(embedded.EmbeddedError, match="not a folder of ours"):
        embedded.postgres(folder).prepare()


def test_one_platform_holds_a_data_dir(folder):
    with embedded.hold(folder / "new"), pytest.raises(embedded.EmbeddedError, match=r"in use by a running platform"):
        embedded.hold(folder / "new")
    embedded.hold(folder / "new").close()


def test_a_data_dir_that_cannot_be_made_is_told(folder):
    (folder / "file").touch()
    with pytest.raises(embedded.EmbeddedError, match=f"DATA_DIR {folder}/file/x cannot be used: Not a directory"):
        embedded.hold(folder / "file" / "x")


def test_secrets_are_made_once_and_private(folder):
    assert embedded.read_secret_key(folder) == ""
    assert embedded.keep_secret(folder / "secret_key", 48)
    key = embedded.read_secret_key(folder)
    assert len(key) >= 48
    assert not embedded.keep_secret(folder / "secret_key", 48)
    assert embedded.read_secret_key(folder) == key
    assert stat.S_IMODE((folder / "secret_key").stat().st_mode) == 0o600


def test_an_interrupted_initialisation_is_done_again(folder, run):
    (folder / "postgres.new" / "base").mkdir(parents=True)
    (folder / "postgres.new" / "PG_VERSION").write_text("1")
    run(embedded.postgres(folder, durable=False))
    assert (folder / "postgres" / "PG_VERSION").read_text() == "18\n"
    assert not (folder / "postgres.new").exists()


def test_a_failed_initialisation_says_why(folder, monkeypatch):
    monkeypatch.setattr(embedded, "DATABASE", "postgres")  # exists already
    with pytest.raises(embedded.EmbeddedError, match=r'postgres failed .* database "postgres" already exists'):
        embedded.postgres(folder, durable=False).prepare()
    assert not (folder / "postgres").exists()


def test_locks_of_a_crash_do_not_block_though_their_number_lives_on(folder, run):
    server = embedded.postgres(folder, durable=False)
    run(server).stop()
    number = os.getpid()  # alive, and no PostgreSQL
    (folder / "postgres" / "postmaster.pid").write_text(f"{number}\n{folder}/postgres\n1\n5432\n\n\n  1  2\n")
    (folder / "run" / ".s.PGSQL.5432.lock").write_text(f"{number}\n{folder}/postgres\n1\n5432\n{folder}/run\n")
    (folder / "run" / ".s.PGSQL.5432").touch()
    run(server)


def test_acknowledged_rows_survive_kills(folder, run):
    running = run(embedded.postgres(folder))
    database_url = embedded.addresses(folder).database_url
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (number int PRIMARY KEY)")
    for number in range(3):
        with psycopg.connect(database_url) as connection:
            connection.execute("INSERT INTO kept VALUES (%s)", [number])
        running.kill()
        running.start()
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT array_agg(number ORDER BY number) FROM kept").fetchone() == ([0, 1, 2],)


def test_redis_keeps_what_it_answered_and_starts_on_a_torn_file(folder, run):
    running = run(embedded.redis(folder))
    client = redis_client.Redis.from_url(embedded.addresses(folder).redis_url)
    for number in range(100):
        client.rpush("queue", number)
    running.kill()
    log = next((folder / "redis" / "appendonlydir").glob("*.incr.aof"))
    with log.open("ab") as file:
        file.write(b"*3\r\n$5\r\nrpush\r\n$5\r\nque")  # the write that the kill cut short
    running.start()
    assert client.lrange("queue", 0, -1) == [str(number).encode() for number in range(100)]


def test_postgres_stops_at_once_with_a_client_connected(folder, run):
    running = run(embedded.postgres(folder, durable=False))
    connection = psycopg.connect(embedded.addresses(folder).database_url)
    connection.execute("SELECT 1")  # and its transaction stays open
    running.process.send_signal(running.server.stop_signal)
    assert running.process.wait(60) == 0
    connection.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run PostgreSQL as somebody else")
def test_root_without_namespaces_runs_postgres_as_another_user(folder, run, monkeypatch):
    monkeypatch.setattr(embedded, "_allowed", lambda identity: False)
    server = embedded.postgres(folder, durable=False)
    assert server.identity.kind == "user"
    assert server.identity.uid != 0
    running = run(server)
    assert Path(f"/proc/{running.pid}").stat().st_uid == server.identity.uid
    with psycopg.connect(embedded.addresses(folder).database_url) as connection:
        connection.execute("CREATE TABLE t (a int)")
    running.stop()
    monkeypatch.undo()
    again = embedded.postgres(folder, durable=False)
    assert again.identity == server.identity  # the owner of the data, though a namespace would be allowed
    run(again)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run PostgreSQL as somebody else")
def test_root_runs_postgres_alone_in_a_namespace(folder, run):
    identity = embedded.postgres_identity(folder / "postgres")
    if identity.kind != "namespace":
        pytest.skip("this system refuses user namespaces")
    running = run(embedded.postgres(folder, durable=False))
    assert Path(f"/proc/{running.pid}/uid_map").read_text().split() == [str(identity.uid), "0", "1"]
    assert (folder / "postgres").stat().st_uid == 0


@pytest.mark.parametrize("kind", ["self", "namespace"])
def test_a_program_dies_with_the_process_that_started_it(kind):
    identity = launch.Identity(kind, 1, 1)
    if kind == "namespace" and not embedded._allowed(identity):
        pytest.skip("this system refuses user namespaces")
    parent = (
        "import subprocess, sys, time; from tradingplatform import launch;"
        f"child = subprocess.Popen(launch.command(('sleep', '1000'), 9, launch.{identity!r}));"
        "print(child.pid, flush=True); time.sleep(1000)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE)
    child = int(process.stdout.readline())
    descriptor = os.pidfd_open(child)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0] != b"sleep":
        assert time.monotonic() < deadline, "it did not become the program"
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert ends(descriptor), "still running"
    os.close(descriptor)


def ends(descriptor, timeout=60):
    return bool(select.select([descriptor], [], [], timeout)[0])


def test_a_program_whose_parent_is_gone_does_not_begin():
    argv = list(launch.command(("true",), signal.SIGTERM))
    argv[4] = "1"  # as if another process had asked for it
    assert subprocess.run(argv, check=False).returncode == -signal.SIGKILL
