"""The process's connections to Redis: one client each for the broker's server and the cache's, for all threads."""

from functools import cache

import redis
from django.conf import settings


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, health_check_interval=15)


@cache
def broker_redis() -> redis.Redis:
    """The server that carries tasks, budgets and leases. Calls raise redis.RedisError when it is away."""
    return _client(settings.REDIS_URL)


@cache
def cache_redis() -> redis.Redis:
    """The server for what may be lost at any time; the same one unless CACHE_REDIS_URL names another."""
    return broker_redis() if settings.CACHE_REDIS_URL == settings.REDIS_URL else _client(settings.CACHE_REDIS_URL)
