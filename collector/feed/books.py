"""The feed's part for order books: follows them, publishes them, hands their minutes and seconds over for storing."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from collector.audits import ASKED_FOR, HOURLY, WRONG, compared
from collector.events import Event, Type
from collector.exchanges.streams import Kind, Message
from collector.feed.clock import Clock
from collector.feed.followed import Followed
from collector.feed.keeping import Keeping
from collector.feed.minutes import MinuteBooks
from collector.feed.parts import Wish
from collector.feed.publisher import Publisher, State
from collector.feed.recorder import Recorder
from collector.feed.recording import Ask
from collector.feed.snapshots import Fetched, SnapshotDesk
from collector.limits import Priority
from depth.book import DepthDiff
from depth.broadcast import LiveBook, WsStatus, pack_side
from depth.seconds import BookSecond
from depth.sync import SyncEvent

logger = logging.getLogger(__name__)

Key = tuple[str, str]  # market, symbol
ONCE_A_SECOND = 1.0
ASK_EVERY = 0.1
LOOK_EVERY = 0.005  # for states that are due
# A state that is due waits so long for the next diff, for two in one are better than one that is old when it goes out.
SETTLED_AFTER = 0.12
# Each snapshot is compared, every ten minutes where the budget has room: so one an hour at least is stored.
KEEP_AUDIT_AFTER = 3000.0
STATUS_EVERY = 5.0  # seconds, of a symbol that has no book to publish


@dataclass(frozen=True, slots=True)
class BookRules:
    """What the settings say: bands (percent), publications a second at most, and levels and seconds of what is kept of
    each live book."""

    bands: Sequence[Decimal]
    rate: float
    levels: int
    interval: int


@dataclass(frozen=True, slots=True)
class LiveSymbol:
    """A symbol to be followed: levels a side that its minutes are read with by REST, and the most that can be had."""

    levels_planned: int
    deepest: int


class Books:
    """A Part. `follow` says which symbols."""

    messages: Sequence[type] = (DepthDiff,)

    def __init__(
        self,
        rules: BookRules,
        desk: SnapshotDesk,
        publisher: Publisher,
        keeping: Keeping,
        later: Callable[[Callable[[], None]], None],
        may_store: Callable[[str], bool] = lambda symbol: True,
        clock: Clock | None = None,
    ) -> None:
        self.recorder: Recorder | None = None
        self.followed: dict[Key, Followed] = {}
        self.minutes = MinuteBooks(keeping, may_store)
        self._rules = rules
        self._desk = desk
        self._publisher = publisher
        self._keeping = keeping
        self._clock = clock or Clock()
        self._later = later  # calls back in the thread of frames
        self._wishes: list[Wish] = []
        self._dirty: dict[Key, Followed] = {}
        self._second_at = self._ask_at = self._look_at = 0.0
        self._kept_second = 0

    # --- which ----------------------------------------------------------------------------------------------------

    def follow(self, symbols: Mapping[Key, LiveSymbol], leaving: Collection[str] = ()) -> None:
        """From now on these; in the thread of frames. Symbols that are `leaving` go on elsewhere."""
        for key in set(self.followed) - set(symbols):
            book = self.followed.pop(key)
            self._dirty.pop(key, None)
            if key[1] in leaving:
                self._publisher.state(*key, State(book.told, WsStatus.STALE, book.sync.received_at))
            else:
                self._publisher.gone(*key)
        for key, chosen in symbols.items():
            known = self.followed.get(key)
            if known is None:
                self.followed[key] = Followed(*key, chosen.levels_planned, chosen.deepest)
            else:
                known.levels_planned, known.deepest = chosen.levels_planned, chosen.deepest
        self._wishes = [Wish(market, Kind.DEPTH, symbol) for market, symbol in symbols]
        if self.recorder is not None:
            told = {key: (one.levels_planned, one.deepest) for key, one in symbols.items()}
            self.recorder.follow(told, self.minutes.running)

    def wishes(self) -> Collection[Wish]:
        return self._wishes

    # --- what comes -----------------------------------------------------------------------------------------------

    def take(self, message: Message, received_at: float, main: bool) -> bool:
        assert isinstance(message, DepthDiff)  # noqa: S101 - nothing else is given to it
        key = (message.market, message.symbol)
        book = self.followed.get(key)
        if book is None:
            return True  # not wanted any more
        book.lag = self._clock.wall - received_at
        fits, events = book.offer(message, received_at, main)
        if events:
            self._tell(book, events)
        if book.dirty:
            book.arrived = True
            self._dirty[key] = book
        return fits

    def lost(self, wishes: Collection[Wish], down: bool) -> None:
        for book in self._of(wishes):
            book.lost(down)
            book.arrived = True
            self._dirty[book.market, book.symbol] = book

    def unreadable(self, wishes: Collection[Wish], reason: str) -> None:
        for book in self._of(wishes):
            self._tell(book, book.unreadable(reason).events)
            self._dirty[book.market, book.symbol] = book

    def _of(self, wishes: Collection[Wish]) -> list[Followed]:
        keys = [(wish.market, wish.symbol) for wish in wishes if wish.kind is Kind.DEPTH and wish.symbol]
        return [self.followed[key] for key in keys if key in self.followed]

    def _tell(self, book: Followed, events: Sequence[SyncEvent]) -> None:
        for event in events:
            self._keeping.event(Event(event.type, event.message, book.symbol, book.market, dict(event.metadata)))
        if book.sync.audit is not book.audited:
            self._audited(book)

    def _audited(self, book: Followed) -> None:
        """A snapshot was compared with the book before it was merged; a wrong book has been made anew by now."""
        audit, wall = book.sync.audit, self._clock.wall
        assert audit is not None  # noqa: S101 - the caller looked
        book.audited, book.audited_at = audit, wall
        asked, book.audit_wanted = book.audit_wanted, False
        if audit.top:
            facts = {"snapshot": audit.sequence, "compared": audit.compared, "equal": audit.equal}
            told = f"{len(audit.top)} of the first levels were not the exchange's; the book was loaded anew"
            self._keeping.event(Event(Type.AUDIT_FAILED, told, book.symbol, book.market, facts))
        if asked or not audit.clean or wall >= book.audit_kept_at + KEEP_AUDIT_AFTER:
            book.audit_kept_at = wall
            cause = ASKED_FOR if asked else HOURLY if audit.clean else WRONG
            self._keeping.audit(compared(audit, book.market, book.symbol, cause, wall))

    def audit(self, keys: Collection[Key]) -> None:
        """Somebody wants these compared; in the thread of frames."""
        for key in keys:
            if key in self.followed:
                self.followed[key].want_audit()

    # --- what is done now and then --------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        wall = self._clock.wall
        if self._dirty and now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._publish_due(now, wall)
        if now >= self._ask_at:
            self._ask_at = now + ASK_EVERY
            self._ask(now)
            self.minutes.look(wall, self.followed)
        if now >= self._second_at:
            self._second_at = now + ONCE_A_SECOND
            self._once_a_second(now, wall)

    def _publish_due(self, now: float, wall: float) -> None:
        for key, book in list(self._dirty.items()):
            if now >= book.publish_at and (book.arrived or wall - book.sync.received_at >= SETTLED_AFTER):
                del self._dirty[key]
                self._publish(book, now, wall)
            book.arrived = False

    def _publish(self, book: Followed, now: float, wall: float) -> None:
        status = book.status_at(wall)
        if status is not book.status:
            book.status, book.since = status, wall
        told = book.told
        if book.sync.synced:
            told = book.tell(self._rules.bands)
        book.dirty = False
        book.published_at = now
        pause = 1 / self._rules.rate
        book.publish_at = book.publish_at + pause if now < book.publish_at + pause else now + pause
        self._publisher.state(book.market, book.symbol, State(told, status, book.sync.received_at))

    def _ask(self, now: float) -> None:
        """Snapshots that are due."""
        for book in self.followed.values():
            wanted = book.next_fetch(now)
            if wanted is not None:
                limit, needed = wanted
                self._fetch(book, min(limit, book.deepest), needed)

    def _fetch(self, book: Followed, limit: int, needed: bool) -> None:
        if self.recorder is not None:
            self.recorder.ask(book.market, book.symbol, limit, needed)
        priority = Priority.RESYNC if needed else Priority.DEEPENING
        self._desk.fetch(book.market, book.symbol, limit, priority, partial(self._fetched, book, needed))

    def _fetched(self, book: Followed, needed: bool, answer: Fetched) -> None:
        """In a thread of the desk's."""
        self._later(partial(self._use, book, needed, answer))

    def _use(self, book: Followed, needed: bool, answer: Fetched) -> None:
        if self.followed.get((book.market, book.symbol)) is not book:
            return  # not wanted any more
        if self.recorder is not None:
            asked = Ask(book.market, book.symbol, answer.limit, needed)
            self.recorder.answer(asked, answer.raw, answer.reason, answer.retry_at)
        outcome = book.fetched(answer, needed, self._clock.now, self._clock.wall)
        self._tell(book, outcome.events)
        if answer.snapshot is None and needed:
            facts = {"levels": answer.limit}
            told = f"no snapshot: {answer.reason}"
            self._keeping.event(Event("UPDATE_FAILED", told, book.symbol, book.market, facts))
        if book.dirty:
            self._dirty[book.market, book.symbol] = book

    def _once_a_second(self, now: float, wall: float) -> None:
        deep: list[LiveBook] = []
        tops = []
        for book in self.followed.values():
            book.look_at_reach(now)
            every = STATUS_EVERY if book.told is None else ONCE_A_SECOND
            if book.status_at(wall) is not book.status or now >= book.published_at + every * 0.9:
                self._publish(book, now, wall)
            if book.status is WsStatus.CONNECTED and book.sync.synced and book.told is not None:
                deep.append(_deep(book, wall))
                tops.append(book.told)
        self._publisher.deep(deep, tops)
        self._keep_second(wall)

    def _keep_second(self, wall: float) -> None:
        second = int(wall) // self._rules.interval * self._rules.interval
        if second == self._kept_second:
            return
        self._kept_second = second
        self._keeping.seconds(
            _second(book, int(wall), self._rules.levels)
            for book in self.followed.values()
            if book.status_at(wall) is WsStatus.CONNECTED
        )

    def close(self) -> None:
        """The last word to whoever listens: nothing comes any more."""
        wall = self._clock.wall
        for book in self.followed.values():
            book.lost(True)
            self._publisher.state(
                book.market, book.symbol, State(book.told, book.status_at(wall), book.sync.received_at)
            )


def _deep(book: Followed, wall: float) -> LiveBook:
    held = book.sync.book
    assert held is not None  # noqa: S101 - the caller looked
    sides = held.frozen()
    return LiveBook(
        symbol=book.symbol,
        market=book.market,
        ws_status=str(book.status),
        read_at=round(book.sync.received_at * 1000),
        published_at=round(wall * 1000),
        last_update_id=held.sequence,
        bids=pack_side(sides.bids.prices, sides.bids.quantities),
        asks=pack_side(sides.asks.prices, sides.asks.quantities),
    )


def _second(book: Followed, second: int, levels: int) -> BookSecond:
    held = book.sync.book
    assert held is not None  # noqa: S101 - the caller looked
    bids, asks = held.top(levels)
    return BookSecond(
        book.symbol,
        book.market,
        second,
        held.sequence,
        [price for price, _ in bids],
        [quantity for _, quantity in bids],
        [price for price, _ in asks],
        [quantity for _, quantity in asks],
    )
