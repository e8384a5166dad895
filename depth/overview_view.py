"""The overview page: every collected symbol of a market, with its first state inside."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from depth import overview_table as page
from depth.overview import overview, overview_state
from depth.views import readable
from markets.models import Market

MODULES = tuple(
    f"js/{name}.js"
    for name in (
        *("choice", "favourites", "format", "frame", "overview_table", "pill", "poll", "preferences"),
        *("rows_in_view", "search"),
    )
)


@never_cache
@require_safe
@readable
def home(request: HttpRequest) -> HttpResponse:
    """The overview as its address has it."""
    choice = page.read_choice(request.GET)
    state = overview_state(overview(choice.market, choice.depth), datetime.now(UTC))
    rows = page.table(state, choice, favourites(request))
    context = {
        "choice": choice,
        "state": state,
        "rows": rows,
        "shown": sum(not row["hidden"] for row in rows),
        "chosen": choice.query(),
        "quote": _quote(state),
        "modules": [static(name) for name in MODULES],
        **controls(choice),
    }
    return render(request, "depth/overview.html", context)


def favourites(request: HttpRequest) -> frozenset[str]:
    """Starred symbols, from the cookie that the page keeps; so the first paint has them."""
    names = request.COOKIES.get("favourites", "").split(".")
    return frozenset(name for name in names[: page.MOST_FAVOURITES] if name)


def controls(choice: page.Choice) -> dict[str, Any]:
    """Rows of choices and the heads of the columns, each with its address."""
    bands = [{"value": f"{band.normalize():f}", "band": band} for band in settings.DEPTH_BANDS]
    markets = [{"text": m, "address": choice.address(market=m), "chosen": m == choice.market} for m in Market.values]
    return {
        "market_choices": markets,
        "band_choices": [
            {**one, "address": choice.address(depth=one["band"]), "chosen": one["band"] == choice.depth}
            for one in bands
        ],
        "columns": [_head(column, choice) for column in page.COLUMNS],
        "starred_address": choice.address(starred=not choice.starred),
    }


def _head(column: page.Column, choice: page.Choice) -> dict[str, Any]:
    chosen = column.key == choice.sort
    return {
        "key": column.key,
        "text": column.text,
        "tip": column.tip,
        "first": "desc" if column.down_first else "asc",
        "chosen": chosen,
        "direction": ("descending" if choice.down else "ascending") if chosen else "",
    }


def _quote(state: dict[str, Any]) -> str:
    """The quote asset that the values are in; several are told as what they are."""
    quotes = sorted({row["quote"] for row in state["data"]})
    return quotes[0] if len(quotes) == 1 else "quote asset"
