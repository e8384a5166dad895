"""Between the books and the hub on the simulated data's way: diffs and best prices as streams."""

import numpy as np

from simulator import books, encode
from simulator.beats import Beat, quoted
from simulator.changes import BLOCK
from simulator.diffs import Diffs
from simulator.listings import Listing
from simulator.market import SimulatedMarket
from simulator.prices import STEP


class DepthSource:
    """Diffs of the whole book. Where nothing changed there is no message; ids go on without a gap all the same."""

    def __init__(self, market: SimulatedMarket, listing: Listing, period: int, now: int) -> None:
        self.listing = listing
        self._market = market
        self._diffs, self._beat = Diffs(listing, market.seed), Beat(period, now)
        self._last = now // STEP

    def due(self, now: int) -> list[bytes]:
        found = []
        for moment in self._beat.since(now):
            if self.listing.closed_at and moment >= self.listing.closed_at:
                continue
            step = moment // STEP
            if step <= self._last:  # the clock went back
                self._last = step
                continue
            bids, asks = self._diffs.between(self._last, step)
            if bids or asks:
                found.append(self._message(now, moment, self._last, step, bids, asks))
                self._last = step
        return found

    def _message(self, now: int, moment: int, earlier: int, later: int, bids: bytes, asks: bytes) -> bytes:
        before, last = (self._market.update_id(self.listing, step * STEP) for step in (earlier, later))
        symbol = quoted(self.listing.symbol)
        if self.listing.market == "spot":
            return b'{"e":"depthUpdate","E":%d,"s":%b,"U":%d,"u":%d,"b":[%b],"a":[%b]}' % (
                now, symbol, before + 1, last, bids, asks,
            )  # fmt: skip
        # Ids are shared by all contracts: the first one of a diff does not follow the last one of the diff before.
        first = before + 2 + before * 7 % 40
        return b'{"e":"depthUpdate","E":%d,"T":%d,"s":%b,"ps":%b,"U":%d,"u":%d,"pu":%d,"b":[%b],"a":[%b],"st":1}' % (
            now, moment, symbol, symbol, first, last, before, bids, asks,
        )  # fmt: skip


class BookTickerSource:
    """Best prices and their quantities, whenever one of the four changed."""

    def __init__(self, market: SimulatedMarket, listing: Listing, now: int) -> None:
        self.listing = listing
        self._market, self._beat = market, Beat(STEP, now)
        self._first = 0
        self._rows: list[tuple[int, ...]] = []
        self._told: tuple[int, ...] = ()

    def due(self, now: int) -> list[bytes]:
        found = []
        for moment in self._beat.since(now):
            row = self._row(moment // STEP)
            if row != self._told and not (self.listing.closed_at and moment >= self.listing.closed_at):
                self._told = row
                found.append(self._message(now, moment, row))
        return found

    def _row(self, step: int) -> tuple[int, ...]:
        """Bid, its lots, ask, its lots at a step; worked out for many steps at once."""
        if not self._first <= step < self._first + len(self._rows):
            steps = np.arange(step, step + BLOCK)
            bid, ask = books.best_prices_between(self.listing, self._market.seed, step, BLOCK)
            sizes = [books.best_sizes(self.listing, self._market.seed, steps, ticks) for ticks in (bid, ask)]
            columns = (column.tolist() for column in (bid, sizes[0], ask, sizes[1]))
            self._first, self._rows = step, list(zip(*columns, strict=True))
        return self._rows[step - self._first]

    def _message(self, now: int, moment: int, row: tuple[int, ...]) -> bytes:
        symbol, update_id = quoted(self.listing.symbol), self._market.update_id(self.listing, moment)
        bid, ask = (encode.price(self.listing, ticks).encode() for ticks in row[::2])
        bid_lots, ask_lots = (encode.quantity(self.listing, lots).encode() for lots in row[1::2])
        if self.listing.market == "spot":
            return b'{"u":%d,"s":%b,"b":"%b","B":"%b","a":"%b","A":"%b"}' % (
                update_id, symbol, bid, bid_lots, ask, ask_lots,
            )  # fmt: skip
        return b'{"e":"bookTicker","u":%d,"s":%b,"ps":%b,"b":"%b","B":"%b","a":"%b","A":"%b","T":%d,"E":%d,"st":1}' % (
            update_id,
            symbol,
            symbol,
            bid,
            bid_lots,
            ask,
            ask_lots,
            moment,
            now,
        )
