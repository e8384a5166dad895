"""What every page shows around its own content: pages, preferences, market, account."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest

from collector.status import past
from markets.models import Market


@dataclass(frozen=True, slots=True)
class Page:
    """One entry of the header. `market` pages carry the chosen symbol and market along."""

    key: str
    text: str
    address: str
    market: bool = False
    staff: bool = False


# In the header's order; a page is listed here once it exists.
PAGES = (
    Page("overview", "Overview", "/", market=True),
    Page("depth", "Depth", "/charts/", market=True),
    Page("analysis", "Analysis", "/analysis/", market=True),
    Page("derivatives", "Derivatives", "/derivatives/", market=True),
    Page("alerts", "Alerts", "/alerts/"),
    Page("dex", "DEX", "/dex/"),
    Page("status", "Status", "/status/"),
    Page("api", "API", "/api/v1/docs"),
    Page("admin", "Admin", "/admin/", staff=True),
)
PREFERENCES = {
    "theme": ("dark", "light"),
    "palette": ("classic", "safe"),
    "zone": ("utc", "local"),
    "toasts": ("on", "off"),  # new alerts on every page
}


def frame(request: HttpRequest) -> dict[str, Any]:
    """Template variables of the frame. Preferences are cookies, so that the first paint is already in them."""
    chosen = {name: _preference(request, name, allowed) for name, allowed in PREFERENCES.items()}
    return {
        "pages": PAGES,
        "preferences": chosen,
        "simulated_market": settings.SIMULATED_MARKET,
        "past_load": _past_load,
        "page_key": _page_key(request.path),
        "page_query": _place(request),
    }


def _place(request: HttpRequest) -> str:
    """The symbol and market in view as a query: pages of a market go on with them."""
    given = {"symbol": request.GET.get("symbol", "").strip().upper(), "market": request.GET.get("market", "").upper()}
    known = {
        name: value
        for name, value in given.items()
        if (value in Market.values if name == "market" else 0 < len(value) <= 40 and value.isprintable())
    }
    return f"?{urlencode(known)}" if known else ""


def _past_load() -> dict[str, Any] | None:
    """How far the simulated market's past is, while it is being loaded; asked for only by pages that show it."""
    row = past() if settings.SIMULATED_MARKET else None
    if row is None or row.finished_at:
        return None
    return {"done": row.done, "total": row.total, "percent": row.done * 100 // row.total if row.total else 0}


def _page_key(path: str) -> str:
    """The page that an address belongs to; only the bare "/" is the overview."""
    if path == "/":
        return "overview"
    return next((page.key for page in PAGES if page.address != "/" and path.startswith(page.address)), "")


def _preference(request: HttpRequest, name: str, allowed: tuple[str, ...]) -> str:
    value = request.COOKIES.get(name, "")
    return value if value in allowed else allowed[0]
