"""The only way out: alerts newest first, the rules, and what could not be delivered."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Max, Q

from alerts.models import Delivery, Firing, Rule

Cursor = tuple[datetime, int]  # when the last one of a page was fired, and its id


def firings(
    limit: int,
    *,
    symbol: str = "",
    market: str = "",
    kind: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
    page_only: bool = False,
    after: Cursor | None = None,
) -> Sequence[Firing]:
    """At most `limit` alerts, newest first, from `start` to `end` (both included); `after` goes on behind a page."""
    found = Firing.objects.all()
    wanted = {"symbol": symbol, "market": market, "kind": kind, "fired_at__gte": start, "fired_at__lte": end}
    found = found.filter(**{name: value for name, value in wanted.items() if value})
    if page_only:
        found = found.filter(on_page=True)
    if after is not None:
        found = found.filter(Q(fired_at__lt=after[0]) | Q(fired_at=after[0], pk__lt=after[1]))
    return list(found.order_by("-fired_at", "-pk")[:limit])


def behind(after: int | None, limit: int) -> tuple[int, int, Sequence[Firing]]:
    """The newest number of all (0: none), how many alerts for the page have one above `after`, and at most `limit` of
    them, newest first; without `after` the number alone. One query, where there are many two."""
    told = Firing.objects.filter(on_page=True).order_by("-pk")
    if after is None:
        return told.values_list("pk", flat=True).first() or 0, 0, []
    found = list(told.filter(pk__gte=after)[: limit + 1])
    fresh = [firing for firing in found if firing.pk > after]
    newest = found[0].pk if found else told.values_list("pk", flat=True).first() or 0
    many = len(fresh) > limit
    return newest, told.filter(pk__gt=after).count() if many else len(fresh), fresh[:limit]


def rules() -> Sequence[Rule]:
    """Every rule by name; `last_fired` is when it last did, None if never."""
    return list(Rule.objects.annotate(last_fired=Max("firings__fired_at")).order_by("name"))


def undelivered() -> int:
    """How many deliveries were given up."""
    return Delivery.objects.filter(state=Delivery.State.DEAD).count()
