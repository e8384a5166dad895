"""On an order event's way from the chain to dex.services: reads block after block, in parallel while far behind, in
order at the head; finds reorganisations, changes nodes that fail, gives way to another scanner that has the lease."""

import json
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

from django.db import connection

from collector.chains.evm import ChainError, Contradiction, Node, Unavailable
from collector.chains.reading import Read, Source, read_blocks
from collector.scanner_facts import read_quotes, read_tokens
from collector.scanner_recovery import Recovery
from dex import services
from dex.chain import Block
from dex.decode import Decoder
from dex.services import Cursor, Deployment, LeaseLost
from markets.storage import DATABASE_AWAY

logger = logging.getLogger(__name__)

POLL = 0.4  # seconds between two looks at the head while a block may come
LONGEST_POLL = 3.0  # and while none can be due: blocks have a rhythm
RHYTHM = 8  # newest blocks whose distances tell it
DEEP = 64  # blocks behind from which on ranges are read in parallel
NOTE_EVERY = 3.0
QUOTE_EVERY = 10.0
STUCK_AFTER = 60.0  # seconds without a new block after which another node is asked
BACK_OFF = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
COMPARED = 50  # hashes that are compared at once while a fork is looked for
ABI = Path(__file__).resolve().parent.parent / "dex" / "contracts" / "TradingOrders.json"


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is scanned: `contract` and `router` are addresses, the router may be empty."""

    contract: str
    router: str = ""
    confirmations: int = 12
    start_block: int = 0
    abi: str = ""  # a file; empty: of the contract that comes with the platform


def read_abi(path: str) -> Sequence[dict[str, Any]]:
    """An ABI from a file: a bare list, or the `abi` of a compiler's output. Raises ValueError and OSError."""
    found = json.loads(Path(path or ABI).read_text(encoding="utf-8"))
    return found["abi"] if isinstance(found, dict) else found


@dataclass(slots=True)
class _Progress:
    """What a scanner remembers between rounds."""

    head: Block | None = None
    head_at: float = field(default_factory=monotonic)
    spacing: deque[float] = field(default_factory=lambda: deque(maxlen=RHYTHM))  # seconds a block, by the chain's clock
    status: str = "recovering"
    failures: int = 0
    error: str = ""
    noted_at: float = -NOTE_EVERY
    noted: tuple[Any, ...] = ()
    quoted_at: float = -QUOTE_EVERY
    tokens_wanted: bool = True


