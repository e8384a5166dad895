"""Celery's entrances to the depth series: what keeps its hours and days up to date."""

import logging
from datetime import UTC, datetime

from celery import shared_task

from depth import rollups

logger = logging.getLogger(__name__)


@shared_task(name="depth.roll_up", time_limit=300)
def roll_up() -> None:
    hours = rollups.roll_up(datetime.now(UTC))
    if hours:
        logger.info("%d hours and their days were brought up to date", hours)
