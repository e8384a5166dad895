"""The only way in: readings become alerts, and alerts become deliveries, in one transaction a rule."""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from alerts import readings
from alerts.models import KEPT, Channel, Delivery, Firing, Rule, RuleMemory
from alerts.rules import Kind, Memory, Reading, Verdict, decide, sentence

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 20  # alerts of one rule in one minute; what is beyond is told as one


def evaluate(now: datetime) -> int:
    """Looks at the newest stored minute with every enabled rule that is read from storage; gives how many fired.

    Repeating it within a minute fires nothing again."""
    rules = [rule for rule in Rule.objects.filter(enabled=True) if Kind(rule.kind) in readings.READERS]
    moment = readings.moment(now) if rules else None
    if moment is None:
        return 0
    return sum(_judge(rule, list(readings.reader(rule, moment)())) for rule in rules)


def consider(kind: Kind, found: Sequence[Reading]) -> int:
    """Judges readings that the caller has made, by every enabled rule of this kind that watches what they are of
    (`symbol` and `market` in their details); gives how many fired."""
    if not found:
        return 0
    rules = Rule.objects.filter(enabled=True, kind=kind.value)
    return sum(_judge(rule, [one for one in found if rule.watches(**_of(one))]) for rule in rules)


def _of(reading: Reading) -> dict[str, str]:
    return {name: str(reading.details.get(name, "")) for name in ("symbol", "market")}


def _judge(rule: Rule, found: Sequence[Reading]) -> int:
    """One rule at a time: two evaluations of a minute wait for each other, and the second finds nothing new."""
    with transaction.atomic():
        locked = Rule.objects.select_for_update().filter(pk=rule.pk, enabled=True).first()
        if locked is None:
            return 0
        limits = locked.limits()
        known = {row.subject: row for row in locked.memories.all()}
        fired: list[Reading] = []
        changed: list[RuleMemory] = []
        for reading in found:
            row = known.get(reading.subject) or RuleMemory(rule=locked, subject=reading.subject)
            memory = Memory(row.active, row.fired_at, row.key)
            verdict, after = decide(limits, memory, reading)
            if after != memory:
                row.active, row.fired_at, row.key = after.active, after.fired_at, after.key
                known[reading.subject] = row
                changed.append(row)
            if verdict is Verdict.FIRED:
                fired.append(reading)
            elif verdict is Verdict.RESOLVED:
                _resolve(locked, reading)
        _remember(changed)
        for reading in fired[:MOST_AT_ONCE]:
            _fire(locked, reading)
        if len(fired) > MOST_AT_ONCE:
            _fire_many(locked, fired[MOST_AT_ONCE:])
    return len(fired)


def _remember(changed: Iterable[RuleMemory]) -> None:
    RuleMemory.objects.bulk_create(
        {row.subject: row for row in changed}.values(),
        update_conflicts=True,
        update_fields=["active", "fired_at", "key"],
        unique_fields=["rule", "subject"],
    )


def _fire(rule: Rule, reading: Reading) -> None:
    _tell(rule, reading, sentence(Kind(rule.kind), rule.limits(), reading))


def _fire_many(rule: Rule, rest: Sequence[Reading]) -> None:
    subjects = [reading.subject for reading in rest]
    named = ", ".join(subjects[:10]) + (" ..." if len(subjects) > 10 else "")
    newest = rest[0]
    many = Reading(
        f"{len(rest)} more", newest.value, newest.at, newest.bound, details={"subjects": subjects, "count": len(rest)}
    )
    _tell(rule, many, f"{rule.name}: {len(rest)} more at the same time: {named}")


def _tell(rule: Rule, reading: Reading, message: str) -> None:
    """Stores the alert, and what is to be delivered of it."""
    details = dict(reading.details)
    firing = Firing.objects.create(
        rule=rule,
        rule_name=rule.name,
        kind=rule.kind,
        subject=reading.subject,
        symbol=details.get("symbol", ""),
        market=details.get("market", ""),
        fired_at=reading.at,
        value=reading.value,
        threshold=rule.threshold,
        bound=reading.bound.value,
        message=message,
        details=details,
        on_page=rule.to_page,
    )
    told_already = rule.name in details.get("toldTo", ())  # while the database was away
    Delivery.objects.bulk_create(
        Delivery(firing=firing, channel=channel, target=target, next_at=reading.at)
        for channel, target in ([] if told_already else targets(rule))
    )
    logger.info("alert: %s", message)


def targets(rule: Rule) -> list[tuple[str, str]]:
    """Where a rule's alerts go besides the page: (channel, target)."""
    found: list[tuple[str, str]] = [(str(Channel.LOG), "")] if rule.to_log else []
    found += [(str(Channel.EMAIL), address) for part in rule.email.split(",") if (address := part.strip())]
    found += [(str(Channel.WEBHOOK), rule.webhook_url)] if rule.webhook_url else []
    return list(dict.fromkeys(found))


def _resolve(rule: Rule, reading: Reading) -> None:
    Firing.objects.filter(rule=rule, subject=reading.subject, resolved_at__isnull=True).update(resolved_at=reading.at)


def retain(now: datetime, most: int = 5000) -> int:
    """Deletes alerts past their lifetime; gives how many."""
    old = Firing.objects.filter(fired_at__lt=now - KEPT).values_list("pk", flat=True)[:most]
    deleted, _ = Firing.objects.filter(pk__in=list(old)).delete()
    return deleted


def retry(deliveries: Iterable[Delivery], now: datetime) -> int:
    """Sends given-up deliveries on their way again; gives how many."""
    return Delivery.objects.filter(pk__in=[delivery.pk for delivery in deliveries], state=Delivery.State.DEAD).update(
        state=Delivery.State.PENDING, attempts=0, next_at=now, error=""
    )


# What anybody would want to know: name, kind, settings beyond the kind's usual ones.
USUAL: tuple[tuple[str, Kind, dict[str, Any]], ...] = (
    ("Database away", Kind.DATABASE_AWAY, {}),
    ("Redis away", Kind.REDIS_AWAY, {}),
    ("Exchange refuses us", Kind.EXCHANGE_BAN, {}),
    ("Minutes missed", Kind.MINUTE_MISSED, {}),
    ("Spool filling", Kind.SPOOL_FILLING, {}),
    ("Price moved 2 % in an hour", Kind.PRICE_MOVE, {"window_minutes": 60, "threshold": 2.0, "cooldown_minutes": 60}),
    ("Spread above 0.5 %", Kind.SPREAD, {"cooldown_minutes": 60}),
    ("DIFF at 1 % unlike its day", Kind.DEPTH_DIFF_ZSCORE,
     {"band": 1, "window_minutes": 1440, "threshold": 5.0, "cooldown_minutes": 60}),
)  # fmt: skip


def make_usual_rules() -> int:
    """Rules to begin with, where there never were any; gives how many. What somebody deleted does not come back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sequence_last_value(pg_get_serial_sequence('alert_rules', 'id'))")
        if cursor.fetchone()[0] is not None:
            return 0
    for name, kind, options in USUAL:
        Rule.objects.create(name=name, kind=kind.value, **options)
    return len(USUAL)
