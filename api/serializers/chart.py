"""History for charts: what may be asked, and what is answered."""

from typing import Any

from rest_framework import serializers

from api.serializers.common import Answer
from api.serializers.fields import BandField, RangeQuery, WordField
from depth.selectors import INTERVALS
from markets.models import Market

SIDES = ("bid", "ask", "both")


class ChartQuery(RangeQuery):
    market_names = ("marketType", "market")
    depth = BandField(help_text="Percent from the best price of each side.")
    type = WordField(SIDES, required=False, default=None, help_text="Side; without it the mean of both.")

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if "timeframe" in data:
            raise serializers.ValidationError({"timeframe": "must not be given together with depth"})
        if "depth" not in data:
            raise serializers.ValidationError({"depth": "one of depth and timeframe is required"}, code="required")
        return super().to_internal_value(data)


class Point(serializers.Serializer):
    """One side has `value` and `complete`; `type=both` has the others."""

    time = serializers.IntegerField(help_text="Beginning of the minute, hour or day, epoch seconds.")
    value = serializers.FloatField(required=False, help_text="In the quote asset.")
    complete = serializers.BooleanField(required=False, help_text="false: the value is a lower bound.")
    bid = serializers.FloatField(required=False, help_text="In the quote asset.")
    ask = serializers.FloatField(required=False, help_text="In the quote asset.")
    diff = serializers.FloatField(required=False, help_text="bid - ask.")
    percentage = serializers.FloatField(required=False, help_text="diff / (bid + ask) * 100.")
    bidComplete = serializers.BooleanField(required=False)
    askComplete = serializers.BooleanField(required=False)


class ChartAnswer(Answer):
    symbol = serializers.CharField()
    marketType = serializers.ChoiceField(Market.choices)
    depth = serializers.FloatField()
    type = serializers.ChoiceField(SIDES, allow_null=True)
    data = Point(many=True, help_text="Oldest first; what was not collected is absent.")
    count = serializers.IntegerField()
    timestamp = serializers.IntegerField(help_text="Epoch milliseconds.")
    interval = serializers.ChoiceField(list(INTERVALS))
