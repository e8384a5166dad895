"""The demo's past of contracts: mark prices and open interest of each minute, and every liquidation, of the simulated
market before its first live minute, through the store: what live collection would have kept of those moments."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from derivatives.events import ForcedOrder, Interest, Mark
from derivatives.models import OpenInterest
from derivatives.services import store_forced_orders, store_interest, store_marks
from simulator.market import SimulatedMarket, liquidations_between, market_of

HOURS = 25  # changes over a day need a little more than a day
MINUTE_MS = 60_000


def hours_before(until: datetime) -> list[datetime]:
    """The beginnings of the hours to load, newest first."""
    return [until - timedelta(hours=back) for back in range(1, HOURS + 1)]


def store_hour(start: datetime, symbols: Sequence[str]) -> int:
    """Makes and stores what happened within the hour from `start`, unless it is there; gives the number of events."""
    within = {"time__gte": start, "time__lt": start + timedelta(hours=1)}
    if not symbols or OpenInterest.objects.filter(symbol=symbols[-1], **within).exists():
        return 0
    market, first = market_of(), int(start.timestamp() * 1000)
    times = range(first, first + 60 * MINUTE_MS, MINUTE_MS)
    stored = store_marks([row for name in symbols for row in _marks(market, name, times)])
    stored += store_forced_orders([row for name in symbols for row in _forced(market, name, times)])
    # Last: its value is by the marks, and it tells that the hour is done.
    return stored + store_interest([row for name in symbols for row in _interest(market, name, times)])


def _marks(market: SimulatedMarket, name: str, times: range) -> Iterator[Mark]:
    listing = market.listing(name, "futures")
    for at in times:
        if at >= listing.onboard:
            told = market.premium(listing, at)
            mark, index = f"{told.mark_price:.8f}", f"{told.index_price:.8f}"
            yield Mark(name, at, mark, index, index, f"{told.funding_rate:.8f}", told.next_funding_time)


def _interest(market: SimulatedMarket, name: str, times: range) -> Iterator[Interest]:
    listing = market.listing(name, "futures")
    scale = 10**listing.lot_decimals
    for at in times:
        if at >= listing.onboard:
            yield Interest(name, at, f"{market.open_interest(listing, at) / scale:.{listing.lot_decimals}f}")


def _forced(market: SimulatedMarket, name: str, times: range) -> Iterator[ForcedOrder]:
    listing = market.listing(name, "futures")
    for one in liquidations_between(name, times.start, times.stop):
        price, average = (f"{value:.{listing.price_decimals}f}" for value in (one.price, one.average_price))
        quantity = f"{one.quantity:.{listing.lot_decimals}f}"
        told = ("LIMIT", "IOC", "FILLED", price, average, quantity, quantity, quantity, one.time, one.time)
        yield ForcedOrder(name, "SELL" if one.sell else "BUY", *told)
