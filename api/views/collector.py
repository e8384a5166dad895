"""collector and collector/symbols: how collection goes, switching it on and off, choosing what is collected."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from api.authentication import caller
from api.exceptions import ApiError, shown
from api.models import Scope
from api.permissions import ReadOrScope
from api.schema import operation
from api.serializers.collector import ChosenAnswer, CollectorAnswer, SymbolsBody, symbol_names
from api.serializers.common import Message
from api.times import epoch_ms
from api.views.base import ApiView
from collector.selectors import WeightUse, statistics, weight
from collector.services import start, stop
from collector.spool_use import spool_use
from markets.errors import NotCollectable, UnknownSymbol
from markets.models import Market
from markets.services import set_collected


class CollectorView(ApiView):
    permission_classes = (ReadOrScope,)
    scope = Scope.COLLECTOR_CONTROL

    @operation("How collection goes", CollectorAnswer)
    def get(self, request: Request) -> Response:
        return Response({"success": True, "stats": _stats()})

    @operation("Start collecting", Message, scope=Scope.COLLECTOR_CONTROL)
    def post(self, request: Request) -> Response:
        start(caller(request))
        return Response({"success": True, "message": "Collector started"})

    @operation("Stop collecting", Message, scope=Scope.COLLECTOR_CONTROL)
    def delete(self, request: Request) -> Response:
        stop(caller(request))
        return Response({"success": True, "message": "Collector stopped"})


class CollectorSymbolsView(ApiView):
    permission_classes = (ReadOrScope,)
    scope = Scope.SYMBOLS_WRITE

    @operation(
        "Collect more symbols", ChosenAnswer, errors=[400, 413, 415], body=SymbolsBody, scope=Scope.SYMBOLS_WRITE
    )
    def post(self, request: Request) -> Response:
        chosen = _choose(symbol_names(request.data), collected=True)
        return Response({"success": True, "message": f"Added {len(chosen)} symbols", "symbols": chosen})

    @operation(
        "Collect fewer symbols",
        ChosenAnswer,
        errors=[400, 413, 415],
        parameters=[OpenApiParameter("symbols", str, description="Names with commas between; or in the body.")],
        scope=Scope.SYMBOLS_WRITE,
    )
    def delete(self, request: Request) -> Response:
        listed = request.query_params.get("symbols")
        body = request.data if listed is None else {"symbols": [name for name in listed.split(",") if name.strip()]}
        chosen = _choose(symbol_names(body), collected=False)
        return Response({"success": True, "message": f"Removed {len(chosen)} symbols", "symbols": chosen})


def _choose(names: list[str], collected: bool) -> list[str]:
    """All names or none. Raises ApiError naming the first that cannot be chosen."""
    try:
        return set_collected(names, collected)
    except NotCollectable as error:
        raise ApiError(400, "not_collectable", f"symbols: {error}", "symbols") from error
    except UnknownSymbol as error:
        raise ApiError(400, "unknown_symbol", f"symbols: unknown symbol {shown(error.name)}", "symbols") from error


def _stats() -> dict[str, Any]:
    figures = statistics()
    cycle, spool = figures.last_cycle, spool_use()
    return {
        "totalRequests": figures.total_requests,
        "successfulRequests": figures.successful_requests,
        "failedRequests": figures.failed_requests,
        "successRate": figures.success_rate,
        "lastCollectionTime": epoch_ms(figures.last_collection_time) if figures.last_collection_time else None,
        "running": figures.running,
        "lastCycle": cycle
        and {
            "seconds": cycle.seconds,
            "symbols": cycle.stored,
            "failed": cycle.failed,
            "partial": cycle.partial,
        },
        "spool": {"bytes": spool.bytes, "batches": spool.batches, "limit": spool.limit, "status": spool.status},
        "weight": {market.lower(): _weight(weight(market)) for market in Market.values},
    }


def _weight(use: WeightUse) -> dict[str, Any]:
    blocked = epoch_ms(use.blocked_until) if use.blocked_until else None
    return {"used": use.used, "limit": use.limit, "blockedUntil": blocked}
