"""GET export: series as a file, streamed."""

from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request

from api.files import KINDS
from api.schema import ALWAYS, ANYBODY, MEANINGS
from api.serializers.common import Error
from api.serializers.export import ExportAnswer, ExportQuery
from api.streaming import file_name, streamed
from api.views.base import ApiView, FirstRenderer
from depth.export import Selection, choose_books, stretches

RESPONSES: dict[Any, Any] = {
    (200, "text/csv"): OpenApiTypes.STR,
    (200, "application/json"): ExportAnswer,
    (200, "application/vnd.apache.parquet"): OpenApiTypes.BINARY,
    **{code: OpenApiResponse(Error, MEANINGS[code]) for code in sorted({400, 404, *ALWAYS})},
}


class ExportView(ApiView):
    content_negotiation_class = FirstRenderer

    @extend_schema(summary="Series as a file", parameters=[ExportQuery], responses=RESPONSES, auth=ANYBODY)
    def get(self, request: Request) -> StreamingHttpResponse:
        asked = ExportQuery.read(request)
        books = choose_books(asked["symbol"], asked["marketType"])
        selection = Selection(books, asked["bands"], asked["start"], asked["end"], asked["interval"])
        kind = KINDS[asked["format"]]
        parts = kind.parts(stretches(selection))
        return streamed(request._request, parts, kind.media_type, file_name(selection, asked["format"]))
