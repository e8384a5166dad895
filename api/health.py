"""Whether the platform works, part by part: asked of the parts themselves, within three seconds."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Any

import redis
from django.db import connection

from api.exceptions import DATABASE_AWAY
from api.times import epoch_ms
from collector.selectors import CollectorStatus, process_status, status
from markets.connections import broker_redis
from markets.storage import storage_name

PROCESSES = ("worker", "beat")
HEALTHY = "healthy"
GOOD = (HEALTHY, "stopped")  # stopped on purpose is no fault


@dataclass(frozen=True, slots=True)
class Health:
    """`status` is healthy, degraded or unhealthy (without the database nothing can be answered)."""

    status: str
    components: dict[str, dict[str, Any]]
    storage: str | None


def check(now: datetime) -> Health:
    """Asks every part. Never raises for a part that is away."""
    with ThreadPoolExecutor(1) as pool:  # so that two silent servers cost the longer wait, not both
        redis_answer = pool.submit(_redis, now)
        components, storage = _database(now)
        components |= redis_answer.result()
    order = ("database", "redis", "websockets", "collector", *PROCESSES)
    components["websockets"] = {"status": HEALTHY, "active": 0, "clients": 0}
    ordered = {name: components[name] for name in order}
    return Health(_overall(ordered), ordered, storage)


def _overall(components: dict[str, dict[str, Any]]) -> str:
    if components["database"]["status"] != HEALTHY:
        return "unhealthy"
    return HEALTHY if all(part["status"] in GOOD for part in components.values()) else "degraded"


def _database(now: datetime) -> tuple[dict[str, dict[str, Any]], str | None]:
    """The database and what only it knows; with the storage's name."""
    try:
        latency = _milliseconds(_select_one)
        return {
            "database": {"status": HEALTHY, "latency": latency},
            "collector": _collector(status(now)),
        }, storage_name()
    except DATABASE_AWAY:
        away = {"status": "unhealthy", "latency": None}
        unknown = {"status": "unknown", "lastMinute": None, "lagSeconds": None, "symbols": None}
        return {"database": away, "collector": unknown}, None


def _select_one() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _collector(found: CollectorStatus) -> dict[str, Any]:
    return {
        "status": found.status,
        "lastMinute": epoch_ms(found.last_minute) if found.last_minute else None,
        "lagSeconds": found.lag_seconds,
        "symbols": found.symbols,
    }


def _redis(now: datetime) -> dict[str, dict[str, Any]]:
    """Redis and the processes, whose signs of life stand in it."""
    try:
        latency = _milliseconds(broker_redis().ping)
        return {
            "redis": {"status": HEALTHY, "latency": latency},
            **{name: process_status(name, now) for name in PROCESSES},
        }
    except redis.RedisError:
        unknown = {name: {"status": "unknown"} for name in PROCESSES}
        return {"redis": {"status": "unhealthy", "latency": None}, **unknown}


def _milliseconds(ask: Callable[[], Any]) -> float:
    begun = perf_counter()
    ask()
    return round((perf_counter() - begun) * 1000, 2)
