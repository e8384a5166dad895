"""What the finished minute cost and brought, into `system_metrics`; and the last word on whether it was whole."""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from redis import RedisError

from collector.events import Event, Type, record
from collector.heartbeat import ProcessBeat, processes
from collector.models import CollectionMinute, RunState, SystemMetric
from collector.processes import host
from depth.services import spool_state

logger = logging.getLogger(__name__)

MINUTE = timedelta(minutes=1)
MOST_PROCESSES = 100
UNREAD = "unread"  # no process took its part: none was there, or it was killed too late for another to go on

FIGURES = {
    "collector.expected": "expected",
    "collector.stored": "stored",
    "collector.failed": "failed",
    "collector.overrun": "overrun",
    "collector.requests": "requests",
    "collector.requests.success": "successful_requests",
    "collector.requests.failed": "failed_requests",
    "collector.weight.spot": "weight_spot",
    "collector.weight.futures": "weight_futures",
    "collector.rows": "rows",
    "collector.cycle.seconds": "seconds",
    "collector.cycle.network_seconds": "network_seconds",
    "collector.cycle.compute_seconds": "compute_seconds",
    "collector.cycle.store_seconds": "store_seconds",
}


def record_metrics(now: datetime) -> int:
    """Closes the minutes that are over and stores the figures of the last one, and of every process that is alive;
    gives how many figures. Repeating it within a minute adds nothing."""
    minute = now.replace(second=0, microsecond=0) - MINUTE
    if not spool_state().batches:  # else books of these minutes are still to come
        _close_until(minute)
    with transaction.atomic():
        RunState.objects.select_for_update().filter(pk=1).first()  # one at a time
        if SystemMetric.objects.filter(time=minute).exists():
            return 0
        found = CollectionMinute.objects.filter(minute=minute).first()
        rows = _minute_figures(found) if found else []
        rows += _process_figures(minute) + _spool_figures(minute)
        SystemMetric.objects.bulk_create(rows)
    return len(rows)


def _close_until(minute: datetime) -> None:
    """Closes every open minute up to this one, also those of an outage however long."""
    with transaction.atomic():
        for found in CollectionMinute.objects.select_for_update().filter(minute__lte=minute, closed=False):
            close(found)


def close(found: CollectionMinute) -> None:
    """Counts as overrun whatever nobody accounted for, and tells of a minute that is not whole, once."""
    unread = found.expected - found.stored - found.failed - found.overrun
    if unread > 0:
        found.overrun += unread
        found.causes = {**found.causes, UNREAD: unread + found.causes.get(UNREAD, 0)}
    found.closed = True
    found.save(update_fields=["overrun", "causes", "closed"])
    if found.partial:
        causes = ", ".join(f"{cause} {count}" for cause, count in sorted(found.causes.items()))
        told = f"{found.stored} of {found.expected} order books stored: {causes or 'unknown'}"
        metadata: dict[str, Any] = {"minute": found.minute.isoformat(), "causes": found.causes}
        record([Event(Type.MINUTE_PARTIAL, told, metadata=metadata, time=found.minute + MINUTE)])


def _minute_figures(found: CollectionMinute) -> list[SystemMetric]:
    values = ((name, getattr(found, field)) for name, field in FIGURES.items())
    return [SystemMetric(time=found.minute, name=name, value=value) for name, value in values if value is not None]


def _process_figures(minute: datetime) -> list[SystemMetric]:
    try:
        beats = processes()[:MOST_PROCESSES]
    except RedisError as error:
        logger.warning("no figures of the processes: Redis is away (%s)", error)
        return []
    return [
        SystemMetric(time=minute, name=name, value=value, metadata=_who(beat))
        for beat in beats
        for name, value in (("process.cpu_percent", beat.cpu_percent), ("process.memory_bytes", beat.memory_bytes))
    ]


def _spool_figures(minute: datetime) -> list[SystemMetric]:
    state = spool_state()
    figures = {"spool.bytes": state.bytes, "spool.batches": state.batches}
    return [
        SystemMetric(time=minute, name=name, value=value, metadata={"host": host()}) for name, value in figures.items()
    ]


def _who(beat: ProcessBeat) -> dict[str, Any]:
    return {"process": beat.name, "pid": beat.pid, "host": beat.host}
