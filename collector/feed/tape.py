"""The feed's part for trades, mark prices and liquidations: takes them as they come, gathers them for storing
(collector.feed.tape_keeping), and notices trades that are missing by their ids."""

import threading
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from collector.exchanges.streams import AggregateTrade, Kind, Liquidation, MarkPrice, Message
from collector.feed.parts import Wish
from collector.feed.tape_live import LiveTape
from derivatives.events import ForcedOrder, IdRange, Mark, Trade
from derivatives.events import Sequence as IdSequence

T = TypeVar("T")
Key = tuple[str, str]  # market, symbol

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
        """The oldest ones. Several threads may take."""
        taken: list[T] = []
        with suppress(IndexError):
            while len(taken) < most:
                taken.append(self._items.popleft())
        return taken

    def room(self) -> float:
        """The share that is free, 0 to 1."""
        return 1 - len(self._items) / self._most

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
        self.urgent = threading.Event()  # what waits is not to be gathered any longer
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
            it.last_trade_id, it.buyer_is_maker, it.payload,
        )  # fmt: skip
        if is_new and self.live is not None:
            self.live.trade(made)
        if not self.trades.put(made) and is_new:
            self.gaps.put(IdRange(it.market, it.symbol, it.id, it.id))
        if len(self.trades) == BATCH:  # whole batches go at once
            self.urgent.set()

    def _mark(self, it: MarkPrice) -> None:
        # What comes twice, over two connections, is stored once; what comes late is stored too.
        if it.symbol in self._contracts and it.event_time != self._marks_at.get(it.symbol):
            self._marks_at[it.symbol] = it.event_time
            self.marks.put(
                Mark(
                    it.symbol, it.event_time, it.mark_price, it.index_price, it.settle_price, it.funding_rate,
                    it.next_funding_time, it.payload,
                )
            )  # fmt: skip
            self.urgent.set()

    def _liquidation(self, it: Liquidation) -> None:
        if it.symbol not in self._contracts:
            return
        made = ForcedOrder(
            it.symbol, it.side, it.order_type, it.time_in_force, it.status, it.price, it.average_price, it.quantity,
            it.last_filled_quantity, it.filled_quantity, it.trade_time, it.event_time,
            it.payload,
        )  # fmt: skip
        if made not in self._forced:  # over two connections, while one is renewed
            self._forced.append(made)
            self.forced_orders.put(made)
            self.urgent.set()
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
