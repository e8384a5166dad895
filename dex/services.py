"""The only way in for DEX orders: what a scanner has read is stored with its cursor, told to whoever listens, or taken
back when the chain has changed its mind."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import F
from django.utils import timezone

from dex import broadcast, ledger
from dex.decode import Decoder
from dex.events import Status, TokenFacts
from dex.lease import Cursor, Deployment, LeaseLost, take
from dex.ledger import AlreadyProcessed, Change, Stretch
from dex.models import Order, ScannedBlock, SystemState, Token
from dex.selectors import quoted_at, tokens_of

__all__ = [
    "AlreadyProcessed",
    "Change",
    "Cursor",
    "Deployment",
    "LeaseLost",
    "Stretch",
    "TokenFacts",
    "WantedQuote",
    "apply",
    "begin",
    "known_hashes",
    "note",
    "pending_quotes",
    "store_quotes",
    "store_tokens",
    "take",
    "take_back",
    "unread_tokens",
]

MOST_QUOTED = 500  # quotes of one round that are published
MOST_TOLD = 200  # changes of one commit that are published one by one; of more only that there are some


@dataclass(frozen=True, slots=True)
class WantedQuote:
    """A swap whose outcome is asked of the router: `amount_in` smallest units of `token_in`."""

    token_in: str
    token_out: str
    amount_in: int


def begin(deployment: Deployment, now: Any = None) -> Cursor:
    """The cursor of a contract, just before `start_block` when nothing of it was ever read."""
    row, _ = SystemState.objects.get_or_create(
        component_name=deployment.component,
        defaults={
            "chain_id": deployment.chain_id,
            "contract": deployment.contract,
            "start_block": deployment.start_block,
            "last_processed_block": deployment.start_block - 1,
            "status": "recovering",
            "updated_at": now or timezone.now(),
        },
    )
    return Cursor(row.last_processed_block, row.last_block_hash)


def apply(deployment: Deployment, decoder: Decoder, cursor: Cursor, stretch: Stretch, tell: bool = False) -> Change:
    """Stores a stretch of blocks that begins right after `cursor`, with the cursor's move, all or nothing; `tell`
    publishes what has changed. Raises LeaseLost and AlreadyProcessed."""
    change = ledger.apply(deployment, decoder, cursor, stretch)
    if tell:
        _tell(deployment, change, reorg=False)
    return change


def take_back(deployment: Deployment, cursor: Cursor, fork: Cursor) -> Change:
    """Undoes everything above `fork`: its events are orphaned, orders are what the rest makes of them. Publishes what
    has changed. Raises LeaseLost."""
    change = ledger.take_back(deployment, cursor, fork)
    _tell(deployment, change, reorg=True)
    return change


def _tell(deployment: Deployment, change: Change, reorg: bool) -> None:
    if not change.revision:
        return
    kinds = {step.event.order_id: step.event.kind for step in change.steps if not step.anomaly}
    bodies: list[dict[str, Any]] = []
    if len(change.orders) + len(change.removed) > MOST_TOLD:
        bodies = [broadcast.more_body()]
    else:
        tokens = tokens_of(deployment.chain_id, {token for o in change.orders for token in (o.token_in, o.token_out)})
        bodies += [broadcast.change_body(one, tokens, kinds.get(one.order_id), reorg) for one in change.orders]
        bodies += [broadcast.removed_body(one) for one in change.removed]
    broadcast.publish(_head(deployment, change.revision), bodies)


def _head(deployment: Deployment, revision: int) -> dict[str, Any]:
    return {"chain_id": deployment.chain_id, "contract": deployment.contract, "revision": revision}


def known_hashes(deployment: Deployment, at_most: int | None = None) -> list[Cursor]:
    """Blocks whose hash is kept, newest first; `at_most` bounds their numbers."""
    rows = ScannedBlock.objects.filter(chain_id=deployment.chain_id, contract=deployment.contract)
    if at_most is not None:
        rows = rows.filter(number__lte=at_most)
    return [Cursor(number, digest) for number, digest in rows.order_by("-number").values_list("number", "hash")]


def note(deployment: Deployment, **facts: Any) -> None:
    """Writes down how the scanner is: status, head_block, provider, failures, last_error, confirmations."""
    SystemState.objects.filter(pk=deployment.component).update(updated_at=timezone.now(), **facts)


UNREAD_TOKENS = """
    SELECT DISTINCT address FROM (
        SELECT token_in AS address FROM orders WHERE chain_id = %(chain)s AND contract = %(contract)s
        UNION SELECT token_out FROM orders WHERE chain_id = %(chain)s AND contract = %(contract)s
    ) AS used
    WHERE NOT EXISTS (SELECT 1 FROM tokens t WHERE t.chain_id = %(chain)s AND t.address = used.address)
"""


def unread_tokens(deployment: Deployment) -> list[str]:
    """Tokens of orders that nobody has asked for their symbol and decimals yet."""
    with connection.cursor() as cursor:
        cursor.execute(UNREAD_TOKENS, {"chain": deployment.chain_id, "contract": deployment.contract})
        return [row[0] for row in cursor.fetchall()]


def store_tokens(deployment: Deployment, facts: Iterable[TokenFacts]) -> None:
    """Keeps what tokens say of themselves. Orders can be told in whole tokens from now on: that is a change of them."""
    now = timezone.now()
    rows = [
        Token(
            chain_id=deployment.chain_id,
            address=one.address,
            symbol=one.symbol[:32],
            name=one.name[:80],
            decimals=one.decimals,
            read_at=now,
        )
        for one in facts
    ]
    Token.objects.bulk_create(rows, ignore_conflicts=True)
    state = SystemState.objects.filter(pk=deployment.component)
    if rows and state.update(revision=F("revision") + 1):
        head = _head(deployment, state.values_list("revision", flat=True).get())
        broadcast.publish(head, [broadcast.more_body()])


def pending_quotes(deployment: Deployment, most: int) -> list[WantedQuote]:
    """Swaps of pending orders, those quoted longest ago (or never) first."""
    rows = (
        Order.objects.filter(chain_id=deployment.chain_id, contract=deployment.contract, status=Status.PENDING)
        .order_by(F("quoted_at").asc(nulls_first=True), "-changed_at")
        .values_list("token_in", "token_out", "amount_in")[:most]
    )
    return [WantedQuote(one, other, int(amount)) for one, other, amount in dict.fromkeys(rows)]


STORE_QUOTE = """
    UPDATE orders SET quote_out = %s, quoted_at = %s
    WHERE chain_id = %s AND contract = %s AND status = 'PENDING'
      AND token_in = %s AND token_out = %s AND amount_in = %s
"""


def store_quotes(deployment: Deployment, quotes: Sequence[tuple[WantedQuote, int | None]]) -> None:
    """Keeps what the router would give for each pending order (None: it would not swap them), and tells it."""
    now = timezone.now()
    place = (deployment.chain_id, deployment.contract)
    with connection.cursor() as cursor:
        cursor.executemany(
            STORE_QUOTE,
            [(out, now, *place, one.token_in, one.token_out, one.amount_in) for one, out in quotes],
        )
    page = quoted_at(deployment.chain_id, deployment.contract, now, MOST_QUOTED)
    if page.orders:
        told = [broadcast.order_body(one.order, page.tokens, one.quote) for one in page.orders]
        broadcast.publish(_head(deployment, 0), [broadcast.quotes_body(told)])
