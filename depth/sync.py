"""Keeps one symbol's live book in step with the exchange: diffs and snapshots in, a book that says whether it is right
out. A state machine without I/O (pure); the feed fetches what it wants.

One rule serves every venue whose diffs name the state they lead from (`prev_sequence`) and to (`sequence`): a diff that
leads to no later state than the book's is stale, one that leads from a later state than the book's tells of a gap, and
any other is applied."""

from collections import deque
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any

import msgspec

from depth.audit import Audit, compare
from depth.book import MOST_LEVELS, DepthDiff, OrderBook, Snapshot, are_levels

SNAPSHOT_LOADED = "SNAPSHOT_LOADED"
GAP_DETECTED = "GAP_DETECTED"
UPDATE_FAILED = "UPDATE_FAILED"
NO_LEVELS = "a level is not a pair of a positive price and a quantity"

# Kept while a snapshot loads: 30 s of the fastest stream, 2 MB a book, for during a ban every book waits for one.
MOST_DIFFS = 300
MOST_KEPT_LEVELS = 20_000  # in them
# Old sequences and no newer one for so long: the exchange counts anew, or one message's number was nonsense.
NOTHING_NEW_FOR = 10.0  # seconds


class State(StrEnum):
    WAITING = "waiting"  # for a first diff; there is no book
    BUFFERING = "buffering"  # diffs are kept until a snapshot comes; there is no book
    SYNCED = "synced"  # the book is the exchange's at its sequence, from the best prices to its edges
    STALE = "stale"  # there is a book that was right once


class SyncEvent(msgspec.Struct, frozen=True):
    """What is worth telling: `type` is one of `websocket_events`'."""

    type: str
    message: str
    metadata: dict[str, Any] = {}


class Outcome(msgspec.Struct, frozen=True):
    """What an input did. `changed`: the book or the state is another than before."""

    changed: bool
    events: tuple[SyncEvent, ...] = ()


NOTHING = Outcome(False)
CHANGED = Outcome(True)


class _Trail:
    """The newest diffs in one piece, bounded: the oldest go when there are too many. Whoever stands at `floor` or later
    can follow it to its end, `last`."""

    __slots__ = ("_diffs", "_levels", "floor", "last", "received_at")

    def __init__(self, floor: int, received_at: float) -> None:
        self.floor = self.last = floor
        self.received_at = received_at
        self._diffs: deque[DepthDiff] = deque()
        self._levels = 0

    def append(self, diff: DepthDiff, received_at: float) -> None:
        self._diffs.append(diff)
        self._levels += len(diff.bids) + len(diff.asks)
        self.last, self.received_at = diff.sequence, received_at
        while len(self._diffs) > MOST_DIFFS or self._levels > MOST_KEPT_LEVELS:
            gone = self._diffs.popleft()
            self._levels -= len(gone.bids) + len(gone.asks)
            self.floor = gone.sequence

    def since(self, sequence: int) -> Iterator[DepthDiff]:
        """The diffs that lead beyond `sequence`."""
        return (diff for diff in self._diffs if diff.sequence > sequence)

    @property
    def event_time(self) -> int | None:
        return self._diffs[-1].event_time if self._diffs else None


