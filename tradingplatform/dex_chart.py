"""Beside the DEX page: the symbols on whose charts pending orders can stand as lines, and the orders of one of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from api.views.orders import order_bodies
from dex.events import Status
from dex.selectors import Filter, orders, pending_pairs
from markets.models import Symbol
from markets.selectors import collected_pairs

LINES = 200  # orders of one symbol that a page is given, those that changed last


@dataclass(slots=True)
class Charted:
    """A symbol with tokens of the chain that stand for its assets; `pending` counts their orders."""

    symbol: Symbol
    base: set[str] = field(default_factory=set)
    quote: set[str] = field(default_factory=set)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    pending: int = 0


def charted(pending: Mapping[tuple[str, str], int], assets: Mapping[str, str]) -> list[Charted]:
    """Collected symbols that pending orders can be drawn on, most orders first. `pending` counts orders by the tokens
    that they sell and buy, `assets` are those of tokens (in small letters). One query."""
    sides = {pair: (assets.get(pair[0].lower(), ""), assets.get(pair[1].lower(), "")) for pair in pending}
    known = {pair: words for pair, words in sides.items() if all(words)}
    symbols = collected_pairs({way for words in known.values() for way in (words, words[::-1])})
    found: dict[str, Charted] = {}
    for pair, words in known.items():
        for way, (base, quote) in ((words, pair), (words[::-1], pair[::-1])):
            if way in symbols:
                one = found.setdefault(symbols[way].name, Charted(symbols[way]))
                one.base.add(base)
                one.quote.add(quote)
                one.pairs.add((base, quote))
                one.pending += pending[pair]
    return sorted(found.values(), key=lambda one: (-one.pending, one.symbol.name))


def chart_state(wanted: str) -> dict[str, Any] | None:
    """The symbols, and of the wanted one (of the first, where there is no such) the pending orders; None where no
    order can be drawn on any."""
    found = charted(pending_pairs(), settings.TOKEN_ASSETS)
    if not found:
        return None
    one = next((one for one in found if one.symbol.name == wanted.upper()), found[0])
    listed: list[dict[str, Any]] = []
    for pair in sorted(one.pairs):
        page = orders(Filter(Status.PENDING, pair=pair), LINES - len(listed), 0)
        listed += order_bodies(page)
    return {
        "symbols": [{"symbol": each.symbol.name, "pending": each.pending} for each in found],
        "symbol": one.symbol.name,
        "market": one.symbol.market,
        "base": sorted(one.base),
        "quote": sorted(one.quote),
        "tick": f"{one.symbol.tick_size.normalize():f}",
        "orders": listed,
        "total": one.pending,
    }
