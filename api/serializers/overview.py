"""The overview of a market: what may be asked, and what is answered."""

from typing import Any

from rest_framework import serializers

from api.serializers.common import Answer
from api.serializers.depth import Complete, Coverage
from api.serializers.fields import BandField, MarketField, Query
from markets.models import Market


class OverviewQuery(Query):
    depth = BandField(required=False, help_text="Percent from the best price of each side; 1 when it is not given.")
    market = MarketField(
        required=False, help_text="SPOT or FUTURES in any case; also accepted under the name `marketType`."
    )

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if "market" not in data and "marketType" in data:
            data = {**data, "market": data["marketType"]}
        return super().to_internal_value(data)


class OverviewBand(Complete):
    bidVolume = serializers.FloatField(help_text="In the base asset.")
    askVolume = serializers.FloatField(help_text="In the base asset.")
    totalBidValue = serializers.FloatField(help_text="In the quote asset.")
    totalAskValue = serializers.FloatField(help_text="In the quote asset.")
    diff = serializers.FloatField(help_text="bidVolume - askVolume.")
    percentage = serializers.FloatField(help_text="diff / (bidVolume + askVolume) * 100.")


class OverviewBook(serializers.Serializer):
    timestamp = serializers.IntegerField(help_text="When the book was read, epoch milliseconds.")
    source = serializers.ChoiceField(["rest", "stream"])
    midPrice = serializers.FloatField()
    change1h = serializers.FloatField(allow_null=True, help_text="Percent; null: no book of an hour before is kept.")
    change24h = serializers.FloatField(allow_null=True, help_text="Percent; null: no book of a day before is kept.")
    spreadBps = serializers.FloatField(help_text="Spread in hundredths of a percent of the mid price.")
    coverage = Coverage()
    band = OverviewBand(allow_null=True, help_text="null: this band was not kept of this book.")


class OverviewTrend(serializers.Serializer):
    percentage = serializers.ListField(
        child=serializers.FloatField(allow_null=True),
        help_text="One a minute: (bid - ask) / (bid + ask) * 100 of the band's values; null: not kept.",
    )
    incomplete = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField(), min_length=2, max_length=2),
        help_text="Runs of minutes of which a side was incomplete: [first, beyond the last] of `percentage`.",
    )

    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.IntegerField(help_text="First minute, epoch milliseconds."), **super().get_fields()}


class OverviewRow(serializers.Serializer):
    symbol = serializers.CharField()
    base = serializers.CharField()
    quote = serializers.CharField()
    priceDecimals = serializers.IntegerField(help_text="Decimals of the tick size.")
    volume24h = serializers.FloatField(help_text="In the quote asset, as the exchange last listed it.")
    book = OverviewBook(allow_null=True, help_text="The newest stored book; null: none yet.")
    trend = OverviewTrend(allow_null=True, help_text="The last hour; null: nothing of it is kept.")


class OverviewAnswer(Answer):
    market = serializers.ChoiceField(Market.choices)
    depth = serializers.FloatField()
    timestamp = serializers.IntegerField(help_text="Epoch milliseconds.")
    count = serializers.IntegerField(help_text="Collected symbols of the market.")
    data = OverviewRow(many=True, help_text="Every collected symbol, largest 24 h volume first.")
