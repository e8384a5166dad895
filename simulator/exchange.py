"""What every answer is made from: the market, the clock, the limits, the faults, a replayed book and the counters."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from simulator import encode
from simulator.faults import Fault, Faults
from simulator.limits import Limits
from simulator.listings import Listing, Market
from simulator.market import SimulatedMarket, UnknownSymbol, market_of
from simulator.replay import Level, ReplayedBook, load


@dataclass(frozen=True, slots=True)
class Config:
    """How a simulator starts. `replay` names recorded files that take one symbol's book over."""

    seed: int = 7
    symbols: int = 125
    weights: bool = True
    replay: tuple[Path, ...] = ()
    replay_market: Market | None = None
    replay_snapshot: int = 1
    replay_speed: float = 1.0
    replay_waits: bool = False  # for the first client that listens to it
    replay_recorded_times: bool = False


@dataclass(slots=True)
class Counters:
    """Since the start: requests by path, weight by market, answers by market and status."""

    requests: Counter[str] = field(default_factory=Counter)
    weight: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)


class Exchange:
    """A running exchange. Raises InvalidRecording and OSError for a replay that cannot be."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.market: SimulatedMarket = market_of(config.seed, config.symbols)
        self.limits, self.faults, self.counters = Limits(), Faults(config.seed), Counters()
        self.limits.enforce(config.weights)
        self.futures_port: int | None = None  # where /ws and /stream are futures' old addresses
        self.replayed: ReplayedBook | None = None
        if config.replay:
            recording = load(config.replay, config.replay_market, config.replay_snapshot)
            self.replayed = ReplayedBook(
                recording, None if config.replay_waits else self.machine_time(), config.replay_speed
            )

    @staticmethod
    def machine_time() -> int:
        """Now in ms, as no fault moves it."""
        return time.time_ns() // 1_000_000

    def now(self, market: Market) -> int:
        """Now in ms, by the market's own clock."""
        machine = self.machine_time()
        return machine + self.faults.skew(market, machine)

    def listing(self, symbol: str, market: Market) -> Listing:
        """Raises UnknownSymbol, also while a fault hides the symbol."""
        if symbol in self.faults.hidden(market, self.machine_time()):
            raise UnknownSymbol(symbol)
        return self.market.listing(symbol, market)

    def listings(self, market: Market) -> list[Listing]:
        hidden = self.faults.hidden(market, self.machine_time())
        return [one for one in self.market.of(market) if one.symbol not in hidden]

    def replays(self, listing: Listing) -> ReplayedBook | None:
        recording = self.replayed.recording if self.replayed is not None else None
        if recording is None or (recording.symbol, recording.market) != (listing.symbol, listing.market):
            return None
        return self.replayed

    def depth(self, listing: Listing, limit: int, now: int, faults: list[Fault]) -> tuple[int, bytes]:
        """A book's id and its two sides as REST text, spoilt by whatever faults of books the request met."""
        replayed = self.replays(listing)
        if replayed is not None:
            late = any(fault.kind == "late_snapshot" for fault in faults)
            update_id, bids, asks = replayed.first(limit) if late else replayed.at(self.machine_time(), limit)
            return update_id, encode.recorded_sides(*_spoilt(bids, asks, faults))
        now -= sum(fault.age_ms for fault in faults if fault.kind == "late_snapshot")
        levels = self.market.levels(listing, now, limit)
        if faults:
            bids, asks = encode.pairs(listing, levels)
            return self.market.update_id(listing, now), encode.recorded_sides(*_spoilt(bids, asks, faults))
        return self.market.update_id(listing, now), encode.depth_sides(listing, levels)


def _spoilt(bids: list[Level], asks: list[Level], faults: list[Fault]) -> tuple[list[Level], list[Level]]:
    """Crossed: the best prices change places, so that both sides stay sorted. Empty: one side has nothing."""
    for fault in faults:
        if fault.kind == "crossed" and bids and asks:
            bids, asks = [asks[0], *bids[1:]], [bids[0], *asks[1:]]
        elif fault.kind == "empty_side":
            bids, asks = ([], asks) if fault.side == "bid" else (bids, [])
    return bids, asks
