"""The last step of an answer: Python values to JSON. NaN and infinities become null, exact decimals plain numbers."""

from collections.abc import Mapping
from typing import Any

import msgspec
from rest_framework.renderers import BaseRenderer

_encoder = msgspec.json.Encoder(decimal_format="number")


def encode(data: Any) -> bytes:
    return _encoder.encode(data)


class ApiRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return b"" if data is None else encode(data)
