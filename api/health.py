"""Whether the platform works, part by part: asked of the parts themselves, within three seconds."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Thread
from time import perf_counter
from typing import Any

import redis
from django.conf import settings
from django.db import connection

from api.times import epoch_ms
from collector.events_status import events_status
from collector.selectors import CollectorStatus, feed_status, process_status, status
from collector.spool_use import spool_use
from dex.selectors import ScannerStatus, scanner_status
from markets.clients import client_figures
from markets.connections import broker_redis
from markets.storage import DATABASE_AWAY, storage_name

PROCESSES = ("worker", "beat")
ORDER = ("database", "redis", "websockets", "collector", *PROCESSES, "feed", "events", "scanner", "spool")
HEALTHY = "healthy"
GOOD = (HEALTHY, "stopped", "off")  # stopped on purpose, or not configured, is no fault


PATIENCE_SECONDS = 2.5
Question = SimpleQueue[float | Exception]


class Silent(Exception):
    """A server did not answer in time."""


@dataclass(frozen=True, slots=True)
class Health:
    """`status` is healthy, degraded or unhealthy (without the database nothing can be answered)."""

    status: str
    components: dict[str, dict[str, Any]]
    storage: str | None


def check(now: datetime) -> Health:
    """Asks every part. Never raises for a part that is away, nor waits longer for one that is silent."""
    database, server = _begin(_select_one), _begin(broker_redis().ping)
    found = _database(database, now) | _redis(server, now)
    found["websockets"] = _sockets(found["redis"]["status"] == HEALTHY)
    found["feed"] = _feed(now, found)
    found["websockets"]["active"] = found["feed"]["connections"] or 0
    found["events"] = _events(now, found)
    found["spool"] = _spool(found["redis"]["status"] == HEALTHY)
    ordered = {name: found[name] for name in ORDER if name in found}
    return Health(_overall(ordered), ordered, _storage() if found["database"]["status"] == HEALTHY else None)


def _overall(components: dict[str, dict[str, Any]]) -> str:
    if components["database"]["status"] != HEALTHY:
        return "unhealthy"
    return HEALTHY if all(part["status"] in GOOD for part in components.values()) else "degraded"


def _database(question: Question, now: datetime) -> dict[str, dict[str, Any]]:
    """The database and what only it knows."""
    try:
        latency = _latency(question)
        asked = {"collector": _collector(status(now)), "scanner": _scanner(scanner_status(now))}
        return {"database": {"status": HEALTHY, "latency": latency}, **asked}
    except (Silent, *DATABASE_AWAY):
        unknown = dict.fromkeys(("lastMinute", "lagSeconds", "symbols", "partial"))
        scanner = _scanner(ScannerStatus("unknown" if settings.WEB3_PROVIDERS else "off", None, None, None))
        return {
            "database": {"status": "unhealthy", "latency": None},
            "collector": {"status": "unknown", **unknown},
            "scanner": scanner,
        }


def _select_one() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()  # this thread's own, back to the pool


def _storage() -> str | None:
    try:
        return storage_name()
    except DATABASE_AWAY:
        return None


def _collector(found: CollectorStatus) -> dict[str, Any]:
    return {
        "status": found.status,
        "lastMinute": epoch_ms(found.last_minute) if found.last_minute else None,
        "lagSeconds": found.lag_seconds,
        "symbols": found.symbols,
        "partial": found.partial,
    }


def _scanner(found: ScannerStatus) -> dict[str, Any]:
    state = found.state
    return {
        "status": found.status,
        "mode": state.status if state else None,
        "headBlock": state.head_block if state else None,
        "headTime": epoch_ms(state.head_time) if state and state.head_time else None,
        "scannedBlock": state.last_processed_block if state else None,
        "lag": found.lag,
        "reorgs": state.reorgs if state else None,
        "anomalies": found.refused,
        "provider": state.provider if state else None,
        "updatedAt": epoch_ms(state.updated_at) if state else None,
    }


def _feed(now: datetime, others: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Live books, as the feeds tell of them in Redis."""
    unknown = {"status": "unknown", "processes": None, "connections": None, "books": None, "synced": None}
    if others["redis"]["status"] != HEALTHY:
        return unknown
    try:
        found = feed_status(now, others["database"]["status"] == HEALTHY)
    except (redis.RedisError, *DATABASE_AWAY):
        return unknown
    counts = {"connections": found.connections, "books": found.books, "synced": found.synced}
    return {"status": found.status, "processes": len(found.reports), **counts}


def _events(now: datetime, others: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Trades, mark prices, liquidations on their way to the database."""
    unknown = {"status": "unknown", **dict.fromkeys(("rate", "waiting", "dropped", "lagSeconds"))}
    missing = dict.fromkeys(("openGaps", "missingTrades", "lostTrades"))
    if others["redis"]["status"] != HEALTHY:
        return {**unknown, **missing}
    try:
        found = events_status(now, others["database"]["status"] == HEALTHY)
    except (redis.RedisError, *DATABASE_AWAY):
        return {**unknown, **missing}
    if found.gaps:
        missing = {"openGaps": found.gaps.open, "missingTrades": found.gaps.trades, "lostTrades": found.gaps.lost}
    flow = {"rate": found.rate, "waiting": found.waiting, "dropped": found.dropped, "lagSeconds": found.lag}
    return {"status": found.status, **flow, **missing}


def _spool(others: bool) -> dict[str, Any]:
    """What waits for the database on disk; of other machines what they told Redis, unless that is away."""
    use = spool_use(others)
    oldest = epoch_ms(use.oldest) if use.oldest else None
    return {"status": use.status, "bytes": use.bytes, "batches": use.batches, "limit": use.limit, "oldest": oldest}


def _redis(question: Question, now: datetime) -> dict[str, dict[str, Any]]:
    """Redis and the processes, whose signs of life stand in it."""
    try:
        latency = _latency(question)
        alive = {name: process_status(name, now) for name in PROCESSES}
        return {"redis": {"status": HEALTHY, "latency": latency}, **alive}
    except (Silent, redis.RedisError):
        unknown: dict[str, dict[str, Any]] = {name: {"status": "unknown"} for name in PROCESSES}
        return {"redis": {"status": "unhealthy", "latency": None}, **unknown}


def _sockets(redis_is_there: bool) -> dict[str, Any]:
    """Live clients over all web processes."""
    try:
        clients = sum(process.clients for process in client_figures()) if redis_is_there else None
    except redis.RedisError:
        clients = None
    return {"status": "unknown" if clients is None else HEALTHY, "active": 0, "clients": clients or 0}


def _begin(ask: Callable[[], Any]) -> Question:
    """Asks in a thread of its own, since a server that is there but silent would hold this one for ever."""
    answers: Question = SimpleQueue()

    def run() -> None:
        begun = perf_counter()
        try:
            ask()
        except Exception as error:  # it belongs to whoever takes the answer
            answers.put(error)
        else:
            answers.put(round((perf_counter() - begun) * 1000, 2))

    Thread(target=run, daemon=True).start()
    return answers


def _latency(question: Question) -> float:
    """Milliseconds that the answer took. Raises Silent, or what the question raised."""
    try:
        answer = question.get(timeout=PATIENCE_SECONDS)
    except Empty:
        raise Silent from None
    if isinstance(answer, Exception):
        raise answer
    return answer
