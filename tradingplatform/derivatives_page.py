"""The derivatives page: one contract's price with its liquidations, flow, open interest and funding; its trades as they
come; all contracts side by side; alerts. Its first state is inside."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from api.renderers import encode
from depth import charts
from depth.views import readable
from markets.errors import NotCollected, UnknownSymbol
from markets.models import Market, Symbol
from markets.selectors import collected_symbols, find
from tradingplatform import derivatives_state as states

MODULES = tuple(
    f"js/{name}.js"
    for name in (
        *("chart_picture", "choice", "derivatives_bubbles", "derivatives_chart", "derivatives_legend"),
        *("derivatives_live", "derivatives_pill", "derivatives_series", "derivatives_table", "derivatives_tape"),
        *("format", "frame", "kept_socket", "panes_chart", "pill", "poll", "preferences", "rows_in_view", "search"),
        *("series", "theme"),
    )
)
# How long each range is, and its step in minutes.
RANGES = {"1h": (1, 1), "6h": (6, 1), "24h": (24, 5), "7d": (168, 60), "30d": (720, 120), "60d": (1440, 240)}
DEFAULT_RANGE = "6h"
LEAST = {"0": "All", "1000": "1K", "10000": "10K", "100000": "100K", "1000000": "1M"}  # notional, in the quote asset
TABS = {"chart": "Chart", "tape": "Trades", "market": "Market", "alerts": "Alerts"}
SORTS = (
    *("symbol", "price", "interest", "change1h", "change24h", "funding", "next", "basis", "longs", "shorts", "age"),
)
DEFAULT_SORT = "interest"


@dataclass(frozen=True, slots=True)
class Choice:
    """Everything that is chosen in the address. `market` is whose trades the tape shows; `tape` the least notional of
    one; `start` and `end` are there when the picture was moved."""

    symbol: str
    market: str
    range: str
    tape: str
    tab: str
    sort: str
    dir: str
    q: str
    start: datetime | None = None
    end: datetime | None = None

    @property
    def values(self) -> dict[str, str]:
        names = ("symbol", "market", "range", "tape", "tab", "sort", "dir", "q")
        return {name: getattr(self, name) for name in names}

    @property
    def step(self) -> timedelta:
        return timedelta(minutes=RANGES[self.range][1])

    @property
    def span(self) -> timedelta:
        return timedelta(hours=RANGES[self.range][0])

    def address(self, **changes: str) -> str:
        """The query string of this choice with some of it changed."""
        return "?" + urlencode({name: value for name, value in (self.values | changes).items() if value})


def read_choice(parameters: Mapping[str, str]) -> Choice:
    """The choice in an address; whatever is missing or cannot be understood is the default."""

    def one_of(name: str, allowed: Any, default: str) -> str:
        value = parameters.get(name, "")
        return value if value in allowed else default

    symbol = (parameters.get("symbol") or _first()).strip().upper()[:40].replace("\x00", "")
    start, end = charts.moment(parameters.get("from", "")), charts.moment(parameters.get("to", ""))
    moved = start is not None and end is not None and start < end
    return Choice(
        symbol,
        one_of("market", Market.values, str(Market.FUTURES)),
        one_of("range", RANGES, DEFAULT_RANGE),
        one_of("tape", LEAST, "0"),
        one_of("tab", TABS, "chart"),
        one_of("sort", SORTS, DEFAULT_SORT),
        one_of("dir", ("asc", "desc"), "desc"),
        parameters.get("q", "").strip().upper()[:20].replace("\x00", ""),
        start if moved else None,
        end if moved else None,
    )


def _first() -> str:
    ranked = collected_symbols(str(Market.FUTURES))
    return ranked[0].name if ranked else "BTCUSDT"


def state(choice: Choice, row: Symbol, now: datetime, after: datetime | None = None) -> dict[str, Any]:
    """What the page shows of its contract: all of it, or the steps from `after` on, itself included."""
    view = states.View(row, choice.market, choice.step, choice.span, float(choice.tape), now, after)
    moved = {"from": choice.start, "to": choice.end}
    chosen = {**choice.values, **{name: int(at.timestamp()) if at else None for name, at in moved.items()}}
    return {"choice": chosen, **states.contract(view)}


@never_cache
@require_safe
@readable
def page(request: HttpRequest) -> HttpResponse:
    """The page of one contract, with its first state inside; 404 for a symbol that has none."""
    choice, now = read_choice(request.GET), timezone.now()
    context: dict[str, Any] = {"choice": choice, **_controls(choice)}
    try:
        row = find(choice.symbol, str(Market.FUTURES))
    except (UnknownSymbol, NotCollected) as error:
        return render(request, "derivatives/derivatives.html", {**context, **_missing(choice, error)}, status=404)
    beside = {"table": states.table(now), "alerts": states.alerts()}
    context |= {"state": state(choice, row, now) | beside, "modules": [static(name) for name in MODULES]}
    return render(request, "derivatives/derivatives.html", context)


@never_cache
@require_safe
@readable
def data(request: HttpRequest) -> HttpResponse:
    """A part of the state as JSON: the contract's, whole or from `after` on; or by `part` the `table` of all contracts
    with the newest alerts, the `tape`, or the `flow` of its trades."""
    choice, now = read_choice(request.GET), timezone.now()
    try:
        row = find(choice.symbol, str(Market.FUTURES))
    except (UnknownSymbol, NotCollected) as error:
        code = "unknown_symbol" if isinstance(error, UnknownSymbol) else "not_collected"
        return HttpResponse(encode({"success": False, "code": code}), content_type="application/json", status=404)
    part = request.GET.get("part", "")
    view = states.View(row, choice.market, choice.step, choice.span, float(choice.tape), now)
    if part == "table":
        body = {"now": states.epoch_ms(now), "table": states.table(now), "alerts": states.alerts()}
    elif part == "tape":
        body = {"now": states.epoch_ms(now), "tape": states.tape(view)}
    elif part == "flow":
        body = {"now": states.epoch_ms(now), "flow": states.flows(view, deferred=False)}
    else:
        body = state(choice, row, now, charts.moment(request.GET.get("after", "")))
    return HttpResponse(encode(body), content_type="application/json")


def _controls(choice: Choice) -> dict[str, Any]:
    """The rows of choices: what they set, their text, address, whether they are chosen."""

    def row(name: str, options: Mapping[str, str]) -> list[dict[str, Any]]:
        chosen = choice.values[name]
        return [
            {"value": value, "text": text, "address": choice.address(**{name: value}), "chosen": value == chosen}
            for value, text in options.items()
        ]

    return {
        "range_choices": row("range", {name: name for name in RANGES}),
        "market_choices": row("market", {name: name for name in reversed(Market.values)}),
        "tape_choices": row("tape", LEAST),
        "tab_choices": row("tab", TABS),
        "exports": [(text, dataset) for dataset, text in EXPORTS.items()],
    }


EXPORTS = {
    "trades": "Trades",
    "liquidations": "Liquidations",
    "mark-prices": "Mark prices and funding",
    "open-interest": "Open interest",
}


def _missing(choice: Choice, error: Exception) -> dict[str, Any]:
    """Why there is no picture, and where the reader can go from here."""
    others = [row.name for row in collected_symbols(str(Market.FUTURES))[:12]]
    return {
        "problem": "not_collected" if isinstance(error, NotCollected) else "unknown_symbol",
        "on_spot": charts.is_collected(choice.symbol, str(Market.SPOT)),
        "others": [{"name": name, "address": choice.address(symbol=name)} for name in others],
    }
