"""The order book and the DIFF panel as rows of text, for the first paint; static/js/panels.js renders the updates."""

from dataclasses import dataclass
from typing import Any

from depth.formats import MARKS, compact, fixed, percent, quantity, side_mark

ROWS = 20
FULL_BAR = 50.0  # percent: a DIFF this lopsided fills its half of the bar


@dataclass(frozen=True, slots=True)
class BookRow:
    """One level of one side. `fill` is its cumulative amount in percent of the larger side's total."""

    price: str
    amount: str
    total: str
    fill: float


@dataclass(frozen=True, slots=True)
class BandRow:
    """One band. `bar` and `offset` place the bar of DIFF % in hundredths, `tone` is the side that outweighs,
    `quality` as in depth.formats."""

    depth: str
    bid: str
    ask: str
    diff: str
    percentage: str
    bid_complete: bool
    ask_complete: bool
    quality: str
    tone: str
    bar: float
    offset: float
    tip: str


def book_table(state: dict[str, Any]) -> dict[str, Any]:
    """`bids` and `asks`: always twenty rows each (blank ones where the side is short), best first."""
    book = state["book"]
    sides = {"bids": book["bids"], "asks": book["asks"]} if book else {"bids": [], "asks": []}
    deepest = max((sum(amount for _, amount in levels) for levels in sides.values()), default=0) or 1
    return {name: _side(levels, state, deepest) for name, levels in sides.items()}


def _side(levels: list[tuple[float, float]], state: dict[str, Any], deepest: float) -> list[BookRow]:
    rows, total = [], 0.0
    for price, amount in levels[:ROWS]:
        total += amount
        decimals = state["quantityDecimals"]
        text = (fixed(price, state["priceDecimals"]), quantity(amount, decimals), quantity(total, decimals))
        rows.append(BookRow(*text, round(total / deepest * 100, 1)))
    return rows + [BookRow("", "", "", 0.0)] * (ROWS - len(rows))


def diff_table(state: dict[str, Any], unit: str) -> list[BandRow]:
    return [_band_row(band, unit, state["book"]["coverage"]) for band in state["bands"]]


def _band_row(band: dict[str, Any], unit: str, coverage: dict[str, Any]) -> BandRow:
    figures, quality = band[unit], band["quality"]
    bar = min(abs(figures["percentage"]), FULL_BAR) / FULL_BAR * 50
    return BandRow(
        depth=band["depth"],
        bid=side_mark(band["bidComplete"]) + compact(figures["bid"]),
        ask=side_mark(band["askComplete"]) + compact(figures["ask"]),
        diff=MARKS[quality] + compact(figures["diff"]),
        percentage=MARKS[quality] + percent(figures["percentage"], 1),
        bid_complete=band["bidComplete"],
        ask_complete=band["askComplete"],
        quality=quality,
        tone="bid" if figures["diff"] >= 0 else "ask",
        bar=round(bar, 2),
        offset=round(50.0 if figures["diff"] >= 0 else 50.0 - bar, 2),
        tip=band_tip(band, coverage),
    )


def band_tip(band: dict[str, Any], coverage: dict[str, Any]) -> str:
    """What is known of a band, in a sentence a side."""
    parts = []
    for side, word in (("bid", "below best bid"), ("ask", "above best ask")):
        reach, levels = coverage[f"{side}Percent"], coverage[f"{side}Levels"]
        known = f"{levels:,} levels, the whole side" if reach is None else f"{levels:,} levels, to {reach:.2f}% {word}"
        verdict = "complete" if band[f"{side}Complete"] else "at least this much"
        parts.append(f"{side.upper()} {verdict}: {known}.")
    return " ".join(parts)
