"""GET alerts; alerts/rules and alerts/rules/{id}: what has been seen, and what is watched."""

from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.deliveries import body
from alerts.models import Firing, Rule
from alerts.selectors import firings, rules
from api.models import ApiKey, Scope
from api.paging import paged
from api.permissions import ReadOrScope
from api.schema import operation
from api.serializers.alerts import AlertsAnswer, AlertsQuery, RuleAnswer, RuleBody, RulesAnswer, rule_shown
from api.serializers.common import Message
from api.views.base import ApiView


class AlertsView(ApiView):
    @operation("Alerts, newest first", AlertsAnswer, errors=[400], query=AlertsQuery)
    def get(self, request: Request) -> Response:
        asked = AlertsQuery.read(request)
        found = firings(
            asked["limit"] + 1,
            symbol=asked.get("symbol", ""),
            market=asked.get("marketType", ""),
            kind=asked.get("kind", ""),
            start=asked.get("from"),
            end=asked.get("to"),
            after=asked.get("cursor"),
        )
        return Response(paged(found, asked["limit"], _place, body))


def _place(firing: Firing) -> list[Any]:
    return [firing.fired_at, firing.pk]


class RulesView(ApiView):
    permission_classes = (ReadOrScope,)
    scope = Scope.ALERTS_WRITE

    @operation("What is watched", RulesAnswer)
    def get(self, request: Request) -> Response:
        private = _may_change(request)
        told = [rule_shown(rule, private=private) for rule in rules()]
        return Response({"success": True, "rules": told, "count": len(told)})

    @operation("Watch something more", RuleAnswer, errors=[400, 413, 415], body=RuleBody, scope=Scope.ALERTS_WRITE)
    def post(self, request: Request) -> Response:
        sent = RuleBody(data=request.data)
        sent.is_valid(raise_exception=True)
        return Response({"success": True, "rule": rule_shown(sent.save(), private=True)})


class RuleView(ApiView):
    permission_classes = (ReadOrScope,)
    scope = Scope.ALERTS_WRITE
    http_method_names = ["get", "put", "delete", "head"]

    @operation("One rule", RuleAnswer, errors=[404])
    def get(self, request: Request, pk: int) -> Response:
        return Response({"success": True, "rule": rule_shown(_rule(pk), private=_may_change(request))})

    @operation(
        "Change a rule: what is not sent stays",
        RuleAnswer,
        errors=[400, 404, 413, 415],
        body=RuleBody,
        scope=Scope.ALERTS_WRITE,
    )
    def put(self, request: Request, pk: int) -> Response:
        sent = RuleBody(_rule(pk), data=request.data, partial=True)
        sent.is_valid(raise_exception=True)
        return Response({"success": True, "rule": rule_shown(sent.save(), private=True)})

    @operation("Watch it no longer; its alerts stay", Message, errors=[404], scope=Scope.ALERTS_WRITE)
    def delete(self, request: Request, pk: int) -> Response:
        rule = _rule(pk)
        rule.delete()
        return Response({"success": True, "message": f"Deleted {rule.name}"})


def _rule(pk: int) -> Rule:
    found = Rule.objects.filter(pk=pk).first()
    if found is None:
        raise NotFound("There is no such rule")
    return found


def _may_change(request: Request) -> bool:
    if isinstance(request.auth, ApiKey):
        return Scope.ALERTS_WRITE in request.auth.scopes
    return bool(request.user.is_active and request.user.is_staff)
