"""Numbers of the depth pages' templates."""

from typing import Any

from django import template

from depth.charts import Choice
from depth.formats import basis_points, fixed

register = template.Library()


@register.filter
def mid_text(state: dict[str, Any]) -> str:
    """Mid price by tick size; an en dash before the first book."""
    book = state["book"]
    return fixed((book["bestBid"] + book["bestAsk"]) / 2, state["priceDecimals"]) if book else "–"


@register.filter
def spread_text(state: dict[str, Any]) -> str:
    """Spread as a share of the mid price, in basis points: 0.0015 bps."""
    book = state["book"]
    if not book:
        return "–"
    mid = (book["bestAsk"] + book["bestBid"]) / 2
    return f"{basis_points((book['bestAsk'] - book['bestBid']) / mid * 10_000)} bps"


@register.filter
def band_address(depth: str, choice: Choice) -> str:
    return choice.address(depth=depth)


@register.filter
def unlocalized(value: float) -> str:
    return f"{value:g}"


@register.filter
def from_right(fill: float) -> str:
    """Where a bar of this width begins when it grows from the right edge."""
    return f"{100 - fill:g}"


@register.filter
def left_of_middle(width: float) -> str:
    """Where a bar of this width begins when it grows to the left from the middle."""
    return f"{50 - width:g}"
