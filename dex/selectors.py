"""The only way out for DEX orders: lists, one order with its history, statistics, tokens, and how the scanner is."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from dex.chain import ZERO_ADDRESS
from dex.events import Quote, Status, TokenFacts
from dex.models import Order as OrderRow
from dex.models import OrderEvent, SystemState, Token
from dex.state import Order

ORDER_FIELDS = (
    "order_id",
    "user_address",
    "token_in",
    "token_out",
    "amount_in",
    "target_price",
    "order_type",
    "status",
    "tx_hash",
    "created_at",
    "changed_at",
    "changed_block",
    "changed_index",
    "executed_at",
    "cancelled_at",
    "amount_out",
)
COIN = TokenFacts(ZERO_ADDRESS, "ETH", "the chain's own coin", 18)
SILENT_AFTER = timedelta(seconds=30)  # a scanner writes down how it is every few seconds
LAGGING_BLOCKS = 20  # this far behind what may be read, a live scanner is late
FAILING_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Listed:
    """An order with the router's latest word on it."""

    order: Order
    quote: Quote | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of `total` orders, newest change first, and the tokens that they name."""

    orders: Sequence[Listed]
    total: int
    tokens: Mapping[str, TokenFacts]


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list is narrowed to. A `token` stands on either side, a `pair` has its tokens in any order; both ends of
    the time of the last change are included."""

    status: Status | None = None
    user: str | None = None
    token: str | None = None
    token_in: str | None = None
    token_out: str | None = None
    pair: tuple[str, str] | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """Orders that sell one token: their number, and amounts in its smallest unit, in all and of executed ones."""

    token: str
    orders: int
    amount: int
    executed_orders: int
    executed_amount: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts over all orders; `refused` events are those that the state machine or the decoder did not accept."""

    by_status: Mapping[str, int]
    users: int
    volumes: Sequence[Volume]
    refused: int
    state: SystemState | None
    tokens: Mapping[str, TokenFacts]


@dataclass(frozen=True, slots=True)
class ScannerStatus:
    """How the scanner is: healthy, degraded, unhealthy or off; `state` is None before its first block. `lag` is the
    number of blocks that could be read (they have their confirmations) and are not."""

    status: str
    state: SystemState | None
    lag: int | None
    refused: int | None


def order_of(row: Sequence[Any]) -> Order:
    """The order of a row of ORDER_FIELDS."""
    number, user, token_in, token_out, amount_in, price, kind, status, tx_hash, created, changed = row[:11]
    block, index, executed, cancelled, amount_out = row[11:16]
    return Order(
        order_id=int(number),
        user=user,
        token_in=token_in,
        token_out=token_out,
        amount_in=int(amount_in),
        target_price=int(price),
        order_type=kind,
        status=Status(status),
        tx_hash=tx_hash,
        created_at=created,
        changed_at=changed,
        changed=(block, index),
        executed_at=executed,
        cancelled_at=cancelled,
        amount_out=None if amount_out is None else int(amount_out),
    )


def scanner_state() -> SystemState | None:
    """The state of the configured contract's scanner; where none is configured, of the last that ran."""
    rows = SystemState.objects.order_by("-updated_at")
    if settings.TRADING_ADDRESS:
        rows = rows.filter(contract__iexact=settings.TRADING_ADDRESS)
    return rows.first()


def orders(wanted: Filter, limit: int, offset: int) -> Page:
    """Orders of the configured contract. At most four queries."""
    state = scanner_state()
    if state is None:
        return Page((), 0, {})
    rows = _matching(state, wanted)
    found = rows.order_by("-changed_at", "-order_id").values_list(*ORDER_FIELDS, "quote_out", "quoted_at")
    listed = [_listed(row) for row in found[offset : offset + limit]]
    return Page(listed, rows.count(), _tokens(state, listed))


@dataclass(frozen=True, slots=True)
class Moment:
    """Orders as they are after the commit that made `revision`; `state` is None where no chain was ever read."""

    page: Page
    state: SystemState | None
    revision: int


@contextmanager
def one_moment() -> Iterator[None]:
    """Whatever is read in here is of one state of the database (inside another transaction, of its own)."""
    outer = connection.in_atomic_block
    with transaction.atomic():
        if not outer:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def at_one_moment(wanted: Filter, limit: int) -> Moment:
    """The newest `limit` orders, their number and the revision, all of one state of the database. Six queries."""
    with one_moment():
        state = scanner_state()
        page = orders(wanted, limit, 0)
    return Moment(page, state, state.revision if state else 0)


def after(state: SystemState, wanted: Filter, last: Decimal, most: int) -> Page:
    """Orders whose id is greater than `last`, by rising id; `total` is not counted (0). Two queries."""
    rows = _matching(state, wanted).filter(order_id__gt=last).order_by("order_id")
    listed = [_listed(row) for row in rows.values_list(*ORDER_FIELDS, "quote_out", "quoted_at")[:most]]
    return Page(listed, 0, _tokens(state, listed))


def quoted_at(chain_id: int, contract: str, moment: datetime, most: int) -> Page:
    """Pending orders whose quote is of this very moment, `most` of them. Two queries."""
    rows = OrderRow.objects.filter(chain_id=chain_id, contract=contract, status=Status.PENDING, quoted_at=moment)
    found = rows.order_by("-changed_at", "-order_id").values_list(*ORDER_FIELDS, "quote_out", "quoted_at")
    listed = [_listed(row) for row in found[:most]]
    addresses = {token for one in listed for token in (one.order.token_in, one.order.token_out)}
    return Page(listed, len(listed), tokens_of(chain_id, addresses))


