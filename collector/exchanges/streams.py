"""What a venue's sockets tell, and what a venue must offer for that, in words that belong to no venue (pure).

Prices, quantities and rates of trades and candles are kept as the exchange's own text, known to be plain decimal
numbers: whoever needs a Decimal makes it once. Times are the exchange's, epoch milliseconds. A `payload` is the event
in the exchange's own words, None where it is not kept."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

from depth.book import DepthDiff


class Kind(StrEnum):
    """What a stream tells of; the values are those of SPOT_STREAMS and FUTURES_STREAMS."""

    DEPTH = "depth"
    CANDLES = "kline"
    TRADES = "aggTrade"
    MARK_PRICE = "markPrice"
    LIQUIDATIONS = "forceOrder"
    BEST_PRICES = "bookTicker"


@dataclass(frozen=True, slots=True)
class Taken:
    """What of the streams is taken beyond the ordinary: the exchange's own words (`payload`) of these kinds, raw diffs
    (DepthUpdate) of these (market, symbol), mark prices each 1 or 3 seconds."""

    payloads: Collection[Kind] = ()
    depth: Collection[tuple[str, str]] = ()
    mark_price_seconds: int = 1


class CandleUpdate(msgspec.Struct, frozen=True, gc=False):
    """A candle as it stands, or for good when `closed`. `interval` is the exchange's spelling; volumes are in base
    asset, quote volumes in quote asset."""

    symbol: str
    market: str
    interval: str
    open_time: int
    close_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    trades: int
    taker_buy_volume: str
    taker_buy_quote_volume: str
    closed: bool
    event_time: int


class AggregateTrade(msgspec.Struct, frozen=True, gc=False):
    """Trades at one price that one order made. `buyer_is_maker`: the taker sold."""

    symbol: str
    market: str
    id: int
    price: str
    quantity: str
    first_trade_id: int
    last_trade_id: int
    trade_time: int
    buyer_is_maker: bool
    event_time: int
    payload: str | None = None


class MarkPrice(msgspec.Struct, frozen=True, gc=False):
    """`funding_rate` and `next_funding_time` are None where the exchange tells none."""

    symbol: str
    market: str
    mark_price: str
    index_price: str
    settle_price: str
    funding_rate: str | None
    next_funding_time: int | None
    event_time: int
    payload: str | None = None


class Liquidation(msgspec.Struct, frozen=True, gc=False):
    """An order that liquidates a position: `side` SELL means that a long was liquidated. Its notional is
    `filled_quantity * average_price`."""

    symbol: str
    market: str
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


class DepthUpdate(msgspec.Struct, frozen=True, gc=False):
    """A diff of an order book as it was told, whole; ids are the exchange's, `previous_update_id` None where it tells
    none."""

    symbol: str
    market: str
    first_update_id: int
    final_update_id: int
    previous_update_id: int | None
    event_time: int
    payload: str


class BestPrices(msgspec.Struct, frozen=True, gc=False):
    """`event_time` is None where the exchange tells none."""

    symbol: str
    market: str
    sequence: int
    bid_price: str
    bid_quantity: str
    ask_price: str
    ask_quantity: str
    event_time: int | None


class Shutdown(msgspec.Struct, frozen=True, gc=False):
    """The server is about to close the connection."""

    event_time: int


class Answer(msgspec.Struct, frozen=True, gc=False):
    """To a request of ours. `error` is None where it was taken; that a stream exists is proven only by its frames."""

    id: int | None
    error: str | None


Message = (
    DepthDiff | CandleUpdate | AggregateTrade | MarkPrice | Liquidation | DepthUpdate | BestPrices | Shutdown | Answer
)


class Frame(msgspec.Struct, frozen=True, gc=False):
    """What came in one piece. `stream` is the stream's name; None where the venue does not tell it."""

    stream: str | None
    messages: Sequence[Message]


class Unreadable(ValueError):
    """A frame that cannot be read. `stream` is what it seems to be of, None where not even that can be told: then
    every stream of the connection may have lost something."""

    def __init__(self, reason: str, stream: str | None) -> None:
        super().__init__(f"{stream or 'a frame'}: {reason}")
        self.stream = stream


@dataclass(frozen=True, slots=True)
class StreamRules:
    """What a market's server asks of its clients. `pause` is the least time between two messages of ours, `life` how
    long it keeps a connection, `silence` how long it may be without a sign (it pings more often); seconds."""

    most_streams: int
    most_names: int
    pause: float
    life: float
    silence: float


class Streams(Protocol):
    """One exchange over sockets; makes words of what is wanted, and of frames what they tell. Does no I/O."""

    name: str
    rules: Mapping[str, StreamRules]  # by market
    kinds: Mapping[str, Collection[Kind]]  # by market

    def stream(self, market: str, kind: Kind, symbol: str | None, interval: str = "1m") -> str:
        """The stream's name. `symbol` None asks for every symbol, where the venue offers that; `interval` is for
        candles. Raises ValueError for what the market does not offer."""

    def url(self, market: str, kind: Kind) -> str:
        """Where such streams can be had: those with the same address may share a connection."""

    def subscribe(self, names: Sequence[str], number: int) -> str: ...

    def unsubscribe(self, names: Sequence[str], number: int) -> str: ...

    def parse(self, market: str, frame: bytes | str) -> Frame:
        """Raises Unreadable."""

    def symbol_of(self, stream: str) -> str | None:
        """The symbol that a stream of this name tells of; None when it tells of many."""
