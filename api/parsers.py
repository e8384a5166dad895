"""The first step of a request's body: JSON text to Python values, of a bounded size."""

from collections.abc import Mapping
from typing import Any, BinaryIO

import msgspec
from django.conf import settings
from rest_framework.parsers import BaseParser

from api.exceptions import ApiError
from markets.nesting import MOST_NESTED, too_deep


class JsonParser(BaseParser):
    """Strict JSON in UTF-8. More than DATA_UPLOAD_MAX_MEMORY_SIZE bytes are refused with 413, unread."""

    media_type = "application/json"

    def parse(
        self, stream: BinaryIO, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise ApiError(413, "body_too_large", f"The body is larger than {limit} bytes")
        if too_deep(body):
            raise ApiError(400, "invalid_json", f"The body is nested deeper than {MOST_NESTED} levels")
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise ApiError(400, "invalid_json", "The body is not valid JSON") from error
