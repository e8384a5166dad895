"""The only way in for candles: what the exchange answered or streamed, checked, stored, and told to whoever listens."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from django.db import transaction
from django.db.models import QuerySet
from redis import RedisError

from candles import broadcast, cache, rollups, store
from candles.candle import Kline, KlineAnswer, SeriesKey, flaw, milliseconds_of, moment_of
from candles.derived import derive
from candles.derived_store import note_stale
from candles.holes import missing, replaced
from candles.models import Hole, RangeRequest, SeriesState
from candles.rollups import refresh, roll_up
from candles.store import Written
from candles.timeframes import MINUTE
from markets.connections import broker_redis

__all__ = [
    "KlineAnswer",
    "Stored",
    "begin",
    "catch_up",
    "check",
    "derive",
    "live_candles",
    "note_available",
    "note_errors",
    "note_realtime",
    "refresh",
    "request_range",
    "roll_up",
    "store_answers",
    "store_klines",
    "tell_closed",
]

logger = logging.getLogger(__name__)

REALTIME_WITHIN = 3 * MINUTE  # a series whose newest minute is older than this has fallen behind


@dataclass(slots=True)
class Stored:
    """What storing did: minutes added, minutes that say something else now, and rows that were refused."""

    added: int = 0
    changed: int = 0
    refused: int = 0
    keys: list[SeriesKey] = field(default_factory=list)


def begin(keys: Sequence[SeriesKey], wanted_from: datetime) -> list[SeriesState]:
    """The states of these series, in their order; those that have none yet get one. `wanted_from` is how far back their
    history is wanted: where it moves further back, the exchange is asked again for the first minute that it has."""
    known = {row.key: row for row in SeriesState.objects.all()}
    new = [
        SeriesState(exchange=key.exchange, market_type=key.market, symbol=key.symbol, wanted_from=wanted_from)
        for key in keys
        if key not in known
    ]
    if new:
        SeriesState.objects.bulk_create(new, ignore_conflicts=True)
        known = {row.key: row for row in SeriesState.objects.all()}
    for row in map(known.__getitem__, keys):
        if row.wanted_from is not None and row.wanted_from <= wanted_from:
            continue
        row.wanted_from, row.available_from = wanted_from, None
        row.save(update_fields=["wanted_from", "available_from"])
    return [known[key] for key in keys]


def note_available(key: SeriesKey, wanted_from: datetime, first: int) -> None:
    """Notes the first minute (epoch milliseconds) of the history from `wanted_from` on that the exchange has."""
    _rows(key).filter(wanted_from=wanted_from).update(available_from=max(wanted_from, moment_of(first)))


def note_errors(errors: Sequence[tuple[SeriesKey, str]], now: datetime) -> None:
    """Notes why series could not be fetched; what is stored next wipes it out."""
    for key, message in errors:
        _rows(key).update(last_error=message[:500], last_error_at=now)


def note_realtime(keys: Sequence[SeriesKey], now: datetime) -> None:
    """Notes of every series whether it is in real time: one of `keys`, and known up to a few minutes ago."""
    changed = []
    for row in SeriesState.objects.all():
        fresh = row.covered_until is not None and row.covered_until > now - REALTIME_WITHIN
        if row.is_realtime != (fresh and row.key in keys):
            row.is_realtime = not row.is_realtime
            changed.append(row)
    SeriesState.objects.bulk_update(changed, ["is_realtime"])


def catch_up(keys: Sequence[SeriesKey], now: datetime, seconds: float = 8.0) -> int:
    """Brings the long timeframes of these series up to date, where that is each series' own matter; continuous
    aggregates wait for their time. Readers never depend on it. Gives the number of hours."""
    return 0 if not keys or rollups.is_continuous() else roll_up(now, seconds, keys)


def check(answer: KlineAnswer) -> KlineAnswer:
    """The answer without the rows that have a flaw, which are logged; their minutes stay missing. It takes a while, and
    may be done in another thread before the answer is stored."""
    if answer.checked:
        return answer
    good = _checked(answer.key, answer.klines)
    kept = {kline.open_time for kline in good} if len(good) < len(answer.klines) else None
    refused = () if kept is None else tuple(row.open_time for row in answer.klines if row.open_time not in kept)
    return replace(answer, klines=good, checked=True, refused=refused)


def store_answers(answers: Sequence[KlineAnswer], now: datetime | None = None, announce: bool = False) -> Stored:
    """Stores what the exchange answered, all or nothing: its minutes, what it lacks, and how far each series is known.

    Rows with a flaw are refused and logged; their minutes stay missing. `announce` tells listeners of every minute that
    was added or changed. Raises one of markets.storage.DATABASE_AWAY; nothing is stored then."""
    at = now or datetime.now(UTC)
    checked = [check(answer) for answer in answers]
    with transaction.atomic():
        states = _locked([answer.key for answer in checked])
        written = store.write([(answer.key, answer.klines) for answer in checked if answer.klines])
        for answer in checked:
            if answer.whole:
                _note_holes(answer, at)
            _cover(states[answer.key], answer.start, answer.end)
        _count(states, written, at)
        note_stale(written)
    _tell([(answer.key, answer.klines) for answer in checked], written, announce)
    return _stored(written, sum(len(answer.refused) for answer in checked))


def store_klines(
    rows: Sequence[tuple[SeriesKey, Sequence[Kline]]], now: datetime | None = None, within: bool = False
) -> Stored:
    """Stores closed minutes as a stream tells them, all or nothing, and tells listeners; `within` a transaction of the
    caller's they are told once that is committed. A minute that follows the newest known one widens what is known of
    its series; what a stream left out stays to be fetched.

    Raises one of markets.storage.DATABASE_AWAY; nothing is stored then."""
    at = now or datetime.now(UTC)
    checked = [(key, _checked(key, klines)) for key, klines in rows]
    with transaction.atomic():
        states = _locked([key for key, _ in rows])
        written = store.write([(key, good) for key, good in checked if good])
        for key, good in checked:
            for kline in sorted(good, key=lambda row: row.open_time):
                opening = moment_of(kline.open_time)
                if states[key].covered_until == opening:
                    states[key].covered_until = opening + MINUTE
        _count(states, written, at)
        note_stale(written)
    refused = sum(len(klines) for _, klines in rows) - sum(len(good) for _, good in checked)
    if within:  # whoever hears of it may read at once
        transaction.on_commit(lambda: _tell(checked, written, announce=True), robust=True)
    else:
        _tell(checked, written, announce=True)
    return _stored(written, refused)


def live_candles(rows: Sequence[tuple[SeriesKey, Kline]], heard_at: datetime) -> None:
    """Keeps open minutes as they are at `heard_at` for readers, and tells listeners. Without Redis nobody hears of
    them; the closed minute follows anyway."""
    good = [(key, kline) for key, kline in rows if _checked(key, [kline])]
    heard = milliseconds_of(heard_at)
    try:
        cache.keep_open([(key, cache.OpenMinute(heard, kline)) for key, kline in good])
        broadcast.publish(broker_redis(), ((key, kline, False) for key, kline in good))
    except RedisError as error:
        logger.warning("open candles are not told: Redis is away (%s)", error)


def tell_closed(rows: Sequence[tuple[SeriesKey, Sequence[Kline]]]) -> None:
    """Tells listeners of closed minutes that are accepted but not stored yet: they wait for the database."""
    told = [(key, kline, True) for key, klines in rows for kline in _checked(key, klines)]
    try:
        broadcast.publish(broker_redis(), told)
    except RedisError as error:
        logger.warning("%d closed candles are not told: Redis is away (%s)", len(told), error)


def request_range(key: SeriesKey, start: datetime, end: datetime, by: str) -> RangeRequest:
    """Asks for a range to be fetched again (whole minutes, `end` not included); `by` says who wants it. Raises
    ValueError for a range that is empty."""
    if start >= end:
        raise ValueError("the range ends before it starts")
    return RangeRequest.objects.create(
        exchange=key.exchange, market_type=key.market, symbol=key.symbol, start=start, end=end, requested_by=by[:150]
    )


def _rows(key: SeriesKey) -> QuerySet[SeriesState]:
    return SeriesState.objects.filter(exchange=key.exchange, market_type=key.market, symbol=key.symbol)


def _checked(key: SeriesKey, klines: Sequence[Kline]) -> list[Kline]:
    """Those without a flaw; the others are logged."""
    good = []
    for kline in klines:
        if (problem := flaw(kline)) is None:
            good.append(kline)
        else:
            logger.error("a candle of %s %s is refused: it %s", key.symbol, key.market, problem)
    return good


def _locked(keys: Sequence[SeriesKey]) -> dict[SeriesKey, SeriesState]:
    """The states of these series, held until the transaction ends; always in the same order, against deadlocks."""
    wanted = set(keys)
    rows = SeriesState.objects.filter(symbol__in={key.symbol for key in wanted}).order_by("id").select_for_update()
    found = {row.key: row for row in rows if row.key in wanted}
    new = sorted(wanted - found.keys())
    if not new:
        return found
    SeriesState.objects.bulk_create(
        [SeriesState(exchange=key.exchange, market_type=key.market, symbol=key.symbol) for key in new],
        ignore_conflicts=True,
    )
    return {row.key: row for row in rows.all() if row.key in wanted}


def _cover(state: SeriesState, start: datetime, end: datetime) -> None:
    """Widens what is known; a stretch that does not touch it is stored, but does not count as covered."""
    if state.covered_from is None or state.covered_until is None:
        state.covered_from, state.covered_until = start, end
    elif start <= state.covered_until and end >= state.covered_from:
        state.covered_from, state.covered_until = min(state.covered_from, start), max(state.covered_until, end)


def _count(states: dict[SeriesKey, SeriesState], written: Sequence[Written], at: datetime) -> None:
    for one in written:
        state = states[one.key]
        state.count += one.added
        state.first_open = min(state.first_open or one.first, one.first)
        state.last_open = max(state.last_open or one.last, one.last)
    for state in states.values():
        state.updated_at, state.last_error = at, ""
    columns = ["covered_from", "covered_until", "count", "first_open", "last_open", "updated_at", "last_error"]
    SeriesState.objects.bulk_update(states.values(), columns)


def _note_holes(answer: KlineAnswer, at: datetime) -> None:
    """What is known to be lacking becomes what this answer lacks. A refused row is no hole: the exchange has it."""
    key = answer.key
    opens = {kline.open_time for kline in answer.klines}.union(answer.refused)
    whole = len(opens) == (answer.end - answer.start) // MINUTE
    new = [] if whole else missing(answer.start, answer.end, map(moment_of, opens))
    series = Hole.objects.filter(exchange=key.exchange, market_type=key.market, symbol=key.symbol)
    known = list(series.filter(start__lte=answer.end, end__gte=answer.start))
    if not new and not known:
        return
    inside = [hole.checks for hole in known if hole.start < answer.end and hole.end > answer.start]
    stretches = replaced([(hole.start, hole.end) for hole in known], answer.start, answer.end, new)
    before = {(hole.start, hole.end) for hole in known}
    if not inside and before == set(stretches):
        return
    checks = max(inside, default=0) + 1
    series.filter(pk__in=[hole.pk for hole in known]).delete()
    Hole.objects.bulk_create(
        Hole(
            exchange=key.exchange,
            market_type=key.market,
            symbol=key.symbol,
            start=start,
            end=end,
            checks=checks,
            checked_at=at,
        )
        for start, end in stretches
    )


def _tell(rows: Sequence[tuple[SeriesKey, Sequence[Kline]]], written: Sequence[Written], announce: bool) -> None:
    """After the commit: kept answers are void; listeners get the minutes that were written."""
    if not written:
        return
    cache.forget([one.key for one in written])
    if not announce:
        return
    spans = {one.key: (milliseconds_of(one.first), milliseconds_of(one.last)) for one in written}
    told = [
        (key, kline, True)
        for key, klines in rows
        if key in spans
        for kline in klines
        if spans[key][0] <= kline.open_time <= spans[key][1]
    ]
    try:
        broadcast.publish(broker_redis(), told)
    except RedisError as error:
        logger.warning("%d candles are stored and not told: Redis is away (%s)", len(told), error)


def _stored(written: Sequence[Written], refused: int) -> Stored:
    changed = sum(one.changed for one in written)
    return Stored(sum(one.added for one in written), changed, refused, [one.key for one in written])
