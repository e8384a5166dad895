"""Pure: what can be watched, and when a reading becomes an alert: once, only when true, and not again too soon."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class Bound(StrEnum):
    """What a reading's value is to the truth."""

    EXACT = "exact"
    AT_LEAST = "at_least"  # the truth is this much or more
    AT_MOST = "at_most"
    UNKNOWN = "unknown"


class Direction(StrEnum):
    ABOVE = "above"
    BELOW = "below"
    EITHER = "either"  # by its size, whichever way it goes


class Kind(StrEnum):
    DEPTH_DIFF = "depth_diff"
    DEPTH_DIFF_ZSCORE = "depth_diff_zscore"
    SPREAD = "spread"
    PRICE_MOVE = "price_move"
    LIQUIDATIONS = "liquidations"
    LARGE_LIQUIDATION = "large_liquidation"
    OPEN_INTEREST_CHANGE = "open_interest_change"
    FUNDING = "funding"
    BOOK_OUT_OF_SYNC = "book_out_of_sync"
    MINUTE_MISSED = "minute_missed"
    EXCHANGE_BAN = "exchange_ban"
    DATABASE_AWAY = "database_away"
    REDIS_AWAY = "redis_away"
    SPOOL_FILLING = "spool_filling"
    RECONNECTS = "reconnects"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a kind measures. `unit` is that of value and threshold; `needs` names the settings that it cannot do
    without, `takes` those that it may have (`band`, `window`, `side`); one without `symbols` is about the system."""

    title: str
    unit: str
    direction: Direction
    threshold: float
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    symbols: bool = True
    text: str = ""


MEANINGS: dict[Kind, Meaning] = {
    Kind.DEPTH_DIFF: Meaning(
        "DIFF of a band", "% of both sides", Direction.EITHER, 50, ("band",), text="(BID - ASK) / (BID + ASK) * 100"
    ),
    Kind.DEPTH_DIFF_ZSCORE: Meaning(
        "DIFF of a band against its own past",
        "deviations",
        Direction.EITHER,
        3,
        ("band", "window"),
        text="(percentage - its mean) / its deviation over the window",
    ),
    Kind.SPREAD: Meaning("Spread", "% of the mid price", Direction.ABOVE, 0.5),
    Kind.PRICE_MOVE: Meaning("Price move", "%", Direction.EITHER, 5, ("window",),
                             text="mid price against the window's begin"),
    Kind.LIQUIDATIONS: Meaning(
        "Liquidations over a window", "USD", Direction.ABOVE, 1_000_000, ("window",), ("side",),
        text="notional; the exchange tells only a sample, so sums are lower bounds",
    ),
    Kind.LARGE_LIQUIDATION: Meaning("A single large liquidation", "USD", Direction.ABOVE, 250_000, (), ("side",)),
    Kind.OPEN_INTEREST_CHANGE: Meaning("Change of open interest", "%", Direction.EITHER, 10, ("window",)),
    Kind.FUNDING: Meaning("Funding rate", "% of an interval", Direction.EITHER, 0.1),
    Kind.BOOK_OUT_OF_SYNC: Meaning("Live book out of sync", "seconds", Direction.ABOVE, 30),
    Kind.MINUTE_MISSED: Meaning("Minutes not collected", "books of one minute", Direction.ABOVE, 0, symbols=False),
    Kind.EXCHANGE_BAN: Meaning("The exchange refuses us", "seconds left", Direction.ABOVE, 0, symbols=False),
    Kind.DATABASE_AWAY: Meaning("Database away", "seconds", Direction.ABOVE, 10, symbols=False),
    Kind.REDIS_AWAY: Meaning("Redis away", "seconds", Direction.ABOVE, 10, symbols=False),
    Kind.SPOOL_FILLING: Meaning("Spool filling", "% of its limit", Direction.ABOVE, 50, symbols=False),
    Kind.RECONNECTS: Meaning("Reconnects in a row", "attempts", Direction.ABOVE, 4, symbols=False),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """What a rule looks at, of one subject (`BTCUSDT SPOT`, or the system's part) at one time.

    `value` is None where nothing is known; `key` tells two events of one subject apart (a liquidation's identity):
    a reading with a key is an event of its own, and never fires twice."""

    subject: str
    value: float | None
    at: datetime
    bound: Bound = Bound.EXACT
    key: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Threshold:
    """When a rule fires. `hysteresis` (percent of the threshold) is how far a value has to come back before the rule
    can fire again; `cooldown` is the least time between two firings of one subject."""

    direction: Direction
    value: float
    hysteresis: float = 10.0
    cooldown: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Memory:
    """What a rule remembers of one subject. `active`: it has fired and the value has not come back."""

    active: bool = False
    fired_at: datetime | None = None
    key: str = ""


class Verdict(StrEnum):
    QUIET = "quiet"
    FIRED = "fired"
    RESOLVED = "resolved"


def decide(threshold: Threshold, memory: Memory, reading: Reading) -> tuple[Verdict, Memory]:
    """What a reading does, and what is remembered after it.

    Incomplete values decide only what they prove: "at least 5" is above 4 but not below 6, and says nothing of coming
    back from above; there the firing lapses when after the cooldown nothing proves it any more. An unknown value does
    nothing at all."""
    if reading.value is None or not math.isfinite(reading.value) or reading.bound is Bound.UNKNOWN:
        return Verdict.QUIET, memory
    if reading.key:
        return _event(threshold, memory, reading)
    if not memory.active:
        if _beyond(threshold, reading.value, reading.bound) and _cooled(threshold, memory, reading.at):
            return Verdict.FIRED, Memory(True, reading.at)
        return Verdict.QUIET, memory
    if _back(threshold, reading.value, reading.bound):
        return Verdict.RESOLVED, replace(memory, active=False)
    proven = _beyond(threshold, reading.value, reading.bound)
    lapsed = reading.bound is not Bound.EXACT and not proven and _cooled(threshold, memory, reading.at)
    return Verdict.QUIET, replace(memory, active=not lapsed)


def _event(threshold: Threshold, memory: Memory, reading: Reading) -> tuple[Verdict, Memory]:
    """One that is over as soon as it has happened: nothing to come back from, but not the same one twice. They come in
    the order of their times, so one from before the last that fired was looked at already."""
    fires = reading.value is not None and _beyond(threshold, reading.value, reading.bound)
    is_known = reading.key == memory.key or (memory.fired_at is not None and reading.at < memory.fired_at)
    if not fires or is_known or not _cooled(threshold, memory, reading.at):
        return Verdict.QUIET, memory
    return Verdict.FIRED, Memory(False, reading.at, reading.key)


def _cooled(threshold: Threshold, memory: Memory, now: datetime) -> bool:
    return memory.fired_at is None or now - memory.fired_at >= threshold.cooldown


def _beyond(threshold: Threshold, value: float, bound: Bound) -> bool:
    """Whether the value proves that the truth is beyond the threshold."""
    above = value > threshold.value and bound in {Bound.EXACT, Bound.AT_LEAST}
    if threshold.direction is Direction.ABOVE:
        return above
    if threshold.direction is Direction.BELOW:
        return value < threshold.value and bound in {Bound.EXACT, Bound.AT_MOST}
    return above or (value < -threshold.value and bound in {Bound.EXACT, Bound.AT_MOST})


def _back(threshold: Threshold, value: float, bound: Bound) -> bool:
    """Whether the value proves that the truth has come back by the hysteresis."""
    slack = abs(threshold.value) * threshold.hysteresis / 100
    below = value <= threshold.value - slack and bound in {Bound.EXACT, Bound.AT_MOST}
    if threshold.direction is Direction.ABOVE:
        return below
    above = value >= -threshold.value + slack and bound in {Bound.EXACT, Bound.AT_LEAST}
    if threshold.direction is Direction.BELOW:
        return value >= threshold.value + slack and bound in {Bound.EXACT, Bound.AT_LEAST}
    return below and above


def diff_bound(bid_complete: bool, ask_complete: bool) -> Bound:
    """What a DIFF is to the truth when a side of its band is not known whole: more bids can only raise it."""
    if bid_complete and ask_complete:
        return Bound.EXACT
    if ask_complete:
        return Bound.AT_LEAST
    return Bound.AT_MOST if bid_complete else Bound.UNKNOWN


def z_score(values: list[float], newest: float) -> float | None:
    """(newest - mean) / population deviation of the values before it; None for fewer than 20 or all the same."""
    if len(values) < 20:
        return None
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    return (newest - mean) / deviation if deviation > 1e-9 * max(1.0, abs(mean)) else None


SIGN = {Bound.AT_LEAST: "at least ", Bound.AT_MOST: "at most ", Bound.EXACT: "", Bound.UNKNOWN: ""}


def sentence(kind: Kind, threshold: Threshold, reading: Reading) -> str:
    """One line that says what happened: subject, value with its truth, and what it was measured against."""
    meaning = MEANINGS[kind]
    against = {"above": "above", "below": "below", "either": "beyond +/-"}[threshold.direction.value]
    value = "" if reading.value is None else f"{SIGN[reading.bound]}{_shown(reading.value)} {meaning.unit}"
    return f"{reading.subject}: {meaning.title.lower()} {value}, {against} {_shown(threshold.value)}".replace("- ", "-")


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
