"""GET and POST snapshots: the rows of the depth series as they are kept."""

from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from api.answers import kept
from api.exceptions import ApiError, shown
from api.models import Scope
from api.paging import encode
from api.permissions import ReadOrScope
from api.schema import operation
from api.serializers.fields import band_number
from api.serializers.snapshots import (
    INCOMING_SCHEMA,
    PostedRow,
    SavedAnswer,
    SnapshotsAnswer,
    SnapshotsQuery,
    posted_rows,
)
from api.times import epoch_ms, epoch_seconds
from api.views.base import ApiView, find_symbol
from depth.models import Snapshot
from depth.selectors import rows
from depth.services import SnapshotRow, store_rows
from markets.errors import NotCollected, UnknownSymbol
from markets.selectors import find


class SnapshotsView(ApiView):
    permission_classes = (ReadOrScope,)
    scope = Scope.SNAPSHOTS_WRITE

    @operation("Stored rows", SnapshotsAnswer, errors=[400, 404], query=SnapshotsQuery)
    @kept
    def get(self, request: Request) -> Response:
        asked = SnapshotsQuery.read(request)
        symbol = find_symbol(asked["symbol"], asked.get("marketType"))
        wanted, limit = (symbol.name, symbol.market, asked["depth"], asked["start"], asked["end"]), asked["limit"]
        found = rows(*wanted, limit + 1, asked["before"])
        data = [_row(row, asked["type"]) for row in found[-limit:]]
        more = {"next": encode(_place(found[1]))} if len(found) > limit else {}
        return Response({"success": True, "data": data, "count": len(data), **more})

    @operation(
        "Store rows, all or none",
        SavedAnswer,
        errors=[400, 404, 413, 415],
        body={"application/json": INCOMING_SCHEMA},
        scope=Scope.SNAPSHOTS_WRITE,
    )
    def post(self, request: Request) -> Response:
        now = timezone.now()
        posted = posted_rows(request.data, now)
        _check_symbols(posted)
        saved = store_rows([SnapshotRow(row.symbol, row.market, row.minute, row.volumes) for row in posted])
        return Response(
            {
                "success": True,
                "message": f"Saved {saved} snapshots",
                "saved": saved,
                "duplicates": len(posted) - saved,
                "timestamp": epoch_ms(now),
            }
        )


def _check_symbols(posted: Sequence[PostedRow]) -> None:
    """Raises ApiError for the first row whose symbol is unknown, or not collected on that market."""
    first: dict[tuple[str, str], int] = {}
    for index, row in enumerate(posted):
        first.setdefault((row.symbol, row.market), index)
    for (name, market), index in first.items():
        field = f"[{index}].symbol"
        try:
            find(name, market)
        except UnknownSymbol as error:
            raise ApiError(404, "unknown_symbol", f"{field}: unknown symbol {shown(name)}", field) from error
        except NotCollected as error:
            raise ApiError(404, "not_collected", f"{field}: {name} is not collected on {market}", field) from error


def _place(row: Snapshot) -> tuple[int, int]:
    return epoch_seconds(row.timestamp), int(row.depth * 100)


def _row(row: Snapshot, side: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "timestamp": epoch_ms(row.timestamp),
        "symbol": row.symbol,
        "marketType": row.market_type,
        "depth": band_number(row.depth),
        "bidVolume": row.bid_volume,
        "askVolume": row.ask_volume,
        "bidVolumeUsd": row.bid_volume_usd,
        "askVolumeUsd": row.ask_volume_usd,
        "bidComplete": row.bid_complete,
        "askComplete": row.ask_complete,
    }
    other = {"bid": "ask", "ask": "bid"}.get(side)
    return {name: value for name, value in told.items() if other is None or not name.startswith(other)}
