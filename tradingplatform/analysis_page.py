"""The analysis page: candles, indicators and what the rules say of them; its first state is inside."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from api.renderers import encode
from api.times import epoch_ms
from api.views.candles import key_of
from candles import selectors
from candles.analysis import FEWEST
from candles.columns import Columns
from candles.indicators import INDICATORS, MOST_INDICATORS, InvalidIndicator, Request, parse, plain
from candles.technical import Computed, indicators
from candles.timeframes import SPELLINGS, TIMEFRAMES, Timeframe
from depth import charts
from depth.formats import decimals_of
from depth.views import readable
from markets.errors import NotCollected, UnknownSymbol
from markets.models import Market, Symbol
from markets.selectors import collected_symbols, find

MODULES = tuple(
    f"js/{name}.js"
    for name in (
        *("analysis_candles", "analysis_chart", "analysis_colours", "analysis_depth", "analysis_drawings"),
        *("analysis_live", "analysis_menu", "analysis_panels", "analysis_pill", "chart_picture", "choice", "format"),
        *("frame", "kept_socket", "panes_chart", "pill", "poll", "preferences", "search", "series", "theme"),
    )
)
DEFAULT_TIMEFRAME = "15"
DEFAULT_INDICATORS = "sma:20,ema:50,rsi:14"
SHOWN = {
    "volume": "Volume",
    "depth": "Depth DIFF",
    "levels": "Support, resistance",
    "fibonacci": "Fibonacci",
    "pivots": "Pivot points",
    "signals": "Signals",
    "profile": "Volume profile",
}
DEFAULT_SHOWN = ("volume", "depth", "levels", "signals", "profile")
TABS = {"chart": "Chart", "analysis": "Analysis"}
COLORS = re.compile(f"[0-7]?(?:,[0-7]?){{0,{MOST_INDICATORS}}}")  # of the indicators in their order; none: its own
STRETCH = 500  # candles of the first picture, and of each older part


@dataclass(frozen=True, slots=True)
class Choice:
    """Everything that is chosen in the address; `refused` says which of it could not be used."""

    symbol: str
    market: str
    timeframe: Timeframe
    requests: tuple[Request, ...]
    shown: tuple[str, ...]
    depth: Decimal
    tab: str
    refused: str = ""
    start: datetime | None = None
    end: datetime | None = None
    colors: str = ""

    @property
    def values(self) -> dict[str, str]:
        return {
            "symbol": self.symbol,
            "market": self.market,
            "timeframe": self.timeframe.name,
            "indicators": ",".join(request.label for request in self.requests),
            "show": ",".join(self.shown),
            "depth": charts.band_text(self.depth),
            "tab": self.tab,
            **({"colors": self.colors} if self.colors else {}),
        }

    def address(self, **changes: str) -> str:
        """The query string of this choice with some of it changed."""
        return "?" + urlencode(self.values | changes, safe=",:")


def read_choice(parameters: Mapping[str, str]) -> Choice:
    """The choice in an address; whatever is missing or cannot be understood is the default."""
    common = charts.read_choice(parameters)
    length = SPELLINGS.get(parameters.get("timeframe", ""), SPELLINGS[DEFAULT_TIMEFRAME])
    requests, refused = _read_indicators(parameters.get("indicators", DEFAULT_INDICATORS))
    wanted = parameters.get("show")
    shown = DEFAULT_SHOWN if wanted is None else tuple(name for name in SHOWN if name in wanted.split(","))
    tab = parameters.get("tab", "")
    tab = tab if tab in TABS else "chart"
    colors = parameters.get("colors", "")
    return Choice(
        *(common.symbol, common.market, length, requests, shown, common.depth, tab, refused),
        *(common.start, common.end),
        colors if COLORS.fullmatch(colors) else "",
    )


def _read_indicators(text: str) -> tuple[tuple[Request, ...], str]:
    """Those that can be computed, and what is wrong with the first that cannot."""
    requests: list[Request] = []
    refused = ""
    for label in list(dict.fromkeys(text[:1000].split(",")))[:MOST_INDICATORS]:
        try:
            requests += parse(label) if label else []
        except InvalidIndicator as error:
            refused = refused or str(error)
    return tuple(requests), refused


# --- what is shown ---------------------------------------------------------------------------------------------------


def picture(choice: Choice, row: Symbol, now: datetime, after: datetime | None, before: datetime | None) -> Any:
    """The page's state: candles (columns), their indicators, when the newest price was heard of. `after` and `before`
    are opening times, themselves included: what is new, or the stretch of history that ends there."""
    key = key_of(row)
    most = STRETCH if after or before else _stretch(choice, now)
    made = indicators(key, choice.timeframe, choice.requests, now, after, before, most)
    found = selectors.newest(key, choice.timeframe, now)
    return {
        "choice": choice.values | _view(choice),
        "refused": choice.refused,
        "now": epoch_ms(now),
        "base": row.base,
        "quote": row.quote,
        "decimals": decimals_of(row.tick_size),
        "minutes": choice.timeframe.minutes,
        "stretch": most,
        "fewest": FEWEST,
        "heardAt": epoch_ms(found.at) if found else None,
        "progress": _progress(row, now),
        **_columns(made),
    }


def _stretch(choice: Choice, now: datetime) -> int:
    """As many candles as reach back to where the address looks, and some before; no more than an answer may hold."""
    if choice.start is None or choice.start >= now:
        return STRETCH
    return min(selectors.MOST_CANDLES, max(STRETCH, choice.timeframe.count(choice.start, now) + 50))


def _view(choice: Choice) -> dict[str, int | None]:
    """The stretch in view, epoch seconds, where the picture was moved."""
    moments = {"from": choice.start, "to": choice.end}
    return {name: int(moment.timestamp()) if moment else None for name, moment in moments.items()}


def _columns(made: Computed) -> dict[str, Any]:
    count = len(made.candles)
    return {
        "candles": _rows(made.candles),
        "indicators": {label: plain(lines, count) for label, lines in made.lines.items()},
        "missing": made.missing,
    }


def _rows(found: Columns) -> list[tuple[Any, ...]]:
    """Time (epoch s), open, high, low, close, volume, trades, closed, minutes, minutes of a whole one."""
    prices = (found.open, found.high, found.low, found.close, found.volume)
    counts = (found.trades, found.closed, found.minutes, found.expected)
    return list(zip(*(column.tolist() for column in (found.times, *prices, *counts)), strict=True))


def _progress(row: Symbol, now: datetime) -> dict[str, Any] | None:
    """How far the series is collected; None before it has begun."""
    found = selectors.states([key_of(row)])
    if not found:
        return None
    told = selectors.progress(found[0], now)
    first = int(told.first.timestamp()) if told.first else None
    return {"percent": told.percent, "candles": told.candles, "first": first, "error": told.error}


def catalogue() -> list[dict[str, Any]]:
    """Every indicator for the menu: how it is asked, what its parameters may be, where it is drawn."""
    return [
        {
            "name": one.name,
            "title": one.title,
            "overlay": one.overlay,
            "whole": one.whole,
            "lines": one.lines,
            "parameters": [
                {"name": p.name, "default": p.default, "least": p.least, "most": p.most, "whole": p.whole}
                for p in one.parameters
            ],
        }
        for one in INDICATORS.values()
        if one.name != "volume"  # it stands below the candles anyway
    ]


# --- answers ---------------------------------------------------------------------------------------------------------


@never_cache
@require_safe
@readable
def page(request: HttpRequest) -> HttpResponse:
    """The page of one symbol, with its first picture inside; 404 for a symbol that has none."""
    choice = read_choice(request.GET)
    context: dict[str, Any] = {"choice": choice, **controls(choice)}
    try:
        row = find(choice.symbol, choice.market)
    except (UnknownSymbol, NotCollected) as error:
        return render(request, "candles/analysis.html", {**context, **_missing(choice, error)}, status=404)
    state = picture(choice, row, timezone.now(), None, None)
    context |= {"state": state, "catalogue": catalogue(), "modules": [static(name) for name in MODULES]}
    return render(request, "candles/analysis.html", context)


@never_cache
@require_safe
@readable
def data(request: HttpRequest) -> HttpResponse:
    """The state as JSON: whole, or what is new (`after`), or older history (`before`, epoch seconds)."""
    choice = read_choice(request.GET)
    try:
        row = find(choice.symbol, choice.market)
    except (UnknownSymbol, NotCollected) as error:
        code = "unknown_symbol" if isinstance(error, UnknownSymbol) else "not_collected"
        return HttpResponse(encode({"success": False, "code": code}), content_type="application/json", status=404)
    after, before = (charts.moment(request.GET.get(name, "")) for name in ("after", "before"))
    state = picture(choice, row, timezone.now(), after, before)
    return HttpResponse(encode(state), content_type="application/json")


def controls(choice: Choice) -> dict[str, Any]:
    """The rows of choices above the chart: what they set, their text, address, whether they are chosen."""

    def row(name: str, options: dict[str, str]) -> list[dict[str, Any]]:
        chosen = choice.values[name]
        return [
            {"value": v, "text": text, "address": choice.address(**{name: v}), "chosen": v == chosen}
            for v, text in options.items()
        ]

    bands = [charts.band_text(band) for band in settings.DEPTH_BANDS]
    return {
        "timeframe_choices": row("timeframe", {one.name: one.name for one in TIMEFRAMES}),
        "market_choices": row("market", {name: name for name in Market.values}),
        "tab_choices": row("tab", TABS),
        "bands": bands,
        "depth_text": charts.band_text(choice.depth),
        "drawings": [(name, text, name in choice.shown) for name, text in SHOWN.items()],
        "exports": [
            (kind.upper() if kind == "csv" else kind.title(), export_address(choice, kind))
            for kind in ("csv", "parquet")
        ],
    }


def export_address(choice: Choice, kind: str) -> str:
    """Where the candles of the last thousand steps are had as a file."""
    query = {"dataset": "candles", "format": kind, "symbol": choice.symbol, "marketType": choice.market}
    start = choice.timeframe.shift(choice.timeframe.open_of(timezone.now()), -1000)
    return "/api/v1/export?" + urlencode(query | {"timeframe": choice.timeframe.name, "from": int(start.timestamp())})


def _missing(choice: Choice, error: Exception) -> dict[str, Any]:
    """Why there is no picture, and where the reader can go from here."""
    markets = [one for one in Market.values if charts.is_collected(choice.symbol, one)]
    others = [row.name for row in collected_symbols(choice.market)[:12]]
    return {
        "problem": "not_collected" if isinstance(error, NotCollected) else "unknown_symbol",
        "elsewhere": [{"name": one, "address": choice.address(market=one)} for one in markets],
        "others": [{"name": name, "address": choice.address(symbol=name)} for name in others],
    }
