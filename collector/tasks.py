"""Celery's entrances: each reads its arguments, calls a service and sends what follows."""

import logging
import time
from datetime import UTC, datetime, timedelta

from celery import shared_task
from django.db import InterfaceError, OperationalError
from kombu.exceptions import OperationalError as BrokerAway

from collector import alerting, candle_tasks, futures_tasks, services
from collector.cycle import MINUTE, Part, PartResult
from depth.services import minute_of

logger = logging.getLogger(__name__)

TIME_LIMIT = 80  # seconds; a part ends by itself before
AGAIN = timedelta(seconds=2)  # a restart of the database costs a part a moment, not its minute
SENDING = {"max_retries": 10, "interval_start": 0.2, "interval_step": 0.2, "interval_max": 1.0}


@shared_task(name="collector.collect_minute", time_limit=120)
def collect_minute() -> None:
    now = datetime.now(UTC)
    unsent: list[Part] = []

    def hand_out(part: Part) -> None:
        try:
            if not unsent:
                send(part)
                return
        except BrokerAway as error:
            logger.warning("parts of the minute are read here: Redis is away (%s)", error)
        unsent.append(part)

    try:
        services.collect_minute(now, hand_out)
        for part in unsent:
            read_here(part)
    except (OperationalError, InterfaceError) as error:
        logger.warning("the minute begins again: the database is away (%s)", error)
        collect_minute.apply_async(eta=now + AGAIN, expires=minute_of(now) + MINUTE, retry_policy=SENDING)


def send(part: Part, eta: datetime | None = None) -> None:
    """Hands a part to the workers; it is worth nothing after its minute."""
    arguments = [part.exchange, part.market, list(part.names), part.minute.isoformat(), part.index]
    collect_books.apply_async(arguments, eta=eta, expires=part.minute + MINUTE, retry_policy=SENDING)


@shared_task(name="collector.collect_books", time_limit=TIME_LIMIT)
def collect_books(exchange: str, market: str, names: list[str], minute: str, index: int) -> None:
    part = Part(exchange, market, tuple(names), datetime.fromisoformat(minute), index)
    try:
        result = services.collect_part(part)
    except (OperationalError, InterfaceError) as error:
        logger.warning("a part of %s begins again: the database is away (%s)", market, error)
        result = PartResult(rest=part, resume_at=datetime.now(UTC) + AGAIN)
    if result.rest is not None:
        try:
            send(result.rest, eta=result.resume_at)
        except BrokerAway:
            read_here(result.rest, result.resume_at)


def read_here(part: Part, at: datetime | None = None) -> None:
    """Reads a part to its end in this process, from `at` on, since nobody else can be told of it."""
    rest: Part | None = part
    while rest is not None:
        if at is not None:
            time.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()))
        result = services.collect_part(rest)
        rest, at = result.rest, result.resume_at


@shared_task(name="collector.collect_candles", time_limit=55)
def collect_candles() -> None:
    candle_tasks.collect_newest()


@shared_task(name="collector.backfill_candles", time_limit=110)
def backfill_candles() -> None:
    candle_tasks.collect_history()


@shared_task(name="collector.repair_candles", time_limit=110)
def repair_candles() -> None:
    candle_tasks.repair()


@shared_task(name="collector.record_metrics", time_limit=50)
def record_metrics() -> None:
    services.record_metrics(datetime.now(UTC))


@shared_task(name="collector.sync_symbols", time_limit=300)
def sync_symbols() -> None:
    for line in services.sync_registry():
        logger.info("%s", line)


@shared_task(name="collector.consider_system", time_limit=50)
def consider_system() -> None:
    alerting.consider_system(datetime.now(UTC))


@shared_task(name="collector.repair_trades", time_limit=58)
def repair_trades() -> None:
    futures_tasks.repair_trades()


@shared_task(name="collector.open_interest", time_limit=58)
def open_interest() -> None:
    futures_tasks.collect_open_interest()


@shared_task(name="collector.retention", time_limit=300)
def retention() -> None:
    deleted = services.retain(datetime.now(UTC))
    if deleted:
        logger.info("%d rows past their lifetime were deleted", deleted)
