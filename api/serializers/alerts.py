"""Alerts and their rules: what may be asked and sent, and what is answered."""

from datetime import datetime
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS
from django.core.exceptions import ValidationError as ModelError
from rest_framework import serializers
from rest_framework.settings import api_settings

from alerts.models import Rule
from alerts.rules import MEANINGS, Bound, Direction, Kind
from api.paging import CursorField
from api.serializers.common import Answer
from api.serializers.fields import MarketField, MarketQuery, MomentField, SymbolField
from markets.models import Market

KINDS = sorted(kind.value for kind in Kind)


class AlertsQuery(MarketQuery):
    symbol = SymbolField(required=False)
    kind = serializers.ChoiceField(KINDS, required=False)
    to = MomentField(required=False, help_text="End, included.")
    limit = serializers.IntegerField(min_value=1, max_value=1000, default=100)
    cursor = CursorField(tuple[datetime, int])

    def get_fields(self) -> dict[str, serializers.Field]:
        return {**super().get_fields(), "from": MomentField(required=False, help_text="Beginning, included.")}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "from" in attrs and "to" in attrs and attrs["from"] > attrs["to"]:
            raise serializers.ValidationError({"from": "must not be after to"})
        return attrs


class Alert(serializers.Serializer):
    id = serializers.IntegerField()
    rule = serializers.CharField()
    ruleId = serializers.IntegerField(allow_null=True, help_text="null: the rule is gone.")
    kind = serializers.ChoiceField(KINDS)
    subject = serializers.CharField()
    symbol = serializers.CharField(allow_null=True)
    marketType = serializers.ChoiceField(Market.values, allow_null=True)
    timestamp = serializers.IntegerField(help_text="Epoch milliseconds of what was seen.")
    resolvedAt = serializers.IntegerField(allow_null=True, help_text="Epoch milliseconds; null: not come back yet.")
    value = serializers.FloatField()
    unit = serializers.CharField()
    bound = serializers.ChoiceField([bound.value for bound in Bound], help_text="What value is to the truth.")
    threshold = serializers.FloatField()
    message = serializers.CharField()
    details = serializers.DictField()


class AlertsAnswer(Answer):
    data = Alert(many=True)
    count = serializers.IntegerField()
    next = serializers.CharField(allow_null=True, help_text="Cursor of the next page; null: this is the last.")


class RuleBody(serializers.ModelSerializer):
    """A rule as it is sent. What is left out is the kind's usual, on a change what it was."""

    kind = serializers.ChoiceField(KINDS)
    symbol = SymbolField(required=False, allow_blank=True)
    marketType = MarketField(required=False, source="market", allow_null=True)
    direction = serializers.ChoiceField([direction.value for direction in Direction], required=False)
    windowMinutes = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=1440, source="window_minutes"
    )
    cooldownMinutes = serializers.IntegerField(required=False, min_value=0, max_value=10_080, source="cooldown_minutes")
    toLog = serializers.BooleanField(required=False, source="to_log")
    toPage = serializers.BooleanField(required=False, source="to_page")
    webhookUrl = serializers.CharField(required=False, allow_blank=True, max_length=500, source="webhook_url")
    webhookSecret = serializers.CharField(
        required=False, allow_blank=True, max_length=200, source="webhook_secret", write_only=True
    )

    class Meta:
        model = Rule
        fields = (
            *("name", "kind", "enabled", "symbol", "marketType", "band", "side", "windowMinutes", "direction"),
            *("threshold", "hysteresis", "cooldownMinutes", "toLog", "toPage", "email", "webhookUrl", "webhookSecret"),
        )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("market", "") is None:
            attrs["market"] = ""
        kept = {f.attname: getattr(self.instance, f.attname) for f in Rule._meta.fields} if self.instance else {}
        try:
            Rule(**{**kept, **attrs}).clean()
        except ModelError as error:
            names = {field.source: name for name, field in self.fields.items()}
            names[NON_FIELD_ERRORS] = api_settings.NON_FIELD_ERRORS_KEY
            raise serializers.ValidationError({names.get(k, k): v for k, v in error.message_dict.items()}) from error
        return attrs


class RuleShown(serializers.Serializer):
    """A rule as it is told. Where its alerts go is told only to those who may change it."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(KINDS)
    title = serializers.CharField()
    unit = serializers.CharField()
    enabled = serializers.BooleanField()
    symbol = serializers.CharField(allow_null=True, help_text="null: every collected one.")
    marketType = serializers.ChoiceField(Market.values, allow_null=True)
    band = serializers.FloatField(allow_null=True)
    side = serializers.ChoiceField(Rule.Side.values, allow_null=True)
    windowMinutes = serializers.IntegerField(allow_null=True)
    direction = serializers.ChoiceField([direction.value for direction in Direction])
    threshold = serializers.FloatField()
    hysteresis = serializers.FloatField()
    cooldownMinutes = serializers.IntegerField()
    channels = serializers.ListField(child=serializers.CharField())
    email = serializers.CharField(required=False)
    webhookUrl = serializers.CharField(required=False)
    webhookSigned = serializers.BooleanField(required=False)


class RulesAnswer(Answer):
    rules = RuleShown(many=True)
    count = serializers.IntegerField()


class RuleAnswer(Answer):
    rule = RuleShown()


def rule_shown(rule: Rule, *, private: bool) -> dict[str, Any]:
    meaning = MEANINGS[Kind(rule.kind)]
    used = {"log": rule.to_log, "page": rule.to_page, "email": rule.email, "webhook": rule.webhook_url}
    told = {
        "id": rule.pk,
        "name": rule.name,
        "kind": rule.kind,
        "title": meaning.title,
        "unit": meaning.unit,
        "enabled": rule.enabled,
        "symbol": rule.symbol or None,
        "marketType": rule.market or None,
        "band": None if rule.band is None else float(rule.band),
        "side": rule.side or None,
        "windowMinutes": rule.window_minutes,
        "direction": rule.direction,
        "threshold": rule.threshold,
        "hysteresis": rule.hysteresis,
        "cooldownMinutes": rule.cooldown_minutes,
        "channels": [name for name, value in used.items() if value],
    }
    if private:
        told |= {"email": rule.email, "webhookUrl": rule.webhook_url, "webhookSigned": bool(rule.webhook_secret)}
    return told
