"""Why minutes are missing, as far as the collector knows: from its minutes' own figures, and from what was away."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import F

from collector.models import CollectionMinute, Outage

Period = tuple[datetime, datetime]
MINUTE = timedelta(minutes=1)

# What a minute's figures call the reasons of its missing books, and what they mean to who misses them.
MEANINGS = {
    "unavailable": "exchange away",
    "rate_limited": "exchange away",
    "banned": "exchange away",
    "blocked": "exchange away",
    "halted": "exchange away",
    "refused": "refused",
    "rejected": "rejected",
    "budget": "budget",
    "unstored": "database away",
    "overrun": "overrun",
    "late": "overrun",
    "unread": "overrun",
}
AWAY = {"platform": "platform down", "redis": "redis away", "database": "database away"}
# The first that applies to a minute is its cause: what the exchange did, then what was away, then the lack of time.
KNOWN_CAUSES = (
    "exchange away",
    "refused",
    "rejected",
    "budget",
    "platform down",
    "redis away",
    "database away",
    "overrun",
)


def absences(since: datetime) -> list[tuple[str, list[Period]]]:
    """Each of KNOWN_CAUSES with its periods since then (ends not included, in order). Two queries.

    A minute's cause is that of most of its missing books, whichever symbol they belong to."""
    found: dict[str, list[Period]] = defaultdict(list)
    partial = CollectionMinute.objects.filter(minute__gte=since, stored__lt=F("expected")).order_by("minute")
    for minute, causes in partial.values_list("minute", "causes"):
        if causes:
            most = max(sorted(causes), key=causes.__getitem__)
            found[MEANINGS.get(most, "overrun")].append((minute, minute + MINUTE))
    away = Outage.objects.filter(end__gt=since).values_list("cause", "start", "end")
    for cause, start, end in away:
        found[AWAY[cause]].append((start, end))
    return [(cause, _joined(found[cause])) for cause in KNOWN_CAUSES]


def _joined(periods: Iterable[Period]) -> list[Period]:
    """The same in order, those that touch or overlap as one."""
    joined: list[Period] = []
    for start, end in sorted(periods):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
