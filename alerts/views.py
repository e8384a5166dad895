"""The alert centre: what was seen, newest first, and what is watched; with its first state inside."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import path
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from alerts.deliveries import body
from alerts.models import Rule
from alerts.rules import MEANINGS, Kind
from alerts.selectors import behind, firings, rules
from depth.views import readable
from markets.storage import DATABASE_AWAY

MODULES = tuple(f"js/{name}.js" for name in ("format", "frame", "pill", "poll", "preferences", "search"))
SHOWN = 100
NOTES = 4


@never_cache
@require_safe
@readable
def alerts(request: HttpRequest) -> HttpResponse:
    """`?symbol=` and `?kind=` choose; whatever is not known there shows nothing, and says so."""
    symbol, kind = request.GET.get("symbol", "").upper()[:40].replace("\x00", ""), request.GET.get("kind", "")
    found = firings(SHOWN, symbol=symbol, kind=kind if kind in set(Kind) else "", page_only=True)
    context = {
        "state": {"data": [body(firing) for firing in found]},
        "symbol": symbol,
        "kind": kind,
        "kinds": [(one.value, MEANINGS[one].title) for one in Kind],
        "rules": [_watched(rule) for rule in rules()],
        "modules": [static(name) for name in MODULES],
    }
    return render(request, "alerts/alerts.html", context)


@never_cache
@require_safe
def new(request: HttpRequest) -> HttpResponse:
    """For the notes on every page: the alerts behind number `after`, newest first and a few of them, and how many they
    are; without `after` only the newest one's number. 401 and 503 without a body where they cannot be told."""
    text = request.GET.get("after", "")
    after = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
    try:
        if not settings.API_PUBLIC and not request.user.is_authenticated:
            return HttpResponse(status=401)
        newest, count, found = behind(after, NOTES)
    except DATABASE_AWAY:
        return HttpResponse(status=503, headers={"Retry-After": "5"})
    now = int(timezone.now().timestamp() * 1000)
    return JsonResponse({"now": now, "newest": newest, "count": count, "data": [body(firing) for firing in found]})


def _watched(rule: Rule) -> dict[str, Any]:
    meaning = MEANINGS[Kind(rule.kind)]
    of = " ".join(filter(None, [rule.symbol or "every collected symbol", rule.market])) if meaning.symbols else "system"
    extra = [
        f"{rule.band.normalize():f} %" if rule.band else "",
        f"{rule.window_minutes} min" if rule.window_minutes else "",
    ]
    return {
        "name": rule.name,
        "enabled": rule.enabled,
        "what": ", ".join(filter(None, [meaning.title, *extra, rule.get_side_display()])),
        "of": of,
        "sign": {"above": ">", "below": "<", "either": "±"}[rule.direction],
        "threshold": f"{rule.threshold:,.10g}",
        "unit": meaning.unit,
        "last": rule.last_fired,
    }


app_name = "alerts"
urlpatterns = [path("alerts/", alerts, name="alerts"), path("alerts/new", new, name="new")]
