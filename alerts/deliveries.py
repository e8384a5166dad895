"""From stored alerts to the people: what is due is claimed, sent outside of any transaction, and its fate written down.

A delivery is claimed for CLAIMED seconds; whoever is killed in between leaves it to be tried again after that, so a
receiver may get it twice (with the same id) but never not at all, up to the last of the tries."""

import logging
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from alerts.channels import CHANNELS, Message, Undelivered
from alerts.models import Delivery, Firing
from alerts.rules import MEANINGS, Kind

logger = logging.getLogger(__name__)

BACK_OFF = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 900, 3600, 7200))  # after each failed try
MOST_TRIES = len(BACK_OFF) + 1
CLAIMED = timedelta(seconds=90)
AT_ONCE = 1  # one that a slow receiver keeps waiting keeps no other one
LONGEST = 35.0  # seconds that one round takes new ones for


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one round did."""

    delivered: int = 0
    failed: int = 0
    given_up: int = 0


def deliver_due(now: datetime) -> Delivered:
    """Sends what is due at `now` (aware), oldest first, for LONGEST seconds at most."""
    begun = time.monotonic()
    told: Counter[bool | None] = Counter()
    while time.monotonic() - begun < LONGEST and (claimed := _claim(now)):
        told.update(_deliver(delivery, now) for delivery in claimed)
    return Delivered(told[True], told[False] + told[None], told[None])


def _deliver(delivery: Delivery, now: datetime) -> bool | None:
    """Whether it arrived; None when it is given up."""
    if delivery.attempts > MOST_TRIES:
        _failed(delivery, now, "none of the tries came to an end", True)
        return None
    try:
        CHANNELS[delivery.channel](message(delivery), delivery.target)
    except Undelivered as error:
        is_last = delivery.attempts >= MOST_TRIES
        _failed(delivery, now, str(error), is_last)
        return None if is_last else False
    done = {"state": Delivery.State.DELIVERED, "done_at": now, "error": ""}
    Delivery.objects.filter(pk=delivery.pk).update(**done)
    return True


def _claim(now: datetime) -> list[Delivery]:
    """Those that are due, each to one process; their `attempts` count this try already."""
    with transaction.atomic():
        due = Delivery.objects.filter(state=Delivery.State.PENDING, next_at__lte=now).order_by("next_at", "pk")
        chosen = list(due.select_for_update(skip_locked=True).values_list("pk", flat=True)[:AT_ONCE])
        Delivery.objects.filter(pk__in=chosen).update(attempts=F("attempts") + 1, next_at=now + CLAIMED)
    return list(Delivery.objects.filter(pk__in=chosen).select_related("firing", "firing__rule").order_by("pk"))


def _failed(delivery: Delivery, now: datetime, reason: str, is_last: bool) -> None:
    state = Delivery.State.DEAD if is_last else Delivery.State.PENDING
    next_at = now if is_last else now + BACK_OFF[delivery.attempts - 1]
    Delivery.objects.filter(pk=delivery.pk).update(state=state, next_at=next_at, error=reason)
    level = logging.ERROR if is_last else logging.WARNING
    logger.log(level, "alert %s to %s: %s%s", delivery.firing_id, delivery, reason, ", given up" if is_last else "")


def message(delivery: Delivery) -> Message:
    firing = delivery.firing
    secret = firing.rule.webhook_secret if firing.rule else ""
    return Message(
        f"{firing.pk}-{delivery.pk}", firing.rule_name, firing.message, firing.fired_at, body(firing), secret
    )


def body(firing: Firing) -> dict[str, Any]:
    """An alert as programs get it, over the API and by webhook."""
    return {
        "id": firing.pk,
        "rule": firing.rule_name,
        "ruleId": firing.rule_id,
        "kind": firing.kind,
        "subject": firing.subject,
        "symbol": firing.symbol or None,
        "marketType": firing.market or None,
        "timestamp": int(firing.fired_at.timestamp() * 1000),
        "resolvedAt": int(firing.resolved_at.timestamp() * 1000) if firing.resolved_at else None,
        "value": firing.value,
        "unit": MEANINGS[Kind(firing.kind)].unit,
        "bound": firing.bound,
        "threshold": firing.threshold,
        "message": firing.message,
        "details": firing.details,
    }
