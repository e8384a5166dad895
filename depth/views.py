"""The chart page and the data that it asks for while it is open."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from urllib.parse import urlencode

import msgspec
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from depth import charts as page
from depth.models import LIFETIMES
from depth.tables import book_table, diff_table
from markets.errors import NotCollected, UnknownSymbol
from markets.selectors import collected_symbols, find, registry
from markets.storage import DATABASE_AWAY

# Loaded at once with the page's own module, instead of one after another.
MODULES = tuple(
    f"js/{name}.js"
    for name in (
        *("chart", "chart_picture", "choice", "format", "frame", "freshness", "kept_socket", "legend", "liquidity"),
        *("live", "panels", "panes_chart", "pill", "poll", "preferences", "search", "series", "theme"),
    )
)
RANGE_TEXTS = {"all": "All"}
MINUTES_KEPT = LIFETIMES["snapshots"][1].total_seconds()
View = Callable[[HttpRequest], HttpResponse]


def readable(view: View) -> View:
    """Where reading is not public, pages ask for a login; where the database is away, they say so (503)."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        data = request.path.endswith("/data")
        try:
            if not settings.API_PUBLIC and not request.user.is_authenticated:
                return _problem(401, "login_required") if data else redirect_to_login(request.get_full_path())
            return view(request)
        except DATABASE_AWAY:
            return _problem(503, "database_away") if data else _away(request)

    return guarded


def _away(request: HttpRequest) -> HttpResponse:
    body = render_to_string("down.html", {"address": request.get_full_path()}, request)
    return HttpResponse(body, status=503, headers={"Retry-After": "5"})


@never_cache
@require_safe
@readable
def charts(request: HttpRequest) -> HttpResponse:
    """The chart page of one symbol, with its first picture inside; 404 for a symbol that has none."""
    choice = page.read_choice(request.GET)
    context: dict[str, Any] = {"choice": choice, **controls(choice)}
    try:
        row = find(choice.symbol, choice.market)
    except (UnknownSymbol, NotCollected) as error:
        return render(request, "depth/charts.html", {**context, **_missing(choice, error)}, status=404)
    state = page.chart_state(choice, row, datetime.now(UTC))
    context |= {"book": book_table(state), "bands": diff_table(state, choice.unit), "state": state}
    context |= {"export_address": export_address(choice, state), "modules": [static(name) for name in MODULES]}
    return render(request, "depth/charts.html", context)


def export_address(choice: page.Choice, state: dict[str, Any]) -> str:
    """Where the chosen band and range are had as CSV."""
    query = {"dataset": "depth", "format": "csv", "symbol": choice.symbol, "marketType": choice.market}
    span = {"depth": state["depth"], "from": state["now"] // 1000 - state["span"], "to": state["now"] // 1000}
    # Minutes as far back as they are kept, beyond that what is drawn.
    interval = {"interval": "1m" if state["span"] <= MINUTES_KEPT else state["interval"]}
    return "/api/v1/export?" + urlencode(query | span | interval)


def controls(choice: page.Choice) -> dict[str, Any]:
    """The rows of choices above the chart: (text, address, whether it is chosen)."""

    def row(name: str, values: list[tuple[str, str]], chosen: str) -> list[dict[str, Any]]:
        return [
            {"name": name, "value": v, "text": text, "address": choice.address(**{name: v}), "chosen": v == chosen}
            for v, text in values
        ]

    bands = [page.band_text(band) for band in settings.DEPTH_BANDS]
    return {
        "band_choices": row("depth", [(band, f"{band}%") for band in bands], page.band_text(choice.depth)),
        "side_choices": row("side", list(zip(page.SIDES, ("Both", "BID", "ASK", "DIFF"), strict=True)), choice.side),
        "range_choices": row("range", [(name, RANGE_TEXTS.get(name, name)) for name in page.RANGES], choice.range),
        "tab_choices": row("tab", list(zip(page.TABS, ("Chart", "Book", "DIFF"), strict=True)), choice.tab),
        "market_choices": row("market", [("SPOT", "SPOT"), ("FUTURES", "FUTURES")], choice.market),
        "compare_address": choice.address(compare="" if choice.compare else "1"),
        "quote_address": choice.address(unit="quote"),
        "base_address": choice.address(unit="base"),
        "depth_text": page.band_text(choice.depth),
    }


def _missing(choice: page.Choice, error: Exception) -> dict[str, Any]:
    """Why there is no picture, and where the reader can go from here."""
    entries = [entry for entry in registry(choice.symbol) if entry.symbol == choice.symbol]
    others = [row.name for row in collected_symbols(choice.market)[:12]]
    elsewhere = ""
    for entry in entries:
        for market in entry.markets:
            if market != choice.market and page.is_collected(choice.symbol, market):
                elsewhere = market
    known = isinstance(error, NotCollected)
    return {
        "problem": "not_collected" if known else "unknown_symbol",
        "elsewhere": elsewhere,
        "elsewhere_address": choice.address(market=elsewhere) if elsewhere else "",
        "others": [{"name": name, "address": choice.address(symbol=name)} for name in others],
    }


@never_cache
@require_safe
@readable
def chart_data(request: HttpRequest) -> HttpResponse:
    """The page's state as JSON: whole, or only what is new (`after`), or older history (`before`, epoch seconds)."""
    choice = page.read_choice(request.GET)
    try:
        row = find(choice.symbol, choice.market)
    except UnknownSymbol:
        return _problem(404, "unknown_symbol")
    except NotCollected:
        return _problem(404, "not_collected")
    now = datetime.now(UTC)
    after, before = page.moment(request.GET.get("after", "")), page.moment(request.GET.get("before", ""))
    if before is not None:
        return _json(page.older_state(choice, row, now, before))
    if after is not None:
        return _json(page.update_state(choice, row, now, after))
    return _json(page.chart_state(choice, row, now))


def _json(state: dict[str, Any], status: int = 200) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(state), content_type="application/json", status=status)


def _problem(status: int, code: str) -> HttpResponse:
    response = _json({"code": code}, status)
    if status == 503:
        response["Retry-After"] = "5"
    return response
