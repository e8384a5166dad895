"""First on the simulated data's way: time in, each minute's prices and turnover and the path within it out. Pure.

The logarithm of a price is a Brownian bridge between fixed points 23 days apart, built by midpoint displacement
(Lévy's construction), so that any minute is known without the ones before it. How far a midpoint is displaced
follows a random cascade: busy hours stand in busy days, as on markets. A minute's highest and lowest prices have the
distribution of a bridge's extremes; the path within the minute then runs through them.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simulator.counts import MINUTE as MINUTE
from simulator.counts import aggregates_before, trades_before
from simulator.hashing import Floats, Ints, hash_one, hashes, key_of, normals, uniforms
from simulator.listings import Listing

STEP = 100  # ms between two states of the market
STEPS = MINUTE // STEP
LEVELS = 15  # 2**15 minutes between two fixed points
_CASCADE = 0.16  # deviation of log volatility added by each level
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Minutes:
    """Consecutive minutes: prices in ticks, volumes in lots, quote volumes in the listing's last decimal."""

    first: int
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    quote_volume: Ints
    trades: Ints
    taker_volume: Ints
    taker_quote_volume: Ints


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute's prices in ticks and volumes in lots; `bits` decide the path between them.

    Its aggregated trades, so many of them, have ids from `first_id` on."""

    open: int
    high: int
    low: int
    close: int
    bits: int
    volume: int
    taker_volume: int
    first_id: int
    aggregates: int

    @property
    def price_sum(self) -> int:
        """Four times the typical price."""
        return self.open + self.high + self.low + self.close


def _refine(values: Floats, loudness: Floats, start: int, level: int, key: int) -> tuple[Floats, Floats]:
    """Values and log volatilities at spacing 2**level from those at twice it; `start` counts the coarse ones."""
    middles = np.arange(start, start + len(values) - 1)
    louder = loudness[:-1] + _CASCADE * normals(hashes(key_of(key, "loud", level), middles))
    shift = normals(hashes(key_of(key, "shift", level), middles)) * (0.5 * 2 ** ((level + 1) / 2)) * np.exp(louder)
    fine = np.empty(2 * len(values) - 1)
    fine[0::2] = values
    fine[1::2] = (values[:-1] + values[1:]) * 0.5 + shift
    finer = np.empty(2 * len(louder) + 1)
    finer[0:-1:2] = finer[1::2] = louder
    finer[-1] = 0.0  # the last point only closes the last interval
    return fine, finer


@lru_cache(maxsize=16)
def bridge(key: int, first: int, count: int) -> tuple[Floats, Floats]:
    """`count` values of a path whose minute steps have about unit deviation, and each minute's log volatility."""
    last = first + count
    start, stop = first >> LEVELS, -(-last >> LEVELS) + 1
    values = normals(hashes(key_of(key, "fixed"), np.arange(start, stop + 1))) * 2 ** (LEVELS / 2) * 0.3
    loudness = np.full(len(values), -LEVELS * _CASCADE**2)  # the mean square of all displacements stays one
    for level in range(LEVELS - 1, -1, -1):
        values, loudness = _refine(values, loudness, start, level, key)
        start *= 2
        low, high = (first >> level) - start, -(-last >> level) + 1 - start
        values, loudness, start = values[low : high + 1], loudness[low : high + 1], start + low
    return values[:count], loudness[:count]


