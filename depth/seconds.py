"""Into the database: the top of each live order book, second by second, for those who study its fine movement."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from depth import store
from depth.intake import kind

TABLE = store.Table(
    "orderbook_seconds",
    (
        ("symbol", "varchar"),
        ("market_type", "varchar"),
        ("time", "timestamptz"),
        ("last_update_id", "int8"),
        ("bid_prices", "float8[]"),
        ("bid_quantities", "float4[]"),
        ("ask_prices", "float8[]"),
        ("ask_quantities", "float4[]"),
    ),
    ("symbol", "market_type", "time"),
)


class BookSecond(msgspec.Struct, frozen=True, array_like=True):
    """The top of a live book as it stood at `time` (epoch seconds, whole); best first, quantities in base asset."""

    symbol: str
    market: str
    time: int
    last_update_id: int
    bid_prices: list[float]
    bid_quantities: list[float]
    ask_prices: list[float]
    ask_quantities: list[float]


def store_seconds(rows: list[BookSecond]) -> int:
    """Adds what is not there yet; gives how many."""
    return store.write(TABLE, [_row(second) for second in rows])


def _row(second: BookSecond) -> tuple[Any, ...]:
    bids, asks = (second.bid_prices, second.bid_quantities), (second.ask_prices, second.ask_quantities)
    key = (second.symbol, second.market, datetime.fromtimestamp(second.time, UTC))
    return (*key, second.last_update_id, *bids, *asks)


SECONDS = kind("depth.seconds", list[BookSecond], store_seconds)
