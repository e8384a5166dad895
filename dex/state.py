"""On an order event's way between decoding and the store: an order is the sum of its events, step by step. Pure.

    (nothing) -created-> PENDING -executed-> EXECUTED
                                 -cancelled-> CANCELLED

A step that this does not allow changes nothing and is told as an anomaly. What an event did depends only on the events
before it on the chain, so taking back the newest ones is the same as never having seen them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from dex.events import RESULTS, EventType, OrderEvent, Status


class Anomaly(StrEnum):
    """Why an event was refused."""

    EXISTS = "order_exists"  # created twice
    UNKNOWN = "unknown_order"  # executed or cancelled without having been created
    NOT_PENDING = "not_pending"  # executed or cancelled after its end
    FOREIGN = "other_user"  # names another owner than the creation did
    INCOMPLETE = "incomplete_event"  # a creation that does not say what is ordered


@dataclass(frozen=True, slots=True)
class Order:
    """An order after the events up to `changed` (block number, log index). Amounts in the smallest unit."""

    order_id: int
    user: str
    token_in: str
    token_out: str
    amount_in: int
    target_price: int
    order_type: str
    status: Status
    tx_hash: str
    created_at: datetime
    changed_at: datetime
    changed: tuple[int, int]
    executed_at: datetime | None = None
    cancelled_at: datetime | None = None
    amount_out: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What one event did: the order's status before and after it, or why it was refused."""

    event: OrderEvent
    old: Status | None
    new: Status | None
    anomaly: Anomaly | None = None


def step(order: Order | None, event: OrderEvent) -> tuple[Order | None, Step]:
    """The order after `event`, and what the event did."""
    old = order.status if order else None
    anomaly = _refusal(order, event)
    if anomaly:
        return order, Step(event, old, old, anomaly)
    after = _created(event) if order is None else _closed(order, event)
    return after, Step(event, old, after.status)


def fold(events: Iterable[OrderEvent], order: Order | None = None) -> tuple[Order | None, list[Step]]:
    """The order after `events` of one order, in the chain's order, and what each did."""
    steps = []
    for event in events:
        order, done = step(order, event)
        steps.append(done)
    return order, steps


def _refusal(order: Order | None, event: OrderEvent) -> Anomaly | None:
    if event.kind is EventType.CREATED:
        if order is not None:
            return Anomaly.EXISTS
        needed = (event.user, event.token_in, event.token_out, event.amount_in, event.target_price)
        return Anomaly.INCOMPLETE if None in needed else None
    if order is None:
        return Anomaly.UNKNOWN
    if order.status is not Status.PENDING:
        return Anomaly.NOT_PENDING
    return Anomaly.FOREIGN if event.user not in {None, order.user} else None


def _created(event: OrderEvent) -> Order:
    return Order(
        order_id=event.order_id,
        user=event.user or "",
        token_in=event.token_in or "",
        token_out=event.token_out or "",
        amount_in=event.amount_in or 0,
        target_price=event.target_price or 0,
        order_type=event.order_type or "LIMIT",
        status=Status.PENDING,
        tx_hash=event.tx_hash,
        created_at=event.time,
        changed_at=event.time,
        changed=event.position,
    )


def _closed(order: Order, event: OrderEvent) -> Order:
    closed = replace(order, status=RESULTS[event.kind], changed_at=event.time, changed=event.position)
    if event.kind is EventType.EXECUTED:
        return replace(closed, executed_at=event.time, amount_out=event.amount_out)
    return replace(closed, cancelled_at=event.time)
