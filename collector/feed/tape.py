"""The feed's part for trades, mark prices and liquidations: takes them as they come, hands them over for storing, and
notices trades that are missing by their ids."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Generic, TypeVar

from django.db import connection

from collector.exchanges.streams import AggregateTrade, Kind, Liquidation, MarkPrice, Message
from collector.feed.parts import Wish
from collector.feed.tape_live import LiveTape
from depth.services import SpoolFull, accept, kind
from derivatives import services
from derivatives.events import ForcedOrder, IdRange, Mark, Trade
from derivatives.events import Sequence as IdSequence

logger = logging.getLogger(__name__)

T = TypeVar("T")
Key = tuple[str, str]  # market, symbol

TRADES = kind("derivatives.trades", list[Trade], services.store_trades)
MARKS = kind("derivatives.marks", list[Mark], services.store_marks)
FORCED_ORDERS = kind("derivatives.forced_orders", list[ForcedOrder], services.store_forced_orders)
TRADE_GAPS = kind("derivatives.trade_gaps", list[IdRange], services.store_gaps)

EVERY = 1.0  # seconds after which what is gathered is stored, however little
BATCH = 10_000
MOST_WAITING = 200_000  # of one kind, when storing is slow: what is beyond is dropped and told


@dataclass(frozen=True, slots=True)
class TapePlan:
    """`trades`: of whom, each from behind the newest id that is known (None: from the first that comes). Mark prices
    and liquidations are kept of `contracts`; `streams` are those that tell of all contracts at once."""

    trades: Mapping[Key, int | None]
    contracts: frozenset[str]
    streams: Sequence[Wish]


class Basket(Generic[T]):
    """Gathers items of one kind in the thread of frames, gives them up to the thread that stores. Bounded: the newest
    that find no room are dropped and counted."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._items: deque[T] = deque()
        self.dropped = 0

    def put(self, item: T) -> bool:
        if len(self._items) >= self._most:
            self.dropped += 1
            return False
        self._items.append(item)
        return True

    def take(self, most: int = BATCH) -> list[T]:
        """The oldest ones."""
        return [self._items.popleft() for _ in range(min(most, len(self._items)))]

    def __len__(self) -> int:
        return len(self._items)


class Tape:
    """A Part. `follow` says which trades; mark prices and liquidations come of every contract, and are kept of the
    collected ones."""

    messages: Sequence[type] = (AggregateTrade, MarkPrice, Liquidation)

    def __init__(self) -> None:
        self.trades: Basket[Trade] = Basket()
        self.marks: Basket[Mark] = Basket()
        self.forced_orders: Basket[ForcedOrder] = Basket()
        self.gaps: Basket[IdRange] = Basket()
        self.taken = 0
        self.live: LiveTape | None = None  # tells those who watch
        self._sequences: dict[Key, IdSequence] = {}
        self._contracts: frozenset[str] = frozenset()
        self._wishes: list[Wish] = []
        self._marks_at: dict[str, int] = {}
        self._forced: deque[Any] = deque(maxlen=2000)  # contents of the newest ones

    def follow(self, chosen: TapePlan) -> None:
        """From now on what the plan says; in the thread of frames."""
        self._sequences = {
            key: self._sequences.get(key) or IdSequence(*key, last) for key, last in chosen.trades.items()
        }
        self._contracts = chosen.contracts
        self._wishes = [*(Wish(market, Kind.TRADES, symbol) for market, symbol in chosen.trades), *chosen.streams]

    def followed(self) -> Collection[Key]:
        """Whose trades are followed; from any thread."""
        return list(self._sequences)

    def wishes(self) -> Collection[Wish]:
        return self._wishes

    def take(self, message: Message, received_at: float, main: bool) -> bool:
        self.taken += 1
        if isinstance(message, AggregateTrade):
            self._trade(message)
        elif isinstance(message, MarkPrice):
            self._mark(message)
        elif isinstance(message, Liquidation):
            self._liquidation(message)
        return True

    def _trade(self, it: AggregateTrade) -> None:
        sequence = self._sequences.get((it.market, it.symbol))
        if sequence is None:
            return  # no longer followed
        is_new, missing = sequence.take(it.id)
        if missing is not None:
            self.gaps.put(missing)
        # One from before may be of a range that was told as missing: the store knows which are there.
        made = Trade(
            it.market, it.symbol, it.id, it.trade_time, it.event_time, it.price, it.quantity, it.first_trade_id,
            it.last_trade_id, it.buyer_is_maker,
        )  # fmt: skip
        if is_new and self.live is not None:
            self.live.trade(made)
        if not self.trades.put(made) and is_new:
            self.gaps.put(IdRange(it.market, it.symbol, it.id, it.id))

    def _mark(self, it: MarkPrice) -> None:
        if it.symbol in self._contracts and it.event_time > self._marks_at.get(it.symbol, 0):
            self._marks_at[it.symbol] = it.event_time
            self.marks.put(
                Mark(
                    it.symbol, it.event_time, it.mark_price, it.index_price, it.settle_price, it.funding_rate,
                    it.next_funding_time,
                )
            )  # fmt: skip

    def _liquidation(self, it: Liquidation) -> None:
        if it.symbol not in self._contracts:
            return
        made = ForcedOrder(
            it.symbol, it.side, it.order_type, it.time_in_force, it.status, it.price, it.average_price, it.quantity,
            it.last_filled_quantity, it.filled_quantity, it.trade_time, it.event_time,
        )  # fmt: skip
        if made not in self._forced:  # over two connections, while one is renewed
            self._forced.append(made)
            self.forced_orders.put(made)
            if self.live is not None:
                self.live.liquidation(it.market, made)

    def lost(self, wishes: Collection[Wish], down: bool) -> None:
        """Missed trades show by the ids of the next ones; mark prices and liquidations cannot be had again."""
        if down and self.live is not None:
            self.live.down([(wish.market, wish.symbol) for wish in wishes if wish.kind == Kind.TRADES and wish.symbol])

    def unreadable(self, wishes: Collection[Wish], reason: str) -> None:
        """As `lost`."""

    def tick(self, now: float) -> None:
        """Nothing waits for a time."""

    def close(self) -> None:
        """What is gathered is stored by the thread that stores."""