class Scanner:
    """The scanner of one contract. `run` until `stop` is set; `round` is one look, for whoever wants to go by hand."""

    def __init__(self, nodes: Sequence[Node], configuration: Configuration, stop: Event | None = None) -> None:
        """Raises dex.decode.AbiError, ValueError and OSError for an ABI that cannot be used."""
        self.nodes = list(nodes)
        self.configuration = configuration
        self.decoder = Decoder(read_abi(configuration.abi))
        self.stop = stop or Event()
        self.deployment: Deployment | None = None
        self.cursor: Cursor | None = None  # None: the lease is not ours
        self._source = Source(configuration.contract, tuple(self.decoder.topics))
        self._chosen = 0
        self._trusted: set[str] = set()
        self._progress = _Progress()

    def run(self) -> None:
        """Looks again and again; returns soon after `stop`."""
        while not self.stop.is_set():
            self.stop.wait(self.guarded_round())
        if self.cursor is not None and self.deployment is not None:
            try:
                services.note(self.deployment, status="stopped")
            except DATABASE_AWAY as error:
                logger.warning("the end is not written down: the database is away (%s)", error)
        connection.close()  # and the lease with it

    def guarded_round(self) -> float:
        """One round with whatever may go wrong in it; gives the seconds to wait before the next."""
        try:
            if self.cursor is None and not self._take():
                return POLL
            wait = self.round()
        except LeaseLost as error:
            logger.warning("another scanner has taken over: %s", error)
            self.cursor = None
            return POLL
        except DATABASE_AWAY as error:
            logger.warning("the database is away: %s", error)
            connection.close()
            self.cursor = None
            return POLL
        except ChainError as error:
            return self._failed(error)
        except services.AlreadyProcessed as error:
            logger.error("%s; they are taken back and read again", error)
            self._take_back(self._held())
            return 0.0
        self._progress.failures, self._progress.error = 0, ""
        return wait

    def _take(self) -> bool:
        """Whether the lease is ours now, with the cursor read. Raises ChainError until a node tells its chain."""
        if self.deployment is None:
            chain_id = self._node().chain_id()
            self.deployment = Deployment(chain_id, self.configuration.contract, self.configuration.start_block)
        if not services.take(self.deployment):
            return False
        self.cursor = services.begin(self.deployment)
        self._progress.tokens_wanted = True
        logger.info("%s from block %d on", self.deployment.component, self.cursor.block + 1)
        return True

    def round(self) -> float:
        """One look at the chain: everything that may be read is read. Gives the seconds to wait before the next look.
        Raises ChainError, LeaseLost, AlreadyProcessed and what the database raises."""
        node = self._node()
        head = node.latest()
        self._watch_head(head)
        cursor = self._held()
        if self._has_changed(node, head, cursor):
            self._take_back(self._fork(node))
            return 0.0
        target = head.height - self.configuration.confirmations
        behind = target - cursor.block
        self._progress.status = "recovering" if behind > DEEP else "live" if behind >= 0 else "waiting"
        self._note(node)
        if behind > DEEP:
            self._recover(target)
        elif behind > 0:
            self._accept(read_blocks(node, self._source, cursor.block + 1, target), tell=True)
        self._progress.status = "live" if behind >= 0 else "waiting"
        self._note(node)
        self._ask_for_facts(node)
        return 0.0 if behind > DEEP else self._pause()

    # --- blocks ------------------------------------------------------------------------------------------------------

    def _recover(self, target: int) -> None:
        """Everything up to `target`, ranges read in parallel and stored in order."""
        begun, first = monotonic(), self._held().block + 1
        with Recovery(self.nodes_of_chain(), self._source, first, target, self.stop) as recovery:
            for read in recovery:
                if not self._accept(read, tell=False):
                    return
                self._note(self._node())
        read_up_to = self._held().block
        logger.info("blocks %d to %d in %.1f s", first, read_up_to, monotonic() - begun)

    def _accept(self, read: Read, tell: bool) -> bool:
        """Stores what was read, if it follows what is stored; else takes back what is no longer part of the chain."""
        cursor, deployment = self._held(), self._deployed()
        if read.parent is not None and cursor.hash and read.parent != cursor:
            if read.parent.block != cursor.block:
                raise Contradiction("a range that does not follow the last one")
            self._take_back(self._fork(self._node()))
            return False
        change = services.apply(deployment, self.decoder, cursor, read.stretch, tell)
        self.cursor = change.cursor
        self._progress.tokens_wanted |= bool(change.orders)
        refused = [step for step in change.steps if step.anomaly]
        if refused or change.undecodable:
            shown = ", ".join(f"order {step.event.order_id} {step.anomaly}" for step in refused[:5])
            logger.warning("%d events refused: %s", len(refused) + change.undecodable, shown or "undecodable")
        return True

    def _has_changed(self, node: Node, head: Block, cursor: Cursor) -> bool:
        """Whether the chain that the node tells is another than the one whose events are stored."""
        if not cursor.hash:
            return False
        known = cursor
        if head.height < cursor.block:  # it lags, or its chain is shorter; the newest common height tells
            known = next(iter(services.known_hashes(self._deployed(), head.height)), Cursor(-1, ""))
        block = head if known.block == head.height else node.blocks([known.block])[0] if known.hash else None
        return block is not None and block.hash != known.hash

    def _fork(self, node: Node) -> Cursor:
        """The newest block that is both stored and part of the node's chain; before the first one if there is none."""
        known = services.known_hashes(self._deployed())
        for start in range(0, len(known), COMPARED):
            some = known[start : start + COMPARED]
            for cursor, block in zip(some, node.blocks([one.block for one in some]), strict=True):
                if block is not None and block.hash == cursor.hash:
                    return cursor
        return Cursor(self.configuration.start_block - 1, "")

    def _take_back(self, fork: Cursor) -> None:
        cursor = self._held()
        change = services.take_back(self._deployed(), cursor, fork)
        touched = len(change.orders) + len(change.removed)
        logger.warning("reorganisation: blocks %d to %d, %d orders", fork.block + 1, cursor.block, touched)
        self.cursor = change.cursor

    # --- nodes -------------------------------------------------------------------------------------------------------

    def nodes_of_chain(self) -> list[Node]:
        """The chosen node first."""
        return self.nodes[self._chosen :] + self.nodes[: self._chosen]

    def _node(self) -> Node:
        """The chosen node, once it has said that it is of the right chain. Raises ChainError."""
        node = self.nodes[self._chosen]
        if self.deployment is not None and node.name not in self._trusted:
            chain_id = node.chain_id()
            if chain_id != self.deployment.chain_id:
                raise Unavailable(f"{node.name} is of chain {chain_id}, not {self.deployment.chain_id}")
            self._trusted.add(node.name)
        return node

    def _failed(self, error: ChainError) -> float:
        """Goes on with the next node, and waits longer each time that one after the other fails."""
        progress, name = self._progress, self.nodes[self._chosen].name
        progress.failures += 1
        progress.error = f"{name}: {error}"
        logger.warning("%s", progress.error)
        self._next_node()
        if self.cursor is not None:
            try:
                self._note(self.nodes[self._chosen])
            except DATABASE_AWAY:
                self.cursor = None
        turn = max(0, progress.failures - len(self.nodes)) if len(self.nodes) > 1 else progress.failures - 1
        return BACK_OFF[min(turn, len(BACK_OFF) - 1)]

    def _next_node(self) -> None:
        self._chosen = (self._chosen + 1) % len(self.nodes)

    def _watch_head(self, head: Block) -> None:
        """Remembers the head; a node whose head stands still for long gives way to another."""
        progress, before = self._progress, self._progress.head
        if before is None or head.hash != before.hash:
            if before is not None and head.height > before.height:
                progress.spacing.append((head.time - before.time).total_seconds() / (head.height - before.height))
            progress.head, progress.head_at = head, monotonic()
        elif len(self.nodes) > 1 and monotonic() - progress.head_at > STUCK_AFTER:
            progress.head_at = monotonic()
            self._next_node()

    def _pause(self) -> float:
        """Seconds until the next look: soon, or only shortly before a block can be due, which spares the node."""
        progress = self._progress
        if not progress.spacing:
            return POLL
        due = 0.8 * min(progress.spacing) - (monotonic() - progress.head_at)
        return min(max(due, POLL), LONGEST_POLL)

    # --- beside the blocks -------------------------------------------------------------------------------------------

    def _ask_for_facts(self, node: Node) -> None:
        """Symbols and decimals of new tokens, quotes of pending orders; orders do not wait for what fails here."""
        progress, deployment = self._progress, self._deployed()
        try:
            if progress.tokens_wanted:
                read_tokens(node, deployment)
                progress.tokens_wanted = False
            if self.configuration.router and monotonic() - progress.quoted_at > QUOTE_EVERY:
                progress.quoted_at = monotonic()
                read_quotes(node, deployment, self.configuration.router)
        except ChainError as error:
            logger.warning("no tokens or quotes from %s: %s", node.name, error)

    def _note(self, node: Node) -> None:
        """Writes down how it goes: when it has changed, and every few seconds."""
        progress = self._progress
        head = progress.head
        told = (head.height, head.time) if head else (None, None)
        facts = (progress.status, *told, node.name, progress.failures, progress.error)
        if facts == progress.noted and monotonic() - progress.noted_at < NOTE_EVERY:
            return
        progress.noted, progress.noted_at = facts, monotonic()
        names = ("status", "head_block", "head_time", "provider", "failures", "last_error")
        known: dict[str, Any] = dict(zip(names, facts, strict=True))
        services.note(self._deployed(), confirmations=self.configuration.confirmations, **known)

    def _held(self) -> Cursor:
        if self.cursor is None:
            raise LeaseLost("the lease is not held")
        return self.cursor

    def _deployed(self) -> Deployment:
        if self.deployment is None:
            raise LeaseLost("no node has told its chain yet")
        return self.deployment


def nodes(urls: Sequence[str], make: Callable[[str], Node] = Node) -> list[Node]:
    return [make(url) for url in urls]
