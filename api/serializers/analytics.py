"""Analysis of the kept history: what may be asked, and what is answered."""

from datetime import timedelta
from typing import Any

from rest_framework import serializers

from api.serializers.common import Answer
from api.serializers.fields import BandField, MarketQuery, RangeQuery, WordField
from collector.absences import KNOWN_CAUSES

MOST_GAPS = 1000
CAUSES = ("stopped", *KNOWN_CAUSES, "outage", "not collected")


class HistoryQuery(RangeQuery):
    default_range = timedelta(days=1)
    depth = BandField()
    interval = WordField(["1h", "1d"], required=False, default="1h")


class StatsQuery(MarketQuery):
    """A symbol on a market."""


def _figures() -> dict[str, serializers.Field]:
    kinds = {"avg": "mean", "min": "least", "max": "most"}
    return {
        f"{short}{side}Volume{unit}": serializers.FloatField(help_text=f"The {word} over its minutes.")
        for unit in ("", "Usd")
        for side in ("Bid", "Ask")
        for short, word in kinds.items()
    }


class Bucket(serializers.Serializer):
    bucket = serializers.DateTimeField(help_text="Beginning of the hour or day, UTC.")
    count = serializers.IntegerField(help_text="Minutes that are stored of it.")
    bidComplete = serializers.BooleanField(help_text="Every minute was complete.")
    askComplete = serializers.BooleanField(help_text="Every minute was complete.")

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), **_figures()}


class HistoryAnswer(Answer):
    interval = serializers.ChoiceField(("1h", "1d"))
    data = Bucket(many=True, help_text="Oldest first; buckets of which nothing is stored are absent.")


class GapPart(serializers.Serializer):
    to = serializers.DateTimeField(help_text="First minute that is there again, UTC.")
    cause = serializers.ChoiceField(CAUSES)

    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.DateTimeField(help_text="First missing minute, UTC."), **super().get_fields()}


class SeriesStats(serializers.Serializer):
    totalSnapshots = serializers.IntegerField(help_text="Rows: one a band and minute.")
    oldestSnapshot = serializers.DateTimeField(allow_null=True)
    newestSnapshot = serializers.DateTimeField(allow_null=True)
    dataAvailableDays = serializers.IntegerField(help_text="Whole days between the two.")
    expectedMinutes = serializers.IntegerField(help_text="From the oldest to the last whole minute.")
    missingMinutes = serializers.IntegerField(help_text="Of them those of which nothing is stored.")
    gaps = GapPart(many=True, help_text=f"Oldest first; the newest {MOST_GAPS} of them.")


class StatsAnswer(Answer):
    stats = SeriesStats()
