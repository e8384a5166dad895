"""From what is stored to readings: what each kind of rule looks at, at one minute, of every symbol that it watches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from alerts.models import Rule
from alerts.rules import Kind, Reading, diff_bound, z_score
from depth import moments
from depth.moments import Key
from markets.models import Market
from markets.selectors import collected_symbols

MINUTE = timedelta(minutes=1)
# A price from which a move is counted may be so much older than the window says.
LATE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Moment:
    """One minute, and what was already read of it: rules share their queries."""

    minute: datetime
    collected: frozenset[Key]
    read: Callable[..., Any]

    def watched(self, rule: Rule) -> Iterator[Key]:
        """The series that a rule watches."""
        for symbol, market in sorted(self.collected):
            if rule.symbol in {"", symbol} and rule.market in {"", market}:
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

    return Moment(minute, collected, read)


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


def _window(rule: Rule) -> timedelta:
    return timedelta(minutes=rule.window_minutes or 60)


READERS: dict[Kind, Callable[[Rule, Moment], Iterator[Reading]]] = {
    Kind.DEPTH_DIFF: depth_diff,
    Kind.DEPTH_DIFF_ZSCORE: depth_diff_zscore,
    Kind.SPREAD: spread,
    Kind.PRICE_MOVE: price_move,
}
# Read by the collector, which knows the system's own state, and given to `alerts.services.consider`.
GIVEN = frozenset(
    {Kind.MINUTE_MISSED, Kind.EXCHANGE_BAN, Kind.DATABASE_AWAY, Kind.REDIS_AWAY, Kind.SPOOL_FILLING, Kind.RECONNECTS}
)
WATCHED = frozenset(READERS) | GIVEN


def reader(rule: Rule, now: Moment) -> Callable[[], Iterator[Reading]]:
    """What gives the rule's readings of this minute."""
    return partial(READERS[Kind(rule.kind)], rule, now)
