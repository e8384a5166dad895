"""The DEX page: orders with filters, counts; its first state is inside, the rest comes by /ws/orders."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from api.renderers import encode
from api.serializers.orders import STATUS_WORDS, UserOrdersQuery
from api.times import epoch_ms
from api.views.orders import listed_orders, told_statistics
from depth.views import readable
from dex.addresses import read_address
from dex.events import Status
from dex.selectors import one_moment, scanner_state, scanner_status
from tradingplatform.dex_chart import chart_state

OWN = ("dex_chart", "dex_lines", "dex_live", "dex_rows")
SHARED = ("format", "frame", "kept_socket", "panes_chart", "pill", "poll", "preferences", "search", "theme")
MODULES = tuple(f"js/{name}.js" for name in (*OWN, *SHARED))
ROWS = 50


@never_cache
@require_safe
@readable
def page(request: HttpRequest) -> HttpResponse:
    with one_moment():
        first = state(request)
    context = {
        "state": first,
        "statuses": STATUS_WORDS,
        "explorer": settings.EXPLORER_URL,
        "formats": ("CSV", "JSON", "Parquet"),
        "modules": [static(name) for name in MODULES],
    }
    return render(request, "dex/orders.html", context)


@never_cache
@require_safe
@readable
def data(request: HttpRequest) -> HttpResponse:
    """The state once more, as JSON."""
    with one_moment():
        found = state(request)
    return HttpResponse(encode(found), content_type="application/json")


def state(request: HttpRequest) -> dict[str, Any]:
    """What the page shows: the list by `status`, `user` and `offset` of its address (an empty one and a `problem` where
    they cannot be used), the counts, and how the scanner is."""
    now = timezone.now()
    asked = {name: request.GET[name] for name in ("status", "offset") if request.GET.get(name)}
    query = UserOrdersQuery(data={**asked, "limit": ROWS})
    problem = "" if query.is_valid() else f"{next(iter(query.errors))} in the address cannot be used"
    values: dict[str, Any] = {} if problem else query.validated_data
    user, text = None, request.GET.get("user", "").strip()
    try:
        user = read_address(text) if text else None
    except ValueError as error:
        problem = f"This address {error}"
    word = values.get("status")
    listed: dict[str, Any] = {"orders": [], "total": 0, "limit": ROWS, "offset": 0}
    if not problem:
        listed = listed_orders(values, Status(word.upper()) if word else None, user)
    scanner = scanner_status(now)
    read = scanner.state or scanner_state()
    return {
        **listed,
        "status": word or "all",
        "user": text[:80],
        "problem": problem,
        "chart": chart_state(request.GET.get("chart", "")[:40]),
        "statistics": told_statistics(now),
        "scanner": {
            "status": scanner.status,
            "lag": scanner.lag,
            "mode": scanner.state.status if scanner.state else None,
        },
        "revision": read.revision if read else 0,
        "timestamp": epoch_ms(now),
    }
