"""One live book in the feed: its alignment, what comes over a second connection, when to ask for what, its status."""

import random
from collections import deque
from collections.abc import Sequence
from decimal import Decimal

from collector.feed.snapshots import Fetched
from depth.audit import Audit
from depth.book import DepthDiff, OrderBook
from depth.broadcast import ToldBook, WsStatus
from depth.sync import NOTHING, BookSync, Outcome, SyncEvent

FRESH_SECONDS = 10.0  # without a change, a book of a collected symbol is not known to be right any more
BEHIND_SECONDS = 2.0  # from a diff's coming to its turn: the feed itself is too slow for its books to be fresh
MOST_HELD = 600
FIRST_LEVELS = 1000
LONGEST_PAUSE = 30.0
DEEPEN_AFTER = 3.0
REFRESH_EVERY = 600.0
RENEW_AFTER = 30.0  # the least time between two refreshments
SHRUNK = 0.5  # of what the book reached after its last snapshot: it is time for another
TOP_LEVELS = 20


class Followed:
    """All that the feed knows of one symbol on one market. Belongs to the feed's thread of frames."""

    def __init__(self, market: str, symbol: str, levels_planned: int, deepest: int) -> None:
        self.market = market
        self.symbol = symbol
        self.sync = BookSync(symbol, market)
        self.down = False  # the connection is lost
        self.lag = 0.0  # seconds that the newest diff waited for its turn
        self.since = 0.0  # epoch seconds: of the status
        self.status: WsStatus | None = None
        self.told: ToldBook | None = None  # of the book when it was last known to be right
        self.dirty = False  # something changed since it was published
        self.arrived = False  # ... just now
        self.publish_at = 0.0  # monotonic
        self.published_at = 0.0
        self.limit = 0  # levels a side that the book was loaded with
        self.fetching = False
        self.audit_wanted = False  # somebody asked for it
        self.audited: Audit | None = None  # the newest that was looked at
        self.audited_at = 0.0  # epoch seconds
        self.audit_kept_at = 0.0  # ... of the newest that was stored
        self.levels_planned = levels_planned
        self.deepest = deepest
        self._held: deque[tuple[DepthDiff, float]] = deque(maxlen=MOST_HELD)
        self._fetch_at = 0.0
        self._failures = 0
        self._refresh_at = 0.0
        self._loaded_at = 0.0
        self._reach = 0.0  # percent, the nearer side's after the last snapshot; 0: both sides known whole

    # --- what comes -----------------------------------------------------------------------------------------------

    def offer(self, diff: DepthDiff, received_at: float, main: bool) -> tuple[bool, Sequence[SyncEvent]]:
        """Takes a diff in; gives whether it fits what came before, and what is worth telling.

        Over a second connection a diff may be ahead of the first one's: it waits until that has come as far, for it
        is no gap."""
        sync = self.sync
        if not main:
            book = sync.book
            if not sync.synced or book is None or self._held or diff.prev_sequence > book.sequence:
                self._held.append((diff, received_at))
                self._drain()
                return not self._held, ()
        outcome = sync.offer(diff, received_at)
        self.down = False
        self.dirty = self.dirty or outcome.changed
        if self._held:
            self._drain()
        return True, outcome.events

    def _drain(self) -> None:
        """Takes in what was held and fits by now."""
        sync, held = self.sync, self._held
        while held and sync.synced and sync.book is not None and held[0][0].prev_sequence <= sync.book.sequence:
            outcome = sync.offer(*held.popleft())
            self.dirty = self.dirty or outcome.changed

    def lost(self, down: bool) -> None:
        """Diffs may be missing; the next one shows whether. What was held goes on from a connection that is there."""
        self.down = down
        self.sync.suspend()
        self.dirty = True
        while self._held:
            self.sync.offer(*self._held.popleft())

    def unreadable(self, reason: str) -> Outcome:
        self.dirty = True
        return self.sync.fail(reason)

    # --- snapshots ------------------------------------------------------------------------------------------------

    def next_fetch(self, now: float) -> tuple[int, bool] | None:
        """The levels to ask for now, and whether the book needs them (else they make it deeper or fresher); None:
        nothing. Whoever gets an answer asks for it."""
        if self.fetching or now < self._fetch_at:
            return None
        if self.sync.wants_snapshot:
            self.fetching = True
            return FIRST_LEVELS, True
        if self.sync.synced and not self.sync.merging and now >= self._refresh_at and self.sync.begin_merge():
            self.fetching = True
            return self.deepest, False
        return None

    def want_audit(self) -> None:
        """A snapshot as soon as there is leave for one: each is compared with the book before it is merged."""
        self.audit_wanted, self._refresh_at = True, 0.0

    def fetched(self, answer: Fetched, needed: bool, now: float, wall: float) -> Outcome:
        """The answer to `next_fetch`. `now` is monotonic, `wall` epoch seconds."""
        self.fetching = False
        outcome = NOTHING if answer.snapshot is None else self.sync.snapshot(answer.snapshot)
        self.dirty = self.dirty or outcome.changed
        if answer.snapshot is None and not needed:
            self.sync.cancel_merge()
            self._refresh_at = now + max(RENEW_AFTER, (answer.retry_at or wall) - wall) * random.uniform(1, 1.5)  # noqa: S311
        elif answer.snapshot is None or self.sync.wants_snapshot:
            self._failures += 1
            pause = min(LONGEST_PAUSE, 0.25 * 2.0**self._failures) * random.uniform(0.75, 1.0)  # noqa: S311 - jitter
            self._fetch_at = now + max(pause, (answer.retry_at or wall) - wall)
        else:
            self._loaded(answer.limit, needed, now)
        return outcome

    def _loaded(self, limit: int, needed: bool, now: float) -> None:
        self._failures, self._fetch_at = 0, 0.0
        self.limit = limit if needed else max(limit, self.limit)
        self._loaded_at = now
        pause = DEEPEN_AFTER if self.limit < self.deepest and self.sync.synced else REFRESH_EVERY
        if self.sync.synced and self.sync.book is not None and self._nearest(self.sync.book) == 0:
            pause = REFRESH_EVERY  # known whole: nothing deeper can come
        self._refresh_at = now + pause * random.uniform(0.8, 1.2)  # noqa: S311 - not all at once
        self._reach = 0.0

    def _nearest(self, book: OrderBook) -> float:
        reaches = [reach for reach in book.reach() if reach is not None]
        return min(reaches, default=0.0)

    def look_at_reach(self, now: float) -> None:
        """The price moves within what is known; before it leaves that, a snapshot is due."""
        book = self.sync.book
        if not self.sync.synced or book is None or self.sync.merging:
            return
        nearest = self._nearest(book)
        self._reach = max(self._reach, nearest)
        if 0 < nearest < self._reach * SHRUNK and now > self._loaded_at + RENEW_AFTER:
            self._refresh_at = min(self._refresh_at, now)

    # --- what is told ---------------------------------------------------------------------------------------------

    def status_at(self, wall: float) -> WsStatus:
        if self.sync.synced and wall - self.sync.received_at <= FRESH_SECONDS and self.lag <= BEHIND_SECONDS:
            return WsStatus.CONNECTED
        if self.down:
            return WsStatus.DISCONNECTED
        return WsStatus.CONNECTING if self.told is None else WsStatus.STALE

    @property
    def deep_enough(self) -> bool:
        """Whether its minutes are at least as deep as those read by REST."""
        return self.limit >= min(self.levels_planned, self.deepest)

    def tell(self, bands: Sequence[Decimal]) -> ToldBook:
        """What is told of the book as it stands; it must be synced."""
        book = self.sync.book
        assert book is not None  # noqa: S101 - that is what synced means
        bids, asks = book.top(TOP_LEVELS)
        (bid_levels, ask_levels), (bid_reach, ask_reach) = book.levels, book.reach()
        self.told = ToldBook(
            symbol=self.symbol,
            market=self.market,
            read_at=round(self.sync.received_at * 1000),
            best_bid=bids[0][0],
            best_ask=asks[0][0],
            bids=bids,
            asks=asks,
            bid_levels=bid_levels,
            ask_levels=ask_levels,
            bid_reach=bid_reach,
            ask_reach=ask_reach,
            source="stream",
            bands=book.measure(bands),
            last_update_id=book.sequence,
        )
        return self.told
