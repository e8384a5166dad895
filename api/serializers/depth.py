"""Current order books and the liquidity within each band: what may be asked, and what is answered."""

from rest_framework import serializers

from api.serializers.common import Answer
from api.serializers.fields import BandField, SymbolField, SymbolQuery, WordField
from markets.models import Market

COMPLETE = "false: the known book did not reach the band's bound, the sums of this side are lower bounds."
WS_STATUSES = ("connected", "connecting", "stale", "disconnected", "off")


class BookQuery(SymbolQuery):
    """Nothing but the symbol; the market is the address's."""


class DepthQuery(SymbolQuery):
    depth = BandField()
    type = WordField(["spot", "futures", "all"], required=False, default="all", help_text="Which markets.")


class Level(serializers.Serializer):
    price = serializers.FloatField()
    volume = serializers.FloatField(help_text="Quantity in the base asset.")


class Complete(serializers.Serializer):
    bidComplete = serializers.BooleanField(help_text=COMPLETE)
    askComplete = serializers.BooleanField(help_text=COMPLETE)


class DepthVolume(Complete):
    depth = serializers.FloatField(help_text="Percent from the best price of each side.")
    bidVolume = serializers.FloatField(help_text="In the base asset.")
    askVolume = serializers.FloatField(help_text="In the base asset.")
    totalBidValue = serializers.FloatField(help_text="In the quote asset.")
    totalAskValue = serializers.FloatField(help_text="In the quote asset.")
    currentPrice = serializers.FloatField(help_text="The middle between best bid and best ask.")
    timestamp = serializers.IntegerField(help_text="When the book was read, epoch milliseconds.")


class Diff(Complete):
    depth = serializers.FloatField()
    diff = serializers.FloatField(help_text="bidVolume - askVolume.")
    percentage = serializers.FloatField(help_text="diff / (bidVolume + askVolume) * 100.")


class Coverage(serializers.Serializer):
    bidPercent = serializers.FloatField(
        allow_null=True, help_text="Reach from best bid; null: the whole side is known."
    )
    askPercent = serializers.FloatField(
        allow_null=True, help_text="Reach from best ask; null: the whole side is known."
    )
    bidLevels = serializers.IntegerField()
    askLevels = serializers.IntegerField()


class BookAnswer(Answer):
    type = serializers.ChoiceField(Market.choices)
    symbol = serializers.CharField()
    timestamp = serializers.IntegerField(help_text="When the book was read, epoch milliseconds.")
    midPrice = serializers.FloatField()
    spread = serializers.FloatField()
    bestBid = Level()
    bestAsk = Level()
    bids = Level(many=True, help_text="Best first, at most 20.")
    asks = Level(many=True, help_text="Best first, at most 20.")
    depthVolumes = DepthVolume(many=True, help_text="Ascending by depth.")
    diffs = Diff(many=True, help_text="Ascending by depth.")
    wsStatus = serializers.ChoiceField(WS_STATUSES)
    coverage = Coverage()
    source = serializers.ChoiceField(["rest", "stream"])
    ageMs = serializers.IntegerField(help_text="Since the book was read.")


class MarketDepth(Complete):
    bid = serializers.FloatField(help_text="Volume in the base asset.")
    ask = serializers.FloatField(help_text="Volume in the base asset.")
    diff = serializers.FloatField()
    percentage = serializers.FloatField()
    totalBidValue = serializers.FloatField(help_text="In the quote asset.")
    totalAskValue = serializers.FloatField(help_text="In the quote asset.")
    source = serializers.ChoiceField(["rest", "stream"])
    ageMs = serializers.IntegerField()


class Difference(serializers.Serializer):
    bidPercent = serializers.FloatField(allow_null=True)
    askPercent = serializers.FloatField(allow_null=True)


class DepthAnswer(Answer):
    depth = serializers.FloatField()
    symbol = SymbolField()
    timestamp = serializers.IntegerField(help_text="When the newer of the books was read, epoch milliseconds.")
    spot = MarketDepth(allow_null=True, help_text="null: not there, or not asked for.")
    futures = MarketDepth(allow_null=True, help_text="null: not there, or not asked for.")
    difference = Difference(help_text="(futures - spot) / spot * 100 of the volumes; null without both.")
