"""Next on the simulated data's way: the last price and the time in, the order book at that time out. Pure.

A book is a union of layers. A layer divides the price axis into cells of some ticks; each cell holds at most one
level, which stands for a while (its lifetime), then is drawn anew: gone, elsewhere in the cell, of another size. Fine
layers stand near the price, coarse and patient ones reach far, and two hold round prices with the walls among them.
Cells belong to prices, not to distances, so a level stays where it is while the price moves towards or away from it.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import log10, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.hashing import GOLDEN, Floats, Hashes, Ints, hash_one, hashes, key_of
from simulator.listings import Listing
from simulator.prices import price_at, prices_between

# Sizes of levels relative to the mean, at even steps of probability: many crumbs, few large ones.
_SIZE_AT = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_SIZES = (0.0006, 0.001, 0.004, 0.04, 0.5, 5.0, 12.0, 40.0)
_LOTS_BITS = 38  # a level is packed as ticks above, lots below these bits, so that one sort orders both
_LOTS_MASK = np.uint64((1 << _LOTS_BITS) - 1)
_MOST_LOTS = float(1 << (_LOTS_BITS - 1))


_GOLDEN, _MIX = np.uint64(GOLDEN), np.uint64(0xBF58476D1CE4E5B9)
_S16, _S29, _S32, _S38, _S40, _S52, _S53 = (np.uint64(bits) for bits in (16, 29, 32, 38, 40, 52, 53))
_LOW16 = np.uint64(0xFFFF)
_FIRST = np.zeros(1, dtype=np.intp)
_ID_STEP = 15_000_000_000  # July 2017, counted in steps


def _size_table() -> Floats:
    drawn = np.exp(np.interp((np.arange(4096) + 0.5) / 4096, _SIZE_AT, np.log(_SIZES)))
    return np.asarray(drawn / drawn.mean())


_SIZE_TABLE = _size_table()


@dataclass(frozen=True, slots=True)
class Layer:
    """Cells `width` ticks wide as far as `reach` ticks from the best prices, filled with probability `filled`.

    `round` puts a cell's level on its lower edge. Lifetimes are 2**shift steps, `shift` and the `spread` (a mask)
    above it. `lots` is the mean size of a level.
    """

    width: int
    reach: int
    filled: float
    shift: int
    spread: int
    lots: float
    round: bool = False


@dataclass(frozen=True, slots=True)
class Levels:
    """A book's state: prices in ticks and quantities in lots, best price first on both sides."""

    bid_ticks: Ints
    bid_lots: Ints
    ask_ticks: Ints
    ask_lots: Ints


@dataclass(frozen=True, slots=True)
class _Window:
    """What a book of one reach is drawn from, laid out once: every layer's cells side by side."""

    reach: int
    counts: Ints  # a layer's cells
    back: Ints  # cells from the one that holds the last price down to a layer's first
    layer_widths: Ints
    relative: Ints
    widths: Ints
    salts: Hashes
    shifts: Hashes
    spreads: Hashes
    offsets: Hashes  # the part of a cell where its level may stand: its width, 0 for round prices
    filled: Hashes
    limits: Ints  # a layer's reach in half ticks
    lots: Floats


def _round_ticks(ticks: float) -> int:
    """The nearest of 1, 10, 100, ... ticks."""
    return int(10 ** max(0, round(log10(max(1.0, ticks)))))


def _spacing(listing: Listing) -> float:
    """Ticks between levels near the price: 1000 levels of the busiest books reach about 0.3 %."""
    if listing.base == "BTC":
        percent = 0.0003
    else:
        percent = (0.00115 if listing.market == "spot" else 0.0006) * (listing.rank / 2) ** 0.9
    return listing.price * percent / 100 / listing.tick