class BookSync:
    """One symbol's book and how far it can be trusted. Belongs to one thread.

    While `wants_snapshot`, fetch one and give it to `snapshot`; one that is too old leaves it wanted (the pause between
    two is the feed's). `book` is None until the first snapshot is aligned; after that it is kept, whatever happens,
    until a newer one is. It is another object after each snapshot: do not hold on to it."""

    def __init__(self, symbol: str, market: str, most_levels: int = MOST_LEVELS) -> None:
        self.symbol = symbol
        self.market = market
        self.book: OrderBook | None = None
        self.state = State.WAITING
        self.received_at = 0.0  # ours, epoch seconds: of the newest diff that is in the book
        self.resyncs = 0
        self.audit: Audit | None = None  # of the newest snapshot that was merged
        self.corrections = 0  # audits that found the book wrong
        self._most_levels = most_levels
        self._trail: _Trail | None = None  # while not following: None until there is a diff to start from
        self._following = False  # the book has every diff so far
        self._history: _Trail | None = None  # while following: what came since `begin_merge`
        self._pending: Snapshot | None = None  # to be merged, but still ahead of the book
        self._resumable = False

    @property
    def synced(self) -> bool:
        return self.state is State.SYNCED

    @property
    def wants_snapshot(self) -> bool:
        lost_sight = self._following and not self.synced and self._pending is None
        return lost_sight or self._trail is not None

    def offer(self, diff: DepthDiff, received_at: float) -> Outcome:
        """The next diff of the stream, as it comes: losses, duplicates and another order are noticed here."""
        if not (diff.checked or (are_levels(diff.bids) and are_levels(diff.asks))):
            return self.fail(NO_LEVELS)
        if self._following:
            return self._follow(diff, received_at)
        return self._gather(diff, received_at)

    def snapshot(self, snapshot: Snapshot) -> Outcome:
        """A snapshot that was fetched after `wants_snapshot` or `begin_merge` asked for it."""
        if self._following:
            return self._take_merge(snapshot)
        return self._align(snapshot)

    def suspend(self) -> Outcome:
        """The connection is lost. The book is kept as stale; when the next diff leads on from it, it is right again."""
        self._resumable = self._following or self._resumable
        return self._lose()

    def fail(self, reason: str) -> Outcome:
        """Something came for this symbol that could not be read: a change is lost."""
        self._resumable = False
        self.resyncs += 1
        return Outcome(self._lose().changed, (SyncEvent(UPDATE_FAILED, reason),))

    def begin_merge(self) -> bool:
        """To be called before a deeper or fresher snapshot is asked for although none is wanted: diffs are kept from
        here on until it comes. False when the book does not follow the stream."""
        if self._following and self.book is not None:
            self._history, self._pending = _Trail(self.book.sequence, self.received_at), None
            return True
        return False

    def cancel_merge(self) -> None:
        """The snapshot will not come."""
        self._history = self._pending = None

    @property
    def merging(self) -> bool:
        return self._history is not None

    # --- following ------------------------------------------------------------------------------------------------

    def _follow(self, diff: DepthDiff, received_at: float) -> Outcome:
        book = self.book
        assert book is not None  # noqa: S101 - that is what following means
        if diff.sequence <= book.sequence:
            if received_at - self.received_at > NOTHING_NEW_FOR:
                return self._resync(GAP_DETECTED, "the exchange counts anew", diff, received_at)
            return NOTHING
        if diff.prev_sequence > book.sequence:
            return self._resync(GAP_DETECTED, "a diff is missing", diff, received_at)
        book.apply(diff.bids, diff.asks, diff.sequence, diff.event_time)
        self.received_at = received_at
        if book.crossed:
            return self._resync(UPDATE_FAILED, "the book is crossed", diff, received_at)
        if self._history is not None:
            self._history.append(diff, received_at)
            if self._pending is not None and self._pending.sequence <= book.sequence:
                return self._merge(self._pending, book)
        if book.top_known is not self.synced:
            return self._look_again(book)
        if self._history is None and not self.synced:
            self.begin_merge()
        return CHANGED

    def _look_again(self, book: OrderBook) -> Outcome:
        """The best prices went out of sight, or came back. Diffs are followed all the while, so nothing is lost."""
        if book.top_known:
            self.state = State.SYNCED
            return CHANGED
        self.state = State.STALE
        if self._history is None:
            self.begin_merge()
        return Outcome(True, (SyncEvent(UPDATE_FAILED, "the price has left the known range", {"book": book.sequence}),))

    def _resync(self, kind: str, message: str, diff: DepthDiff, received_at: float) -> Outcome:
        """The book is wrong or behind; it is kept, as stale. The diff is where to go on from."""
        details = {"from": diff.prev_sequence, "to": diff.sequence, "book": self.book.sequence if self.book else None}
        self._lose()
        self._start_trail(diff, received_at)
        self._resumable = False
        self.resyncs += 1
        return Outcome(True, (SyncEvent(kind, message, details),))

    def _forget(self) -> None:
        self._trail = self._history = self._pending = None

    def _lose(self) -> Outcome:
        """Back to where nothing newer is known than the book, if there is one."""
        self._forget()
        self._following = False
        before, self.state = self.state, State.WAITING if self.book is None else State.STALE
        return NOTHING if self.state is before else CHANGED

    # --- not following --------------------------------------------------------------------------------------------

    def _start_trail(self, diff: DepthDiff, received_at: float) -> None:
        self._trail = _Trail(diff.prev_sequence, received_at)
        self._trail.append(diff, received_at)

    def _gather(self, diff: DepthDiff, received_at: float) -> Outcome:
        if self._resumable and self.book is not None:
            return self._resume(diff, received_at, self.book)
        trail = self._trail
        if trail is None:
            self._start_trail(diff, received_at)
            self.state = State.BUFFERING if self.book is None else State.STALE
            return CHANGED
        stale = diff.sequence <= trail.last
        if stale and received_at - trail.received_at <= NOTHING_NEW_FOR:
            return NOTHING
        if stale or diff.prev_sequence > trail.last:
            self._start_trail(diff, received_at)  # a snapshot from before it could be led no further
            return Outcome(False, (SyncEvent(GAP_DETECTED, "a diff is missing while the snapshot loads"),))
        trail.append(diff, received_at)
        return NOTHING

    def _resume(self, diff: DepthDiff, received_at: float, book: OrderBook) -> Outcome:
        """The first diffs after a connection was lost."""
        if diff.sequence <= book.sequence and received_at - self.received_at <= NOTHING_NEW_FOR:
            return NOTHING
        self._resumable = False
        self._following = True
        return self._follow(diff, received_at)

    def _align(self, snapshot: Snapshot) -> Outcome:
        """The snapshot and what came after it, if they fit; else the old book stays and a later one is wanted."""
        trail = self._trail
        if trail is None:
            return NOTHING  # from before the first diff: it proves nothing
        if snapshot.sequence < trail.floor:
            details = {"snapshot": snapshot.sequence, "needed": trail.floor}
            return Outcome(False, (SyncEvent(UPDATE_FAILED, "the snapshot is older than the diffs", details),))
        diffs = list(trail.since(snapshot.sequence))
        book, replayed = self._replayed(snapshot, diffs, trail.event_time), len(diffs)
        if book.crossed:
            details = {"snapshot": snapshot.sequence, "replayed": replayed}
            return Outcome(False, (SyncEvent(UPDATE_FAILED, "snapshot and diffs make a crossed book", details),))
        self.received_at = trail.received_at
        return self._loaded(book, snapshot, {"replayed": replayed})

    def _loaded(self, book: OrderBook, snapshot: Snapshot, details: dict[str, Any]) -> Outcome:
        self._forget()
        self._resumable = False
        self.book = book
        self._following = True
        self.state = State.SYNCED if book.top_known else State.STALE
        if not self.synced:
            self.begin_merge()
        levels = len(snapshot.book.bids.prices), len(snapshot.book.asks.prices)
        told = {"snapshot": snapshot.sequence, "bids": levels[0], "asks": levels[1], **details}
        return Outcome(True, (SyncEvent(SNAPSHOT_LOADED, f"{levels[0]} bids and {levels[1]} asks", told),))

    # --- merging --------------------------------------------------------------------------------------------------

    def _take_merge(self, snapshot: Snapshot) -> Outcome:
        book, history = self.book, self._history
        if book is None or history is None:
            return NOTHING  # nobody asked: what came since is not known
        if snapshot.sequence < history.floor:
            self.cancel_merge()
            return NOTHING
        if snapshot.sequence > book.sequence:
            self._pending = snapshot  # until the book has come as far
            return NOTHING
        return self._merge(snapshot, book)

    def _merge(self, snapshot: Snapshot, book: OrderBook) -> Outcome:
        """The snapshot tells first whether the book was right. If it was not, nothing of the book is kept: what was
        wrong within the snapshot's reach may be wrong beyond it."""
        history = self._history
        assert history is not None  # noqa: S101 - the callers have looked
        since = list(history.since(snapshot.sequence))
        self.audit = audit = compare(book.frozen(), snapshot, since)
        details = {"merged": True, "compared": audit.compared, "equal": audit.equal}
        made = book.merged(snapshot, since) if audit.clean else self._replayed(snapshot, since, book.event_time)
        if made.crossed:
            outcome = self.fail("the book and a fresh snapshot make a crossed book")
            self._trail = _Trail(book.sequence, self.received_at)
            return outcome
        outcome = self._loaded(made, snapshot, details)
        if audit.clean:
            return outcome
        self.corrections += 1
        wrong = f"{audit.compared - audit.equal} of {audit.compared} levels were not the exchange's"
        return Outcome(True, (SyncEvent(UPDATE_FAILED, wrong, {"top": len(audit.top), **details}), *outcome.events))

    def _replayed(self, snapshot: Snapshot, diffs: Iterable[DepthDiff], event_time: int | None) -> OrderBook:
        """A book of the snapshot and the diffs after it. `event_time` is of what is in it without diffs."""
        book = OrderBook(self._most_levels)
        book.load(snapshot)
        if book.event_time is None:
            book.event_time = event_time
        for diff in diffs:
            book.apply(diff.bids, diff.asks, diff.sequence, diff.event_time)
        return book
