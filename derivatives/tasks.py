"""Celery's entrances to futures events: what keeps their hours and days up to date."""

import logging
from datetime import UTC, datetime

from celery import shared_task

from derivatives import services

logger = logging.getLogger(__name__)


@shared_task(name="derivatives.roll_up", time_limit=280)
def roll_up() -> None:
    hours = services.roll_up(datetime.now(UTC), 45.0)
    if hours:
        logger.debug("%d hours of futures events were brought up to date", hours)
    found = services.find_holes(datetime.now(UTC))
    if found:
        logger.warning("%d ranges of trades are missing of which nobody knew; they are to be fetched", found)