def _matching(state: SystemState, wanted: Filter) -> QuerySet[OrderRow]:
    rows = OrderRow.objects.filter(chain_id=state.chain_id, contract=state.contract)
    exact = {
        "status": wanted.status,
        "user_address": wanted.user,
        "token_in": wanted.token_in,
        "token_out": wanted.token_out,
    }
    between = {"changed_at__gte": wanted.start, "changed_at__lte": wanted.end}
    rows = rows.filter(**{name: value for name, value in (exact | between).items() if value is not None})
    if wanted.token:
        rows = rows.filter(Q(token_in=wanted.token) | Q(token_out=wanted.token))
    if wanted.pair:
        rows = rows.filter(token_in__in=wanted.pair, token_out__in=wanted.pair)
    return rows


def _listed(row: Sequence[Any]) -> Listed:
    out, at = row[len(ORDER_FIELDS) :]
    return Listed(order_of(row), None if out is None else Quote(int(out), at))


def order(order_id: int) -> tuple[Listed, Mapping[str, TokenFacts]] | None:
    """One order of the configured contract, and its tokens; None where there is none. Three queries."""
    state = scanner_state()
    if state is None:
        return None
    rows = OrderRow.objects.filter(chain_id=state.chain_id, contract=state.contract, order_id=order_id)
    row = rows.values_list(*ORDER_FIELDS, "quote_out", "quoted_at").first()
    if row is None:
        return None
    listed = _listed(row)
    return listed, _tokens(state, [listed])


def history(order_id: int, most: int) -> tuple[Sequence[OrderEvent], Mapping[str, TokenFacts]] | None:
    """The newest `most` events of an order, oldest first, orphaned ones among them; None where none is known."""
    state = scanner_state()
    if state is None:
        return None
    rows = OrderEvent.objects.filter(chain_id=state.chain_id, contract=state.contract, order_id=order_id)
    found = list(rows.order_by("-block_number", "-log_index", "-orphaned", "block_hash")[:most])[::-1]
    if not found:
        return None
    addresses = {token for one in found for token in (one.token_in, one.token_out) if token}
    return found, tokens_of(state.chain_id, addresses)


def _tokens(state: SystemState, listed: Sequence[Listed]) -> dict[str, TokenFacts]:
    addresses = {token for one in listed for token in (one.order.token_in, one.order.token_out)}
    return tokens_of(state.chain_id, addresses)


def tokens_of(chain_id: int, addresses: Collection[str]) -> dict[str, TokenFacts]:
    """What is known of tokens, by address; the coin is always known."""
    found = {ZERO_ADDRESS: COIN}
    if set(addresses) - set(found):
        for row in Token.objects.filter(chain_id=chain_id, address__in=addresses):
            found[row.address] = TokenFacts(row.address, row.symbol, row.name, row.decimals)
    return found


PENDING_PAIRS = """
    SELECT token_in, token_out, count(*) FROM orders
    WHERE chain_id = %s AND contract = %s AND status = 'PENDING' GROUP BY token_in, token_out
"""


def pending_pairs() -> dict[tuple[str, str], int]:
    """How many pending orders there are, by what they sell and what they buy. Two queries."""
    state = scanner_state()
    if state is None:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(PENDING_PAIRS, [state.chain_id, state.contract])
        return {(one, other): count for one, other, count in cursor.fetchall()}


COUNTS = """
    SELECT status, count(*) FROM orders WHERE chain_id = %s AND contract = %s GROUP BY status
"""
USERS = "SELECT count(DISTINCT user_address) FROM orders WHERE chain_id = %s AND contract = %s"
VOLUMES = """
    SELECT token_in, count(*), sum(amount_in), count(*) FILTER (WHERE status = 'EXECUTED'),
           coalesce(sum(amount_in) FILTER (WHERE status = 'EXECUTED'), 0)
    FROM orders WHERE chain_id = %s AND contract = %s GROUP BY token_in ORDER BY count(*) DESC, token_in LIMIT 100
"""
REFUSED = """
    SELECT count(*) FROM processed_events WHERE chain_id = %s AND contract = %s AND anomaly <> '' AND NOT orphaned
"""


def statistics() -> Statistics:
    """Counts and volumes of the configured contract. At most six queries."""
    state = scanner_state()
    counts = dict.fromkeys(map(str, Status), 0)
    if state is None:
        return Statistics(counts, 0, (), 0, None, {})
    place = [state.chain_id, state.contract]
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, place)
        counts |= dict(cursor.fetchall())
        cursor.execute(USERS, place)
        users = cursor.fetchone()[0]
        cursor.execute(VOLUMES, place)
        volumes = [Volume(row[0], row[1], int(row[2]), row[3], int(row[4])) for row in cursor.fetchall()]
        cursor.execute(REFUSED, place)
        refused = cursor.fetchone()[0]
    return Statistics(counts, users, volumes, refused, state, tokens_of(state.chain_id, {one.token for one in volumes}))


def scanner_status(now: datetime) -> ScannerStatus:
    """How the scanner is at `now`. Two queries; none where no chain is configured."""
    if not settings.WEB3_PROVIDERS:
        return ScannerStatus("off", None, None, None)
    state = scanner_state()
    if state is None:
        return ScannerStatus("unhealthy", None, None, None)
    with connection.cursor() as cursor:
        cursor.execute(REFUSED, [state.chain_id, state.contract])
        refused = cursor.fetchone()[0]
    lag = None
    if state.head_block is not None:
        lag = max(0, state.head_block - state.confirmations - state.last_processed_block)
    return ScannerStatus(_word(state, lag, now), state, lag, refused)


def _word(state: SystemState, lag: int | None, now: datetime) -> str:
    if now - state.updated_at > SILENT_AFTER or state.status == "stopped":
        return "unhealthy"
    late = lag is None or lag > LAGGING_BLOCKS
    return "degraded" if late or state.failures >= FAILING_ROUNDS else "healthy"
