"""GET export: a series as a file."""

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request

from api.renderers import encode
from api.schema import ALWAYS, ANYBODY, MEANINGS
from api.serializers.common import Error
from api.serializers.export import COLUMNS, ExportAnswer, ExportQuery
from api.serializers.fields import band_number
from api.times import epoch_ms, iso
from api.views.base import ApiView, FirstRenderer, find_symbol
from depth.selectors import SeriesPoint, series
from markets.models import Symbol

RESPONSES: dict[Any, Any] = {
    (200, "text/csv"): OpenApiTypes.STR,
    (200, "application/json"): ExportAnswer,
    **{code: OpenApiResponse(Error, MEANINGS[code]) for code in sorted({400, 404, *ALWAYS})},
}


class ExportView(ApiView):
    content_negotiation_class = FirstRenderer

    @extend_schema(summary="A series as a file", parameters=[ExportQuery], responses=RESPONSES, auth=ANYBODY)
    def get(self, request: Request) -> HttpResponse:
        asked = ExportQuery.read(request)
        symbol = find_symbol(asked["symbol"], asked.get("marketType"))
        points = sorted(_points(symbol, asked), key=lambda pair: (pair[1].time, pair[0]))
        name = f"{symbol.name}-{symbol.market}-depth-{asked['interval']}.{asked['format']}"
        body, kind = (_csv, "text/csv; charset=utf-8") if asked["format"] == "csv" else (_json, "application/json")
        headers = {"Content-Disposition": _attachment(name)}
        return HttpResponse(body(symbol, points), content_type=kind, headers=headers)


def _attachment(name: str) -> str:
    return f'attachment; filename="{name.encode("ascii", "replace").decode().replace("?", "_")}"'


def _points(symbol: Symbol, asked: dict[str, Any]) -> Iterator[tuple[Decimal, SeriesPoint]]:
    for band in asked["bands"]:
        for point in series(symbol.name, symbol.market, band, asked["start"], asked["end"], asked["interval"]):
            yield band, point


def _csv(symbol: Symbol, points: list[tuple[Decimal, SeriesPoint]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for band, point in points:
        flags = ("true" if flag else "false" for flag in (point.bid_complete, point.ask_complete))
        sums = (point.bid_volume, point.ask_volume, point.bid_value, point.ask_value)
        writer.writerow((iso(point.time), symbol.name, symbol.market, band_number(band), *sums, *flags))
    return text.getvalue()


def _json(symbol: Symbol, points: list[tuple[Decimal, SeriesPoint]]) -> bytes:
    data = [
        {
            "timestamp": epoch_ms(point.time),
            "symbol": symbol.name,
            "marketType": symbol.market,
            "depth": band_number(band),
            "bidVolume": point.bid_volume,
            "askVolume": point.ask_volume,
            "bidVolumeUsd": point.bid_value,
            "askVolumeUsd": point.ask_value,
            "bidComplete": point.bid_complete,
            "askComplete": point.ask_complete,
        }
        for band, point in points
    ]
    return encode({"success": True, "data": data, "count": len(data)})
