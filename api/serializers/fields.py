"""Kinds of parameters that many resources share: symbols, markets, bands, sides, moments, ranges."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from api.times import LAST, epoch_ms, parse_moment
from depth.broadcast import band_number
from markets.models import Market

BANDS: tuple[Decimal, ...] = settings.DEPTH_BANDS
_NUMBER = re.compile(r"\d{1,6}(\.\d{0,12})?|\.\d{1,12}", re.ASCII)


def band_of(number: Decimal) -> Decimal:
    """The configured band that equals `number`. Raises ValueError naming those that there are."""
    if number in BANDS:
        return BANDS[BANDS.index(number)]
    raise ValueError(f"must be one of {', '.join(str(band_number(band)) for band in BANDS)}")


@extend_schema_field({"type": "string", "minLength": 1, "example": "BTCUSDT"})
class SymbolField(serializers.CharField):
    """Any text at all: what the registry does not know is unknown, not malformed."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("help_text", "As the exchange spells it, such as BTCUSDT; lower case is accepted.")
        super().__init__(**options)
        self.validators: list[Any] = []

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data).upper().replace("\x00", "\ufffd")  # the database holds no NUL


class MarketField(serializers.ChoiceField):
    """SPOT or FUTURES, any case in, upper case out."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("help_text", "SPOT or FUTURES in any case; also accepted under the name `market`.")
        super().__init__(choices=Market.values, **options)

    def to_internal_value(self, data: Any) -> str:
        name = str(data).upper()
        if name not in Market.values:
            raise serializers.ValidationError(f"must be {' or '.join(Market.values)}")
        return name


@extend_schema_field({"type": "number", "enum": [band_number(band) for band in BANDS]})
class BandField(serializers.Field):
    """Percent from the best price; one of the configured bands, however many zeros it is written with."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("help_text", "Percent from the best price of each side.")
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> Decimal:
        text = str(data).strip()
        try:
            return band_of(Decimal(text) if _NUMBER.fullmatch(text) else Decimal(-1))
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error


class WordField(serializers.ChoiceField):
    """One of a few lower-case words, any case in."""

    def to_internal_value(self, data: Any) -> str:
        word = str(data).lower()
        if word not in self.choices:
            raise serializers.ValidationError(f"must be {' or '.join(str(choice) for choice in self.choices)}")
        return word


@extend_schema_field(
    {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": epoch_ms(LAST), "exclusiveMaximum": True},
            {"type": "string", "format": "date-time"},
        ]
    }
)
class MomentField(serializers.Field):
    """Epoch seconds (below 10^11), epoch milliseconds, or ISO 8601."""

    def to_internal_value(self, data: Any) -> datetime:
        try:
            return parse_moment(str(data))
        except ValueError as error:
            raise serializers.ValidationError("must be epoch seconds, epoch milliseconds or ISO 8601") from error


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": 3600})
class LimitField(serializers.IntegerField):
    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=1, max_value=3600, **options)


class Query(serializers.Serializer):
    """Parameters of a request's address. Those that a resource does not know are ignored."""

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        """The validated parameters by name. Raises ValidationError."""
        query = cls(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        return query.validated_data


class SymbolQuery(Query):
    symbol = SymbolField()


class MarketQuery(SymbolQuery):
    """A symbol on a market, which may go by several names."""

    market_names: tuple[str, ...] = ("marketType", "market", "type")
    marketType = MarketField(required=False)

    def to_internal_value(self, data: Mapping[str, Any]) -> dict[str, Any]:
        used = next((name for name in self.market_names if name in data), "marketType")
        if used == "marketType":
            return super().to_internal_value(data)
        try:
            return super().to_internal_value({**data, "marketType": data[used]})
        except serializers.ValidationError as error:
            detail = dict(error.detail)
            raise serializers.ValidationError(
                {used if name == "marketType" else name: text for name, text in detail.items()}
            ) from error


class RangeQuery(MarketQuery):
    """A symbol on a market between two moments, both included; by default `default_range` before the second."""

    default_range = timedelta(hours=1)
    to = MomentField(required=False, help_text="End, included; now when it is not given. Forms as for `from`.")

    def get_fields(self) -> dict[str, serializers.Field]:
        length = "a day" if self.default_range.days else "an hour"
        text = f"Beginning, included: epoch seconds (below 10^11), milliseconds or ISO 8601; else {length} before `to`."
        return {**super().get_fields(), "from": MomentField(required=False, help_text=text)}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs["end"] = attrs.get("to") or timezone.now()
        attrs["start"] = attrs.get("from") or attrs["end"] - self.default_range
        if attrs["start"] > attrs["end"]:
            raise serializers.ValidationError({"from": "must not be after to"})
        return attrs
