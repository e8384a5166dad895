"""Trades, mark prices, liquidations, open interest, funding: what may be asked, and what is answered.

Prices and quantities are exact, so they are strings."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from rest_framework import serializers

from api.paging import CursorField
from api.serializers.common import Answer
from api.serializers.fields import MarketQuery, MomentField, Query, SymbolField, WordField
from markets.models import Market

LOWER_BOUND = "The exchange tells only a sample: at most the largest a symbol and second."


class Ranged(Query):
    """Newest first, page by page, within two moments."""

    to = MomentField(required=False, help_text="End, included.")
    limit = serializers.IntegerField(min_value=1, max_value=1000, default=100)

    def get_fields(self) -> dict[str, serializers.Field]:
        return {**super().get_fields(), "from": MomentField(required=False, help_text="Beginning, included.")}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "from" in attrs and "to" in attrs and attrs["from"] > attrs["to"]:
            raise serializers.ValidationError({"from": "must not be after to"})
        return attrs


class AmountField(serializers.DecimalField):
    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=38, decimal_places=18, min_value=Decimal(0), required=False, **options)


class TradesQuery(Ranged, MarketQuery):
    market_names = ("marketType", "market")
    side = WordField(choices=("buy", "sell"), required=False, help_text="What the taker did.")
    minQuantity = AmountField(help_text="In the base asset.")
    cursor = CursorField(tuple[datetime, int])


class ContractQuery(Ranged):
    symbol = SymbolField()
    cursor = CursorField(tuple[datetime])


class LiquidationsQuery(Ranged):
    symbol = SymbolField(required=False)
    side = WordField(choices=("long", "short"), required=False, help_text="Whose position was closed.")
    minNotional = AmountField(help_text="In the quote asset.")
    cursor = CursorField(tuple[datetime, str, UUID])


class FundingQuery(Query):
    symbol = SymbolField(required=False, help_text="Without it every collected contract.")


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
    basisPercent = serializers.FloatField(help_text="(mark - index) / index * 100.")
    fundingRate = serializers.CharField(allow_null=True)
    nextFundingTime = serializers.IntegerField(allow_null=True)


class FundingAnswer(Page):
    data = FundingShown(many=True)
