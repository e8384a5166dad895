"""Binance's answers in its own words: what is read of them; everything else in them is ignored (pure)."""

from typing import Annotated, Generic, Literal, TypeVar

import msgspec


class Depth(msgspec.Struct):
    """Spot sends no times; futures send the event time `E` and the transaction time `T`, epoch milliseconds."""

    lastUpdateId: int  # noqa: N815
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    E: int | None = None


class Filter(msgspec.Struct):
    filterType: str = ""  # noqa: N815
    tickSize: str = ""  # noqa: N815
    stepSize: str = ""  # noqa: N815


class SymbolInfo(msgspec.Struct):
    symbol: str
    status: str
    baseAsset: str  # noqa: N815
    quoteAsset: str  # noqa: N815
    filters: list[Filter] = []
    contractType: str | None = None  # noqa: N815


class RateLimit(msgspec.Struct):
    rateLimitType: str = ""  # noqa: N815
    interval: str = ""
    intervalNum: int = 0  # noqa: N815
    limit: int = 0


class ExchangeInfo(msgspec.Struct):
    symbols: list[msgspec.Raw]
    rateLimits: list[RateLimit] = []  # noqa: N815


class Ticker(msgspec.Struct):
    symbol: str
    quoteVolume: str  # noqa: N815


class ServerTime(msgspec.Struct):
    serverTime: int  # noqa: N815


class ErrorBody(msgspec.Struct):
    code: int
    msg: str = ""


# --- frames of streams: developers.binance.com, spot "WebSocket Streams" and USD-M "Websocket Market Streams" ---------

# msgspec checks these while it decodes: "NaN", infinities and negatives are refused there.
Price = Annotated[float, msgspec.Meta(gt=0, lt=1e300)]
Quantity = Annotated[float, msgspec.Meta(ge=0, lt=1e300)]
# Text that stays text.
Number = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,30}(\.[0-9]{1,30})?\Z")]
Rate = Annotated[str, msgspec.Meta(pattern=r"^(-?[0-9]{1,30}(\.[0-9]{1,30})?)?\Z")]  # may be empty
Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Time = Annotated[int, msgspec.Meta(ge=0, lt=10**14)]  # epoch milliseconds, of this millennium
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
USD_M = 1  # `st` of what belongs to USD-M where that is told; 2 is COIN-M


class SpotDepthUpdate(msgspec.Struct, gc=False):
    s: Name
    E: Time
    U: Id
    u: Id
    b: list[tuple[Price, Quantity]]
    a: list[tuple[Price, Quantity]]


class FuturesDepthUpdate(SpotDepthUpdate, gc=False, kw_only=True):
    pu: Id


class DepthIds(msgspec.Struct, gc=False):
    """Only futures send `pu`."""

    U: Id
    u: Id
    pu: Id | None = None


class KlineBody(msgspec.Struct, gc=False):
    """Open and close time, interval, prices, volumes, number of trades, whether it is closed; taker's shares."""

    t: Time
    T: Time
    i: str
    o: Number
    h: Number
    l: Number  # noqa: E741 - the exchange's letter
    c: Number
    v: Number
    q: Number
    n: Id
    V: Number
    Q: Number
    x: bool


class Kline(msgspec.Struct, gc=False):
    s: Name
    E: Time
    k: KlineBody


class AggTrade(msgspec.Struct, gc=False):
    s: Name
    E: Time
    a: Id
    p: Number
    q: Number
    f: Id
    l: Id  # noqa: E741
    T: Time
    m: bool


class RestTrade(msgspec.Struct, gc=False):
    a: Id
    p: Number
    q: Number
    f: Id
    l: Id  # noqa: E741
    T: Time
    m: bool


class RestOpenInterest(msgspec.Struct, gc=False):
    symbol: Name
    time: Time
    openInterest: Number  # noqa: N815


class MarkPriceUpdate(msgspec.Struct, gc=False):
    """`r` is empty and `T` 0 for contracts without funding."""

    s: Name
    E: Time
    p: Number
    i: Number
    P: Number
    r: Rate = ""
    T: Time = 0
    st: int = USD_M


class ForceOrderBody(msgspec.Struct, gc=False):
    s: Name
    S: Literal["BUY", "SELL"]
    o: str
    f: str
    X: str
    p: Number
    ap: Number
    q: Number
    l: Number  # noqa: E741
    z: Number
    T: Time
    st: int | None = None


class ForceOrder(msgspec.Struct, gc=False):
    """`st` stands in the body or beside it."""

    E: Time
    o: ForceOrderBody
    st: int | None = None


class BookTicker(msgspec.Struct, gc=False):
    """Spot tells no time."""

    s: Name
    u: Id
    b: Number
    B: Number
    a: Number
    A: Number
    E: Time | None = None


class ServerShutdown(msgspec.Struct, gc=False):
    E: Time


T = TypeVar("T")


class Combined(msgspec.Struct, Generic[T], gc=False):
    """A frame of `/stream`; on `/ws` its data stands alone."""

    stream: str
    data: T


class AnyFrame(msgspec.Struct, gc=False):
    """Enough of any frame to tell what it is: of a stream, its payload alone, or an answer to a request."""

    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    e: str | None = None
    s: str | None = None
    u: int | None = None
    id: int | str | None = None
    code: int | None = None
    msg: str = ""
    error: ErrorBody | None = None
