"""On the way from the feed to people: the channel of a symbol's trades and liquidations in Redis, and its messages.

Only what somebody watches is published: web processes mark it in WANTED, and the feed follows the marks."""

from collections.abc import Iterable
from typing import cast

import msgspec
import redis

from derivatives.events import ForcedOrder, Trade

WANTED = "live:wanted:trades"  # sorted set of MARKET:SYMBOL by the epoch second in which a client watched last
WANTED_SECONDS = 30.0  # how long a symbol counts as watched after that
EVERY_SECONDS = 2.0  # a message comes at least so often while the feed is there, be there trades or not

Key = tuple[str, str]  # market, symbol


class TapeTrade(msgspec.Struct, frozen=True, gc=False):
    """One aggregate trade, named as in the API; `timestamp` is epoch milliseconds, `side` what the taker did."""

    id: int
    timestamp: int
    price: str
    quantity: str
    side: str

    @property
    def notional(self) -> float:
        """In the quote asset."""
        return float(self.price) * float(self.quantity)


class TapeLiquidation(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One liquidation, named as in the API. The exchange tells a sample of them."""

    timestamp: int
    liquidated: str
    average_price: str
    filled_quantity: str
    notional: str


class TapeMessage(msgspec.Struct, frozen=True, rename="camel", tag="trades", tag_field="type"):
    """What has come of a symbol since the message before, oldest first. `ws_status` is connected, connecting,
    disconnected or off (not followed); `first_id` and `last_id` are those of its trades, None without any;
    `published_at` is epoch milliseconds."""

    symbol: str
    market_type: str
    ws_status: str
    published_at: int
    trades: list[TapeTrade] = []
    liquidations: list[TapeLiquidation] = []
    first_id: int | None = None
    last_id: int | None = None


def channel(market: str, symbol: str) -> str:
    return f"live:trades:{market}:{symbol}"


def member(market: str, symbol: str) -> str:
    """How a symbol on a market is called in WANTED."""
    return f"{market}:{symbol}"


def told_trade(trade: Trade) -> TapeTrade:
    side = "sell" if trade.buyer_is_maker else "buy"
    return TapeTrade(trade.id, trade.trade_time, trade.price, trade.quantity, side)


def told_liquidation(order: ForcedOrder) -> TapeLiquidation:
    return TapeLiquidation(
        order.trade_time, order.position, order.average_price, order.filled_quantity, f"{order.notional:f}"
    )


def publish(client: redis.Redis, messages: Iterable[TapeMessage]) -> None:
    """Sends each to whoever listens, in one trip. Raises redis.RedisError."""
    pipe = client.pipeline(transaction=False)
    for message in messages:
        pipe.publish(channel(message.market_type, message.symbol), msgspec.json.encode(message))
    pipe.execute()


def wanted(client: redis.Redis, now: float) -> set[Key]:
    """What is watched; older marks are removed. `now`: epoch seconds. Raises redis.RedisError."""
    client.zremrangebyscore(WANTED, "-inf", now - WANTED_SECONDS)
    names = cast("list[bytes]", client.zrange(WANTED, 0, -1))
    return {(market, symbol) for market, _, symbol in (name.decode().partition(":") for name in names)}
