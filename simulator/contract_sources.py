"""Between the contracts and the hub on the simulated data's way: mark prices and liquidations as streams."""

from collections.abc import Iterable

import msgspec

from simulator import encode
from simulator.beats import Beat, quoted
from simulator.liquidations import Liquidation, minute_liquidations
from simulator.listings import Listing
from simulator.market import SimulatedMarket
from simulator.prices import MINUTE

_SECOND = 1000
_COIN_MARGINED = ("BTC", "ETH")  # contracts of the other kind, which the stream of all mark prices tells too


class MarkPriceSource:
    """Mark prices of one contract, one object a message, or of all that trade, one array a message."""

    def __init__(self, market: SimulatedMarket, listings: list[Listing], period: int, now: int, *, every: bool) -> None:
        self.listings = listings
        self._market, self._beat, self._every = market, Beat(period, now), every

    def due(self, now: int) -> list[bytes]:
        found = []
        for moment in self._beat.since(now):
            trading = [one for one in self.listings if not one.closed_at or moment < one.closed_at]
            told = [self._one(one, one.symbol, moment, now, 1) for one in trading]
            if self._every:
                told += [
                    self._one(one, f"{one.base}USD_PERP", moment, now, 2)
                    for one in trading
                    if one.base in _COIN_MARGINED and one.contract_type == "PERPETUAL"
                ]
                found.append(b"[" + b",".join(told) + b"]")
            else:
                found += told
        return found

    def _one(self, listing: Listing, symbol: str, moment: int, now: int, kind: int) -> bytes:
        """`kind` 1 is margined in USD, 2 in the coin. Contracts that end have no funding."""
        premium, ends = self._market.premium(listing, moment), listing.contract_type.endswith("QUARTER")
        return (
            b'{"e":"markPriceUpdate","E":%d,"s":%b,"p":"%.8f","ap":"%.8f","P":"%.8f","i":"%.8f","r":"%b","T":%d,"st":%d}'
            % (now, quoted(symbol), premium.mark_price, premium.mark_price, premium.index_price, premium.index_price,
               b"" if ends else b"%.8f" % premium.funding_rate, 0 if ends else premium.next_funding_time, kind)
        )  # fmt: skip


class ForceOrderSource:
    """Liquidations of one contract or of all, each as an object of its own when its second is over."""

    def __init__(self, market: SimulatedMarket, listings: list[Listing], now: int) -> None:
        self.listings = listings
        self._market, self._beat = market, Beat(_SECOND, now)

    def due(self, now: int) -> list[bytes]:
        found = []
        for moment in self._beat.since(now):
            second = moment - _SECOND
            orders = [
                (order, listing)
                for listing in self.listings
                if not listing.closed_at or moment < listing.closed_at
                for order in self._within(listing, second)
            ]
            orders.sort(key=lambda one: one[0].time)
            found += [_force_order(listing, order, now) for order, listing in orders]
        return found

    def _within(self, listing: Listing, second: int) -> Iterable[Liquidation]:
        found = minute_liquidations(listing, self._market.seed, second // MINUTE)
        return (one for one in found if second <= one.time < second + _SECOND)


def _force_order(listing: Listing, order: Liquidation, now: int) -> bytes:
    """The exchange writes `ps` and `st` within the order or beside it; here it is now this, now that."""
    more = {"ps": listing.symbol, "st": 1}
    lots = encode.quantity(listing, order.lots)
    body = {
        "s": listing.symbol, "S": "SELL" if order.sell else "BUY", "o": "LIMIT", "f": "IOC", "q": lots,
        "p": encode.price(listing, order.price), "ap": encode.price(listing, order.average), "X": "FILLED",
        "l": encode.quantity(listing, order.last_lots), "z": lots, "T": order.time,
    }  # fmt: skip
    inside = order.bits >> 40 & 3 != 0
    event = {"e": "forceOrder", "E": now, "o": body | more if inside else body}
    return msgspec.json.encode(event if inside else event | more)
