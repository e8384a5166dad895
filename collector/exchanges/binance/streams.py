"""Binance's streams: their names, where they can be had, and how they are asked for (pure)."""

import json
from collections.abc import Collection, Mapping, Sequence

from collector.exchanges.binance.frames import parse_frame, with_payloads
from collector.exchanges.binance.urls import FUTURES, SPOT
from collector.exchanges.streams import Frame, Kind, StreamRules, Taken

_EACH = {
    Kind.DEPTH: "depth@100ms",
    Kind.CANDLES: "kline_{interval}",
    Kind.TRADES: "aggTrade",
    Kind.MARK_PRICE: "markPrice{speed}",
    Kind.LIQUIDATIONS: "forceOrder",
    Kind.BEST_PRICES: "bookTicker",
}
_REMEMBERED = 8192  # streams
_SPEEDS = {1: "@1s", 3: ""}  # of mark prices
_ALL = {Kind.MARK_PRICE: "!markPrice@arr{speed}", Kind.LIQUIDATIONS: "!forceOrder@arr"}
# On futures each address serves only its own kinds, and is silent about others; spot has one for all.
_PATHS = {
    SPOT: dict.fromkeys((Kind.DEPTH, Kind.CANDLES, Kind.TRADES, Kind.BEST_PRICES), "/stream"),
    FUTURES: {kind: "/public/stream" if kind in {Kind.DEPTH, Kind.BEST_PRICES} else "/market/stream" for kind in Kind},
}


class BinanceStreams:
    """The Streams of Binance spot and USD-M futures, from socket addresses (scheme://host:port) by market."""

    name: str = "binance"
    kinds: Mapping[str, Collection[Kind]] = _PATHS
    # Spot lets a client send 5 messages a second and futures 10, pongs included; spot pings every 20 s, futures every
    # 3 min. 1024 streams are allowed.
    rules: Mapping[str, StreamRules] = {
        SPOT: StreamRules(most_streams=200, most_names=200, pause=0.5, life=24 * 3600, silence=60),
        FUTURES: StreamRules(most_streams=200, most_names=200, pause=0.5, life=24 * 3600, silence=400),
    }

    def __init__(self, addresses: Mapping[str, str], taken: Taken | None = None) -> None:
        self._addresses = dict(addresses)
        self._taken = taken or Taken()
        self._speed = _SPEEDS[self._taken.mark_price_seconds]
        self._whole = bool(self._taken.payloads or self._taken.depth)
        self._kept: dict[tuple[str, str], tuple[bool, bool]] = {}  # by stream: payloads, raw diffs

    def stream(self, market: str, kind: Kind, symbol: str | None, interval: str = "1m") -> str:
        if kind not in _PATHS[market]:
            raise ValueError(f"{market} has no {kind} streams")
        if symbol is not None:
            return f"{symbol.lower()}@{_EACH[kind].format(interval=interval, speed=self._speed)}"
        if kind not in _ALL:
            raise ValueError(f"there is no {kind} stream of all symbols")
        return _ALL[kind].format(speed=self._speed)

    def url(self, market: str, kind: Kind) -> str:
        if kind not in _PATHS[market]:
            raise ValueError(f"{market} has no {kind} streams")
        return self._addresses[market] + _PATHS[market][kind]

    def subscribe(self, names: Sequence[str], number: int) -> str:
        return _request("SUBSCRIBE", names, number)

    def unsubscribe(self, names: Sequence[str], number: int) -> str:
        return _request("UNSUBSCRIBE", names, number)

    def parse(self, market: str, frame: bytes | str) -> Frame:
        parsed = parse_frame(market, frame)
        if not self._whole or parsed.stream is None or not parsed.messages:
            return parsed
        payloads, raw_depth = self._kept.get((market, parsed.stream)) or self._keeps(market, parsed.stream)
        return with_payloads(market, frame, parsed, raw_depth) if payloads or raw_depth else parsed

    def _keeps(self, market: str, stream: str) -> tuple[bool, bool]:
        """Whether payloads are kept of what comes over this stream, and its raw diffs."""
        kind = stream.removeprefix("!").partition("@")[0 if stream.startswith("!") else 2]
        payloads = any(kind.startswith(_EACH[one].partition("{")[0]) for one in self._taken.payloads)
        raw_depth = kind.startswith("depth") and (market, self.symbol_of(stream)) in self._taken.depth
        if len(self._kept) < _REMEMBERED:
            self._kept[market, stream] = payloads, raw_depth
        return payloads, raw_depth

    def symbol_of(self, stream: str) -> str | None:
        name, at, _ = stream.partition("@")
        return name.upper() if at and not name.startswith("!") else None


def _request(method: str, names: Sequence[str], number: int) -> str:
    return json.dumps({"method": method, "params": list(names), "id": number}, ensure_ascii=False)
