"""Numbers of the depth pages' templates."""

from typing import Any

from django import template

from depth.charts import Choice
from depth.formats import fixed

register = template.Library()


@register.filter
def mid_text(state: dict[str, Any]) -> str:
    """Mid price by tick size; an en dash before the first book."""
    book = state["book"]
    return fixed((book["bestBid"] + book["bestAsk"]) / 2, state["priceDecimals"]) if book else "–"


@register.filter
def spread_text(state: dict[str, Any]) -> str:
    """Spread in the quote asset and as a share of the mid price: 0.01 (0.0000%)."""
    book = state["book"]
    if not book:
        return "–"
    spread = book["bestAsk"] - book["bestBid"]
    share = spread / ((book["bestAsk"] + book["bestBid"]) / 2) * 100
    return f"{fixed(spread, state['priceDecimals'])} ({share:.4f}%)"


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
