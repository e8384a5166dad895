"""On the way from Redis to live clients: changes of orders, heard once and told to all whom they concern.

What a client knows is complete or says that it is not. Every commit that changes orders has a revision; a client
begins with orders and revision of one moment of the database, and gets every revision after it. Where one is missing,
Redis was away, or a client reads too slowly, it gets the orders of a newer moment instead."""

import asyncio
import logging
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic, time
from typing import Any

import msgspec
import redis.asyncio
from channels.db import database_sync_to_async
from django.utils import timezone

from dex.broadcast import CHANNEL, order_body
from dex.events import EventType, Status
from dex.selectors import Filter, ScannerStatus, at_one_moment, scanner_status
from markets.hub import Topic
from markets.sockets import Frame, Writer
from markets.storage import DATABASE_AWAY

logger = logging.getLogger(__name__)

LOOK_SECONDS = 3.0  # between two looks at the database: how the scanner is, and whether a revision was missed
FRESH_SECONDS = 10.0  # that such a look is worth
MOST_WAITING = 500  # frames that may wait for one client before it gets the orders of a newer moment instead
MOST_HELD = 2_000  # changes that are kept while a client's first orders are read

_read = database_sync_to_async(at_one_moment, thread_sensitive=False)
_look = database_sync_to_async(scanner_status, thread_sensitive=False)


class Word(StrEnum):
    """What the hub's word is worth: connected, everything is told as it happens; stale, there may be more."""

    CONNECTED = "connected"
    STALE = "stale"
    OFF = "off"  # no chain is configured


class _Whose(msgspec.Struct, frozen=True):
    """What filters ask of an order, however it is told."""

    user_address: str
    token_in: str
    token_out: str
    id: int = 0
    status: str = ""


class _Message(msgspec.Struct):
    """What the hub itself needs of a published message."""

    type: str
    chain_id: int
    contract: str
    revision: int
    event: str | None = None
    order: _Whose | None = None
    id: int = 0
    user_address: str = ""
    token_in: str = ""
    token_out: str = ""
    quotes: list[dict[str, Any]] = []

    @property
    def whose(self) -> _Whose:
        return self.order or _Whose(self.user_address, self.token_in, self.token_out, self.id)


@dataclass(frozen=True, slots=True)
class View:
    """What a client wants: orders of a filter, and how many of them at the beginning."""

    wanted: Filter
    limit: int


@dataclass(slots=True)
class _Client:
    """`revision` is the newest that it was told; None while it waits for the orders of a moment."""

    view: View
    revision: int | None = None
    held: list[tuple[_Message, bytes]] = field(default_factory=list)


def concerns(wanted: Filter, one: _Whose) -> bool:
    """Whether a client with this filter hears of an order of these; the status apart."""
    tokens = (one.token_in, one.token_out)
    return (
        wanted.user in {None, one.user_address}
        and (wanted.token is None or wanted.token in tokens)
        and wanted.token_in in {None, one.token_in}
        and wanted.token_out in {None, one.token_out}
        and (wanted.pair is None or (tokens[0] in wanted.pair and tokens[1] in wanted.pair))
    )


def crosses(wanted: Status | None, event: str | None, now: str) -> bool:
    """Whether an order that has come to the status `now` by `event` is, or may have been, of the wanted status."""
    if wanted is None or wanted == now or event is None:
        return True
    return wanted is Status.PENDING and event != EventType.CREATED


