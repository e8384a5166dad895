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
from markets.models import Market

MOST_SYMBOLS = 1000
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
    dataset = WordField(["depth", "candles", "orders"], required=False, default="depth", help_text="Which series.")
    symbol = SymbolsField(
        str.upper, required=False, help_text="One or several, such as BTCUSDT; all datasets but `orders` need it."
    )
    marketType = MarketsField(
        _market, required=False, default=(), help_text="Also as `market`. Without it SPOT, or FUTURES where only there."
    )
    depth = BandsField(_band, required=False, default=(), help_text="Percent from the best price; all without it.")
    interval = WordField(list(INTERVALS), required=False, default="1m", help_text="Hours and days are averages.")
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
        if "symbol" not in attrs:
            raise serializers.ValidationError({"symbol": ErrorDetail("symbol is required", "required")})
        attrs["bands"] = tuple(sorted(attrs["depth"])) or settings.DEPTH_BANDS
        return attrs


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
        """With those of an order, which has none of the others."""
        own = super().get_fields()
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
