"""Between the market and the hub on the simulated data's way: the time in, a stream's messages that are due out.

A source belongs to one stream, however many listen to it. It begins when the first one comes."""

from typing import Protocol

import msgspec

from simulator.channels import Channel, Kind
from simulator.diffs import Diffs
from simulator.exchange import Exchange
from simulator.listings import Listing, Market
from simulator.market import UnknownSymbol
from simulator.prices import STEP
from simulator.replay import ReplayedFrames

_AT_ONCE = 2000  # messages of a recording in one go
_RECORDED: dict[Kind, str] = {"depth": "depth", "book_ticker": "bookTicker", "trade": "trade"}
_LATEST = 5000  # ms behind which a source does not say everything that it missed


class Source(Protocol):
    """Messages of one stream."""

    def due(self, now: int) -> list[bytes]:
        """The data of those that are due by now (ms), none of them twice."""
        ...


class Beat:
    """The moments (multiples of a period, ms) that have come since the last time."""

    def __init__(self, period: int, now: int) -> None:
        self.period = period
        self._last = now // period

    def since(self, now: int) -> list[int]:
        """Those that have come by now; only the newest one after a long silence, none where the clock went back."""
        number = now // self.period
        missed = range(self._last + 1, number + 1)
        if abs(number - self._last) * self.period > _LATEST + self.period:
            missed = range(number, number + 1)
        if missed:
            self._last = number
        return [one * self.period for one in missed]


def quoted(text: str) -> bytes:
    return msgspec.json.encode(text)


class DepthSource:
    """Diffs of the whole book. Where nothing changed there is no message; ids go on without a gap all the same."""

    def __init__(self, listing: Listing, seed: int, period: int, now: int, update_id: "UpdateId") -> None:
        self.listing = listing
        self._diffs, self._beat = Diffs(listing, seed), Beat(period, now)
        self._update_id = update_id
        self._last = now // STEP

    def due(self, now: int) -> list[bytes]:
        found = []
        for moment in self._beat.since(now):
            if self.listing.closed_at and moment >= self.listing.closed_at:
                continue
            step = moment // STEP
            bids, asks = self._diffs.between(self._last, step)
            if bids or asks:
                found.append(self._message(now, moment, self._last, step, bids, asks))
                self._last = step
        return found

    def _message(self, now: int, moment: int, earlier: int, later: int, bids: bytes, asks: bytes) -> bytes:
        before, last = (self._update_id(self.listing, step * STEP) for step in (earlier, later))
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


class UpdateId(Protocol):
    def __call__(self, listing: Listing, time: int, /) -> int: ...


class ReplaySource:
    """Messages of a recording, as fast as it is played and its listeners read."""

    def __init__(self, exchange: Exchange, market: Market, frames: ReplayedFrames) -> None:
        self.frames = frames
        self._exchange, self._market = exchange, market

    def due(self, now: int) -> list[bytes]:
        return self.frames.due(self._exchange.machine_time(), now, _AT_ONCE)


def _replayed(exchange: Exchange, listing: Listing, channel: Channel) -> ReplaySource | None:
    """What a recording holds for a channel. The first listener of it makes a recording that waits begin."""
    book, word = exchange.replays(listing), _RECORDED.get(channel.kind)
    if book is None or word is None:
        return None
    machine = exchange.machine_time()
    frames = ReplayedFrames(book, word, machine, recorded_times=exchange.config.replay_recorded_times)
    book.begin(machine)
    return ReplaySource(exchange, listing.market, frames)


def source(exchange: Exchange, market: Market, channel: Channel, now: int) -> Source | None:
    """What speaks on a channel; None where nothing ever will, as for symbols that are not listed."""
    if not channel.symbol:
        return None
    try:
        listing = exchange.market.listing(channel.symbol, market)
    except UnknownSymbol:
        return None
    replayed = _replayed(exchange, listing, channel)
    if replayed is not None:
        return replayed
    if channel.kind == "depth":
        return DepthSource(listing, exchange.config.seed, channel.period, now, exchange.market.update_id)
    return None
