"""Behind the closes of candles: indicators of the default set and analyses, computed once more and stored.

What is stored is always what its candles make it: a minute that is written later notes in its own transaction from
where on (`candles_derived`), and the next run makes that again."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from django.db import transaction

from candles import derived_store, selectors
from candles.analysis import WANTED, analyse
from candles.candle import Candle, SeriesKey
from candles.closes import analysis_values, continued, floor, is_analysed, values_of
from candles.derived_store import Place
from candles.indicators import DEFAULT_SET, Lines, compute, lead, parse
from candles.models import DerivedState, SeriesState
from candles.technical import series_of
from candles.timeframes import MINUTE, TIMEFRAMES, Timeframe
from markets.storage import DATABASE_AWAY, alone

logger = logging.getLogger(__name__)

LOCK = 0x63616E646C04  # one process at a time
REQUESTS = parse(DEFAULT_SET)
LEAD = max(lead(REQUESTS), WANTED)
SUMS = tuple(request.label for request in REQUESTS if request.indicator.whole)
MOST_ANALYSES = 50  # that one run makes of one series' timeframe, beside those that were there


@dataclass(slots=True)
class Derived:
    """What a run did: timeframes of series, values and analyses that were stored; `left` could not be reached."""

    places: int = 0
    values: int = 0
    analyses: int = 0
    left: int = 0


def derive(now: datetime, seconds: float = 40.0) -> Derived:
    """Stores what has closed and makes again what is stale, those that wait longest first, for about `seconds`. Does
    nothing while another process is at it. Raises one of markets.storage.DATABASE_AWAY."""
    done, until = Derived(), monotonic() + seconds
    with alone(LOCK) as held:
        waiting = due() if held else []
        for place in waiting:
            if monotonic() > until:
                break
            try:
                values, analyses = derive_one(place.key, place.timeframe, now)
            except DATABASE_AWAY:
                raise
            except Exception:  # it comes first again the next time, and must not keep the others waiting for ever
                logger.exception("%s %s is not derived", place.key, place.timeframe.name)
                continue
            done.places, done.values, done.analyses = done.places + 1, done.values + values, done.analyses + analyses
    done.left = len(waiting) - done.places
    return done


def due() -> list[Place]:
    """Timeframes of which a candle has closed that is not in yet, or of which something is stale; what waits longest
    comes first. Two queries."""
    known = {(row.key, row.timeframe): row for row in DerivedState.objects.all()}
    found: list[tuple[datetime, Place]] = []
    for series in SeriesState.objects.exclude(last_open=None):
        for timeframe in TIMEFRAMES:
            row = known.get((series.key, timeframe.name))
            settled = timeframe.open_of(series.last_open + MINUTE)
            if row is None or row.stale_from is not None or settled > row.stored_until:
                waits = row.updated_at if row else datetime.min.replace(tzinfo=UTC)
                found.append((waits, Place(series.key, timeframe)))
    return [place for _, place in sorted(found, key=lambda one: one[0])]


@transaction.atomic
def derive_one(key: SeriesKey, timeframe: Timeframe, now: datetime) -> tuple[int, int]:
    """Brings one timeframe of one series up to date: the numbers of values and analyses that were stored. Repeating it
    changes nothing. The series' minutes stay as they are meanwhile: who writes them waits."""
    place = Place(key, timeframe)
    if not derived_store.hold(key):
        return 0, 0
    oldest, settled = selectors.bounds(key)
    if oldest is None or settled is None:
        return 0, 0
    columns = {"exchange": key.exchange, "market_type": key.market, "symbol": key.symbol, "timeframe": timeframe.name}
    row = DerivedState.objects.filter(**columns).first()
    until, first = timeframe.open_of(settled), floor(timeframe, oldest, now)
    start = _start(row, timeframe, first, until)
    limit = max(0, timeframe.count(start, until) - 1) + LEAD
    found = selectors.closed_until(key, timeframe, now, until, limit)
    values = _store_values(place, found, start)
    analyses = _store_analyses(place, found, start, row)
    derived_store.forget(place, first)
    told = {
        "stored_from": first if row is None or row.stored_from is None else max(first, min(row.stored_from, start)),
        "stored_until": until,
        "reads_from": _reads_from(row, found[0].open_time if found and len(found) == limit else None, start),
        "stale_from": None,
        "updated_at": datetime.now(UTC),
    }
    DerivedState.objects.update_or_create(**columns, defaults=told)
    return values, analyses


def _start(row: DerivedState | None, timeframe: Timeframe, first: datetime, until: datetime) -> datetime:
    """The first candle whose values are to be made."""
    if row is None:
        return first
    start = min(row.stored_until, until)
    if row.stale_from is not None:
        start = min(start, timeframe.open_of(row.stale_from))
    return max(first, start)


def _reads_from(row: DerivedState | None, oldest: datetime | None, start: datetime) -> datetime | None:
    """The oldest candle that has to do with what is stored; None while history before it would change that."""
    if row is None or row.stored_from is None or start <= row.stored_from:
        return oldest
    return None if oldest is None or row.reads_from is None else min(oldest, row.reads_from)


def _index(found: Sequence[Candle], start: datetime) -> int:
    return next((i for i in range(len(found)) if found[i].open_time >= start), len(found))


def _store_values(place: Place, found: Sequence[Candle], start: datetime) -> int:
    first = _index(found, start)
    if first == len(found):
        return derived_store.replace_values(place, start, ())
    series = series_of(found, place.timeframe)
    made = compute(series, REQUESTS)
    _go_on(made, place, found, first)
    return derived_store.replace_values(place, start, values_of(made, series, first))


def _go_on(made: dict[str, Lines], place: Place, found: Sequence[Candle], first: int) -> None:
    """Sums since the series' begin go on from what is stored, so that any two of them differ by what lies between."""
    openings = [candle.open_time for candle in found[max(0, first - 1) : first + 1]]
    stored = derived_store.values_at(place, openings, SUMS)
    for label in SUMS:
        before = stored.get((openings[0], label)) if first else None
        at = stored.get((openings[-1], label))
        made[label] = {line: continued(values, first, before, at) for line, values in made[label].items()}


def _store_analyses(place: Place, found: Sequence[Candle], start: datetime, row: DerivedState | None) -> int:
    """Those that were there are made again; of what is new, those that are due. A series begins with its newest."""
    there = set(derived_store.clear_analyses(place, start))
    new = [candle.open_time for candle in found if candle.open_time >= (row.stored_until if row else start)]
    wanted = [opening for opening in new if is_analysed(place.timeframe, opening)]
    there.update(wanted[-MOST_ANALYSES:] if row else wanted[-1:])
    rows = []
    for last, candle in enumerate(found, 1):
        if candle.open_time in there and (told := _analysis(found[max(0, last - WANTED) : last], place.timeframe)):
            rows.append(told)
    derived_store.add_analyses(place, rows)
    return len(rows)


def _analysis(found: Sequence[Candle], timeframe: Timeframe) -> dict[str, Any] | None:
    made = analyse(series_of(found, timeframe))
    if made is None:
        return None
    counts = {"candles": len(found), "missing": made.missing, "incomplete": sum(not one.complete for one in found)}
    return {"timestamp": found[-1].open_time, **analysis_values(made), **counts}
