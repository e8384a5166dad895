"""The simulated market as a whole: seed, symbol, market and time in; books, candles and figures out. Pure.

Everything is a function of these four: past, live and restarted runs agree."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simulator import books, candles, prices, trades
from simulator.books import Levels
from simulator.candles import Candle
from simulator.hashing import Floats
from simulator.liquidations import minute_liquidations
from simulator.listings import DAY, Listing, Market, listings
from simulator.trades import Trades

FUNDING_PERIOD = 8 * 60 * prices.MINUTE


class UnknownSymbol(LookupError):
    """The market does not list this symbol."""


@dataclass(frozen=True, slots=True)
class Premium:
    """A contract's mark and index price (quote currency), last funding rate (a share), and next funding time (ms)."""

    mark_price: float
    index_price: float
    funding_rate: float
    next_funding_time: int


@dataclass(frozen=True, slots=True)
class AggregateTrade:
    """Trades of one taker at one price. `sell`: the taker sold (the buyer was the maker). Time in ms."""

    id: int
    time: int
    price: float
    quantity: float
    sell: bool
    first_id: int
    last_id: int


@dataclass(frozen=True, slots=True)
class ForcedOrder:
    """A liquidation: time in ms, the limit price, the average that was paid; `sell`: a long position was closed."""

    symbol: str
    time: int
    sell: bool
    price: float
    average_price: float
    quantity: float


