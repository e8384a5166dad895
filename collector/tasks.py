"""Celery's entrances: each reads its arguments, calls a service and sends what follows."""

import logging
from datetime import UTC, datetime

from celery import shared_task

from collector import services
from collector.cycle import MINUTE, Part

logger = logging.getLogger(__name__)

TIME_LIMIT = 80  # seconds; a part ends by itself before


@shared_task(name="collector.collect_minute", time_limit=120)
def collect_minute() -> None:
    services.collect_minute(datetime.now(UTC), send)


def send(part: Part, eta: datetime | None = None) -> None:
    """Hands a part to the workers; it is worth nothing after its minute."""
    arguments = [part.exchange, part.market, list(part.names), part.minute.isoformat(), part.index]
    collect_books.apply_async(arguments, eta=eta, expires=part.minute + MINUTE)


@shared_task(name="collector.collect_books", time_limit=TIME_LIMIT)
def collect_books(exchange: str, market: str, names: list[str], minute: str, index: int) -> None:
    part = Part(exchange, market, tuple(names), datetime.fromisoformat(minute), index)
    result = services.collect_part(part)
    if result.rest is not None:
        send(result.rest, eta=result.resume_at)


@shared_task(name="collector.record_metrics", time_limit=50)
def record_metrics() -> None:
    services.record_metrics(datetime.now(UTC))


@shared_task(name="collector.sync_symbols", time_limit=300)
def sync_symbols() -> None:
    for line in services.sync_registry():
        logger.info("%s", line)


@shared_task(name="collector.retention", time_limit=300)
def retention() -> None:
    deleted = services.retain(datetime.now(UTC))
    if deleted:
        logger.info("%d rows past their lifetime were deleted", deleted)
