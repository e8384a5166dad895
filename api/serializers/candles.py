"""Candles and prices: what may be asked, and what is answered."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from api.serializers.chart import ChartQuery
from api.serializers.common import Answer
from api.serializers.fields import BandField, MarketQuery, MomentField
from candles.selectors import MOST_CANDLES
from candles.timeframes import SPELLINGS, Timeframe, read_timeframe
from markets.models import Market

DEFAULT_TIMEFRAME = "1"
TRENDS = ("up", "down", "flat")
INSIDE = "epoch seconds (below 10^11), milliseconds or ISO 8601"


@extend_schema_field({"type": "string", "enum": list(SPELLINGS), "default": DEFAULT_TIMEFRAME})
class TimeframeField(serializers.CharField):
    """A timeframe in any of its spellings, as it was written: the answer repeats it."""

    def __init__(self, **options: Any) -> None:
        text = "1 3 5 15 30 45 1H 2H 3H 4H 1D 1W 1M, or as the exchange spells it: 1m 1h 1d 1w (1M is the month)."
        super().__init__(**{"help_text": text, **options})
        self.validators: list[Any] = []

    def to_internal_value(self, data: Any) -> str:
        spelling = super().to_internal_value(data)
        try:
            read_timeframe(spelling)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error
        return spelling


class TimeframeQuery(MarketQuery):
    timeframe = TimeframeField(required=False, default=DEFAULT_TIMEFRAME)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs["length"] = read_timeframe(attrs["timeframe"])
        return attrs


class CandlesQuery(TimeframeQuery):
    """With `from` the first candles from there on, without it the newest up to `to`."""

    to = MomentField(required=False, help_text="Newest opening time, included; now without it. Forms as for `from`.")
    limit = serializers.IntegerField(required=False, default=MOST_CANDLES, min_value=1, max_value=MOST_CANDLES)

    def get_fields(self) -> dict[str, serializers.Field]:
        text = f"Oldest opening time, included: {INSIDE}."
        return {**super().get_fields(), "from": MomentField(required=False, help_text=text)}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if attrs.get("from") and attrs.get("to") and attrs["from"] > attrs["to"]:
            raise serializers.ValidationError({"from": "must not be after to"})
        return attrs


class CandleChartQuery(CandlesQuery):
    """For charts: what a range holds is told whole, or refused."""

    limit = None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        start, end, length = attrs.get("from"), min(attrs.get("to") or timezone.now(), timezone.now()), attrs["length"]
        if start and start <= end and not fits(length, start, end):
            problem = f"the range holds more than {MOST_CANDLES} candles of {attrs['timeframe']}; ask for a shorter one"
            raise serializers.ValidationError({"from": problem})
        return attrs


def fits(length: Timeframe, start: Any, end: Any) -> bool:
    """Whether no more candles open in the range (both ends included) than an answer may hold."""
    if end - start > timedelta(days=31) * MOST_CANDLES:
        return False
    touched: int = length.count(start, end)
    return touched - int(length.open_of(start) != start) <= MOST_CANDLES


class ChartDataQuery(ChartQuery):
    """Exactly one of `depth` and `timeframe`."""

    depth = BandField(required=False, help_text="Percent from the best price of each side; not with `timeframe`.")
    timeframe = TimeframeField(required=False, help_text="Candles instead of liquidity; not with `depth`.")


class CandleRow(serializers.Serializer):
    timestamp = serializers.IntegerField(help_text="Opening time, epoch milliseconds.")
    open = serializers.FloatField()
    high = serializers.FloatField()
    low = serializers.FloatField()
    close = serializers.FloatField()
    volume = serializers.FloatField(help_text="In the base asset.")
    quote_volume = serializers.FloatField(help_text="In the quote asset.")
    trades = serializers.IntegerField()
    taker_buy_volume = serializers.FloatField()
    taker_buy_quote_volume = serializers.FloatField()
    closed = serializers.BooleanField(help_text="false: it goes on, or its last minute is not known yet.")
    minutes = serializers.IntegerField(
        required=False, help_text="Only where minutes are missing: how many the candle is made of."
    )


class CandlesAnswer(Answer):
    symbol = serializers.CharField()
    timeframe = serializers.CharField(help_text="In the spelling that was asked.")
    candles = CandleRow(many=True, help_text="Oldest first; candles of which no minute is known are absent.")


class CandleChartAnswer(CandlesAnswer):
    marketType = serializers.ChoiceField(Market.choices)
    count = serializers.IntegerField()
    timestamp = serializers.IntegerField(help_text="Epoch milliseconds.")


class PriceAnswer(Answer):
    symbol = serializers.CharField()
    marketType = serializers.ChoiceField(Market.choices)
    timeframe = serializers.CharField(help_text="In the spelling that was asked.")
    price = serializers.FloatField()
    open = serializers.FloatField(help_text="Of the newest candle of this timeframe, as are high, low and volume.")
    high = serializers.FloatField()
    low = serializers.FloatField()
    change = serializers.FloatField(help_text="price - open.")
    changePercent = serializers.FloatField(help_text="change / open * 100.")
    volume = serializers.FloatField(help_text="In the base asset.")
    trend = serializers.ChoiceField(TRENDS, help_text="The sign of the change.")
    timestamp = serializers.IntegerField(help_text="When the price was that, epoch milliseconds.")
    stale = serializers.BooleanField(help_text="Whether that was longer ago than a minute's candle takes to come.")
