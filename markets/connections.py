"""The process's connections to Redis: one client each for the broker's server and the cache's, for all threads."""

from functools import cache
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry


def _client(url: str, **options: Any) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, health_check_interval=15, **options)


@cache
def broker_redis() -> redis.Redis:
    """The server that carries tasks, budgets and leases. Calls raise redis.RedisError when it is away."""
    return _client(settings.REDIS_URL)


@cache
def cache_redis() -> redis.Redis:
    """For what may be lost at any time; the same server unless CACHE_REDIS_URL names another. One that is away is known
    to be at once: whoever asks has another way, and tries again later."""
    return _client(settings.CACHE_REDIS_URL, retry=Retry(NoBackoff(), 1))
