"""GET symbols: the registry."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from api.schema import operation
from api.serializers.symbols import SymbolsAnswer, SymbolsQuery
from api.views.base import ApiView
from markets.selectors import RegistryEntry, registry


class SymbolsView(ApiView):
    @operation("Symbols of the registry", SymbolsAnswer, errors=[400], query=SymbolsQuery)
    def get(self, request: Request) -> Response:
        asked = SymbolsQuery.read(request)
        found = registry(asked["search"], asked.get("collected"))
        return Response({"success": True, "symbols": [_entry(entry) for entry in found]})


def _entry(entry: RegistryEntry) -> dict[str, Any]:
    return {
        "symbol": entry.symbol,
        "base": entry.base,
        "quote": entry.quote,
        "markets": entry.markets,
        "tickSize": float(entry.tick_size),
        "lotSize": float(entry.lot_size),
        "status": entry.status,
        "collected": entry.collected,
        "live": entry.live,
    }
