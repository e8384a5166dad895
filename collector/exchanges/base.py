"""What a venue must offer, in words that belong to no venue (pure): listings, order books, its clock, its refusals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from candles.candle import Kline
from collector.exchanges.streams import AggregateTrade
from markets.listings import SymbolListing

T = TypeVar("T")
Level = tuple[str, str]


@dataclass(frozen=True, slots=True)
class RawBook:
    """An order book as the exchange sent it: (price, quantity) strings, best first. `received_at` is our clock when
    the answer was complete; `event_time` is the exchange's, None where it tells none."""

    bids: Sequence[Level]
    asks: Sequence[Level]
    last_update_id: int
    event_time: datetime | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Listings:
    """One market's symbols, and the request weight that the exchange allows a minute (None: it does not say)."""

    symbols: list[SymbolListing]
    weight_per_minute: int | None


@dataclass(frozen=True, slots=True)
class Klines:
    """One-minute candles, oldest first, and how many rows of the answer could not be read."""

    rows: list[Kline]
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class OpenContracts:
    """Open interest of a contract in the base asset, as told; `time` is the exchange's, epoch milliseconds."""

    symbol: str
    time: int
    open_interest: str


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What was asked for, and the weight that the exchange says was used in its current minute (None: not said)."""

    value: T
    used_weight: int | None


@dataclass(frozen=True, slots=True)
class DepthTier:
    """A number of levels that may be asked for, and the weight of asking."""

    limit: int
    weight: int


class VenueError(Exception):
    """The exchange did not give what was asked for. `used_weight` is as in Answer."""

    used_weight: int | None = None


class Unavailable(VenueError):
    """No usable answer (time-out, connection, 5xx, a body that cannot be read): may be tried again."""


class Refused(VenueError):
    """The request itself is wrong for the exchange (unknown symbol, bad parameter): trying again is no use."""

    def __init__(self, code: int | None, message: str) -> None:
        super().__init__(f"{code}: {message}" if code is not None else message)
        self.code = code


class Halted(VenueError):
    """Nothing may be asked on this market until `until` (aware; None: until the exchange's next minute)."""

    def __init__(self, message: str, until: datetime | None) -> None:
        super().__init__(message)
        self.until = until


class RateLimited(Halted):
    """Too many requests (429)."""


class Banned(Halted):
    """Banned for going on after too many requests (418)."""


class Blocked(Halted):
    """Turned away by a firewall or for the country that we come from (403, 451)."""


class Venue(Protocol):
    """One exchange over REST. Every fetch takes the seconds within which the whole answer must be there and raises
    VenueError. A venue does no counting of its own: who calls it asks the budget first."""

    name: str
    markets: Sequence[str]
    tiers: Mapping[str, Sequence[DepthTier]]  # by market, ascending
    default_weight: Mapping[str, int]  # a minute, by market, until the exchange has told
    listings_weight: Mapping[str, int]
    volumes_weight: Mapping[str, int]
    clock_weight: Mapping[str, int]
    most_klines: Mapping[str, int]  # that one request is worth asking for
    trades_weight: Mapping[str, int]
    most_trades: int
    interest_market: str  # the market whose symbols have open interest
    interest_weight: int

    def book_weight(self, market: str, limit: int) -> int:
        """The weight of one order book of `limit` levels a side."""

    def fetch_book(self, market: str, name: str, limit: int, timeout: float) -> Answer[RawBook]: ...

    def klines_weight(self, market: str, limit: int) -> int:
        """The weight of asking for `limit` candles."""

    def fetch_klines(self, market: str, name: str, start: int, end: int, limit: int, timeout: float) -> Answer[Klines]:
        """The first `limit` one-minute candles that open from `start` to `end` (epoch milliseconds, both included),
        the open one among them."""

    def fetch_listings(self, market: str, timeout: float) -> Answer[Listings]: ...

    def fetch_volumes(self, market: str, timeout: float) -> Answer[dict[str, float]]:
        """24 h volumes in the quote asset by symbol."""

    def fetch_clock_offset(self, market: str, timeout: float) -> Answer[int]:
        """The exchange's clock minus ours, milliseconds."""

    def fetch_trades(
        self, market: str, name: str, first_id: int, limit: int, timeout: float
    ) -> Answer[list[AggregateTrade]]:
        """Aggregate trades from this id on, oldest first; their `event_time` is their trade time."""

    def fetch_open_interest(self, name: str, timeout: float) -> Answer[OpenContracts]: ...
