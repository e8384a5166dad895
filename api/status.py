"""The whole platform at one moment, JSON-ready: asked of the parts, and since when each has been as it is."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from psutil import Process

from api.health import HEALTHY, Health, check
from api.times import epoch_ms
from candles.selectors import overall
from collector import selectors
from collector import status as source
from collector.feed.figures import BookReport, ConnectionReport, Report, reports
from collector.models import CollectionMinute, PastLoad
from collector.selectors import ProcessBeat, Statistics
from depth.cache import counts
from markets.models import Market

LEVELS = {HEALTHY: "green", "stopped": "amber", "degraded": "amber", "unknown": "amber", "unhealthy": "red"}
BEGUN = datetime.fromtimestamp(Process().create_time(), UTC)
UNSEEN_FOR = timedelta(seconds=20)  # looked at less often than this, the moment of a change is not known


@dataclass(slots=True)
class Seen:
    """What this process last saw of a component. `exact`: it saw the change to this status when it happened."""

    status: str
    since: datetime
    exact: bool
    at: datetime


_seen: dict[str, Seen] = {}


def observe(name: str, status: str, now: datetime) -> Seen:
    """Notes what a component is now; gives since when this process has seen it so."""
    known = _seen.get(name)
    if known is None or known.status != status:
        exact = known is not None and now - known.at <= UNSEEN_FOR
        _seen[name] = known = Seen(status, now, exact, now)
    known.at = now
    return known


def platform(now: datetime) -> dict[str, Any]:
    """All of it. Raises one of DATABASE_AWAY when the database cannot be asked; Redis may be away."""
    health = check(now)
    day, facts = source.day(now), source.database_facts()
    figures = selectors.statistics()
    try:
        beats, redis_began = selectors.processes(), source.redis_began(now)
    except redis.RedisError:
        beats, redis_began = [], None
    derived = _derived(health, day, figures, beats) | {"database": (facts.began, True), "redis": (redis_began, True)}
    return {
        "timestamp": epoch_ms(now),
        "status": health.status,
        "components": [*_components(health, derived, now), _web(now)],
        "collection": _collection(health, figures),
        "weight": {market.lower(): _weight(market) for market in Market.values},
        "clocks": [_clock(row) for row in source.clocks()],
        "coverage": _coverage(day),
        "gaps": [_gap(gap) for gap in day.gaps],
        "events": [_event(event) for event in source.events()],
        "failing": [_failing(symbol) for symbol in source.failing()],
        "processes": [_process(beat) for beat in beats],
        "candles": _candles(now),
        "feed": _feed(now),
        "cache": _cache(health),
        "storage": _storage(health, facts),
        "past": past_state(source.past()),
    }


# --- components --------------------------------------------------------------------------------------------------

Derived = dict[str, tuple[datetime | None, bool]]


def _derived(health: Health, day: source.Day, figures: Statistics, beats: list[ProcessBeat]) -> Derived:
    """Since when, where records tell it better than looking does: (moment, whether it is exact)."""
    found: Derived = {"collector": _collector_since(health.components["collector"], day)}
    for name in ("worker", "beat"):
        if health.components[name]["status"] == HEALTHY:
            found[name] = (min((beat.started_at for beat in beats if beat.name == name), default=None), True)
    return found


def _collector_since(part: dict[str, Any], day: source.Day) -> tuple[datetime | None, bool]:
    """Healthy since its unbroken minutes began, late since the last one grew old, stopped since it was switched off."""
    if part["status"] == "stopped":
        return selectors.run_state().changed_at, True
    if part["status"] == HEALTHY:
        return day.unbroken_since, not day.reaches_back
    lagging = part["lagSeconds"] is not None and part["lagSeconds"] > selectors.HEALTHY_FOR.total_seconds()
    if part["lastMinute"] is None or not lagging:  # or books are missing
        return None, False
    grace = selectors.HEALTHY_FOR if part["status"] == "degraded" else selectors.DEGRADED_FOR
    return datetime.fromtimestamp(part["lastMinute"] / 1000, UTC) + grace, True


def _components(health: Health, derived: Derived, now: datetime) -> list[dict[str, Any]]:
    # Clients' connections are no part that works or does not; those to the exchange are the feed's.
    names = [name for name in health.components if name != "websockets"]
    return [_component(name, health.components[name], derived.get(name), now) for name in names]


def _component(
    name: str, part: dict[str, Any], derived: tuple[datetime | None, bool] | None, now: datetime
) -> dict[str, Any]:
    seen = observe(name, part["status"], now)
    since, exact = seen.since, seen.exact
    if derived and derived[0] and part["status"] != "unknown" and not _contradicted(name, part["status"]):
        since, exact = derived[0], derived[1]
        if seen.exact and seen.since > since:
            since = seen.since
    return {
        "name": name,
        "status": part["status"],
        "level": LEVELS.get(part["status"], "amber"),
        "since": epoch_ms(since),
        "sinceExact": exact,
        "latency": part.get("latency"),
        "processes": part.get("processes"),
        "batches": part.get("batches"),
    }


def _contradicted(name: str, status: str) -> bool:
    """Start times of servers tell nothing of one that does not answer."""
    return name in {"database", "redis"} and status != HEALTHY


def _web(now: datetime) -> dict[str, Any]:
    """This very process: it answers."""
    told = {"name": "web", "status": HEALTHY, "level": "green", "since": epoch_ms(BEGUN), "sinceExact": True}
    return {**told, "latency": None, "processes": 1, "batches": None}


# --- parts -------------------------------------------------------------------------------------------------------


def _ms(moment: datetime | None) -> int | None:
    return epoch_ms(moment) if moment else None


def _collection(health: Health, figures: Statistics) -> dict[str, Any]:
    part, state = health.components["collector"], selectors.run_state()
    return {
        "status": part["status"],
        "running": figures.running,
        "changedAt": epoch_ms(state.changed_at),
        "changedBy": state.changed_by,
        "lastMinute": part["lastMinute"],
        "lagSeconds": part["lagSeconds"],
        "symbols": part["symbols"],
        "requests": figures.total_requests,
        "failedRequests": figures.failed_requests,
        "lastCycle": _cycle(figures.last_cycle) if figures.last_cycle else None,
    }


def _cycle(minute: CollectionMinute) -> dict[str, Any]:
    return {
        "minute": epoch_ms(minute.minute),
        "seconds": minute.seconds,
        "expected": minute.expected,
        "stored": minute.stored,
        "failed": minute.failed,
        "overrun": minute.overrun,
        "rows": minute.rows,
        "networkSeconds": minute.network_seconds,
        "computeSeconds": minute.compute_seconds,
        "storeSeconds": minute.store_seconds,
    }


def _weight(market: str) -> dict[str, Any]:
    use = selectors.weight(market)
    return {"used": use.used, "limit": use.limit, "blockedUntil": _ms(use.blocked_until)}


def _clock(row: Any) -> dict[str, Any]:
    return {"market": row.market, "offsetMs": row.clock_offset_ms, "checkedAt": epoch_ms(row.checked_at)}


def _coverage(day: source.Day) -> dict[str, Any]:
    return {
        "bucketMinutes": source.BUCKET_MINUTES,
        "expected": day.expected,
        "stored": day.stored,
        "partialMinutes": day.partial_minutes,
        "missingMinutes": day.missing_minutes,
        "buckets": [
            {
                "time": epoch_ms(bucket.start),
                "state": bucket.state,
                "expected": bucket.expected,
                "stored": bucket.stored,
                "missingMinutes": bucket.lacking,
            }
            for bucket in day.buckets
        ],
    }


def _gap(gap: source.Gap) -> dict[str, Any]:
    bounds = {"from": epoch_ms(gap.start), "to": epoch_ms(gap.end)}
    return {**bounds, "state": gap.state, "cause": gap.cause, "books": gap.books}


def _event(event: Any) -> dict[str, Any]:
    where = {"symbol": event.symbol, "market": event.market_type}
    return {"time": epoch_ms(event.time), "type": event.event_type, **where, "message": event.message}


def _failing(symbol: Any) -> dict[str, Any]:
    return {
        "symbol": symbol.name,
        "market": symbol.market,
        "minutes": symbol.failures,
        "lastMinute": _ms(symbol.last_minute),
        "error": symbol.last_error,
        "errorAt": _ms(symbol.last_error_at),
    }


def _feed(now: datetime) -> list[dict[str, Any]]:
    """Each feed that is alive, its connections and its books; none while Redis is away."""
    try:
        return [_feed_process(report) for report in reports(now.timestamp())]
    except redis.RedisError:
        return []


def _feed_process(report: Report) -> dict[str, Any]:
    return {
        "pid": report.pid,
        "startedAt": round(report.started * 1000),
        "at": round(report.at * 1000),
        "messages": report.messages,
        "messagesPerSecond": report.rate,
        "waiting": report.waiting,
        "dropped": report.dropped,
        "published": report.published,
        "slowestMs": round(report.slowest * 1000, 1),
        "snapshots": report.snapshots,
        "snapshotsFailed": report.snapshots_failed,
        "minutesStored": report.stored,
        "cpuPercent": report.cpu,
        "memoryBytes": report.memory,
        "connections": [_connection(one) for one in report.connections],
        "books": [_live_book(book) for book in report.books],
    }


def _connection(one: ConnectionReport) -> dict[str, Any]:
    return {
        "id": one.id,
        "market": one.market,
        "state": one.state,
        "since": round(one.since * 1000),
        "streams": one.streams,
        "silent": one.silent,
        "messagesPerSecond": one.rate,
        "reconnects": one.reconnects,
        "uptimePercent": one.uptime,
    }


def _live_book(book: BookReport) -> dict[str, Any]:
    return {
        "symbol": book.symbol,
        "market": book.market,
        "status": book.status,
        "since": round(book.since * 1000),
        "ageMs": None if book.age is None else round(book.age * 1000),
        "bidLevels": book.bid_levels,
        "askLevels": book.ask_levels,
        "bidPercent": book.bid_reach,
        "askPercent": book.ask_reach,
        "resyncs": book.resyncs,
        "auditedAt": None if book.audited is None else round(book.audited * 1000),
        "auditPercent": 100 * book.audit_equal / book.audit_compared if book.audit_compared else None,
    }


def _process(beat: ProcessBeat) -> dict[str, Any]:
    return {
        "name": beat.name,
        "host": beat.host,
        "pid": beat.pid,
        "startedAt": epoch_ms(beat.started_at),
        "at": epoch_ms(beat.at),
        "cpuPercent": beat.cpu_percent,
        "memoryBytes": beat.memory_bytes,
        "lastTask": _ms(beat.last_task_at),
    }


def _storage(health: Health, facts: source.DatabaseFacts) -> dict[str, Any]:
    return {
        "name": health.storage,
        "version": facts.version,
        "timescaledb": facts.timescaledb,
        "bytes": facts.size,
        "oldest": _ms(facts.oldest),
        "newest": _ms(facts.newest),
    }


def _cache(health: Health) -> list[dict[str, Any]]:
    """What was asked of the cache, over all processes, and how much of it was there; nothing while Redis is away."""
    try:
        found = counts() if health.components["redis"]["status"] == HEALTHY else {}
    except redis.RedisError:
        return []
    return [
        {"name": name, "hits": hits, "misses": misses, "hitPercent": round(hits / (hits + misses) * 100, 1)}
        for name, (hits, misses) in found.items()
    ]


def _candles(now: datetime) -> dict[str, Any]:
    found = overall(now)
    return {
        "series": found.series,
        "realtime": found.realtime,
        "failing": found.failing,
        "done": found.done,
        "total": found.total,
        "candles": found.candles,
        "lackedMinutes": found.lacked_minutes,
        "oldest": _ms(found.first),
        "newest": _ms(found.last),
    }


def past_state(row: PastLoad | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {"until": epoch_ms(row.until), "done": row.done, "total": row.total, "finishedAt": _ms(row.finished_at)}
