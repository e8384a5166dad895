"""Trades, mark prices, liquidations, open interest, funding: what may be asked, and what is answered.

Prices and quantities are exact, so they are strings."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from api.paging import CursorField
from api.serializers.common import Answer
from api.serializers.fields import MarketQuery, MomentField, Query, SymbolField, WordField
from derivatives.history import INTERVALS
from markets.models import Market

LOWER_BOUND = "The exchange tells only a sample: at most the largest a symbol and second."


class Ranged(Query):
    """Newest first, page by page, within two moments."""

    to = MomentField(required=False, help_text="End, included.")
    limit = serializers.IntegerField(
        min_value=1, max_value=1000, default=100, help_text="Of single events; hours and days come all at once."
    )

    def get_fields(self) -> dict[str, serializers.Field]:
        return {**super().get_fields(), "from": MomentField(required=False, help_text="Beginning, included.")}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "from" in attrs and "to" in attrs and attrs["from"] > attrs["to"]:
            raise serializers.ValidationError({"from": "must not be after to"})
        return attrs


class Bucketed(Ranged):
    """Single events, or with `interval` whole hours or days of them, oldest first and all at once."""

    DEFAULT_BUCKETS = {"1h": 24, "1d": 30}
    MOST_BUCKETS = 3600
    not_of_buckets: tuple[str, ...] = ("cursor",)
    interval = WordField(choices=list(INTERVALS), required=False, help_text="Hours or days instead of single ones.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if "interval" not in attrs:
            return attrs
        for name in self.not_of_buckets:
            if name in attrs:
                raise serializers.ValidationError({name: "goes without interval"})
        step: timedelta = INTERVALS[attrs["interval"]]
        attrs["end"] = attrs.get("to") or timezone.now()
        attrs["start"] = attrs.get("from") or attrs["end"] - step * self.DEFAULT_BUCKETS[attrs["interval"]]
        if attrs["start"] > attrs["end"]:
            raise serializers.ValidationError({"from": "must not be after to"})
        if attrs["end"] - attrs["start"] > step * self.MOST_BUCKETS:
            raise serializers.ValidationError({"from": f"reaches back more than {self.MOST_BUCKETS} of this interval"})
        return attrs


class AmountField(serializers.DecimalField):
    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=38, decimal_places=18, min_value=Decimal(0), required=False, **options)


class TradesQuery(Bucketed, MarketQuery):
    not_of_buckets = ("cursor", "side", "minQuantity")
    market_names = ("marketType", "market")
    side = WordField(choices=("buy", "sell"), required=False, help_text="What the taker did.")
    minQuantity = AmountField(help_text="In the base asset.")
    cursor = CursorField(tuple[datetime, int])


class ContractQuery(Bucketed):
    symbol = SymbolField()
    cursor = CursorField(tuple[datetime])


class LiquidationsQuery(Bucketed):
    not_of_buckets = ("cursor", "side", "minNotional")
    symbol = SymbolField(required=False)
    side = WordField(choices=("long", "short"), required=False, help_text="Whose position was closed.")
    minNotional = AmountField(help_text="In the quote asset.")
    cursor = CursorField(tuple[datetime, str, UUID])


class FundingQuery(Bucketed):
    symbol = SymbolField(required=False, help_text="Without it every collected contract; needed with interval.")
    limit = None  # one of each contract

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if "interval" in attrs and "symbol" not in attrs:
            raise serializers.ValidationError({"symbol": "is needed with interval"}, code="required")
        if "interval" not in attrs:
            for name in ("from", "to"):
                if name in attrs:
                    raise serializers.ValidationError({name: "goes with interval alone; mark-prices has a past"})
        return attrs


class TradeShown(serializers.Serializer):
    id = serializers.IntegerField()
    timestamp = serializers.IntegerField(help_text="When it was made, epoch milliseconds.")
    eventTime = serializers.IntegerField(allow_null=True, help_text="null: fetched later.")
    price = serializers.CharField()
    quantity = serializers.CharField()
    side = serializers.ChoiceField(("buy", "sell"), help_text="What the taker did.")
    firstTradeId = serializers.IntegerField()
    lastTradeId = serializers.IntegerField()


class Page(Answer):
    count = serializers.IntegerField()
    next = serializers.CharField(allow_null=True, help_text="Cursor of the next page; null: this is the last.")


class TradesAnswer(Page):
    symbol = serializers.CharField()
    marketType = serializers.ChoiceField(Market.values)
    data = TradeShown(many=True)
    openGaps = serializers.IntegerField(help_text="Ranges of ids of this symbol that are missing, not only here.")


class MarkShown(serializers.Serializer):
    timestamp = serializers.IntegerField()
    markPrice = serializers.CharField()
    indexPrice = serializers.CharField()
    settlePrice = serializers.CharField()
    fundingRate = serializers.CharField(allow_null=True)
    nextFundingTime = serializers.IntegerField(allow_null=True)


class MarksAnswer(Page):
    symbol = serializers.CharField()
    data = MarkShown(many=True)


class LiquidationShown(serializers.Serializer):
    symbol = serializers.CharField()
    timestamp = serializers.IntegerField()
    liquidated = serializers.ChoiceField(("long", "short"))
    side = serializers.CharField(help_text="As told: SELL closes a long.")
    price = serializers.CharField()
    averagePrice = serializers.CharField()
    quantity = serializers.CharField()
    filledQuantity = serializers.CharField()
    notional = serializers.CharField(help_text="filledQuantity * averagePrice, in the quote asset.")
    status = serializers.CharField()


class LiquidationsAnswer(Page):
    data = LiquidationShown(many=True)
    lowerBound = serializers.BooleanField(help_text=LOWER_BOUND)


class InterestShown(serializers.Serializer):
    timestamp = serializers.IntegerField()
    openInterest = serializers.CharField(help_text="In the base asset.")
    notional = serializers.CharField(allow_null=True, help_text="In the quote asset, by the mark price then.")


class InterestAnswer(Page):
    symbol = serializers.CharField()
    data = InterestShown(many=True)


class FundingShown(serializers.Serializer):
    symbol = serializers.CharField()
    timestamp = serializers.IntegerField(help_text="Of these figures.")
    markPrice = serializers.CharField()
    indexPrice = serializers.CharField()
    basisPercent = serializers.FloatField(allow_null=True, help_text="(mark - index) / index * 100.")
    fundingRate = serializers.CharField(allow_null=True)
    nextFundingTime = serializers.IntegerField(allow_null=True)


class FundingAnswer(Page):
    data = FundingShown(many=True)


# --- hours and days ---------------------------------------------------------------------------------------------------


class Bucket(serializers.Serializer):
    time = serializers.IntegerField(help_text="Beginning of the hour or day (UTC), epoch seconds.")
    closed = serializers.BooleanField(help_text="false: it is not over.")


class Buckets(Answer):
    interval = serializers.ChoiceField(list(INTERVALS))
    count = serializers.IntegerField()


class FlowShown(Bucket):
    trades = serializers.IntegerField(help_text="Aggregate trades.")
    fills = serializers.IntegerField(help_text="Single trades behind them.")
    volume = serializers.FloatField(help_text="In the base asset.")
    quoteVolume = serializers.FloatField()
    takerBuyVolume = serializers.FloatField()
    takerSellVolume = serializers.FloatField()
    takerBuyQuoteVolume = serializers.FloatField()
    takerSellQuoteVolume = serializers.FloatField()
    delta = serializers.FloatField(help_text="takerBuyVolume - takerSellVolume.")
    cvd = serializers.FloatField(help_text="Sum of delta since the beginning of the answer.")
    cvdQuote = serializers.FloatField()
    missingTrades = serializers.IntegerField(help_text="Whose ids did not come.")
    complete = serializers.BooleanField(
        help_text="false: trades are missing, or were before it; sums are lower bounds."
    )


class FlowAnswer(Buckets):
    symbol = serializers.CharField()
    newest = serializers.IntegerField(
        allow_null=True,
        help_text="When the newest stored trade was made, epoch milliseconds: what is open goes so far.",
    )
    marketType = serializers.ChoiceField(Market.values)
    data = FlowShown(many=True)


class MarkBucketShown(Bucket):
    samples = serializers.IntegerField()
    markOpen = serializers.FloatField()
    markHigh = serializers.FloatField()
    markLow = serializers.FloatField()
    markClose = serializers.FloatField()
    indexClose = serializers.FloatField()
    basisPercent = serializers.FloatField(allow_null=True, help_text="(mark - index) / index * 100 at its end.")
    fundingRate = serializers.FloatField(allow_null=True, help_text="At its end.")
    fundingLow = serializers.FloatField(allow_null=True)
    fundingHigh = serializers.FloatField(allow_null=True)
    nextFundingTime = serializers.IntegerField(allow_null=True)
    complete = serializers.BooleanField(help_text="false: more than one in a hundred samples is missing.")


class MarkBucketsAnswer(Buckets):
    symbol = serializers.CharField()
    data = MarkBucketShown(many=True)


class LiquidatedShown(Bucket):
    longCount = serializers.IntegerField()
    longNotional = serializers.FloatField(help_text="Of longs that were closed, in the quote asset.")
    shortCount = serializers.IntegerField()
    shortNotional = serializers.FloatField()
    largest = serializers.FloatField()


class LiquidatedAnswer(Buckets):
    symbol = serializers.CharField(allow_null=True, help_text="null: of all contracts.")
    lowerBound = serializers.BooleanField(help_text=LOWER_BOUND)
    data = LiquidatedShown(many=True)


class InterestBucketShown(Bucket):
    samples = serializers.IntegerField()
    open = serializers.FloatField(help_text="In the base asset.")
    high = serializers.FloatField()
    low = serializers.FloatField()
    close = serializers.FloatField()
    notionalOpen = serializers.FloatField(allow_null=True)
    notionalClose = serializers.FloatField(allow_null=True)
    complete = serializers.BooleanField(help_text="false: more than one in a hundred minutes is missing.")


class InterestBucketsAnswer(Buckets):
    symbol = serializers.CharField()
    data = InterestBucketShown(many=True)


class SummaryShown(serializers.Serializer):
    symbol = serializers.CharField()
    timestamp = serializers.IntegerField(allow_null=True, help_text="Of the mark price.")
    markPrice = serializers.FloatField(allow_null=True)
    indexPrice = serializers.FloatField(allow_null=True)
    basisPercent = serializers.FloatField(allow_null=True)
    fundingRate = serializers.FloatField(allow_null=True)
    nextFundingTime = serializers.IntegerField(allow_null=True)
    openInterest = serializers.FloatField(allow_null=True, help_text="In the base asset.")
    openInterestNotional = serializers.FloatField(allow_null=True)
    openInterestTimestamp = serializers.IntegerField(allow_null=True)
    change1h = serializers.FloatField(allow_null=True, help_text="Of the open interest, percent; null: not known then.")
    change24h = serializers.FloatField(allow_null=True)
    longLiquidations1h = serializers.FloatField(help_text="Notional of longs closed in the last hour, at least.")
    shortLiquidations1h = serializers.FloatField()
    liquidations1h = serializers.IntegerField()
    heardMinutes = serializers.IntegerField(
        help_text="Of the last 60 in which the feed listened; 0 where it takes none."
    )
    stale = serializers.BooleanField(help_text="A figure is older than it should be, or missing.")


class SummaryAnswer(Answer):
    timestamp = serializers.IntegerField()
    lowerBound = serializers.BooleanField(help_text=LOWER_BOUND)
    data = SummaryShown(many=True)
    count = serializers.IntegerField()


def either(name: str, page: type[Page], buckets: type[Buckets]) -> PolymorphicProxySerializer:
    """The answer of a resource that tells single events, or buckets where `interval` is given."""
    return PolymorphicProxySerializer(component_name=name, serializers=[page, buckets], resource_type_field_name=None)
