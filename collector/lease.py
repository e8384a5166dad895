"""Which process reads which part of a minute: a short lease in Redis, so that a redelivered task does not read twice.

It only saves work. When Redis is away the part is read without it; what is stored twice stays as it was."""

import logging
from collections.abc import Callable
from enum import Enum
from time import monotonic

from redis import RedisError

from collector import processes
from markets.connections import broker_redis

logger = logging.getLogger(__name__)

LIFETIME = 12.0  # seconds: how long a killed process keeps the others from its part
RENEWAL = 3.0
DONE_LIFETIME = 120.0
DONE = b"done"

RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end"
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class State(Enum):
    """OURS: go on. BUSY: another process has it. DONE: nothing is left to do."""

    OURS = "ours"
    BUSY = "busy"
    DONE = "done"


class Lease:
    """The lease of one part; `key` names it."""

    def __init__(self, key: str) -> None:
        self._key = f"lease:{key}"
        self._token = processes.identity()
        self._renewed = monotonic()

    def take(self) -> State:
        try:
            if broker_redis().set(self._key, self._token, nx=True, px=int(LIFETIME * 1000)):
                return State.OURS
            holder = broker_redis().get(self._key)
        except RedisError as error:
            logger.warning("%s goes without its lease: Redis is away (%s)", self._key, error)
            return State.OURS
        if holder in {None, self._token.encode()}:  # it has just ended, or this process died halfway and is here again
            return State.OURS
        return State.DONE if holder == DONE else State.BUSY

    def renew(self) -> None:
        """Prolongs the lease when it is time to."""
        if monotonic() - self._renewed > RENEWAL:
            self._renewed = monotonic()
            self._try(lambda: broker_redis().eval(RENEW, 1, self._key, self._token, int(LIFETIME * 1000)))

    def release(self) -> None:
        """Gives the part back, for whoever goes on with it."""
        self._try(lambda: broker_redis().eval(RELEASE, 1, self._key, self._token))

    def finish(self) -> None:
        """Says that the part is done, to whom it is delivered again."""
        self._try(lambda: broker_redis().set(self._key, DONE, px=int(DONE_LIFETIME * 1000)))

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except RedisError as error:
            logger.warning("%s: Redis is away (%s)", self._key, error)
