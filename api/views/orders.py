"""GET orders, users/{address}/orders and statistics: the DEX's orders."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from api.exceptions import ApiError, shown
from api.schema import operation
from api.serializers.orders import (
    ADDRESS_SCHEMA,
    LARGEST_ID,
    EventsAnswer,
    OrderAnswer,
    OrdersAnswer,
    OrdersQuery,
    StatisticsAnswer,
    UserOrdersQuery,
)
from api.times import epoch_ms
from api.views.base import ApiView
from dex.addresses import read_address
from dex.broadcast import order_body
from dex.events import Status, TokenFacts, exact
from dex.models import OrderEvent
from dex.selectors import Filter, Page, Volume, history, order, orders, statistics

MOST_EVENTS = 1000
ID_SCHEMA = {"type": "string", "pattern": "^[0-9]{1,78}$"}
ID = OpenApiParameter("order_id", ID_SCHEMA, OpenApiParameter.PATH, description="The contract's number of the order.")
ADDRESS = OpenApiParameter("address", ADDRESS_SCHEMA, OpenApiParameter.PATH, description="In any case.")


class OrdersView(ApiView):
    """One status; each has an address of its own."""

    status: Status | None = None

    @operation("Orders of one status", OrdersAnswer, errors=[400], query=OrdersQuery)
    def get(self, request: Request) -> Response:
        return Response({"success": True, **listed_orders(OrdersQuery.read(request), self.status, None)})


class UserOrdersView(ApiView):
    @operation("Orders of one user", OrdersAnswer, errors=[400], query=UserOrdersQuery, parameters=[ADDRESS])
    def get(self, request: Request, address: str) -> Response:
        try:
            user = read_address(address)
        except ValueError as error:
            raise ApiError(400, "invalid_parameter", f"address: {error}", "address") from error
        asked = UserOrdersQuery.read(request)
        status = Status(asked["status"].upper()) if "status" in asked else None
        return Response({"success": True, **listed_orders(asked, status, user)})


class OrderView(ApiView):
    @operation("One order", OrderAnswer, errors=[400, 404], parameters=[ID])
    def get(self, request: Request, order_id: str) -> Response:
        found = order(_number(order_id))
        if found is None:
            raise _unknown(order_id)
        listed, tokens = found
        return Response({"success": True, **order_body(listed.order, tokens, listed.quote)})


class OrderEventsView(ApiView):
    @operation("What has happened to one order", EventsAnswer, errors=[400, 404], parameters=[ID])
    def get(self, request: Request, order_id: str) -> Response:
        number = _number(order_id)
        found = history(number, MOST_EVENTS)
        if found is None:
            raise _unknown(order_id)
        events, tokens = found
        told = [_event(event, tokens) for event in events]
        return Response({"success": True, "order_id": number, "events": told, "count": len(told)})


class StatisticsView(ApiView):
    @operation("Counts and volumes of all orders", StatisticsAnswer)
    def get(self, request: Request) -> Response:
        return Response({"success": True, **told_statistics(timezone.now())})


def told_statistics(now: datetime) -> dict[str, Any]:
    """Counts and volumes as StatisticsAnswer describes them."""
    found = statistics()
    return {
        "total": sum(found.by_status.values()),
        **{str(status).lower(): found.by_status[status] for status in Status},
        "users": found.users,
        "volumes": [_volume(volume, found.tokens) for volume in found.volumes],
        "refused_events": found.refused,
        "reorgs": found.state.reorgs if found.state else 0,
        "chain_id": found.state.chain_id if found.state else None,
        "contract": found.state.contract if found.state else None,
        "block": found.state.last_processed_block if found.state else None,
        "timestamp": epoch_ms(now),
    }


def listed_orders(asked: Mapping[str, Any], status: Status | None, user: str | None) -> dict[str, Any]:
    """A list as OrdersAnswer describes it, from the validated parameters of OrdersQuery."""
    page = orders(read_filter(asked, status, user), asked["limit"], asked["offset"])
    return {"orders": order_bodies(page), "total": page.total, "limit": asked["limit"], "offset": asked["offset"]}


def read_filter(asked: Mapping[str, Any], status: Status | None, user: str | None) -> Filter:
    """The filter of the validated parameters of OrdersQuery."""
    names = ("token", "token_in", "token_out", "pair")
    chosen = {name: asked.get(name) for name in names}
    return Filter(status, user, start=asked.get("from"), end=asked.get("to"), **chosen)


def order_bodies(page: Page) -> list[dict[str, Any]]:
    """Orders as OrderEntry describes them."""
    return [order_body(listed.order, page.tokens, listed.quote) for listed in page.orders]


def _number(text: str) -> int:
    """Raises ApiError for what no contract counts by."""
    if not (text.isascii() and text.isdigit() and len(text) <= 78 and int(text) <= LARGEST_ID):
        raise ApiError(400, "invalid_parameter", "id: must be a whole number from 0 to 2^256 - 1", "id")
    return int(text)


def _unknown(order_id: str) -> ApiError:
    return ApiError(404, "unknown_order", f"Unknown order {shown(order_id)}", "id")


def _event(event: OrderEvent, tokens: Mapping[str, TokenFacts]) -> dict[str, Any]:
    return {
        "order_id": int(event.order_id),
        "event_type": event.event_type,
        "old_status": event.old_status,
        "new_status": event.new_status,
        "timestamp": epoch_ms(event.timestamp),
        "block_number": event.block_number,
        "block_hash": event.block_hash,
        "tx_hash": event.tx_hash,
        "log_index": event.log_index,
        "amount_in": _amount(event.amount_in, event.token_in, tokens),
        "amount_out": _amount(event.amount_out, event.token_out, tokens),
        "anomaly": event.anomaly or None,
        "orphaned": event.orphaned,
    }


def _volume(volume: Volume, tokens: Mapping[str, TokenFacts]) -> dict[str, Any]:
    token = tokens.get(volume.token)
    return {
        "token": volume.token,
        "symbol": token.symbol if token else None,
        "orders": volume.orders,
        "amount_in": _amount(volume.amount, volume.token, tokens),
        "executed_orders": volume.executed_orders,
        "executed_amount_in": _amount(volume.executed_amount, volume.token, tokens),
    }


def _amount(amount: Any, token: str | None, tokens: Mapping[str, TokenFacts]) -> str | None:
    facts = tokens.get(token or "")
    if amount is None or facts is None or facts.decimals is None:
        return None
    return exact(int(amount), facts.decimals)
