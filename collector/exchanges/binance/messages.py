"""Binance's answers in its own words: what is read of them; everything else in them is ignored (pure)."""

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