@lru_cache(maxsize=1024)
def layers(listing: Listing) -> tuple[Layer, ...]:
    """The layers that a listing's book is made of, by its price, tick and rank."""
    price = listing.price / listing.tick
    spacing = _spacing(listing)
    width = max(1, int(spacing * 0.92))
    filled = min(0.92, max(0.3, width / spacing)) if spacing > 1 else 0.92
    thin = listing.rank > 60 and listing.rank % 7 == 0  # a few books are short
    near_levels = 40.0 if thin else max(150.0, 6600 / listing.rank**0.72)
    widest = 0.05 if listing.volatility < 0.001 else 0.75  # nobody bids for half a stable coin
    near = int(min(near_levels * max(1.0, spacing), price * widest / 2))
    depth = listing.quote_volume * 0.012 / (listing.price * listing.lot)  # lots within one percent of the price
    mean = max(2.0, depth / max(10.0, price * 0.01 / width * filled))
    middle, far = max(2, 7 * width), max(3, 60 * width, round(price * (0.01 if thin else 0.0015)))
    round_small, round_big = _round_ticks(price * 0.0003), _round_ticks(price * 0.003)
    return (
        Layer(max(1, width // 4), int(14 * max(1.0, spacing)), 0.3, 2, 3, mean * 0.7),
        Layer(width, near, filled, 7, 7, mean),
        Layer(middle, int(min(near * 5, price * widest * 0.7)), 0.8, 9, 3, mean * 4),
        Layer(far, int(price * widest), 0.85, 12, 7, mean * 12),
        Layer(round_small, int(min(near * 2, price * widest * 0.7)), 0.8, 9, 3, mean * 3, round=True),
        Layer(round_big, int(price * widest * 0.8), 0.35, 10, 3, mean * 25, round=True),
    )


@lru_cache(maxsize=4096)
def _reach(listing: Listing, limit: int) -> tuple[int, int]:
    """Ticks from the best prices within which `limit` levels are to be expected, and those to the book's end."""
    shape = sorted(layers(listing), key=lambda layer: layer.reach)
    wanted, reach, furthest = limit * 1.04 + 2 * limit**0.5 + 8, 0, shape[-1].reach
    for i, layer in enumerate(shape):
        # Levels a tick from here to where this layer ends: layers overlap, and two levels at one price are one.
        dense = 1 - prod(1 - one.filled / one.width for one in shape[i:])
        if dense * (layer.reach - reach) > wanted:
            return min(furthest, reach + int(wanted / dense) + 1), furthest
        wanted -= dense * (layer.reach - reach)
        reach = layer.reach
    return furthest, furthest


def salt(listing: Listing, seed: int, layer: int) -> int:
    """What makes one book's layer differ from all others."""
    return key_of(seed, "book", listing.symbol, listing.market, layer)


@lru_cache(maxsize=2048)
def _window(listing: Listing, seed: int, reach: int) -> _Window:
    shape = layers(listing)
    reaches = [min(layer.reach, reach) for layer in shape]
    widths = np.array([layer.width for layer in shape])
    back = (np.array(reaches) + 2 * widest_spread(listing)) // widths + 1
    counts = 2 * back + 2

    def each(values: list[float] | list[int], kind: type) -> Any:
        return np.repeat(np.array(values, dtype=kind), counts)

    return _Window(
        reach=reach, counts=counts, back=back, layer_widths=widths,
        relative=np.concatenate([np.arange(count) for count in counts]),
        widths=np.repeat(widths, counts),
        salts=each([salt(listing, seed, i) for i in range(len(shape))], np.uint64),
        shifts=each([layer.shift for layer in shape], np.uint64),
        spreads=each([layer.spread for layer in shape], np.uint64),
        offsets=each([0 if layer.round else layer.width for layer in shape], np.uint64),
        filled=each([round(layer.filled * 65536) for layer in shape], np.uint64),
        limits=each([2 * one for one in reaches], np.int64),
        lots=each([layer.lots for layer in shape], np.float64),
    )  # fmt: skip


@lru_cache(maxsize=1024)
def best_key(listing: Listing, seed: int) -> int:
    return key_of(seed, "best", listing.symbol, listing.market)


@lru_cache(maxsize=1024)
def widest_spread(listing: Listing) -> int:
    return 2 if listing.rank <= 20 else 2 + key_of("spread", listing.symbol) % 3


def best_prices(listing: Listing, seed: int, step: int) -> tuple[int, int]:
    """Best bid and best ask in ticks: the last price is one of them."""
    last = price_at(listing, seed, step)
    bits = hash_one(best_key(listing, seed), step >> 2)
    spread = widest_spread(listing) - (bits & 7 != 0)
    return (last - spread, last) if bits >> 8 & 1 and last > spread else (last, last + spread)


def identities(cells: Ints, salts: Hashes | np.uint64) -> Hashes:
    """What stays of each cell while its levels come and go."""
    still = cells.astype(np.uint64)
    still *= _GOLDEN
    still ^= salts
    still ^= still >> _S29
    still *= _MIX
    still ^= still >> _S32
    return still


def standing(still: Hashes, steps: Hashes | np.uint64, lifetimes: Hashes) -> Hashes:
    """The bits that decide each cell's level at a step, the same for 2**lifetime steps."""
    age = (still >> _S40) + steps
    age >>= lifetimes
    age *= _GOLDEN
    age += still
    age ^= age >> _S29
    age *= _MIX
    age ^= age >> _S32
    return age


def places(cells: Ints, widths: Ints | int, offsets: Hashes | np.uint64, age: Hashes) -> Ints:
    """Where (ticks) each cell's level stands."""
    ticks = cells * widths
    ticks += ((age & _LOW16) * offsets >> _S16).astype(np.int64)
    return np.asarray(ticks)


def is_filled(age: Hashes, filled: Hashes | np.uint64) -> NDArray[np.bool_]:
    return np.asarray((age >> _S16 & _LOW16) < filled)


def sizes(age: Hashes, lots: Floats | float) -> Hashes:
    """Each level's lots."""
    return np.asarray(np.clip(_SIZE_TABLE[(age >> _S52).astype(np.intp)] * lots, 1.0, _MOST_LOTS).astype(np.uint64))


def best_prices_between(listing: Listing, seed: int, first: int, count: int) -> tuple[Ints, Ints]:
    """Best bids and best asks in ticks at `count` steps."""
    last = prices_between(listing, seed, first, count)
    bits = hashes(best_key(listing, seed), np.arange(first, first + count) >> 2)
    spread = widest_spread(listing) - ((bits & np.uint64(7)) != 0).astype(np.int64)
    falling = ((bits >> np.uint64(8) & np.uint64(1)) == 1) & (last > spread)
    return np.where(falling, last - spread, last), np.where(falling, last, last + spread)


def _draw(window: _Window, step: int, bid: int, ask: int) -> tuple[Hashes, Hashes]:
    """Packed levels of both sides behind the best prices, ascending by price; a price may occur twice."""
    cells = np.repeat(bid // window.layer_widths - window.back, window.counts)
    cells += window.relative
    still = identities(cells, window.salts)
    age = standing(still, np.uint64(step), window.shifts + (still & window.spreads))
    ticks = places(cells, window.widths, window.offsets, age)
    away = np.abs(2 * ticks - (bid + ask)) - (ask - bid)
    kept = is_filled(age, window.filled)
    kept &= away > 0
    kept &= away <= window.limits
    kept &= ticks > 0
    ticks, age = ticks[kept], age[kept]
    packed = ticks.astype(np.uint64) << _S38
    packed |= sizes(age, window.lots[kept])
    packed.sort()
    middle = int(np.searchsorted(packed, np.uint64(ask) << _S38))
    return packed[:middle], packed[middle:]


def _unpack(best: int, best_lots: int, packed: Hashes, limit: int, *, rising: bool) -> tuple[Ints, Ints]:
    """At most `limit` levels, the best one first, then `packed` in its order, of equal prices the largest.

    The largest is the last of its price where `packed` is `rising`, the first where it falls."""
    ticks = packed >> _S38
    changes = np.flatnonzero(ticks[1:] != ticks[:-1])
    if not len(packed):
        kept = changes
    elif rising:
        kept = np.append(changes, len(packed) - 1)[: limit - 1]
    else:
        kept = np.concatenate((_FIRST, changes + 1))[: limit - 1]
    prices = np.empty(len(kept) + 1, dtype=np.int64)
    lots = np.empty(len(kept) + 1, dtype=np.int64)
    prices[0], lots[0] = best, best_lots
    prices[1:] = ticks[kept]
    lots[1:] = packed[kept] & _LOTS_MASK
    return prices, lots


def _best_lots(listing: Listing, seed: int, step: int, ticks: int) -> int:
    """The size at a best price: larger than its neighbours, and changing quickly."""
    bits = hash_one(best_key(listing, seed) ^ ticks, step >> 2)
    return max(1, int(_SIZE_TABLE[2048 + (bits >> 53)] * layers(listing)[0].lots * 2))


def best_sizes(listing: Listing, seed: int, steps: Ints, ticks: Ints) -> Ints:
    """The same for many steps and prices."""
    bits = hashes(np.uint64(best_key(listing, seed)) ^ ticks.astype(np.uint64), steps >> 2)
    drawn = _SIZE_TABLE[2048 + (bits >> _S53).astype(np.intp)] * layers(listing)[0].lots * 2
    return np.maximum(1, drawn.astype(np.int64))


def levels_at(listing: Listing, seed: int, step: int, limit: int) -> Levels:
    """The book's state at a step, at most `limit` levels a side (at least 1): the first ones of the whole book."""
    bid, ask = best_prices(listing, seed, step)
    reach, furthest = _reach(listing, limit)
    while True:
        below, above = _draw(_window(listing, seed, reach), step, bid, ask)
        bids = _unpack(bid, _best_lots(listing, seed, step, bid), below[::-1], limit, rising=False)
        asks = _unpack(ask, _best_lots(listing, seed, step, ask), above, limit, rising=True)
        if reach >= furthest or (len(bids[0]) >= limit and len(asks[0]) >= limit):
            return Levels(*bids, *asks)
        reach = min(furthest, int(reach * 1.5) + 1)


def update_id(listing: Listing, step: int) -> int:
    """The id of a book's state at a step: rises by the same number each step, so streams and books can agree."""
    return (step - _ID_STEP) * (23 if listing.market == "spot" else 61) + key_of("update", listing.symbol) % 10**9