class TapeKeeper:
    """Stores what a tape gathers, in a thread of its own; while the database is away it goes to the spool."""

    def __init__(self, tape: Tape, on_lost: Callable[[str], None]) -> None:
        self._tape = tape
        self._on_lost = on_lost
        self._told = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tape", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self, seconds: float = 4.0) -> None:
        """Stores what waits."""
        self._ended.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._ended.is_set():
            began = monotonic()
            if not self.store():
                self._ended.wait(max(0.05, EVERY - (monotonic() - began)))
        while self.store():
            pass
        connection.close()

    def store(self) -> bool:
        """One batch of each kind; whether there may be more. Gaps go first: a trade that is behind one says that it is
        there to be fetched."""
        tape, more = self._tape, False
        for what, basket in (
            (TRADE_GAPS, tape.gaps),
            (TRADES, tape.trades),
            (FORCED_ORDERS, tape.forced_orders),
            (MARKS, tape.marks),
        ):
            items: list[Any] = basket.take()
            if items:
                self._accept(what, items)
                more = more or len(items) == BATCH
        dropped = tape.trades.dropped + tape.marks.dropped + tape.forced_orders.dropped
        if dropped > self._told:
            self._on_lost(f"{dropped - self._told} events were dropped: storing them is too slow")
            self._told = dropped
        return more

    def _accept(self, what: Any, items: list[Any]) -> None:
        try:
            accept(what, items)
        except SpoolFull as error:
            self._on_lost(f"{len(items)} events are lost: the database is away, and the spool is full: {error}")
            if what is TRADES:  # they can be had again
                ids = [IdRange(trade.market, trade.symbol, trade.id, trade.id) for trade in items]
                for gap in _joined(ids):
                    self._tape.gaps.put(gap)
        except Exception:
            logger.exception("%d events were not stored", len(items))


def _joined(ranges: list[IdRange]) -> list[IdRange]:
    """Neighbours as one, in order."""
    made: list[IdRange] = []
    for one in sorted(ranges, key=lambda r: (r.market, r.symbol, r.first)):
        last = made[-1] if made else None
        if last and (last.market, last.symbol) == (one.market, one.symbol) and one.first <= last.last + 1:
            made[-1] = IdRange(last.market, last.symbol, last.first, max(last.last, one.last))
        else:
            made.append(one)
    return made