def _smooth(key: int, first: int, count: int, period: int) -> Floats:
    """Slow noise of unit deviation at each minute: straight lines between points `period` minutes apart."""
    minutes = np.arange(first, first + count)
    knots = np.arange(first // period, (first + count) // period + 2)
    return np.asarray(np.interp(minutes, knots * period, normals(hashes(key, knots))))


def _anchors(listing: Listing, seed: int, first: int, count: int) -> tuple[Floats, Floats]:
    """The price at the start of each minute (quote currency) and each minute's volatility (of its log return)."""
    own, loud = bridge(key_of(seed, "path", listing.path), first, count)
    unit = listing.volatility / 1440**0.5
    log_price = unit * own
    volatility = unit * np.exp(loud)
    if listing.beta:
        common, common_loud = bridge(key_of(seed, "path", "market"), first, count)
        shared = listing.beta * 0.018 / 1440**0.5
        log_price = log_price + shared * common
        volatility = np.hypot(volatility, shared * np.exp(common_loud))
    if listing.market == "futures":
        log_price = log_price + listing.basis + 2e-4 * _smooth(key_of(seed, "basis", listing.symbol), first, count, 90)
    return listing.price * np.exp(log_price), volatility


def _extremes(start: Floats, end: Floats, deviation: Floats, bits: Ints) -> tuple[Floats, Floats]:
    """Highest and lowest point of a Brownian bridge, by the inverse of their distributions."""
    above, below = uniforms(hashes(0x5EED, bits))
    move = end - start
    spread = 2 * deviation**2
    highest = start + (move + np.sqrt(move**2 - spread * np.log(above))) / 2
    lowest = start + (move - np.sqrt(move**2 - spread * np.log(below))) / 2
    return highest, lowest


def _bits(listing: Listing, seed: int, first: int, count: int) -> Ints:
    """Shared by both markets of a coin, so that their paths within a minute go together."""
    drawn = hashes(key_of(seed, "minute", listing.path), np.arange(first, first + count))
    return np.asarray((drawn >> np.uint64(2)).astype(np.int64))


def minutes(listing: Listing, seed: int, first: int, count: int) -> Minutes:
    """`count` whole minutes from minute number `first` (of the epoch) on; the same whatever range they are part of."""
    prices, volatility = _anchors(listing, seed, first, count + 1)
    ticks = np.maximum(1, np.rint(prices / listing.tick)).astype(np.int64)
    opens, closes = ticks[:-1], ticks[1:]
    bits = _bits(listing, seed, first, count)
    highest, lowest = _extremes(prices[:-1], prices[1:], prices[:-1] * volatility[:-1], bits)
    high = np.maximum(np.maximum(opens, closes), np.rint(highest / listing.tick).astype(np.int64))
    low = np.minimum(np.minimum(opens, closes), np.maximum(1, np.rint(lowest / listing.tick).astype(np.int64)))
    turnover = _turnover(listing, seed, first, volatility[:-1], prices)
    price_sum = opens + high + low + closes
    trades = np.diff(trades_before(listing, aggregates_before(listing, seed, np.arange(first, first + count + 1))))
    volume = np.rint(turnover / (price_sum * (0.25 * listing.tick)) * 10**listing.lot_decimals).astype(np.int64)
    volume = np.maximum(volume, trades)
    share = 0.5 + 0.25 * np.tanh((closes - opens) / (high - low + 1.0)) + 0.05 * normals(hashes(0x7A4E, bits))
    taker = np.clip(np.rint(volume * share).astype(np.int64), 1, volume - 1)
    return Minutes(
        first, opens, high, low, closes, volume, quote_value(listing, volume * price_sum // 4), trades, taker,
        quote_value(listing, taker * price_sum // 4),
    )  # fmt: skip


def quote_value(listing: Listing, value: Ints) -> Ints:
    """Ticks times lots in units of the listing's last quote decimal."""
    return np.asarray(
        value * listing.tick_units // 10 ** (listing.price_decimals + listing.lot_decimals - listing.quote_decimals)
    )


def _turnover(listing: Listing, seed: int, first: int, volatility: Floats, prices: Floats) -> Floats:
    """Each minute's traded value in quote currency: more when prices move, more in the afternoon (UTC)."""
    count = len(volatility)
    drawn = normals(hashes(key_of(seed, "turnover", listing.symbol, listing.market), np.arange(first, first + count)))
    hour = np.arange(first, first + count) % 1440 / 1440
    usual = listing.volatility / 1440**0.5
    moved = np.minimum(6.0, np.abs(np.diff(prices)) / prices[:-1] / usual)
    busy = np.minimum(8.0, (volatility / usual) ** 0.8) * (0.5 + 0.4 * moved)
    day = listing.quote_volume / 1440 * 0.7
    return np.asarray(day * busy * np.exp(0.5 * drawn - 0.125) * (1 + 0.35 * np.sin(2 * np.pi * (hour - 0.35))))


@lru_cache(maxsize=2048)
def _block(listing: Listing, seed: int, number: int) -> tuple[Minutes, Ints, Ints]:
    first = number * _BLOCK
    ids = aggregates_before(listing, seed, np.arange(first, first + _BLOCK + 1))
    return minutes(listing, seed, first, _BLOCK), _bits(listing, seed, first, _BLOCK), ids


def minute(listing: Listing, seed: int, number: int) -> Minute:
    """One minute; its neighbours are kept, so that going on in time costs little."""
    block, bits, ids = _block(listing, seed, number // _BLOCK)
    i = number % _BLOCK
    return Minute(
        int(block.open[i]), int(block.high[i]), int(block.low[i]), int(block.close[i]), int(bits[i]),
        int(block.volume[i]), int(block.taker_volume[i]), int(ids[i]), int(ids[i + 1] - ids[i]),
    )  # fmt: skip


def _turns(bits: int) -> tuple[int, int]:
    """The steps at which a minute's path reaches its two ends."""
    return 30 + bits % 240, 330 + (bits >> 8) % 240


def traded_steps(at: Minute) -> Ints:
    """The step of each aggregated trade of a minute, rising: with the first, the last, and those of high and low."""
    count = at.aggregates
    drawn, _ = uniforms(hashes(at.bits ^ 0x57E9, np.arange(count)))
    done = elapsed(at.bits, np.arange(STEPS + 1))
    steps = np.clip(np.searchsorted(done, (np.arange(count) + drawn) / count, side="right") - 1, 0, STEPS - 1)
    turn, back = _turns(at.bits)
    steps[0], steps[-1] = 0, STEPS - 1
    near = 1 + int(np.abs(steps[1:-2] - turn).argmin())
    steps[near] = turn
    steps[near + 1 + int(np.abs(steps[near + 1 : -1] - back).argmin())] = back
    steps.sort()
    return steps


def path(at: Minute, steps: Ints) -> Ints:
    """Last prices (ticks) at the given steps (0..599) of a minute: they stand still between trades.

    The first is the minute's open, the last its close; its high and low are each reached, and nothing lies beyond them.
    """
    traded = traded_steps(at)
    steps = traded[np.searchsorted(traded, steps, side="right") - 1]
    bits = at.bits
    turn, back = _turns(bits)
    first, second = (at.high, at.low) if bits >> 16 & 1 else (at.low, at.high)
    knots = np.array((0, turn, back, STEPS - 1))
    trend = np.interp(steps, knots, (at.open, first, second, at.close))
    free = np.minimum(1.0, np.abs(steps[:, None] - knots).min(axis=1) / 24)
    waves = np.arange(STEPS // 30 + 2)
    noise = normals(hashes(bits, waves)) * 0.16
    quick = normals(hashes(bits ^ 0xABCDEF, steps >> 2)) * 0.004
    moved = trend + (np.interp(steps, waves * 30, noise) + quick) * free * (at.high - at.low)
    return np.asarray(np.rint(np.clip(moved, at.low, at.high)).astype(np.int64))


@lru_cache(maxsize=1024)
def minute_path(listing: Listing, seed: int, number: int) -> Ints:
    """The last price (ticks) at each of a minute's steps."""
    return path(minute(listing, seed, number), np.arange(STEPS))


def price_at(listing: Listing, seed: int, step: int) -> int:
    """The last price (ticks) at a step, counted from the epoch."""
    return int(minute_path(listing, seed, step // STEPS)[step % STEPS])


def prices_between(listing: Listing, seed: int, first: int, count: int) -> Ints:
    """The last prices (ticks) at `count` steps from step `first` (of the epoch) on."""
    numbers = range(first // STEPS, (first + count - 1) // STEPS + 1)
    begin = first - numbers[0] * STEPS
    return np.concatenate([minute_path(listing, seed, number) for number in numbers])[begin : begin + count]


def elapsed(bits: int, steps: Ints) -> Floats:
    """The share of a minute's trading done before each step (0..600): never falling, 0 at 0 and 1 at 600."""
    weights = 1.0 + (hashes(bits ^ 0x517E, np.arange(60)) >> np.uint64(58)).astype(np.float64)
    done = np.concatenate(([0.0], np.cumsum(weights)))
    return np.asarray(np.interp(steps / 10, np.arange(61), done / done[-1]))


def slow_noise(listing: Listing, seed: int, purpose: str, minute_number: int, period: int) -> float:
    """Noise of unit deviation for what changes over hours (open interest, funding)."""
    key = key_of(seed, purpose, listing.symbol)
    left, part = divmod(minute_number, period)
    ends = normals(np.array([hash_one(key, left), hash_one(key, left + 1)], dtype=np.uint64))
    return float(ends[0] + (ends[1] - ends[0]) * part / period)
