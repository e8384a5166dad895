"""What the database can do, and how to tell that it is away."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import InterfaceError, OperationalError, connection
from psycopg_pool import PoolClosed, PoolTimeout

# What a database that cannot be reached, or breaks off, is known by.
DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeout, PoolClosed)
# Makes a stretch of a continuous aggregate anew (its name, from, until). Forced: the extension's own notes of what has
# changed lack rows that came after a transaction on the same connection was rolled back; our marks do not.
REFRESH = "CALL refresh_continuous_aggregate(%s, %s::timestamptz, %s::timestamptz, force => true)"


def storage_name() -> str:
    """`timescaledb` where the extension is installed in this database, else `postgresql`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")
        return "timescaledb" if cursor.fetchone() else "postgresql"


@contextmanager
def alone(lock: int) -> Iterator[bool]:
    """Whether this process is the one that does what the lock (its number) stands for; until the block ends no other
    is."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock])
        held = bool(cursor.fetchone()[0])
        try:
            yield held
        finally:
            if held and connection.is_usable():
                cursor.execute("SELECT pg_advisory_unlock(%s)", [lock])


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Within it, a database that is there but silent for `seconds` in all is away too: the connection is cut, and
    whoever waits gets one of DATABASE_AWAY. (A server that is stopped answers no time-out of its own.)"""
    if connection.connection is not None and connection.connection.closed and not connection.in_atomic_block:
        connection.close()
    connection.ensure_connection()  # has a time-out of its own
    held = connection.connection
    if held.closed:
        raise OperationalError("the connection is closed")
    timer = threading.Timer(seconds, _cut, [held.pgconn.socket])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _cut(handle: int) -> None:
    with suppress(OSError), socket.socket(fileno=socket.dup(handle)) as line:
        line.shutdown(socket.SHUT_RDWR)
