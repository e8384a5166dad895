"""Into the store: a stretch of blocks with the cursor that it moves, or its taking back; each in one transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db import connection
from django.db.models import F
from django.utils import timezone

from dex import store
from dex.chain import Log
from dex.decode import Decoder, Undecodable
from dex.events import EventType, OrderEvent
from dex.lease import Cursor, Deployment, fenced
from dex.models import Order as OrderRow
from dex.models import ScannedBlock, SystemState
from dex.selectors import order_of
from dex.state import Order, Step, fold, step

UNDECODABLE = "undecodable"
KEPT_BLOCKS = 1024  # below the cursor every hash that is known is kept for so many blocks, below that one in KEPT_STEP
KEPT_STEP = 64


class AlreadyProcessed(Exception):
    """An event beyond the cursor is in the ledger: the ledger and the cursor contradict each other."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Blocks up to `end`, consecutive to the cursor, with every log of theirs in any order. `times` are those of blocks
    (by hash) whose logs do not tell it; `hashes` are known (number, hash), the end's among them."""

    end: Cursor
    logs: Sequence[Log]
    times: Mapping[str, datetime] = field(default_factory=dict)
    hashes: Sequence[tuple[int, str]] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What a write did: the steps of events (of a taking back: none), the orders that it touched, those that are gone
    with their creation (as they were), the new cursor, and the revision that it made (0: no order has changed)."""

    cursor: Cursor
    steps: Sequence[Step] = ()
    orders: Sequence[Order] = ()
    removed: Sequence[Order] = ()
    undecodable: int = 0
    revision: int = 0


# The columns of selectors.ORDER_FIELDS.
LOAD = """
    SELECT id, user_address, token_in, token_out, amount_in, target_price, order_type, status, tx_hash,
           created_at, changed_at, changed_block, changed_index, executed_at, cancelled_at, amount_out
    FROM orders WHERE chain_id = %s AND contract = %s AND id = ANY(%s::numeric[])
"""
ORPHAN_EVENTS = """
    UPDATE order_events SET orphaned = true
    WHERE chain_id = %s AND contract = %s AND block_number > %s AND NOT orphaned RETURNING order_id
"""
ORPHAN_LEDGER = """
    UPDATE processed_events SET orphaned = true
    WHERE chain_id = %s AND contract = %s AND block_number > %s AND NOT orphaned
"""
FORGET = """
    DELETE FROM scanned_blocks
    WHERE chain_id = %s AND contract = %s AND number < %s AND number > %s AND number %% %s <> 0
"""
STANDING = """
    SELECT event_type, order_id, block_number, block_hash, tx_hash, log_index, timestamp, user_address,
           token_in, token_out, amount_in, amount_out, target_price, order_type
    FROM order_events
    WHERE chain_id = %s AND contract = %s AND order_id = ANY(%s::numeric[]) AND NOT orphaned
    ORDER BY order_id, block_number, log_index
"""


def apply(deployment: Deployment, decoder: Decoder, cursor: Cursor, stretch: Stretch) -> Change:
    """Stores a stretch and moves the cursor to its end: all of it or nothing. Raises LeaseLost and AlreadyProcessed."""
    logs = _distinct(decoder, stretch.logs)
    events, failed = _decoded(decoder, logs, stretch.times)
    with fenced(deployment, cursor):
        orders = _load(deployment, {event.order_id for event in events})
        steps, touched = _run(orders, events)
        anomalies = failed | {(s.event.block_hash, s.event.log_index): str(s.anomaly) for s in steps if s.anomaly}
        _write_ledger(deployment, decoder, logs, anomalies)
        store.write(store.ORDER_EVENTS, [_event_row(deployment, one) for one in steps])
        store.write(store.ORDERS, [_order_row(deployment, order) for order in touched])
        _move(deployment, stretch.end, stretch.hashes)
        revision = _revise(deployment) if touched else 0
    return Change(stretch.end, steps, touched, undecodable=len(failed), revision=revision)


def take_back(deployment: Deployment, cursor: Cursor, fork: Cursor) -> Change:
    """Undoes what events above `fork` did, marks them as orphaned and moves the cursor there. Raises LeaseLost."""
    place = [deployment.chain_id, deployment.contract]
    with fenced(deployment, cursor):
        with connection.cursor() as sql:
            sql.execute(ORPHAN_EVENTS, [*place, fork.block])
            affected = {int(row[0]) for row in sql.fetchall()}
            sql.execute(ORPHAN_LEDGER, [*place, fork.block])
        before, orders = _load(deployment, affected), _refold(deployment, affected)
        removed = sorted(before.keys() - {order.order_id for order in orders})
        store.write(store.ORDERS, [_order_row(deployment, order) for order in orders])
        own = {"chain_id": deployment.chain_id, "contract": deployment.contract}
        OrderRow.objects.filter(**own, order_id__in=removed).delete()
        ScannedBlock.objects.filter(**own, number__gt=fork.block).delete()
        _move(deployment, fork, ())
        _count_reorg(deployment, cursor.block - fork.block)
        revision = _revise(deployment) if orders or removed else 0
    return Change(fork, orders=orders, removed=[before[one] for one in removed], revision=revision)


def _distinct(decoder: Decoder, logs: Iterable[Log]) -> list[Log]:
    """The order events among logs in the chain's order, each once however often the node has told it."""
    found = {(log.block_hash, log.log_index): log for log in logs if not log.removed and decoder.kind(log) is not None}
    return sorted(found.values(), key=lambda log: (log.height, log.index))


