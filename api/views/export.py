"""GET export: series as a file, streamed."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from api import event_buckets
from api.candle_files import PARTS
from api.event_files import PARTS as EVENT_PARTS
from api.event_files import Rows
from api.files import KINDS
from api.order_files import PARTS as ORDER_PARTS
from api.schema import ALWAYS, ANYBODY, MEANINGS
from api.serializers.common import Error
from api.serializers.export import EVENTS, ExportAnswer, ExportQuery
from api.serializers.orders import ADDRESS_SCHEMA, PAIR_SCHEMA, STATUS_WORDS, OrdersFileQuery
from api.streaming import file_name, streamed
from api.views.base import ApiView, FirstRenderer
from api.views.orders import read_filter
from candles import export as candles
from candles.candle import SeriesKey
from candles.timeframes import read_timeframe
from depth.export import Selection, choose_books, stretches
from derivatives.export import DATASETS
from derivatives.export import stretches as events
from dex import export as orders
from dex.events import Status
from markets.models import Market

RESPONSES: dict[Any, Any] = {
    (200, "text/csv"): OpenApiTypes.STR,
    (200, "application/json"): ExportAnswer,
    (200, "application/vnd.apache.parquet"): OpenApiTypes.BINARY,
    **{code: OpenApiResponse(Error, MEANINGS[code]) for code in sorted({400, 404, *ALWAYS})},
}


# Of orders only; `from`, `to` and `format` are those of every dataset.
FILTERS = [
    OpenApiParameter("user", ADDRESS_SCHEMA, description="Orders of one user; this and what follows: of `orders`."),
    OpenApiParameter("status", {"type": "string", "enum": STATUS_WORDS}, description="Without it all of them."),
    *(OpenApiParameter(name, ADDRESS_SCHEMA) for name in ("token", "token_in", "token_out")),
    OpenApiParameter("pair", PAIR_SCHEMA, description="Two addresses with / between them, in either order."),
]


class ExportView(ApiView):
    content_negotiation_class = FirstRenderer

    @extend_schema(summary="Series as a file", parameters=[ExportQuery, *FILTERS], responses=RESPONSES, auth=ANYBODY)
    def get(self, request: Request) -> StreamingHttpResponse:
        if request.query_params.get("dataset", "").lower() == "orders":
            return self.orders(request, OrdersFileQuery.read(request))
        asked = ExportQuery.read(request)
        if asked["dataset"] in EVENTS:
            return self.events(request, asked)
        books = choose_books(asked["symbol"], asked["marketType"])
        if asked["dataset"] == "candles":
            return self.candles(request, asked, books)
        selection = Selection(books, asked["bands"], asked["start"], asked["end"], asked["interval"])
        kind = KINDS[asked["format"]]
        parts = kind.parts(stretches(selection))
        return streamed(request._request, parts, kind.media_type, file_name(selection, asked["format"]))

    def orders(self, request: Request, asked: dict[str, Any]) -> StreamingHttpResponse:
        status = Status(asked["status"].upper()) if "status" in asked else None
        kind = asked["format"]
        parts = ORDER_PARTS[kind](orders.stretches(read_filter(asked, status, asked.get("user"))))
        name = "-".join(["orders", *([asked["status"]] if status else [])])
        return streamed(request._request, parts, KINDS[kind].media_type, f"{name}.{kind}")

    def events(self, request: Request, asked: dict[str, Any]) -> StreamingHttpResponse:
        """As they came; with hours or days as `interval`, and always of funding, their sums."""
        dataset, kind = asked["dataset"], asked["format"]
        markets: Sequence[str] = asked["marketType"] if dataset == "trades" else [str(Market.FUTURES)]
        series = choose_books(asked["symbol"], markets) if "symbol" in asked else (("", str(Market.FUTURES)),)
        interval = "1h" if dataset == "funding" and asked["interval"] == "1m" else asked["interval"]
        if interval == "1m":
            columns = DATASETS[dataset].columns
            rows: Rows = events(dataset, series, asked["start"], asked["end"])
        else:
            columns = event_buckets.COLUMNS[dataset]
            rows = event_buckets.stretches(dataset, series, asked["start"], asked["end"], interval, timezone.now())
        named = "-".join(part for part in series[0] if part) if len(series) == 1 else f"{len(series)}-series"
        name = "-".join([named, dataset, *([] if interval == "1m" else [interval])])
        parts = EVENT_PARTS[kind](columns, rows)
        return streamed(request._request, parts, KINDS[kind].media_type, f"{name}.{kind}")

    def candles(
        self, request: Request, asked: dict[str, Any], books: tuple[tuple[str, str], ...]
    ) -> StreamingHttpResponse:
        timeframe = read_timeframe(asked.get("timeframe") or asked["interval"])
        keys = tuple(SeriesKey("binance", market, symbol) for symbol, market in books)
        selection = candles.CandleSelection(keys, timeframe, asked["start"], asked["end"])
        parts: Iterator[bytes] = PARTS[asked["format"]](candles.stretches(selection))
        named = "-".join(books[0]) if len(books) == 1 else f"{len(books)}-series"
        name = f"{named}-candles-{timeframe.name}.{asked['format']}"
        return streamed(request._request, parts, KINDS[asked["format"]].media_type, name)
