"""Celery's entrances to candles: what keeps their long timeframes up to date."""

import logging
from datetime import UTC, datetime

from celery import shared_task

from candles import services

logger = logging.getLogger(__name__)


@shared_task(name="candles.roll_up", time_limit=280)
def roll_up() -> None:
    hours = services.roll_up(datetime.now(UTC), 45.0)
    if hours:
        logger.debug("%d hours of candles were brought up to date", hours)
