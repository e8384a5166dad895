"""Binance's streams: their names, where they can be had, and how they are asked for (pure)."""

import json
from collections.abc import Collection, Mapping, Sequence

from collector.exchanges.binance.frames import parse_frame
from collector.exchanges.binance.urls import FUTURES, SPOT
from collector.exchanges.streams import Frame, Kind, StreamRules

_EACH = {
    Kind.DEPTH: "depth@100ms",
    Kind.CANDLES: "kline_{interval}",
    Kind.TRADES: "aggTrade",
    Kind.MARK_PRICE: "markPrice@1s",
    Kind.LIQUIDATIONS: "forceOrder",
    Kind.BEST_PRICES: "bookTicker",
}
_ALL = {Kind.MARK_PRICE: "!markPrice@arr@1s", Kind.LIQUIDATIONS: "!forceOrder@arr"}
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

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = dict(addresses)

    def stream(self, market: str, kind: Kind, symbol: str | None, interval: str = "1m") -> str:
        if kind not in _PATHS[market]:
            raise ValueError(f"{market} has no {kind} streams")
        if symbol is not None:
            return f"{symbol.lower()}@{_EACH[kind].format(interval=interval)}"
        if kind not in _ALL:
            raise ValueError(f"there is no {kind} stream of all symbols")
        return _ALL[kind]

    def url(self, market: str, kind: Kind) -> str:
        if kind not in _PATHS[market]:
            raise ValueError(f"{market} has no {kind} streams")
        return self._addresses[market] + _PATHS[market][kind]

    def subscribe(self, names: Sequence[str], number: int) -> str:
        return _request("SUBSCRIBE", names, number)

    def unsubscribe(self, names: Sequence[str], number: int) -> str:
        return _request("UNSUBSCRIBE", names, number)

    def parse(self, market: str, frame: bytes | str) -> Frame:
        return parse_frame(market, frame)

    def symbol_of(self, stream: str) -> str | None:
        name, at, _ = stream.partition("@")
        return name.upper() if at and not name.startswith("!") else None


def _request(method: str, names: Sequence[str], number: int) -> str:
    return json.dumps({"method": method, "params": list(names), "id": number}, ensure_ascii=False)
