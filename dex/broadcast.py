"""On the way from orders to people: channel names and message shapes in Redis, and the shape of an order itself.

A message tells that an order has changed and what it is now; whoever misses one reads it from the API."""

import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any

import msgspec
from django.utils import timezone
from redis import RedisError

from dex.events import PRICE_DECIMALS, EventType, Quote, Status, TokenFacts, exact
from dex.state import Order
from markets.connections import broker_redis

logger = logging.getLogger(__name__)

CHANNEL = "orders:all"
QUOTE_FIELDS = ("id", "user_address", "token_in", "token_out", "current_price", "distance_percent", "quoted_at")


def user_channel(address: str) -> str:
    """Where changes of one user's orders are told, too; `address` is checksummed."""
    return f"orders:{address}"


def order_body(order: Order, tokens: Mapping[str, TokenFacts], quote: Quote | None = None) -> dict[str, Any]:
    """An order as it is told everywhere. Amounts in whole tokens are exact decimals as text, None where a token does
    not tell its decimals; `..._raw` are the chain's own numbers. `distance_percent` is how far the router's price for
    this very amount has to move to reach the target: above zero it has to rise."""
    token_in, token_out = tokens.get(order.token_in), tokens.get(order.token_out)
    price = _price(order, token_in, token_out, quote) if order.status is Status.PENDING else None
    target = Decimal(order.target_price).scaleb(-PRICE_DECIMALS)
    return {
        "id": order.order_id,
        "user_address": order.user,
        "token_in": order.token_in,
        "token_out": order.token_out,
        "amount_in": _amount(order.amount_in, token_in),
        "target_price": exact(order.target_price, PRICE_DECIMALS),
        "order_type": order.order_type,
        "status": str(order.status),
        "created_at": order.created_at.isoformat(),
        "executed_at": order.executed_at.isoformat() if order.executed_at else None,
        "cancelled_at": order.cancelled_at.isoformat() if order.cancelled_at else None,
        "amount_out": _amount(order.amount_out, token_out),
        "tx_hash": order.tx_hash,
        "token_in_symbol": token_in.symbol if token_in else None,
        "token_out_symbol": token_out.symbol if token_out else None,
        "amount_in_raw": str(order.amount_in),
        "amount_out_raw": None if order.amount_out is None else str(order.amount_out),
        "current_price": None if price is None else f"{price:f}",
        "distance_percent": round(float((target / price - 1) * 100), 4) if price else None,
        "quoted_at": quote.at.isoformat() if quote and price is not None else None,
    }


def _amount(amount: int | None, token: TokenFacts | None) -> str | None:
    if amount is None or token is None or token.decimals is None:
        return None
    return exact(amount, token.decimals)


def _price(
    order: Order, token_in: TokenFacts | None, token_out: TokenFacts | None, quote: Quote | None
) -> Decimal | None:
    """Whole tokens out for one whole token in, to twelve significant digits."""
    if quote is None or not token_in or not token_out or token_in.decimals is None or token_out.decimals is None:
        return None
    with localcontext() as context:
        context.prec = 12
        ratio = Decimal(quote.amount_out) / Decimal(order.amount_in)
        return ratio.scaleb(token_in.decimals - token_out.decimals) if quote.amount_out else Decimal(0)


def change_body(order: Order, tokens: Mapping[str, TokenFacts], event: EventType | None, reorg: bool) -> dict[str, Any]:
    """One change: the order as it is now, the event that brought it (None after a reorganisation)."""
    return {"type": "order", "event": event and str(event), "reorg": reorg, "order": order_body(order, tokens)}


def removed_body(order: Order) -> dict[str, Any]:
    """The creation itself is no longer part of the chain."""
    whose = {"user_address": order.user, "token_in": order.token_in, "token_out": order.token_out}
    return {"type": "order_removed", "event": None, "reorg": True, "id": order.order_id, **whose}


def quotes_body(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the router says of pending orders now; `told` are bodies of them."""
    return {"type": "quotes", "quotes": [{name: one[name] for name in QUOTE_FIELDS} for one in told]}


def more_body() -> dict[str, Any]:
    """Orders have changed that are not told one by one: who wants to know them reads them."""
    return {"type": "orders_changed"}


def publish(head: Mapping[str, Any], bodies: Sequence[Mapping[str, Any]]) -> None:
    """Tells all of them in one trip, each with the `head` in front of it: whose orders these are, and the revision that
    they belong to. Redis away: nobody is told, and nothing else suffers."""
    sent = int(timezone.now().timestamp() * 1000)
    try:
        pipe = broker_redis().pipeline(transaction=False)
        for body in bodies:
            message = msgspec.json.encode({**body, **head, "timestamp": sent})
            pipe.publish(CHANNEL, message)
            user = body.get("user_address") or body.get("order", {}).get("user_address")
            if user:
                pipe.publish(user_channel(user), message)
        pipe.execute()
    except RedisError as error:
        logger.warning("%d changes of orders are not told: Redis is away (%s)", len(bodies), error)
