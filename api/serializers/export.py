"""Files of a series: what may be asked."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request

from api.files import KINDS
from api.serializers.candles import TimeframeField
from api.serializers.common import Answer
from api.serializers.fields import BANDS, BandField, MarketField, RangeQuery, WordField, band_number
from api.serializers.orders import OrderEntry
from api.serializers.snapshots import SnapshotRow
from depth.selectors import INTERVALS
from derivatives.export import DATASETS
from markets.models import Market

MOST_SYMBOLS = 1000
EVENTS = (*DATASETS, "funding")
ORDERS_NOW = ("current_price", "distance_percent", "quoted_at")  # the router's word of the moment: not in files


class ListField(serializers.CharField):
    """Values parted by commas, each read by `part`; the same one twice counts once."""

    def __init__(self, part: Callable[[str], Any], **options: Any) -> None:
        super().__init__(**options)
        self.part = part
        self.validators: list[Any] = []  # what a symbol may be called, the registry knows

    def to_internal_value(self, data: Any) -> tuple[Any, ...]:
        given = [text.strip() for text in super().to_internal_value(data).split(",")]
        values = tuple(dict.fromkeys(self.part(text) for text in given if text))
        if not values:
            self.fail("blank")
        if len(values) > MOST_SYMBOLS:
            raise serializers.ValidationError(f"holds {len(values)} values, more than {MOST_SYMBOLS}")
        return values


@extend_schema_field(
    {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}, "example": ["BTCUSDT"]}
)
class SymbolsField(ListField):
    pass


@extend_schema_field({"type": "array", "items": {"type": "string", "enum": Market.values}})
class MarketsField(ListField):
    pass


@extend_schema_field({"type": "array", "items": {"type": "number", "enum": [band_number(band) for band in BANDS]}})
class BandsField(ListField):
    pass


def _band(text: str) -> Decimal:
    return BandField().to_internal_value(text)


def _market(text: str) -> str:
    return MarketField().to_internal_value(text)


class ExportQuery(RangeQuery):
    """Lists may be repeated parameters, or one with commas."""

    market_names = ("marketType", "market")
    lists = ("symbol", "depth", *market_names)
    dataset = WordField(
        ["depth", "candles", "orders", *EVENTS], required=False, default="depth", help_text="Which series."
    )
    symbol = SymbolsField(
        str.upper,
        required=False,
        help_text="One or several, such as BTCUSDT; all datasets but `orders` and `liquidations` need it.",
    )
    marketType = MarketsField(
        _market, required=False, default=(), help_text="Also as `market`. Without it SPOT, or FUTURES where only there."
    )
    depth = BandsField(_band, required=False, default=(), help_text="Percent from the best price; all without it.")
    interval = WordField(
        list(INTERVALS),
        required=False,
        default="1m",
        help_text="Hours and days are averages of `depth`, sums and ends of futures events; of `funding` 1m is 1h.",
    )
    timeframe = TimeframeField(required=False, help_text="Of candles; else what `interval` says.")
    format = WordField(list(KINDS), required=False, default="csv")

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        given = request.query_params
        joined = {name: ",".join(given.getlist(name)) for name in cls.lists if name in given}
        query = cls(data={**given.dict(), **joined})
        query.is_valid(raise_exception=True)
        return query.validated_data

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if "symbol" not in attrs and attrs["dataset"] != "liquidations":
            raise serializers.ValidationError({"symbol": ErrorDetail("symbol is required", "required")})
        attrs["bands"] = tuple(sorted(attrs["depth"])) or settings.DEPTH_BANDS
        return attrs


class EventRow(serializers.Serializer):
    """A futures event, or with an interval of hours or days what `interval` gives of it; exact numbers are strings."""

    side = serializers.CharField(required=False)
    liquidated = serializers.CharField(required=False)
    orderStatus = serializers.CharField(required=False)
    firstTradeId = serializers.IntegerField(required=False)
    lastTradeId = serializers.IntegerField(required=False)
    eventTime = serializers.IntegerField(required=False, allow_null=True)
    nextFundingTime = serializers.IntegerField(required=False, allow_null=True)
    price = serializers.CharField(required=False)
    quantity = serializers.CharField(required=False)
    averagePrice = serializers.CharField(required=False)
    filledQuantity = serializers.CharField(required=False)
    notional = serializers.CharField(required=False, allow_null=True)
    markPrice = serializers.CharField(required=False)
    indexPrice = serializers.CharField(required=False)
    settlePrice = serializers.CharField(required=False)
    fundingRate = serializers.JSONField(required=False)
    openInterest = serializers.CharField(required=False)


class ExportRow(SnapshotRow):
    """A row of the chosen dataset: `depth` and what goes with it, or `timeframe` and the figures of a candle."""

    depth = serializers.FloatField(required=False)
    timeframe = serializers.CharField(required=False)
    open = serializers.FloatField(required=False)
    high = serializers.FloatField(required=False)
    low = serializers.FloatField(required=False)
    close = serializers.FloatField(required=False)
    volume = serializers.FloatField(required=False, help_text="In the base asset.")
    quote_volume = serializers.FloatField(required=False)
    taker_buy_volume = serializers.FloatField(required=False)
    taker_buy_quote_volume = serializers.FloatField(required=False)
    trades = serializers.IntegerField(required=False)
    closed = serializers.BooleanField(required=False)
    minutes = serializers.IntegerField(required=False, help_text="Of which the candle is made.")

    def get_fields(self) -> dict[str, serializers.Field]:
        """With those of an event and of an order, which have none of the others."""
        own = super().get_fields()
        for name, field in EventRow().get_fields().items():
            own.setdefault(name, field)
        for name, field in OrderEntry().get_fields().items():
            if name not in ORDERS_NOW:
                field.required = False
                own.setdefault(name, field)
        for name in ("symbol", "marketType"):
            own[name].required = False
        return own


class ExportAnswer(Answer):
    data = ExportRow(many=True, help_text="By symbol, market and band as they were asked for, then by time.")
    count = serializers.IntegerField()
