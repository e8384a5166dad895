"""Rows of `snapshots`: how they are asked for, how they are written, and what they look like."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from rest_framework import serializers

from api.exceptions import ApiError
from api.paging import CursorField
from api.serializers.common import Answer
from api.serializers.fields import BandField, LimitField, RangeQuery, WordField, band_of
from api.times import EPOCH, SECONDS_BELOW, parse_moment
from depth.services import minute_of
from depth.volumes import BandVolumes
from markets.models import Market

MOST_ROWS = 5000
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(\w+)`")


# Where a row stands: epoch seconds, and hundredths of the band's percent.
Place = tuple[int, int]


class SnapshotsQuery(RangeQuery):
    market_names = ("marketType", "market")
    depth = BandField(required=False, default=None, help_text="Percent from the best price; all bands without it.")
    type = WordField(["bid", "ask", "both"], required=False, default="both", help_text="Which sides the rows tell.")
    limit = LimitField(required=False, default=3600, help_text="The newest so many rows of the range.")
    cursor = CursorField(Place)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        second, hundredths = attrs.get("cursor", (0, 0))
        if not (0 <= second < SECONDS_BELOW and 0 <= hundredths <= 10_000):
            raise serializers.ValidationError({"cursor": "is not one of a page of this list"})
        attrs["before"] = (EPOCH + timedelta(seconds=second), Decimal(hundredths) / 100) if "cursor" in attrs else None
        return super().validate(attrs)


class SnapshotRow(serializers.Serializer):
    timestamp = serializers.IntegerField(help_text="Beginning of the UTC minute, epoch milliseconds.")
    symbol = serializers.CharField()
    marketType = serializers.ChoiceField(Market.choices)
    depth = serializers.FloatField()
    bidVolume = serializers.FloatField(required=False, help_text="In the base asset.")
    askVolume = serializers.FloatField(required=False, help_text="In the base asset.")
    bidVolumeUsd = serializers.FloatField(required=False, help_text="In the quote asset.")
    askVolumeUsd = serializers.FloatField(required=False, help_text="In the quote asset.")
    bidComplete = serializers.BooleanField(required=False)
    askComplete = serializers.BooleanField(required=False)


class SnapshotsAnswer(Answer):
    data = SnapshotRow(many=True, help_text="Oldest first.")
    count = serializers.IntegerField()
    next = serializers.CharField(required=False, help_text="There only when there are more: `cursor` of older rows.")


class SavedAnswer(Answer):
    message = serializers.CharField()
    saved = serializers.IntegerField(help_text="Rows that were added.")
    duplicates = serializers.IntegerField(help_text="Rows that were there already, or twice in the body.")
    timestamp = serializers.IntegerField(help_text="Epoch milliseconds.")


Amount = Annotated[float, msgspec.Meta(ge=0, le=1e30)]


class Incoming(msgspec.Struct, frozen=True):
    """A row as it is sent. `timestamp` may have any form that times may have in requests."""

    timestamp: int | float | str
    symbol: str
    marketType: str
    depth: float
    bidVolume: Amount
    askVolume: Amount
    bidVolumeUsd: Amount
    askVolumeUsd: Amount
    bidComplete: bool = False
    askComplete: bool = False


AMOUNT = {"type": "number", "minimum": 0, "maximum": 1e30}
INCOMING_SCHEMA = {
    "type": "array",
    "maxItems": MOST_ROWS,
    "items": {
        "type": "object",
        "required": list(Incoming.__struct_fields__[:8]),
        "properties": {
            "timestamp": {
                "description": "Not in the future; floored to the minute. Epoch seconds, milliseconds or ISO 8601.",
                "anyOf": [
                    {"type": "number", "minimum": 0, "maximum": 4_102_444_800_000},
                    {"type": "string", "format": "date-time"},
                ],
            },
            "symbol": {"type": "string", "example": "BTCUSDT"},
            "marketType": {"type": "string", "enum": list(Market.values)},
            "depth": BandField._spectacular_annotation["field"],
            **dict.fromkeys(Incoming.__struct_fields__[4:8], AMOUNT),
            **{name: {"type": "boolean", "default": False} for name in Incoming.__struct_fields__[8:]},
        },
    },
}


@dataclass(frozen=True, slots=True)
class PostedRow:
    """A row whose parts are each right; whether its symbol may be written is not settled here."""

    symbol: str
    market: str
    minute: datetime
    volumes: BandVolumes


def posted_rows(body: Any, now: datetime) -> list[PostedRow]:
    """The rows of a request's body. Raises ApiError whose field is `[index].name` of the first that is wrong."""
    if isinstance(body, Sequence) and not isinstance(body, str) and len(body) > MOST_ROWS:
        raise ApiError(400, "too_many_rows", f"At most {MOST_ROWS} rows at once, not {len(body)}")
    try:
        rows = msgspec.convert(body, list[Incoming])
    except msgspec.ValidationError as error:
        raise _located(str(error)) from error
    return [_posted(index, row, now) for index, row in enumerate(rows)]


def _located(text: str) -> ApiError:
    """`Expected `float`, got `str` - at `$[3].bidVolume`` as an error whose field is `[3].bidVolume`."""
    parts = _PLACE.match(text)
    what, path = (parts["what"], parts["path"] or "") if parts else (text, "")
    missing = _MISSING.search(what)
    if missing:
        path = f"{path}.{missing[1]}"
        return ApiError(400, "missing_parameter", f"{path} is required", path)
    return ApiError(400, "invalid_parameter", f"{path or 'The body'}: {what.replace('`', '')}", path or None)


def _posted(index: int, row: Incoming, now: datetime) -> PostedRow:
    def wrong(name: str, why: str) -> ApiError:
        return ApiError(400, "invalid_parameter", f"[{index}].{name}: {why}", f"[{index}].{name}")

    try:
        moment = parse_moment(row.timestamp)
    except ValueError:
        raise wrong("timestamp", "must be epoch seconds, epoch milliseconds or ISO 8601") from None
    if moment > now:
        raise wrong("timestamp", "must not be in the future")
    market = row.marketType.upper()
    if market not in Market.values:
        raise wrong("marketType", f"must be {' or '.join(Market.values)}")
    try:
        band = band_of(Decimal(repr(row.depth)))
    except ValueError as error:
        raise wrong("depth", str(error)) from None
    amounts = (row.bidVolume, row.askVolume, row.bidVolumeUsd, row.askVolumeUsd)
    volumes = BandVolumes(band, *amounts, row.bidComplete, row.askComplete)
    return PostedRow(row.symbol.upper(), market, minute_of(moment), volumes)
