"""Beside the minute's books: candles of every collected symbol, the newest first, then history, requests and gaps.

How far each series is known stands in its state (candles.models.SeriesState), written with the minutes themselves."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from random import sample
from time import monotonic

from django.conf import settings

from candles import services
from candles.candle import SeriesKey
from candles.models import Hole, RangeRequest, SeriesState
from candles.selectors import gaps, incomplete_days, progress, states
from candles.timeframes import DAY, MINUTE
from collector import refusals
from collector.asking import budget_of
from collector.candle_fetch import REFUSED, CandleRun, Outcome
from collector.candle_windows import Known, ListSource, SeriesSource, Window, cut, history_window, newest_window
from collector.exchanges import EXCHANGES
from collector.limits import Priority
from collector.venues import venue
from markets.selectors import collected_symbols

logger = logging.getLogger(__name__)

SETTLED_AFTER = 5 * MINUTE  # younger minutes are not looked for yet when gaps are
MOST_CHECKS = 6  # how often the exchange is asked for what it did not have: after 10 minutes, 1 h, 6 h, 36 h, 9 days
Report = Callable[[Outcome], None]


def books_are_planned() -> bool:
    """Whether the budget knows what the minute's order books need: before, history could take it away from them."""
    return all(
        budget_of(venue(exchange), market).is_announced()
        for exchange in EXCHANGES
        for market in settings.CANDLE_MARKETS
    )


def wanted_series(markets: Sequence[str] | None = None) -> list[SeriesKey]:
    """The series whose candles are collected: collected symbols that trade, on the chosen markets of every exchange."""
    chosen = settings.CANDLE_MARKETS if markets is None else markets
    return [
        SeriesKey(exchange, market, symbol.name)
        for exchange in EXCHANGES
        for market in chosen
        for symbol in collected_symbols(market, exchange)
    ]


def collect_newest(seconds: float = 25.0) -> Outcome:
    """Fetches what is missing up to now of every wanted series, and the open minutes; listeners are told."""
    keys = wanted_series()
    until, whole = monotonic() + seconds, Outcome(done=True)
    for market_keys, rows in _by_market(keys, begun(keys)):
        first = market_keys[0]
        left = max(5.0, until - monotonic())
        most = venue(first.exchange).most_klines[first.market]
        source = SeriesSource(_allowed(rows), newest_window, most)
        run = CandleRun(venue(first.exchange), first.market, source, Priority.REPAIR, left, announce=True)
        outcome = run.go()
        services.live_candles(outcome.live, datetime.now(UTC))
        whole = _added(whole, outcome)
    services.note_realtime(keys, datetime.now(UTC))
    return whole


def collect_history(
    seconds: float = 28.0,
    keys: Sequence[SeriesKey] | None = None,
    report: Report | None = None,
    priority: Priority = Priority.BACKFILL,
) -> Outcome:
    """Fetches history back to START_DATE, each series' newest first, those of which the least is known before others;
    then brings their long timeframes up to date. Stops when the budget is used up or the time is over."""
    wanted = wanted_series() if keys is None else list(keys)
    until, whole = monotonic() + seconds, Outcome(done=True)
    for market_keys, rows in _by_market(wanted, begun(wanted)):
        first = market_keys[0]
        source = SeriesSource(_allowed(rows), _any_window, venue(first.exchange).most_klines[first.market])
        left = max(1.0, until - monotonic())
        whole = _added(
            whole, CandleRun(venue(first.exchange), first.market, source, priority, left, report=report).go()
        )
    services.catch_up(list(whole.touched), datetime.now(UTC))
    return whole


def _any_window(row: Known, now: datetime, most: int) -> Window | None:
    """History of a series that has begun, the newest stretch of one that has not. What is new comes with its minute."""
    return history_window(row, now, most) if row.covered_until else newest_window(row, now, most)


def fetch_requested(seconds: float = 10.0) -> Outcome:
    """Fetches ranges that people asked for again, oldest request first, a stretch of each in turn."""
    until, whole = monotonic() + seconds, Outcome(done=True)
    for request in RangeRequest.objects.filter(finished_at=None).order_by("requested_at"):
        if monotonic() > until:
            whole.done = False
            break
        whole = _added(whole, _fetch_request(request, until - monotonic()))
    services.catch_up(list(whole.touched), datetime.now(UTC))
    return whole