class SimulatedMarket:
    """Both markets of one seed. Times are ms since the epoch."""

    def __init__(self, seed: int = 7, symbols: int = 125) -> None:
        self.seed = seed
        self.listings = listings(symbols)
        self._by_name = {(one.market, one.symbol): one for one in self.listings}
        self._spot_of = {
            one.path: one for one in reversed(self.listings) if one.market == "spot" and one.quote == "USDT"
        }

    def listing(self, symbol: str, market: Market) -> Listing:
        """Raises UnknownSymbol."""
        try:
            return self._by_name[market, symbol]
        except KeyError:
            raise UnknownSymbol(f"{market} does not list {symbol!r}") from None

    def of(self, market: Market) -> list[Listing]:
        return [one for one in self.listings if one.market == market]

    def levels(self, listing: Listing, time: int, limit: int) -> Levels:
        """The book in ticks and lots, at most `limit` levels a side; empty once the symbol's trading has ended."""
        if listing.closed_at and time >= listing.closed_at:
            none = np.empty(0, dtype=np.int64)
            return Levels(none, none, none, none)
        return books.levels_at(listing, self.seed, time // prices.STEP, limit)

    def update_id(self, listing: Listing, time: int) -> int:
        return books.update_id(listing, time // prices.STEP)

    def best(self, listing: Listing, time: int) -> tuple[int, int]:
        """Best bid and best ask in ticks."""
        return books.best_prices(listing, self.seed, time // prices.STEP)

    def last_price(self, listing: Listing, time: int) -> int:
        """In ticks; after the symbol's end its last one."""
        return prices.price_at(listing, self.seed, listing.trades_until(time) // prices.STEP)

    def candles(
        self, listing: Listing, interval: str, now: int, limit: int, start: int | None = None, end: int | None = None
    ) -> list[Candle]:
        """See simulator.candles.candles."""
        return candles.candles(listing, self.seed, interval, now, limit, start, end)

    def trades_from(self, listing: Listing, first: int, count: int, now: int) -> list[Trades]:
        """At most `count` aggregated trades from an id on that are known at `now`."""
        return trades.trades_from(listing, self.seed, first, count, listing.trades_until(now) // prices.STEP)

    def trade_id_at(self, listing: Listing, time: int) -> int:
        """The id of the first aggregated trade that took place at a time or after it."""
        number = time // prices.MINUTE
        made = trades.minute_trades(listing, self.seed, number)
        return made.first + int(np.searchsorted(made.times, time))

    def next_trade_id(self, listing: Listing, now: int) -> int:
        """The id of the first aggregated trade that is not known at `now`."""
        step = listing.trades_until(now) // prices.STEP
        made = trades.minute_trades(listing, self.seed, step // prices.STEPS)
        return made.first + int(np.searchsorted(made.steps, step, side="right"))

    def rolling_day(self, listing: Listing, now: int) -> tuple[Candle, int]:
        """The last 24 hours as one candle and the last price before them (ticks)."""
        return candles.rolling_day(listing, self.seed, now)

    def open_interest(self, listing: Listing, time: int) -> int:
        """Open contracts in lots."""
        noise = prices.slow_noise(listing, self.seed, "interest", time // prices.MINUTE, 240)
        return max(1, int(listing.quote_volume * 0.35 / listing.price / listing.lot * 2 ** (noise * 0.12)))

    def premium(self, listing: Listing, time: int) -> Premium:
        """Mark price between the contract and its index; funding follows what the contract costs over the index."""
        traded = self.last_price(listing, time) * listing.tick
        spot = self._spot_of.get(listing.path)
        scale = 1000.0 if spot is not None and listing.base == f"1000{spot.base}" else 1.0
        index = self.last_price(spot, time) * spot.tick * scale if spot is not None else traded
        period = time // FUNDING_PERIOD
        noise = prices.slow_noise(listing, self.seed, "funding", period, 3)
        rate = 0.0 if listing.contract_type.endswith("QUARTER") else round(1e-4 + 5e-5 * noise, 8)
        return Premium(traded * 0.8 + index * 0.2, index, rate, (period + 1) * FUNDING_PERIOD)


@lru_cache(maxsize=8)
def market_of(seed: int = 7, symbols: int = 125) -> SimulatedMarket:
    """The one market of a seed: what it has worked out is kept."""
    return SimulatedMarket(seed, symbols)


def trades_between(symbol: str, market: Market, start_ms: int, end_ms: int, seed: int = 7) -> list[AggregateTrade]:
    """The aggregated trades of `start_ms <= time < end_ms`, oldest first. Raises UnknownSymbol.

    They are those that streams and REST of the same seed tell; each minute's add up to its candle."""
    source = market_of(seed)
    listing = source.listing(symbol, market)
    first, last = (source.trade_id_at(listing, max(time, listing.onboard)) for time in (start_ms, end_ms))
    found = []
    for part in source.trades_from(listing, first, last - first, end_ms + prices.MINUTE):
        prices_of = part.ticks * listing.tick_units / 10**listing.price_decimals
        columns = (part.times, prices_of, part.lots / 10**listing.lot_decimals, part.sells, part.numbers[:-1],
                   part.numbers[1:] - 1)  # fmt: skip
        rows = zip(*(column.tolist() for column in columns), strict=True)
        found += [AggregateTrade(part.first + i, *row) for i, row in enumerate(rows)]
    return found


def liquidations_between(symbol: str, start_ms: int, end_ms: int, seed: int = 7) -> list[ForcedOrder]:
    """A contract's liquidations of `start_ms <= time < end_ms`, oldest first. Raises UnknownSymbol."""
    listing = market_of(seed).listing(symbol, "futures")
    scale, unit = 10**listing.price_decimals, 10**listing.lot_decimals
    units = listing.tick_units
    return [
        ForcedOrder(symbol, one.time, one.sell, one.price * units / scale, one.average * units / scale, one.lots / unit)
        for number in range(start_ms // prices.MINUTE, (end_ms - 1) // prices.MINUTE + 1)
        for one in minute_liquidations(listing, seed, number)
        if start_ms <= one.time < end_ms
    ]


def _side(ticks: Floats, lots: Floats, listing: Listing) -> Floats:
    side = np.empty((len(ticks), 2))
    np.divide(ticks * listing.tick_units, 10**listing.price_decimals, out=side[:, 0])
    np.divide(lots, 10**listing.lot_decimals, out=side[:, 1])
    return side


def book_at(symbol: str, market: Market, time_ms: int, limit: int, seed: int = 7) -> tuple[Floats, Floats]:
    """Bids and asks at a time: arrays of (price, quantity) rows, best first, at most `limit` (>= 1) rows each.

    The numbers are those that the REST book of the same seed spells out. Raises UnknownSymbol."""
    source = market_of(seed)
    listing = source.listing(symbol, market)
    levels = source.levels(listing, time_ms, limit)
    return _side(levels.bid_ticks, levels.bid_lots, listing), _side(levels.ask_ticks, levels.ask_lots, listing)  # type: ignore[arg-type]


__all__ = [
    "DAY", "AggregateTrade", "ForcedOrder", "Premium", "SimulatedMarket", "UnknownSymbol", "book_at",
    "liquidations_between", "market_of", "trades_between",
]  # fmt: skip
