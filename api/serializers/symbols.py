"""The registry: what may be asked of it, and what it answers."""

from rest_framework import serializers

from api.serializers.common import Answer
from api.serializers.fields import Query
from markets.models import Market


class SymbolsQuery(Query):
    search = serializers.CharField(
        required=False, default="", allow_blank=True, trim_whitespace=True, help_text="Part of a name or base asset."
    )
    collected = serializers.BooleanField(required=False, help_text="Only those that are, or are not, collected.")


class SymbolEntry(serializers.Serializer):
    symbol = serializers.CharField()
    base = serializers.CharField()
    quote = serializers.CharField()
    markets = serializers.ListField(child=serializers.ChoiceField(Market.choices))
    tickSize = serializers.FloatField()
    lotSize = serializers.FloatField()
    status = serializers.CharField()
    collected = serializers.BooleanField()
    live = serializers.BooleanField()


class SymbolsAnswer(Answer):
    symbols = SymbolEntry(many=True)
