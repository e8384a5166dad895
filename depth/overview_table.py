"""The overview as rows of text for the first paint; static/js/overview_table.js renders the updates the same."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from django.conf import settings

from depth.formats import MARKS, basis_points, compact, diff_quality, fixed, percent, side_mark
from depth.overview import default_band
from markets.models import Market

STALE_MS = 150_000
LEAST_SCALE = 10.0  # percent: a calmer trend than this is not stretched to the full height
DASH = "–"
MOST_FAVOURITES = 150


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its key in the address, its text, how a click sorts it first, and what its head explains."""

    key: str
    text: str
    down_first: bool
    tip: str


COLUMNS = (
    Column("symbol", "Symbol", False, "Name on the exchange."),
    Column("price", "Price", True, "Middle between best bid and best ask."),
    Column("change1h", "1 h %", True, "Price against an hour before the newest book."),
    Column("change24h", "24 h %", True, "Price against a day before the newest book."),
    Column("spread", "Spread bps", False, "Best ask minus best bid, in hundredths of a percent of the price."),
    Column("bid", "BID", True, "Value of the bids within the band. >= : the book does not reach its bound."),
    Column("ask", "ASK", True, "Value of the asks within the band. >= : the book does not reach its bound."),
    Column("diff", "DIFF", True, "BID minus ASK, in value."),
    Column("percentage", "DIFF %", True, "DIFF as a share of BID and ASK together."),
    Column("trend", "DIFF % 1 h", True, "DIFF % minute by minute; sorts by how far it moved."),
    Column("reach", "Reach %", False, "How far the known book reaches below best bid and above best ask."),
    Column("volume", "24 h volume", True, "Traded value, as the exchange last listed it."),
    Column("age", "Age", False, "Since the book was read."),
)
KEYS = tuple(column.key for column in COLUMNS)


@dataclass(frozen=True, slots=True)
class Choice:
    """Everything that is chosen on the overview."""

    market: str
    depth: Decimal
    sort: str = "volume"
    down: bool = True
    search: str = ""
    starred: bool = False

    def query(self) -> dict[str, str]:
        words = {"market": self.market, "depth": f"{self.depth.normalize():f}", "sort": self.sort}
        words["dir"] = "desc" if self.down else "asc"
        return words | ({"q": self.search} if self.search else {}) | ({"starred": "1"} if self.starred else {})

    def address(self, **changes: Any) -> str:
        return "?" + urlencode(replace(self, **changes).query())


def read_choice(parameters: Mapping[str, str]) -> Choice:
    """The choice in an address; whatever is missing or cannot be understood is the default."""
    market = parameters.get("market", "").upper()
    try:
        band = Decimal(parameters.get("depth", ""))
    except InvalidOperation:
        band = default_band()
    sort = parameters.get("sort", "")
    return Choice(
        market=market if market in Market.values else str(Market.SPOT),
        depth=band if band in settings.DEPTH_BANDS else default_band(),
        sort=sort if sort in KEYS else "volume",
        down=parameters.get("dir", "desc") != "asc",
        search=parameters.get("q", "").strip().upper()[:40],
        starred=parameters.get("starred") == "1",
    )


# --- order -------------------------------------------------------------------------------------------------------

Figure = Callable[[dict[str, Any]], Any]


def _of_book(name: str) -> Figure:
    return lambda row: row["book"] and row["book"][name]


def _of_band(read: Callable[[float, float], float]) -> Figure:
    def figure(row: dict[str, Any]) -> float | None:
        band = row["book"] and row["book"]["band"]
        return read(band["totalBidValue"], band["totalAskValue"]) if band else None

    return figure


def _reach(row: dict[str, Any]) -> float | None:
    """The nearer side decides; a whole side reaches any distance."""
    if not row["book"]:
        return None
    coverage = row["book"]["coverage"]
    sides = (coverage["bidPercent"], coverage["askPercent"])
    return min(float("inf") if side is None else side for side in sides)


def _moved(row: dict[str, Any]) -> float | None:
    known = [share for share in row["trend"]["percentage"] if share is not None] if row["trend"] else []
    return known[-1] - known[0] if known else None


def _age(row: dict[str, Any]) -> int | None:
    return -row["book"]["timestamp"] if row["book"] else None


def share(bid: float, ask: float) -> float:
    return (bid - ask) / (bid + ask) * 100 if bid + ask else 0.0


FIGURES: dict[str, Figure] = {
    "symbol": lambda row: row["symbol"],
    "price": _of_book("midPrice"),
    "change1h": _of_book("change1h"),
    "change24h": _of_book("change24h"),
    "spread": _of_book("spreadBps"),
    "bid": _of_band(lambda bid, _: bid),
    "ask": _of_band(lambda _, ask: ask),
    "diff": _of_band(lambda bid, ask: bid - ask),
    "percentage": _of_band(share),
    "trend": _moved,
    "reach": _reach,
    "volume": lambda row: row["volume24h"],
    "age": _age,
}


def ordered(rows: Sequence[dict[str, Any]], choice: Choice) -> list[dict[str, Any]]:
    """Rows as chosen; those without the figure last, whichever the direction."""
    figure = FIGURES[choice.sort]
    known = [row for row in rows if figure(row) is not None]
    unknown = [row for row in rows if figure(row) is None]
    return sorted(known, key=figure, reverse=choice.down) + unknown


# --- cells -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """What one cell says and how it looks; `bar` is how far it is filled, in hundredths of its width."""

    text: str
    tone: str = ""
    partial: bool = False
    bar: float | None = None


