"""Celery's entrances to candles: what keeps long timeframes, and what is made of closes, up to date."""

import logging
from datetime import UTC, datetime

from celery import shared_task

from candles import backtests, services
from markets.storage import DATABASE_AWAY

logger = logging.getLogger(__name__)


@shared_task(name="candles.roll_up", time_limit=280)
def roll_up() -> None:
    hours = services.roll_up(datetime.now(UTC), 45.0)
    if hours:
        logger.debug("%d hours of candles were brought up to date", hours)


@shared_task(name="candles.derive", time_limit=110)
def derive() -> None:
    try:
        done = services.derive(datetime.now(UTC))
    except DATABASE_AWAY as error:
        logger.warning("indicators and analyses wait for the next time: the database is away (%s)", error)
        return
    if done.left:
        logger.info("%d timeframes were brought up to date, %d wait for the next time", done.places, done.left)


@shared_task(name="candles.backtest", time_limit=110)
def backtest() -> None:
    try:
        stored = backtests.refresh(datetime.now(UTC))
    except DATABASE_AWAY as error:
        logger.warning("backtests wait for the next time: the database is away (%s)", error)
        return
    if stored:
        logger.debug("%d backtests were made anew", stored)