def _decoded(
    decoder: Decoder, logs: Sequence[Log], times: Mapping[str, datetime]
) -> tuple[list[OrderEvent], dict[tuple[str, int], str]]:
    """The events, and of the logs that are none by (block hash, log index) the word for it."""
    events, failed = [], {}
    for log in logs:
        try:
            events.append(decoder.decode(log, times.get(log.block_hash)))
        except Undecodable:
            failed[log.block_hash, log.index] = UNDECODABLE
    return events, failed


def _run(orders: dict[int, Order], events: Sequence[OrderEvent]) -> tuple[list[Step], list[Order]]:
    """Every step, and the orders that have changed; `orders` are those from before by id."""
    steps, changed = [], {}
    for event in events:
        after, done = step(orders.get(event.order_id), event)
        steps.append(done)
        if after is not None and done.anomaly is None:
            orders[event.order_id] = changed[event.order_id] = after
    return steps, list(changed.values())


def _load(deployment: Deployment, ids: Collection[int]) -> dict[int, Order]:
    if not ids:
        return {}
    with connection.cursor() as sql:
        sql.execute(LOAD, [deployment.chain_id, deployment.contract, [str(one) for one in ids]])
        return {int(row[0]): order_of(row) for row in sql.fetchall()}


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _refold(deployment: Deployment, ids: Iterable[int]) -> list[Order]:
    """Orders as the events that still stand make them; those without any are left out."""
    with connection.cursor() as sql:
        sql.execute(STANDING, [deployment.chain_id, deployment.contract, [str(one) for one in ids]])
        events = [_event(row) for row in sql.fetchall()]
    folded = (fold(group)[0] for _, group in groupby(events, key=lambda event: event.order_id))
    return [order for order in folded if order is not None]


def _event(row: Sequence[Any]) -> OrderEvent:
    kind, number, block, block_hash, tx_hash, index, time, user, *swap, amount_in, amount_out, price, order_type = row
    return OrderEvent(
        kind=EventType(kind),
        order_id=int(number),
        block_number=block,
        block_hash=block_hash,
        tx_hash=tx_hash,
        log_index=index,
        time=time,
        user=user,
        token_in=swap[0],
        token_out=swap[1],
        amount_in=_whole(amount_in),
        amount_out=_whole(amount_out),
        target_price=_whole(price),
        order_type=order_type,
    )


def _write_ledger(
    deployment: Deployment, decoder: Decoder, logs: Sequence[Log], anomalies: Mapping[tuple[str, int], str]
) -> None:
    now = timezone.now()
    rows = [
        (
            deployment.chain_id,
            log.block_hash,
            log.transaction_hash,
            log.index,
            deployment.contract,
            log.height,
            decoder.kind(log),
            anomalies.get((log.block_hash, log.index), ""),
            False,
            now,
        )
        for log in logs
    ]
    written = store.write(store.PROCESSED_EVENTS, rows, only_orphans=True)
    if written != len(logs):
        raise AlreadyProcessed(f"{len(logs) - written} events beyond the cursor are in the ledger")


def _event_row(deployment: Deployment, done: Step) -> tuple[Any, ...]:
    event = done.event
    return (
        event.time,
        deployment.chain_id,
        event.block_hash,
        event.log_index,
        deployment.contract,
        event.order_id,
        event.kind,
        done.old,
        done.new,
        event.block_number,
        event.tx_hash,
        event.user,
        event.token_in,
        event.token_out,
        event.amount_in,
        event.amount_out,
        event.target_price,
        event.order_type,
        done.anomaly or "",
        False,
    )


def _order_row(deployment: Deployment, order: Order) -> tuple[Any, ...]:
    return (
        deployment.chain_id,
        deployment.contract,
        order.order_id,
        order.user,
        order.token_in,
        order.token_out,
        order.amount_in,
        order.target_price,
        order.order_type,
        order.status,
        order.tx_hash,
        order.created_at,
        order.changed_at,
        order.executed_at,
        order.cancelled_at,
        order.amount_out,
        *order.changed,
    )


def _move(deployment: Deployment, end: Cursor, hashes: Sequence[tuple[int, str]]) -> None:
    place = (deployment.chain_id, deployment.contract)
    if hashes:
        store.write(store.SCANNED_BLOCKS, [(*place, number, digest) for number, digest in dict(hashes).items()])
        with connection.cursor() as sql:
            sql.execute(FORGET, [*place, end.block - KEPT_BLOCKS, deployment.start_block, KEPT_STEP])
    SystemState.objects.filter(pk=deployment.component).update(
        last_processed_block=end.block, last_block_hash=end.hash, updated_at=timezone.now()
    )


def _revise(deployment: Deployment) -> int:
    row = SystemState.objects.filter(pk=deployment.component)
    row.update(revision=F("revision") + 1)
    return row.values_list("revision", flat=True).get()


def _count_reorg(deployment: Deployment, depth: int) -> None:
    row = SystemState.objects.filter(pk=deployment.component)
    row.update(reorgs=F("reorgs") + 1, last_reorg_at=timezone.now())
    row.filter(deepest_reorg__lt=depth).update(deepest_reorg=depth)
