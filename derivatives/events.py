"""Between the exchange's words and the store: trades, mark prices, liquidations and open interest (pure).

Prices and quantities are the exchange's own decimal text; times are its own, epoch milliseconds. A `payload` is
its own message, where it is kept."""

from collections.abc import Iterable
from decimal import Decimal
from hashlib import blake2b
from typing import Literal
from uuid import UUID

import msgspec

Position = Literal["long", "short"]


class Trade(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An aggregate trade. `event_time` is None for one that was fetched later. `buyer_is_maker`: the taker sold."""

    market: str
    symbol: str
    id: int
    trade_time: int
    event_time: int | None
    price: str
    quantity: str
    first_trade_id: int
    last_trade_id: int
    buyer_is_maker: bool
    payload: str | None = None


class Mark(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A futures contract's mark price, and the funding that it heads for."""

    symbol: str
    event_time: int
    mark_price: str
    index_price: str
    settle_price: str
    funding_rate: str | None
    next_funding_time: int | None
    payload: str | None = None


class ForcedOrder(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An order that liquidated a position. The exchange tells at most the largest a symbol and second."""

    symbol: str
    side: str
    order_type: str
    time_in_force: str
    status: str
    price: str
    average_price: str
    quantity: str
    last_filled_quantity: str
    filled_quantity: str
    trade_time: int
    event_time: int
    payload: str | None = None

    @property
    def position(self) -> Position:
        """Whose position it closed: a sell closes a long."""
        return "long" if self.side == "SELL" else "short"

    @property
    def notional(self) -> Decimal:
        """In the quote asset: what was filled, at its average price."""
        return Decimal(self.filled_quantity) * Decimal(self.average_price)

    @property
    def content(self) -> UUID:
        """What makes it itself, as it has no id: the same event gives the same one."""
        parts = (self.symbol, self.side, self.order_type, self.price, self.average_price, self.quantity)
        more = (self.filled_quantity, self.last_filled_quantity, self.status, str(self.trade_time))
        return UUID(bytes=blake2b("|".join((*parts, *more)).encode(), digest_size=16).digest())


class Interest(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Open contracts of a symbol, in the base asset, at the exchange's `time`."""

    symbol: str
    time: int
    open_interest: str


class DepthUpdate(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A change of an order book as it was told; `previous_update_id` None where the exchange tells none."""

    market: str
    symbol: str
    event_time: int
    first_update_id: int
    final_update_id: int
    previous_update_id: int | None
    payload: str


class IdRange(msgspec.Struct, array_like=True, frozen=True):
    """Trades `first` to `last` (both included) of one series."""

    market: str
    symbol: str
    first: int
    last: int

    @property
    def count(self) -> int:
        return self.last - self.first + 1


class Sequence:
    """Follows the ids of one series' trades, which the exchange counts up by one: tells what is new, and what is
    missing before it."""

    __slots__ = ("last", "market", "symbol")

    def __init__(self, market: str, symbol: str, last: int | None = None) -> None:
        self.market = market
        self.symbol = symbol
        self.last = last  # the newest id that was seen; None: none yet

    def take(self, trade_id: int) -> tuple[bool, IdRange | None]:
        """Whether a trade of this id is new, and the range that is missing before it. One that comes late, out of a
        range that was told as missing, is new to whoever asks the store; here it is not."""
        last = self.last
        if last is not None and trade_id <= last:
            return False, None
        self.last = trade_id
        if last is None or trade_id == last + 1:
            return True, None
        return True, IdRange(self.market, self.symbol, last + 1, trade_id - 1)


def missing_ids(wanted: IdRange, present: Iterable[int]) -> list[IdRange]:
    """The parts of a range that are not among `present` (ids in any order), ascending."""
    holes, next_id = [], wanted.first
    for trade_id in sorted(set(present)):
        if wanted.first <= trade_id <= wanted.last:
            if trade_id > next_id:
                holes.append(IdRange(wanted.market, wanted.symbol, next_id, trade_id - 1))
            next_id = trade_id + 1
    if next_id <= wanted.last:
        holes.append(IdRange(wanted.market, wanted.symbol, next_id, wanted.last))
    return holes
