"""Where Celery enters: the look at each minute, and what is due to be told."""

import logging
from datetime import UTC, datetime

from celery import shared_task

from alerts import deliveries, emergency, services

logger = logging.getLogger(__name__)


@shared_task(name="alerts.evaluate", time_limit=50)
def evaluate() -> None:
    now = datetime.now(UTC)
    emergency.remember()
    services.evaluate(now)
    services.retain(now)
    deliver.apply_async(expires=50)


@shared_task(name="alerts.deliver", time_limit=55)
def deliver() -> None:
    told = deliveries.deliver_due(datetime.now(UTC))
    if told.failed:
        logger.warning("alerts: %d delivered, %d to be tried again or given up", told.delivered, told.failed)
