"""The only way into the collector: start and stop, a minute's collection, the registry, metrics and retention."""

import logging
from datetime import UTC, datetime, timedelta
from time import monotonic

from django.db import connection, transaction
from psycopg import sql

from collector.cycle import Part, PartResult, collect_minute, collect_part
from collector.metrics import record_metrics
from collector.models import RunChange, RunState
from collector.registry import sync_registry
from depth.services import retain as retain_depth
from derivatives.services import retain as retain_events
from markets.storage import storage_name

__all__ = [
    "Part",
    "PartResult",
    "collect_minute",
    "collect_part",
    "record_metrics",
    "retain",
    "start",
    "stop",
    "sync_registry",
]

logger = logging.getLogger(__name__)

# Table: its time column, how long its rows are kept, and whether TimescaleDB drops them itself.
LIFETIMES = {
    "websocket_events": ("time", timedelta(days=14), True),
    "system_metrics": ("time", timedelta(days=60), True),
    "collector_minutes": ("minute", timedelta(days=60), False),
    "collector_outages": ("start", timedelta(days=60), False),
    "book_audits": ("time", timedelta(days=60), False),
    "stored_batches": ("at", timedelta(days=7), False),
}
DELETE_BATCH = 20_000
DELETE_OLD = "DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE {time} < %s LIMIT %s))"


def start(by: str) -> None:
    """Switches collection on, from the next minute; `by` says who. Repeating it is fine. It holds across restarts."""
    _switch(True, by)


def stop(by: str) -> None:
    """Switches collection off; what is being read at the moment is still stored. Repeating it is fine."""
    _switch(False, by)


def _switch(running: bool, by: str) -> None:
    now = datetime.now(UTC)
    RunState.objects.get_or_create(pk=1)
    with transaction.atomic():
        state = RunState.objects.select_for_update().get(pk=1)
        if state.running == running:
            return
        RunState.objects.filter(pk=1).update(running=running, changed_at=now, changed_by=by[:150])
        RunChange.objects.create(at=now, running=running, by=by[:150])
    logger.info("collection was switched %s by %s", "on" if running else "off", by)


def retain(now: datetime, seconds: float = 20.0) -> int:
    """Deletes what is past its lifetime, of books and of the collector's own records, in batches; gives how many."""
    deleted, policies = retain_depth(now, seconds), storage_name() == "timescaledb"
    if not policies:  # TimescaleDB drops whole chunks
        deleted += retain_events(now)
    until = monotonic() + seconds
    with connection.cursor() as cursor:
        for table, (column, lifetime, by_policy) in LIFETIMES.items():
            statement = sql.SQL(DELETE_OLD).format(table=sql.Identifier(table), time=sql.Identifier(column))
            batch = 0 if policies and by_policy else DELETE_BATCH
            while batch == DELETE_BATCH and monotonic() < until:
                cursor.execute(statement, [now - lifetime, DELETE_BATCH])
                batch = cursor.rowcount
                deleted += batch
    return deleted
