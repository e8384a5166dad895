"""What collection must know of the database to go on without it: each reading is remembered, here and in Redis."""

import logging
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

import msgspec
from redis import RedisError

from depth.services import guarded
from markets.connections import broker_redis
from markets.storage import DATABASE_AWAY

logger = logging.getLogger(__name__)

T = TypeVar("T")
LIFETIME = 7 * 24 * 3600  # seconds
TOLD_EVERY = 60.0  # seconds, when nothing changed
_known: dict[str, tuple[Any, float]] = {}  # value, and when Redis was last told of it


def remembered(name: str, holds: type[T], read: Callable[[], T]) -> T:
    """What `read` reads from the database; while that is away, what it was the last time, in this process or in
    another that shares its Redis. Raises one of DATABASE_AWAY when nobody remembers."""
    try:
        value = guarded(read)
    except DATABASE_AWAY:
        if name in _known:
            return _known[name][0]
        found = _from_redis(name)
        if found is None:
            raise
        logger.warning("%s is as it was: the database is away", name)
        _known[name] = (msgspec.msgpack.decode(found, type=holds), monotonic())
        return _known[name][0]
    _keep(name, value)
    return value


def forget() -> None:
    """Forgets everything that this process remembers."""
    _known.clear()


def _keep(name: str, value: Any) -> None:
    before, told_at = _known.get(name, (None, -TOLD_EVERY))
    if before == value and monotonic() - told_at < TOLD_EVERY:
        return
    _known[name] = (value, monotonic())
    try:
        broker_redis().set(f"known:{name}", msgspec.msgpack.encode(value), ex=LIFETIME)
    except RedisError as error:
        logger.debug("%s is remembered here alone: Redis is away (%s)", name, error)


def _from_redis(name: str) -> bytes | None:
    try:
        found = broker_redis().get(f"known:{name}")
    except RedisError:
        return None
    return found if isinstance(found, bytes) else None
