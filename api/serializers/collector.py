"""The collector's state and its switches: what may be sent, and what is answered."""

from typing import Any

from rest_framework import serializers

from api.exceptions import ApiError
from api.serializers.common import Answer

MOST_SYMBOLS = 5000


class LastCycle(serializers.Serializer):
    seconds = serializers.FloatField(allow_null=True, help_text="null: not finished.")
    symbols = serializers.IntegerField(help_text="Order books stored.")
    failed = serializers.IntegerField()
    partial = serializers.BooleanField(help_text="Not all that were due are stored.")


class Weight(serializers.Serializer):
    used = serializers.IntegerField(help_text="In the current minute.")
    limit = serializers.IntegerField(help_text="A minute, as the exchange says.")
    blockedUntil = serializers.IntegerField(allow_null=True, help_text="Epoch milliseconds; null: not blocked.")


class Weights(serializers.Serializer):
    spot = Weight()
    futures = Weight()


class SpoolUse(serializers.Serializer):
    bytes = serializers.IntegerField(help_text="That wait on disk for the database, over all machines.")
    batches = serializers.IntegerField()
    limit = serializers.IntegerField(help_text="Bytes that may wait.")
    status = serializers.ChoiceField(("healthy", "degraded", "unhealthy"))


class Stats(serializers.Serializer):
    totalRequests = serializers.IntegerField()
    successfulRequests = serializers.IntegerField()
    failedRequests = serializers.IntegerField()
    successRate = serializers.FloatField(help_text="Percent; 100 before the first request.")
    lastCollectionTime = serializers.IntegerField(allow_null=True, help_text="Epoch milliseconds; null: never.")
    running = serializers.BooleanField()
    lastCycle = LastCycle(allow_null=True)
    spool = SpoolUse()
    weight = Weights()


class CollectorAnswer(Answer):
    stats = Stats()


class SymbolsBody(serializers.Serializer):
    symbols = serializers.ListField(child=serializers.CharField(), min_length=1, max_length=MOST_SYMBOLS)


class ChosenAnswer(Answer):
    message = serializers.CharField()
    symbols = serializers.ListField(child=serializers.CharField(), help_text="The names as the registry has them.")


def symbol_names(body: Any) -> list[str]:
    """The names of `{"symbols": [...]}`, each once, upper case. Raises ApiError that blames `symbols`."""
    names = body.get("symbols") if isinstance(body, dict) else None
    if names is None:
        raise ApiError(400, "missing_parameter", "symbols is required: a list of names", "symbols")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ApiError(400, "invalid_parameter", "symbols: must be a list of names", "symbols")
    if not 1 <= len(names) <= MOST_SYMBOLS:
        raise ApiError(400, "invalid_parameter", f"symbols: must hold 1 to {MOST_SYMBOLS} names", "symbols")
    return list(dict.fromkeys(name.strip().upper() for name in names))
