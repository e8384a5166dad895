"""Symbols that the exchange refuses: asked again after 1, 2, 4 ... 30 minutes, until the registry knows better."""

import logging
from collections.abc import Sequence

from redis import RedisError

from markets.connections import broker_redis

logger = logging.getLogger(__name__)

LONGEST = 30  # minutes
MEMORY = 2 * 3600  # seconds without a refusal after which the count begins anew
EARLY = 10  # seconds: so that the wait ends before the minute in which the symbol is asked again


def waiting(exchange: str, market: str, names: Sequence[str]) -> set[str]:
    """Those of `names` that are not to be asked now; none when Redis is away."""
    if not names:
        return set()
    try:
        found = broker_redis().mget([_key("until", exchange, market, name) for name in names])
    except RedisError as error:
        logger.warning("refused symbols are asked: Redis is away (%s)", error)
        return set()
    return {name for name, value in zip(names, found, strict=True) if value is not None}


def note(exchange: str, market: str, name: str) -> int:
    """Remembers a refusal; gives the minutes until the symbol is asked again (1 when Redis is away)."""
    count_key = _key("count", exchange, market, name)
    try:
        with broker_redis().pipeline() as pipe:
            pipe.incr(count_key)
            pipe.expire(count_key, MEMORY)
            minutes = min(LONGEST, 2 ** (min(int(pipe.execute()[0]), 10) - 1))
        broker_redis().set(_key("until", exchange, market, name), minutes, ex=minutes * 60 - EARLY)
    except RedisError as error:
        logger.warning("the refusal of %s is not remembered: Redis is away (%s)", name, error)
        return 1
    return minutes


def _key(kind: str, exchange: str, market: str, name: str) -> str:
    return f"refused:{kind}:{exchange}:{market}:{name}"
