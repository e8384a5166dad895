"""Accepting batches: stored at once, or, while the database is away, kept in the spool until it is back.

Accepted means committed or synced to disk. A batch has an id that is stored with it, so it is never stored twice,
however often it is tried: after a commit of which no word came, or from the spool again."""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec
from django.conf import settings
from django.db import DataError, IntegrityError, OperationalError, connection, transaction

from depth.breaker import Breaker
from depth.spool import Record, Spool, SpoolState, Unusable
from markets.storage import DATABASE_AWAY, patience

logger = logging.getLogger(__name__)

T = TypeVar("T")
BACK_OFF = (0.1, 0.3, 0.9)  # seconds before the second, third and fourth try
SLOW = 3.0
PROBE_EVERY = 3.0
PATIENCE = 10.0  # seconds for one batch
READ_PATIENCE = 4.0

CLAIM = "INSERT INTO stored_batches (id, at) VALUES (%s, now()) ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """What a batch may be: its name in the spool, its type (that msgspec encodes), and how it is stored, inside a
    transaction."""

    name: str
    type: type[T]
    store: Callable[[T], Any]


_KINDS: dict[str, Kind[Any]] = {}
breaker = Breaker(PROBE_EVERY)  # this process's


def kind(name: str, holds: type[T], store: Callable[[T], Any]) -> Kind[T]:
    """Makes a kind known, for batches of it to be stored from the spool too."""
    made = Kind(name, holds, store)
    _KINDS[name] = made
    return made


@cache
def spool() -> Spool:
    return Spool(settings.SPOOL_DIR, settings.SPOOL_LIMIT)


def spool_state() -> SpoolState:
    """What waits on this machine."""
    return spool().state()


def spool_identity() -> str:
    return spool().identity()


def accept(what: Kind[T], item: T, note: bool = False) -> Any:
    """Stores the item and gives what its kind's `store` gives; None when it was put in the spool instead.

    What comes while the spool holds anything is put behind it. Raises SpoolFull when it can be neither stored nor
    kept: then it is not accepted. A `note` is small and may use the spool's reserve."""
    key = uuid.uuid4()
    if spool().empty() and breaker.allows():
        try:
            return _store(key, what, item)
        except DATABASE_AWAY as error:
            logger.warning("the database is away, batches wait in the spool: %s", str(error).strip())
    spool().append(Record(key.hex, what.name, msgspec.msgpack.encode(item)), note)
    return None


def set_aside(what: Kind[T], item: T) -> None:
    """Puts the item in the spool, for it to be stored when there is time. Raises SpoolFull."""
    spool().append(Record(uuid.uuid4().hex, what.name, msgspec.msgpack.encode(item)))


def guarded(read: Callable[[], T]) -> T:
    """What `read` reads from the database. Raises one of DATABASE_AWAY, at once while it is known to be away."""
    if not breaker.allows():
        raise OperationalError("the database is away")

    def patiently() -> T:
        with patience(READ_PATIENCE):
            return read()

    try:
        value = retried(patiently, 2)  # a connection from before a restart fails once
    except DATABASE_AWAY:
        breaker.failed()
        raise
    breaker.worked()
    return value


def replay() -> int:
    """Stores what waits in the spool, oldest first; gives how many batches. Raises one of DATABASE_AWAY while the
    database is away."""
    if spool().empty():
        return 0
    try:
        done = spool().replay(_store_again)
    except DATABASE_AWAY:
        breaker.failed()
        _drop_connection()
        raise
    if done:
        breaker.worked()
        logger.info("%d batches from the spool are stored", done)
    return done


def _store_again(record: Record) -> None:
    what = _KINDS.get(record.kind)
    if what is None:
        raise Unusable(f"nothing is known of {record.kind}")
    try:
        item = msgspec.msgpack.decode(record.body, type=what.type)
        _once(uuid.UUID(record.id), what, item)
    except (msgspec.DecodeError, ValueError, DataError, IntegrityError) as error:
        raise Unusable(f"{type(error).__name__}: {error}") from error


def _store(key: uuid.UUID, what: Kind[T], item: T) -> Any:
    """Raises one of DATABASE_AWAY, the breaker open."""
    tries = 1 if breaker.open else None
    try:
        stored = retried(lambda: _once(key, what, item), tries)
    except DATABASE_AWAY:
        breaker.failed()
        raise
    breaker.worked()
    return stored


def retried(action: Callable[[], T], tries: int | None = None) -> T:
    """The action's value; while the database fails it, it is tried `tries` times (default: four in all), after a
    growing pause. Inside a transaction, which a failure ends, only once; and no more after a failure that took long,
    which is no hiccup. Raises the last of DATABASE_AWAY."""
    pauses = () if connection.in_atomic_block else BACK_OFF[: None if tries is None else tries - 1]
    for pause in pauses:
        began = time.monotonic()
        try:
            return action()
        except DATABASE_AWAY as error:
            _drop_connection()
            if time.monotonic() - began > SLOW:
                raise
            logger.info("tried again in %.1f s: %s", pause, str(error).strip())
            time.sleep(pause)
    try:
        return action()
    except DATABASE_AWAY:
        _drop_connection()
        raise


def _once(key: uuid.UUID, what: Kind[T], item: T) -> Any:
    with patience(PATIENCE), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(CLAIM, [key])
            if not cursor.rowcount:
                return None
        return what.store(item)


def _drop_connection() -> None:
    """A broken one is of no use, and the next use makes another."""
    if not connection.in_atomic_block:
        connection.close()
