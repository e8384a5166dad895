"""Last on the simulated data's way: ticks and lots in, the bytes of a REST answer out. Pure.

Books are written digit by digit for all levels at once: 5000 levels a side take about a millisecond or two."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from simulator.books import Levels
from simulator.candles import Candle
from simulator.hashing import Ints
from simulator.listings import Listing
from simulator.trades import Trades

Bytes = NDArray[np.uint8]
SPOT_DECIMALS = 8  # spot writes every number with eight


@lru_cache(maxsize=1)
def _four_digits() -> NDArray[np.uint32]:
    """The text of 0000..9999 as four bytes each."""
    return np.frombuffer("".join(f"{i:04d}" for i in range(10_000)).encode(), dtype=np.uint32)


def _digits(values: Ints, width: int) -> Bytes:
    """Each value's decimal digits, `width` (a multiple of 4) of them with leading zeros: one row a value."""
    text = np.empty((len(values), width // 4), dtype=np.uint32)
    rest = values
    for column in range(width // 4 - 1, 0, -1):
        ahead = rest // 10_000
        text[:, column] = _four_digits()[rest - ahead * 10_000]
        rest = ahead
    text[:, 0] = _four_digits()[rest]
    return text.view(np.uint8)


def _number(values: Ints, decimals: int, zeros: int) -> tuple[Bytes, NDArray[np.bool_]]:
    """Rows of text for values of `decimals` decimals with `zeros` more zeros behind, and which bytes count.

    Leading zeros do not count, but for the one before the point."""
    count = len(values)
    longest = max(len(str(int(values.max()))), decimals + 1)
    width = -(-longest // 4) * 4
    digits = _digits(values, width)
    whole = width - decimals
    point = 1 if decimals + zeros else 0
    text = np.empty((count, width + point + zeros), dtype=np.uint8)
    text[:, :whole] = digits[:, :whole]
    if point:
        text[:, whole] = ord(".")
        text[:, whole + 1 : whole + 1 + decimals] = digits[:, whole:]
        text[:, whole + 1 + decimals :] = ord("0")
    counts = np.ones(text.shape, dtype=np.bool_)
    powers = 10 ** np.arange(width - 1, decimals, -1, dtype=np.int64)
    counts[:, : whole - 1] = values[:, None] >= powers
    return text, counts


def _rows(prices: Ints, quantities: Ints, decimals: tuple[int, int], zeros: tuple[int, int]) -> tuple[bytes, Ints]:
    """`["1.0","2.0"],` for each of at least one level, and how long each is."""
    price, price_counts = _number(prices, decimals[0], zeros[0])
    quantity, quantity_counts = _number(quantities, decimals[1], zeros[1])
    rows = len(prices)

    def fixed(text: bytes) -> Bytes:
        return np.broadcast_to(np.frombuffer(text, dtype=np.uint8), (rows, len(text)))

    text = np.hstack((fixed(b'["'), price, fixed(b'","'), quantity, fixed(b'"],')))
    yes = np.ones((rows, 3), dtype=np.bool_)
    counts = np.hstack((yes[:, :2], price_counts, yes, quantity_counts, yes))
    return bytes(text[counts]), counts.sum(axis=1)


def _side(prices: Ints, quantities: Ints, decimals: tuple[int, int], zeros: tuple[int, int]) -> bytes:
    """`[["1.0","2.0"],...]`"""
    return b"[" + _rows(prices, quantities, decimals, zeros)[0][:-1] + b"]" if len(prices) else b"[]"


def _spelling(listing: Listing) -> tuple[tuple[int, int], tuple[int, int]]:
    """Decimals of prices and quantities, and the zeros that follow them."""
    decimals = (listing.price_decimals, listing.lot_decimals)
    zeros = (SPOT_DECIMALS - decimals[0], SPOT_DECIMALS - decimals[1]) if listing.market == "spot" else (0, 0)
    return decimals, zeros


def levels(listing: Listing, ticks: Ints, lots: Ints) -> tuple[bytes, Ints]:
    """`["1.0","2.0"],` for each level, and where each ends."""
    if not len(ticks):
        return b"", np.zeros(0, dtype=np.int64)
    text, lengths = _rows(ticks * listing.tick_units, lots, *_spelling(listing))
    return text, np.cumsum(lengths)


def depth_sides(listing: Listing, levels: Levels) -> bytes:
    """`"bids":[...],"asks":[...]` in the exchange's own spelling of numbers."""
    decimals, zeros = _spelling(listing)
    units = listing.tick_units
    bids = _side(levels.bid_ticks * units, levels.bid_lots, decimals, zeros)
    asks = _side(levels.ask_ticks * units, levels.ask_lots, decimals, zeros)
    return b'"bids":' + bids + b',"asks":' + asks


def recorded_sides(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> bytes:
    """The same from texts, which stay as they are."""
    return b'"bids":' + msgspec.json.encode(bids) + b',"asks":' + msgspec.json.encode(asks)


def pairs(listing: Listing, levels: Levels) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Both sides as texts."""
    body = msgspec.json.decode(b"{" + depth_sides(listing, levels) + b"}", type=dict[str, list[tuple[str, str]]])
    return body["bids"], body["asks"]


def decimal(value: int, decimals: int, shown: int) -> str:
    """`value` in units of its `decimals`-th decimal, written with `shown` decimals (at least that many)."""
    text = f"{value:0{decimals + 1}d}"
    point = len(text) - decimals
    text, rest = text[:point], text[point:] + "0" * (shown - decimals)
    return f"{text}.{rest}" if rest else text


def price(listing: Listing, ticks: int) -> str:
    shown = SPOT_DECIMALS if listing.market == "spot" else listing.price_decimals
    return decimal(ticks * listing.tick_units, listing.price_decimals, shown)


def quantity(listing: Listing, lots: int) -> str:
    shown = SPOT_DECIMALS if listing.market == "spot" else listing.lot_decimals
    return decimal(lots, listing.lot_decimals, shown)


def quote(listing: Listing, value: int) -> str:
    shown = SPOT_DECIMALS if listing.market == "spot" else listing.quote_decimals
    return decimal(value, listing.quote_decimals, shown)


def kline(listing: Listing, candle: Candle) -> list[Any]:
    """The exchange's row of twelve."""
    prices = (price(listing, ticks) for ticks in (candle.open, candle.high, candle.low, candle.close))
    return [
        candle.open_time, *prices, quantity(listing, candle.volume), candle.close_time,
        quote(listing, candle.quote_volume), candle.trades, quantity(listing, candle.taker_volume),
        quote(listing, candle.taker_quote_volume), "0",
    ]  # fmt: skip


def agg_trades(listing: Listing, trades: Trades) -> Iterator[dict[str, Any]]:
    """The fields that REST and streams of both markets share."""
    columns = (trades.ticks, trades.lots, trades.numbers[:-1], trades.numbers[1:] - 1, trades.times, trades.sells)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for i, (ticks, lots, first, last, time, sells) in enumerate(rows, start=trades.first):
        texts = {"a": i, "p": price(listing, ticks), "q": quantity(listing, lots)}
        yield texts | {"f": first, "l": last, "T": time, "m": sells}
