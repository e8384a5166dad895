"""From what is stored to readings: what each kind of rule looks at, at one minute, of every symbol that it watches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from alerts.models import Rule
from alerts.rules import Bound, Kind, Reading, diff_bound, z_score
from depth import moments
from depth.moments import Key
from derivatives import watching
from markets.models import Market
from markets.selectors import collected_symbols

MINUTE = timedelta(minutes=1)
# A price from which a move is counted may be so much older than the window says.
LATE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Moment:
    """One minute, and what was already read of it: rules share their queries. `at` is the moment of looking."""

    minute: datetime
    at: datetime
    collected: frozenset[Key]
    read: Callable[..., Any]

    def watched(self, rule: Rule) -> Iterator[Key]:
        """The series that a rule watches."""
        for symbol, market in sorted(self.collected):
            if rule.watches(symbol, market):
                yield symbol, market


def moment(now: datetime) -> Moment | None:
    """The newest minute; None when nothing was stored for five."""
    minute = moments.newest_minute(now)
    if minute is None:
        return None
    collected = frozenset((row.name, row.market) for market in Market.values for row in collected_symbols(market))

    @cache
    def read(query: Callable[..., Any], *arguments: Any) -> Any:
        return query(*arguments)

    return Moment(minute, now, collected, read)


def _subject(key: Key) -> str:
    return f"{key[0]} {key[1]}"


def _details(key: Key, **more: Any) -> dict[str, Any]:
    return {"symbol": key[0], "market": key[1], **more}


def depth_diff(rule: Rule, now: Moment) -> Iterator[Reading]:
    found = now.read(moments.figures, now.minute, rule.band)
    for key in now.watched(rule):
        if key in found:
            told = found[key]
            bound = diff_bound(told.bid_complete, told.ask_complete)
            yield Reading(
                _subject(key), told.share, now.minute, bound, details=_details(key, bid=told.bid, ask=told.ask)
            )


def depth_diff_zscore(rule: Rule, now: Moment) -> Iterator[Reading]:
    found = now.read(moments.figures, now.minute, rule.band)
    past = now.read(moments.past_shares, now.minute, rule.band, _window(rule))
    for key in now.watched(rule):
        told = found.get(key)
        if told is not None and told.bid_complete and told.ask_complete:
            values = past.get(key, [])
            score = z_score(values, told.share)
            yield Reading(
                _subject(key), score, now.minute, details=_details(key, percentage=told.share, minutes=len(values))
            )


def spread(rule: Rule, now: Moment) -> Iterator[Reading]:
    found = now.read(moments.prices, now.minute, MINUTE)
    for key in now.watched(rule):
        if key in found:
            told = found[key]
            value = (told.best_ask - told.best_bid) / told.mid * 100
            yield Reading(_subject(key), value, now.minute, details=_details(key, bid=told.best_bid, ask=told.best_ask))


def price_move(rule: Rule, now: Moment) -> Iterator[Reading]:
    newest = now.read(moments.prices, now.minute, MINUTE)
    before = now.read(moments.prices, now.minute - _window(rule), LATE)
    for key in now.watched(rule):
        if key in newest and key in before:
            new, old = newest[key], before[key]
            details = _details(key, **{"from": old.mid, "to": new.mid, "since": old.minute.isoformat()})
            yield Reading(_subject(key), (new.mid / old.mid - 1) * 100, now.minute, details=details)


def liquidations(rule: Rule, now: Moment) -> Iterator[Reading]:
    """Sums of what the exchange told of: it tells a sample, so they are at least that."""
    found = now.read(watching.liquidated, now.at - _window(rule), now.at, rule.side)
    for key in _contracts(rule, now):
        notional, count = found.get(key[0], (0.0, 0))
        yield Reading(_subject(key), notional, now.at, Bound.AT_LEAST, details=_details(key, count=count))


def large_liquidation(rule: Rule, now: Moment) -> Iterator[Reading]:
    found = now.read(watching.large_liquidations, now.at - LATE, now.at, float(rule.threshold or 0), rule.side)
    watched = {key[0]: key for key in _contracts(rule, now)}
    for one in found:
        if one.symbol in watched:
            details = _details(watched[one.symbol], liquidated=one.position, price=one.price)
            yield Reading(_subject(watched[one.symbol]), one.notional, one.time, key=one.content, details=details)


def open_interest_change(rule: Rule, now: Moment) -> Iterator[Reading]:
    newest = now.read(watching.interest, now.at, 3 * MINUTE)
    before = now.read(watching.interest, now.at - _window(rule), LATE)
    for key in _contracts(rule, now):
        if key[0] in newest and before.get(key[0], (None, 0.0))[1] > 0:
            (_, new), (since, old) = newest[key[0]], before[key[0]]
            details = _details(key, **{"from": old, "to": new, "since": since.isoformat()})
            yield Reading(_subject(key), (new / old - 1) * 100, now.at, details=details)


def funding(rule: Rule, now: Moment) -> Iterator[Reading]:
    found = now.read(watching.funding_rates, now.at)
    for key in _contracts(rule, now):
        if key[0] in found:
            yield Reading(_subject(key), found[key[0]][1] * 100, now.at, details=_details(key))


def _contracts(rule: Rule, now: Moment) -> Iterator[Key]:
    return (key for key in now.watched(rule) if key[1] == Market.FUTURES)


def _window(rule: Rule) -> timedelta:
    return timedelta(minutes=rule.window_minutes or 60)


READERS: dict[Kind, Callable[[Rule, Moment], Iterator[Reading]]] = {
    Kind.DEPTH_DIFF: depth_diff,
    Kind.DEPTH_DIFF_ZSCORE: depth_diff_zscore,
    Kind.SPREAD: spread,
    Kind.PRICE_MOVE: price_move,
    Kind.LIQUIDATIONS: liquidations,
    Kind.LARGE_LIQUIDATION: large_liquidation,
    Kind.OPEN_INTEREST_CHANGE: open_interest_change,
    Kind.FUNDING: funding,
}
# Read by the collector, which knows the system's own state, and given to `alerts.services.consider`.
GIVEN = frozenset(Kind) - frozenset(READERS)


def reader(rule: Rule, now: Moment) -> Callable[[], Iterator[Reading]]:
    """What gives the rule's readings of this minute."""
    return partial(READERS[Kind(rule.kind)], rule, now)