def _fetch_request(request: RangeRequest, seconds: float) -> Outcome:
    key, now = request.key, datetime.now(UTC).replace(second=0, microsecond=0)
    chosen = venue(key.exchange)
    end = min(request.end, now)
    windows = cut(key, request.done_until or request.start, end, chosen.most_klines[key.market])
    outcome = CandleRun(chosen, key.market, ListSource(windows), Priority.REPAIR, seconds, announce=True).go()
    finished = {window.start for window in outcome.finished}
    while windows and windows[0].start in finished:
        request.done_until = windows.pop(0).end
    request.changed += outcome.added + outcome.changed
    if not windows:
        request.finished_at = datetime.now(UTC)
    request.save(update_fields=["done_until", "changed", "finished_at"])
    return outcome


def repair(seconds: float = 40.0, keys: Sequence[SeriesKey] | None = None) -> Outcome:
    """Looks for minutes that are missing and fetches them again; asks once more for what the exchange did not have.
    What it still does not have is noted as its hole."""
    until, whole = monotonic() + seconds, Outcome(done=True)
    wanted = wanted_series() if keys is None else list(keys)
    for key in sample(wanted, len(wanted)):  # so that none always comes last
        if monotonic() > until:
            whole.done = False
            break
        windows = missing_windows(key, datetime.now(UTC))
        if windows:
            source, left = ListSource(windows), until - monotonic()
            run = CandleRun(venue(key.exchange), key.market, source, Priority.REPAIR, left, announce=True)
            whole = _added(whole, run.go())
        if whole.stopped:
            whole.done = False
            break
    services.catch_up(list(whole.touched), datetime.now(UTC))
    return whole


def missing_windows(key: SeriesKey, now: datetime) -> list[Window]:
    """What is missing of a series where it is known, and what its exchange did not have and may have by now."""
    rows = states([key])
    if not rows or rows[0].covered_from is None or rows[0].covered_until is None:
        return []
    settled = (now - SETTLED_AFTER).replace(second=0, microsecond=0)
    start, end = rows[0].covered_from, min(rows[0].covered_until, settled)
    if start >= end:
        return []
    stretches = [
        (gap.start, gap.end)
        for day in incomplete_days(key, start, end)
        for gap in gaps(key, max(start, day), min(end, day + DAY))
    ]
    stretches += [(hole.start, hole.end) for hole in due_holes(key, now)]
    most = venue(key.exchange).most_klines[key.market]
    return [window for low, high in sorted(stretches) for window in cut(key, low, high, most)]


def due_holes(key: SeriesKey, now: datetime) -> list[Hole]:
    """Holes of which it is time to ask again: six times longer after each check, until there were MOST_CHECKS."""
    series = {"exchange": key.exchange, "market_type": key.market, "symbol": key.symbol}
    found = Hole.objects.filter(checks__lt=MOST_CHECKS, **series)
    return [hole for hole in found if hole.checked_at + 10 * MINUTE * 6 ** (hole.checks - 1) <= now]


def progress_of(keys: Sequence[SeriesKey], now: datetime) -> tuple[int, int]:
    """Minutes that are done and minutes in all of these series, as far as they are known. One query."""
    parts = [progress(row, now) for row in states(keys)]
    return sum(part.done for part in parts), sum(part.total for part in parts)


def begun(keys: Sequence[SeriesKey]) -> list[SeriesState]:
    """The states of these series; those that are new begin, with history wanted from START_DATE on."""
    return services.begin(keys, settings.START_DATE.replace(second=0, microsecond=0))


def _by_market(
    keys: Sequence[SeriesKey], rows: Sequence[SeriesState]
) -> list[tuple[list[SeriesKey], list[SeriesState]]]:
    groups: dict[tuple[str, str], tuple[list[SeriesKey], list[SeriesState]]] = {}
    for key, row in zip(keys, rows, strict=True):
        group = groups.setdefault((key.exchange, key.market), ([], []))
        group[0].append(key)
        group[1].append(row)
    return list(groups.values())


def _allowed(rows: Sequence[SeriesState]) -> list[SeriesState]:
    """Those that the exchange has not just refused."""
    if not rows:
        return []
    first = rows[0]
    waiting = refusals.waiting(f"{REFUSED}:{first.exchange}", first.market_type, [row.symbol for row in rows])
    return [row for row in rows if row.symbol not in waiting]


def _added(whole: Outcome, part: Outcome) -> Outcome:
    for name in ("requests", "candles", "added", "changed", "refused"):
        setattr(whole, name, getattr(whole, name) + getattr(part, name))
    whole.failed |= part.failed
    whole.touched |= part.touched
    whole.finished += part.finished
    whole.done = whole.done and part.done
    whole.stopped = whole.stopped or part.stopped
    if part.resume_at:
        whole.resume_at = max(part.resume_at, whole.resume_at or part.resume_at)
    return whole
