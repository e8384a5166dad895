"""Indicators and analyses: what may be asked, and what is answered."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from api.serializers.candles import CandlesQuery, TimeframeQuery
from api.serializers.common import Answer
from candles.indicators import DEFAULT_SET, INDICATORS, InvalidIndicator, Request, parse
from markets.models import Market

SPELT = ", ".join(":".join((i.name, *(p.name for p in i.parameters))) for i in INDICATORS.values())


@extend_schema_field({"type": "string", "example": "sma:20,ema:50,rsi,macd:12:26:9"})
class IndicatorsField(serializers.CharField):
    """Indicators with commas between, each with its parameters behind colons."""

    def to_internal_value(self, data: Any) -> tuple[Request, ...]:
        try:
            return parse(super().to_internal_value(data))
        except InvalidIndicator as error:
            raise serializers.ValidationError(str(error)) from error


class IndicatorsQuery(CandlesQuery):
    indicators = IndicatorsField(
        required=False, default=DEFAULT_SET, max_length=1000, help_text=f"Parameters may be left out: {SPELT}."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if isinstance(attrs["indicators"], str):
            attrs["indicators"] = parse(attrs["indicators"])
        return attrs


class AnalysisQuery(TimeframeQuery):
    pass


VALUES = {"type": "array", "items": {"type": "number", "nullable": True}}


@extend_schema_field(
    {"type": "object", "additionalProperties": {"oneOf": [VALUES, {"type": "object", "additionalProperties": VALUES}]}}
)
class LinesField(serializers.DictField):
    pass


class IndicatorsAnswer(Answer):
    symbol = serializers.CharField()
    marketType = serializers.ChoiceField(Market.values)
    timeframe = serializers.CharField(help_text="In the spelling that was asked.")
    timestamps = serializers.ListField(
        child=serializers.IntegerField(), help_text="Opening times, epoch milliseconds, oldest first."
    )
    indicators = LinesField(
        help_text="By name as it was asked: values, or values of each line. null: not known yet. Lines ahead_a and "
        "ahead_b of ichimoku are the cloud over the candles to come."
    )
    closed = serializers.BooleanField(help_text="false: the last candle is open, its values are live and will change.")
    missing = serializers.IntegerField(help_text="Candles that are not there, the lead before the range included.")
    incomplete = serializers.IntegerField(help_text="Candles that lack minutes.")


class PastShown(serializers.Serializer):
    after = serializers.IntegerField(help_text="Candles.")
    count = serializers.IntegerField()
    hitRate = serializers.FloatField(allow_null=True, help_text="Share, 0 to 1, that had moved the signal's way.")
    meanMove = serializers.FloatField(allow_null=True, help_text="Percent, the signal's way, costs left out.")
    baseRate = serializers.FloatField(allow_null=True, help_text="hitRate of all candles, for comparison.")
    baseMove = serializers.FloatField(allow_null=True)


class SignalShown(serializers.Serializer):
    rule = serializers.CharField()
    title = serializers.CharField()
    type = serializers.ChoiceField(("buy", "sell"))
    reason = serializers.CharField()
    price = serializers.FloatField()
    timestamp = serializers.IntegerField(help_text="Opening time of the closed candle that it stands on.")
    basis = serializers.DictField(child=serializers.FloatField(allow_null=True))
    past = PastShown(many=True, help_text="What this rule was worth over the stored candles.")


class VoteShown(serializers.Serializer):
    rule = serializers.CharField()
    score = serializers.FloatField(help_text="-1 (down) to 1 (up).")
    text = serializers.CharField()


class LevelShown(serializers.Serializer):
    price = serializers.FloatField()
    touches = serializers.IntegerField()
    strength = serializers.IntegerField(help_text="0 to 100.")
    firstTouch = serializers.IntegerField()
    lastTouch = serializers.IntegerField()


class ProfileShown(serializers.Serializer):
    edges = serializers.ListField(child=serializers.FloatField())
    volumes = serializers.ListField(child=serializers.FloatField())
    poc = serializers.FloatField(help_text="Middle of the row with the most volume.")
    valueAreaLow = serializers.FloatField()
    valueAreaHigh = serializers.FloatField()


class AnalysisAnswer(Answer):
    symbol = serializers.CharField()
    marketType = serializers.ChoiceField(Market.values)
    timeframe = serializers.CharField(help_text="In the spelling that was asked.")
    timestamp = serializers.IntegerField(help_text="Opening time of the newest closed candle, epoch milliseconds.")
    trend = serializers.ChoiceField(("bullish", "bearish", "neutral"))
    strength = serializers.IntegerField(help_text="0 to 100.")
    votes = VoteShown(many=True, help_text="The rules that trend and strength are the mean of.")
    signals = SignalShown(many=True, help_text="Of the last 20 closed candles, oldest first.")
    support_levels = LevelShown(many=True, help_text="Below the last close, nearest first.")
    resistance_levels = LevelShown(many=True)
    fibonacci_levels = serializers.DictField(
        child=serializers.FloatField(), help_text="Retracements of the dominant swing, by percent."
    )
    pivot_points = serializers.DictField(
        child=serializers.FloatField(), allow_null=True, help_text="Classic, of the last whole day; null: not complete."
    )
    volume_profile = ProfileShown(allow_null=True)
    candles = serializers.IntegerField(help_text="Closed candles that were looked at.")
    tested = serializers.IntegerField(help_text="Closed candles that the signals' past is of; 0 without a signal.")
    testedFrom = serializers.IntegerField(allow_null=True, help_text="Opening time of the first of them.")
    testedTo = serializers.IntegerField(allow_null=True, help_text="Opening time of the last of them.")
    testedMissing = serializers.IntegerField(help_text="Candles in between that are not there or lack minutes.")
    missing = serializers.IntegerField(help_text="Candles that are not there.")
    incomplete = serializers.IntegerField(help_text="Candles that lack minutes.")
