"""Current order books and the liquidity within each band: what may be asked, and what is answered."""

from rest_framework import serializers

from api.serializers.common import Answer
from api.serializers.fields import BandField, MarketQuery, SymbolField, SymbolQuery, WordField
from depth.broadcast import BOOK_LEVELS, WsStatus
from markets.models import Market

COMPLETE = "false: the known book did not reach the band's bound, the sums of this side are lower bounds."
WS_STATUSES = tuple(str(status) for status in WsStatus)


class BookQuery(SymbolQuery):
    """Nothing but the symbol; the market is the address's."""


class DepthQuery(SymbolQuery):
    depth = BandField()
    type = WordField(["spot", "futures", "all"], required=False, default="all", help_text="Which markets.")


class OrderBookQuery(MarketQuery):
    levels = serializers.IntegerField(
        required=False, default=20, min_value=1, max_value=BOOK_LEVELS, help_text="Of each side, best first."
    )


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


class LevelPairs(serializers.ListField):
    child = serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2)


class OrderBookAnswer(Answer):
    symbol = SymbolField()
    marketType = serializers.ChoiceField(Market.choices)
    timestamp = serializers.IntegerField(help_text="When the book was read, epoch milliseconds.")
    last_update_id = serializers.IntegerField(help_text="The exchange's number of the book's last change.")
    bids = LevelPairs(help_text="[price, quantity], best first. Fewer than asked for where fewer are known.")
    asks = LevelPairs(help_text="[price, quantity], best first. Fewer than asked for where fewer are known.")
    source = serializers.ChoiceField(["rest", "stream"], help_text="stream: live; rest: the last collected, 20 levels.")
    wsStatus = serializers.ChoiceField(WS_STATUSES)
    ageMs = serializers.IntegerField(help_text="Since the book was read.")
