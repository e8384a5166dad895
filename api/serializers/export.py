"""Files of a series: what may be asked."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from rest_framework import serializers

from api.exceptions import ApiError
from api.serializers.fields import BandField, RangeQuery, WordField
from api.serializers.snapshots import SnapshotRow
from depth.selectors import INTERVALS

MOST_ROWS = 100_000
COLUMNS = (
    *("timestamp", "symbol", "market", "depth", "bidVolume", "askVolume", "bidVolumeUsd", "askVolumeUsd"),
    *("bidComplete", "askComplete"),
)


class ExportQuery(RangeQuery):
    market_names = ("marketType", "market")
    dataset = WordField(["depth"], required=False, default="depth", help_text="Which series.")
    depth = BandField(required=False, default=None, help_text="Percent from the best price; all bands without it.")
    interval = WordField(list(INTERVALS), required=False, default="1m", help_text="Hours and days are averages.")
    format = WordField(["csv", "json"], required=False, default="csv")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        attrs["bands"] = settings.DEPTH_BANDS if attrs["depth"] is None else (attrs["depth"],)
        check_size(attrs["start"], attrs["end"], attrs["interval"], attrs["bands"])
        return attrs


def check_size(start: datetime, end: datetime, interval: str, bands: tuple[Decimal, ...]) -> None:
    """Raises ApiError when the range could hold more rows than one file has."""
    if (end - start) / INTERVALS[interval] * len(bands) > MOST_ROWS:
        message = f"A file holds {MOST_ROWS} rows at most; ask for a shorter range, one band or a longer interval"
        raise ApiError(400, "range_too_long", message, "from")


class ExportAnswer(serializers.Serializer):
    success = serializers.BooleanField(help_text="true")
    data = SnapshotRow(many=True, help_text="By time, then band.")
    count = serializers.IntegerField()
