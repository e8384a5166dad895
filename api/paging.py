"""Lists that grow: pages of `limit` rows, and an opaque cursor to the next one, `{success, data, count, next}`.

A cursor says where the last row stood, so a page is what it was however many rows come before it."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from rest_framework import serializers

from api.times import EPOCH, LAST

Row = TypeVar("Row")


def encode(place: Sequence[Any]) -> str:
    """An opaque text for where a row stands: numbers, texts and moments."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).decode().rstrip("=")


def _is_possible(value: Any) -> bool:
    """Whether the database can compare with it: cursors are anybody's to write."""
    if isinstance(value, datetime):
        return value.tzinfo is not None and EPOCH <= value < LAST
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return "\x00" not in value if isinstance(value, str) else True


class CursorField(serializers.CharField):
    """The `next` of an answer. `holds` is the type of what it says, such as tuple[datetime, int]."""

    def __init__(self, holds: Any, **options: Any) -> None:
        self.holds = holds
        super().__init__(required=False, help_text="`next` of the page before.", max_length=400, **options)

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        try:
            body = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            place = msgspec.msgpack.decode(body, type=self.holds)
            if all(map(_is_possible, place)):
                return place
            raise ValueError("no row stands there")
        except (binascii.Error, ValueError, msgspec.DecodeError) as error:
            raise serializers.ValidationError("is not one of a page of this list") from error


def paged(
    found: Sequence[Row], limit: int, place: Callable[[Row], Sequence[Any]], shown: Callable[[Row], Any]
) -> dict[str, Any]:
    """The answer of one page from at most `limit + 1` rows: one more than asked tells that there is a next page."""
    rows = found[:limit]
    data = [shown(row) for row in rows]
    following = encode(place(rows[-1])) if len(found) > limit else None
    return {"success": True, "data": data, "count": len(data), "next": following}