class OrdersTopic(Topic):
    """Orders of the configured contract, and who watches which of them."""

    def __init__(self) -> None:
        super().__init__(CHANNEL)
        self._clients: dict[Writer, _Client] = {}
        self._filling: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = -LOOK_SECONDS
        self._known_at = -FRESH_SECONDS  # of the last look that the database answered
        self._scanner: ScannerStatus | None = None
        self._seen: int | None = None  # the revision of that look
        self._cut = False
        self._hearing = 0  # rises whenever messages may have been lost
        self._told: tuple[Any, ...] = ()
        self._frames = 0

    # --- what is heard ------------------------------------------------------------------------------------------

    async def load(self, client: redis.asyncio.Redis) -> None:
        """The channel is heard, maybe again: what came in between, everybody gets by the orders of this moment."""
        self._cut = False
        self._hearing += 1
        for one in self._clients.values():
            one.revision = None
        self._fill()

    def lost(self, now: float) -> None:
        self._cut = True
        self._tell_status(now)

    def heard(self, data: bytes, now: float) -> None:
        message = msgspec.json.decode(data, type=_Message)
        state = self._scanner.state if self._scanner else None
        if state is not None and (state.chain_id, state.contract) != (message.chain_id, message.contract):
            return
        shared: dict[Any, Frame | None] = {}
        for writer, one in self._clients.items():
            if one.revision is not None:
                self._tell(writer, one, message, data, shared)
            elif len(one.held) < MOST_HELD:
                one.held.append((message, data))

    def _tell(
        self, writer: Writer, one: _Client, message: _Message, data: bytes, shared: dict[Any, Frame | None]
    ) -> None:
        """Passes a message on; `shared` holds what was made of it for others."""
        known, news = one.revision or 0, message.type != "quotes"
        if news and message.revision < known:
            return
        missed = news and (message.revision > known + 1 or message.type == "orders_changed")
        if missed or writer.waiting > MOST_WAITING:
            one.revision = None
            self._fill()
            return
        if news:
            one.revision = message.revision
        if one.view not in shared:
            shared[one.view] = self._frame(one.view.wanted, message, data)
        frame = shared[one.view]
        if frame is not None:
            self._frames += 1
            kind = ("quotes", self._frames) if message.type == "quotes" else ("order", message.whose.id)
            writer.put(kind, frame)

    def _frame(self, wanted: Filter, message: _Message, data: bytes) -> Frame | None:
        if message.type == "quotes":
            return _quotes_frame(wanted, message)
        if not concerns(wanted, message.whose):
            return None
        return Frame(data) if crosses(wanted.status, message.event, message.whose.status) else None

    # --- what is read -------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        if not self._clients:
            if self.empty_since is None:
                self.empty_since = now
            return
        if now - self._looked_at >= LOOK_SECONDS and (self._looking is None or self._looking.done()):
            self._looked_at = now
            self._looking = asyncio.get_running_loop().create_task(self._watch())
        if any(one.revision is None for one in self._clients.values()):
            self._fill()
        self._tell_status(now)

    async def _watch(self) -> None:
        """How the scanner is; and a revision that was there at the last look has to have been heard by now."""
        try:
            found = await _look(timezone.now())
        except DATABASE_AWAY:
            return
        self._known_at = monotonic()
        revision = found.state.revision if found.state else 0
        for one in self._clients.values():
            if one.revision is not None and (one.revision > revision or one.revision < min(revision, self._seen or 0)):
                one.revision = None
        self._scanner, self._seen = found, revision
        self._tell_status(monotonic())

    def _fill(self) -> None:
        if self._filling is None or self._filling.done():
            self._filling = asyncio.get_running_loop().create_task(self._give())

    async def _give(self) -> None:
        """Gives the orders of this moment to all who wait for them; each view is read once. Whoever remains without is
        tried again with the next second."""
        while waiting := [one for one in self._clients.values() if one.revision is None]:
            view, hearing = waiting[0].view, self._hearing
            some = {writer: one for writer, one in self._clients.items() if one.revision is None and one.view == view}
            for one in some.values():
                one.held.clear()
            try:
                found = await _read(view.wanted, view.limit)
            except DATABASE_AWAY as error:
                logger.info("orders are not told: %s", error)
                return
            if hearing != self._hearing:
                continue
            frame = _snapshot(view, found)
            for writer, one in some.items():
                if self._clients.get(writer) is one:
                    self._begin(writer, one, frame, found.revision)

    def _begin(self, writer: Writer, one: _Client, frame: Frame, revision: int) -> None:
        one.revision, held, one.held = revision, one.held, []
        if writer.waiting:  # all of it is older
            writer.forget()
            writer.put("status", self._status_frame(monotonic()))
        writer.put("snapshot", frame)
        for message, data in held:
            if one.revision is not None and (message.revision > revision or message.type == "quotes"):
                self._tell(writer, one, message, data, {})
        if len(held) >= MOST_HELD:
            one.revision = None

    # --- what is known ------------------------------------------------------------------------------------------

    def _status(self, now: float) -> dict[str, Any]:
        found = self._scanner
        fresh = now - self._known_at < FRESH_SECONDS
        good = found is not None and found.status == "healthy" and fresh and not self._cut
        off = found is not None and found.status == "off"
        word = Word.OFF if off else Word.CONNECTED if good else Word.STALE
        state = found.state if found else None
        return {
            "type": "status",
            "wsStatus": str(word),
            "scanner": found.status if found and fresh else "unknown",
            "block": state.last_processed_block if state else None,
            "lag": found.lag if found else None,
        }

    def _status_frame(self, now: float) -> Frame:
        return Frame(msgspec.json.encode({**self._status(now), "timestamp": int(time() * 1000)}))

    def _tell_status(self, now: float) -> None:
        facts = tuple(self._status(now).values())
        if facts != self._told:
            self._told = facts
            frame = self._status_frame(now)
            for writer in self._clients:
                writer.put("status", frame)

    # --- who watches --------------------------------------------------------------------------------------------

    async def join(self, writer: Writer, view: View) -> None:
        """From now on this client is told: how the scanner is, the orders of this moment, then every change."""
        self.empty_since = None
        if monotonic() - self._known_at >= FRESH_SECONDS:  # the first one here
            self._looked_at = monotonic()
            await self._watch()
        writer.put("status", self._status_frame(monotonic()))
        self._clients[writer] = _Client(view)
        self._fill()

    def leave(self, writer: Writer) -> None:
        self._clients.pop(writer, None)
        if not self._clients:
            self.empty_since = monotonic()


def _quotes_frame(wanted: Filter, message: _Message) -> Frame | None:
    if wanted.status not in {None, Status.PENDING}:
        return None
    told = [one for one in message.quotes if concerns(wanted, msgspec.convert(one, _Whose))]
    body = {"type": "quotes", "chain_id": message.chain_id, "contract": message.contract, "quotes": told}
    return Frame(msgspec.json.encode({**body, "timestamp": int(time() * 1000)})) if told else None


def _snapshot(view: View, found: Any) -> Frame:
    page, state = found.page, found.state
    body = {
        "type": "snapshot",
        "orders": [order_body(one.order, page.tokens, one.quote) for one in page.orders],
        "total": page.total,
        "limit": view.limit,
        "chain_id": state.chain_id if state else None,
        "contract": state.contract if state else None,
        "revision": found.revision,
        "block": state.last_processed_block if state else None,
        "timestamp": int(time() * 1000),
    }
    return Frame(msgspec.json.encode(body))