def table(state: dict[str, Any], choice: Choice, favourites: frozenset[str]) -> list[dict[str, Any]]:
    """The rows of the page, sorted; those that the filter leaves out are there, and hidden."""
    values = [FIGURES[side](row) for row in state["data"] for side in ("bid", "ask")]
    largest = max((value for value in values if value is not None), default=0.0) or 1.0
    return [_row(row, state, choice, favourites, largest) for row in ordered(state["data"], choice)]


def _row(
    row: dict[str, Any], state: dict[str, Any], choice: Choice, favourites: frozenset[str], largest: float
) -> dict[str, Any]:
    book, name, starred = row["book"], row["symbol"], row["symbol"] in favourites
    band = book and book["band"]
    found = choice.search in name and (starred or not choice.starred)
    address = urlencode({"symbol": name, "market": choice.market, "depth": choice.query()["depth"]})
    age = state["timestamp"] - book["timestamp"] if book else None
    return {
        "symbol": name,
        "base": row["base"],
        "quote": name.removeprefix(row["base"]),
        "address": f"/charts/?{address}",
        "analysis_address": f"/analysis/?{address}",
        "starred": starred,
        "hidden": not found,
        "stale": age is not None and age > STALE_MS,
        **_price_cells(row),
        **_band_cells(band, largest),
        "tip": band_tip(book) if book else "No book has been read yet.",
        "trend": trend_paths(row["trend"]),
        "reach": reach_text(book["coverage"]) if book else DASH,
        "volume": compact(row["volume24h"]) if row["volume24h"] else DASH,
        "age": age_text(age) if age is not None else DASH,
    }


def _price_cells(row: dict[str, Any]) -> dict[str, Any]:
    book = row["book"]
    if not book:
        return {name: Cell(DASH) for name in ("price", "change1h", "change24h", "spread")}
    cells = {"price": Cell(fixed(book["midPrice"], row["priceDecimals"]))}
    cells["spread"] = Cell(basis_points(book["spreadBps"]))
    for name in ("change1h", "change24h"):
        change = book[name]
        cells[name] = Cell(DASH if change is None else percent(change), tone_of(change))
    return cells


def _band_cells(band: dict[str, Any] | None, largest: float) -> dict[str, Any]:
    if not band:
        return {name: Cell(DASH) for name in ("bid", "ask", "diff", "percentage")} | {"quality": "none"}
    bid, ask = band["totalBidValue"], band["totalAskValue"]
    quality = diff_quality(band["bidComplete"], band["askComplete"])
    shown, tone = share(bid, ask), "bid" if bid >= ask else "ask"
    bar = round(abs(shown) / 2, 2)
    sides = {
        side: Cell(side_mark(whole) + compact(value), side, not whole, round(value / largest * 100, 1))
        for side, value, whole in (("bid", bid, band["bidComplete"]), ("ask", ask, band["askComplete"]))
    }
    mark = MARKS[quality]
    lopsided = Cell(mark + percent(shown, 1), tone, quality != "exact", bar)
    return {**sides, "diff": Cell(mark + compact(bid - ask), tone), "percentage": lopsided, "quality": quality}


def tone_of(change: float | None) -> str:
    return "" if not change else "bid" if change > 0 else "ask"


def age_text(milliseconds: int) -> str:
    """How long ago, in the largest unit that keeps it readable."""
    seconds = max(0, int(milliseconds / 1000 + 0.5))
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 172_800 else f"{seconds // 86_400} d"


def reach_text(coverage: dict[str, Any]) -> str:
    sides = (coverage["bidPercent"], coverage["askPercent"])
    if sides == (None, None):
        return "whole book"
    below, above = ("whole" if side is None else f"{side:.2f}" for side in sides)
    return f"−{below} +{above}"


def band_tip(book: dict[str, Any]) -> str:
    """What is known of the band, in a sentence a side."""
    if not book["band"]:
        return "This band was not kept of this book."
    parts = []
    for side, word in (("bid", "below best bid"), ("ask", "above best ask")):
        reach, levels = book["coverage"][f"{side}Percent"], book["coverage"][f"{side}Levels"]
        known = f"{levels:,} levels, the whole side" if reach is None else f"{levels:,} levels, to {reach:.2f}% {word}"
        verdict = "complete" if book["band"][f"{side}Complete"] else "at least this much"
        parts.append(f"{side.upper()} {verdict}: {known}.")
    return " ".join(parts)


def trend_paths(trend: dict[str, Any] | None) -> dict[str, str]:
    """The trend as two SVG paths in a box of 60 by 20, zero in the middle: `line` where both sides of the band were
    complete, `dashed` where not; broken where minutes are missing. `tone` is the side that outweighs at its end."""
    known = [value for value in trend["percentage"] if value is not None] if trend else []
    if not trend or not known:
        return {"line": "", "dashed": "", "tone": ""}
    scale = max(LEAST_SCALE, *map(abs, known))
    points = [None if v is None else f"{at} {10 - v / scale * 9:.1f}" for at, v in enumerate(trend["percentage"])]
    careful = {at for first, end in trend["incomplete"] for at in range(first, end)}
    parts: dict[bool, list[str]] = {False: [], True: []}
    for at, point in enumerate(points):
        following = points[at + 1] if at + 1 < len(points) else None
        if point is None:
            continue
        if following is not None:
            parts[at in careful or at + 1 in careful].append(f"M{point}L{following}")
        elif at == 0 or points[at - 1] is None:
            parts[at in careful].append(f"M{point}h.1")
    return {"line": "".join(parts[False]), "dashed": "".join(parts[True]), "tone": "bid" if known[-1] >= 0 else "ask"}
