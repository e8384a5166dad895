"""From the exchange to candles.services: windows fetched in parallel within the budget, stored as they come."""

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from candles import services
from candles.candle import Kline, KlineAnswer, SeriesKey, milliseconds_of
from candles.selectors import states
from collector import refusals
from collector.asking import MarketHalted, NoLeave, ask, budget_of
from collector.candle_windows import Source, Window, answered
from collector.events import record
from collector.exchanges.base import Klines, Refused, Unavailable, Venue
from collector.limits import Priority, WeightBudget

logger = logging.getLogger(__name__)

READERS = 6  # requests at once
IN_FLIGHT = 10  # so that readers need not wait while answers are stored
TIMEOUT = 10.0
ATTEMPTS = 3
DOWN_AFTER = 8  # requests in a row without an answer: the exchange is down
REFUSED = "candles"  # where refusals of candles are remembered, apart from those of books


@dataclass(slots=True)
class Outcome:
    """What a run did. `resume_at`: when going on may help, where it was stopped; `done`: nothing is left to do."""

    requests: int = 0
    candles: int = 0
    added: int = 0
    changed: int = 0
    refused: int = 0
    failed: dict[SeriesKey, str] = field(default_factory=dict)
    touched: set[SeriesKey] = field(default_factory=set)
    finished: list[Window] = field(default_factory=list)
    live: list[tuple[SeriesKey, Kline]] = field(default_factory=list)
    resume_at: datetime | None = None
    stopped: str = ""
    done: bool = False


@dataclass(frozen=True, slots=True)
class _Fetched:
    window: Window
    klines: Klines
    asked_at: datetime  # the exchange's clock
    answer: KlineAnswer | None  # None: nothing new, or only a probe


@cache
def _readers(process: int) -> ThreadPoolExecutor:
    """The reading threads of this process; a fork makes its own. Each keeps its connections."""
    return ThreadPoolExecutor(READERS, thread_name_prefix=f"candles-{process}")


class CandleRun:
    """Fetches the windows of one market that a source gives, until there are none, `seconds` are over, or nothing may
    be asked. Each batch of answers is stored, with how far its series are known, in one transaction: wherever a run
    is killed, the next goes on from there. `announce` tells listeners of new minutes."""

    def __init__(
        self,
        venue: Venue,
        market: str,
        source: Source,
        priority: Priority,
        seconds: float,
        announce: bool = False,
        report: Callable[[Outcome], None] | None = None,
    ) -> None:
        self._venue, self._market, self._source = venue, market, source
        self._priority, self._announce, self._report = priority, announce, report
        self._limits: WeightBudget = budget_of(venue, market)
        self._until = time.monotonic() + seconds
        self._stop = threading.Event()
        self._unanswered = 0
        self._outcome = Outcome()

    def go(self) -> Outcome:
        """Raises one of markets.storage.DATABASE_AWAY; what was stored before stays."""
        pool, pending = _readers(os.getpid()), dict[Future[_Fetched], Window]()
        try:
            while True:
                self._fill(pool, pending)
                if not pending:
                    break
                done, _ = wait(pending, 0.5, FIRST_COMPLETED)
                fetched = [self._result(future, pending.pop(future)) for future in done]
                self._store([one for one in fetched if one is not None])
        finally:
            self._stop.set()
            for future in pending:
                future.cancel()
        if self._outcome.failed:
            services.note_errors(list(self._outcome.failed.items()), datetime.now(UTC))
        return self._outcome

    def _now(self) -> datetime:
        return datetime.now(UTC) + timedelta(milliseconds=self._limits.offset_ms)

    def _fill(self, pool: ThreadPoolExecutor, pending: dict[Future[_Fetched], Window]) -> None:
        while len(pending) < IN_FLIGHT and not self._stop.is_set():
            if time.monotonic() > self._until:
                self._outcome.stopped = self._outcome.stopped or "time"
                self._stop.set()  # what is on its way may come; nothing is tried again
                return
            window = self._source.take([window.key for window in pending.values()], self._now())
            if window is None:
                self._outcome.done = not pending
                return
            pending[pool.submit(self._fetch, window)] = window

    def _fetch(self, window: Window) -> _Fetched:
        """In a reading thread. Raises NoLeave or a VenueError."""
        weight = self._venue.klines_weight(self._market, window.limit)
        start, end = milliseconds_of(window.start), milliseconds_of(window.end) - 1 + 60_000 * window.live
        for attempt in range(ATTEMPTS):
            if attempt:
                self._stop.wait(random.uniform(0.2, 0.6) * 2 ** (attempt - 1))  # noqa: S311 - jitter
            if self._stop.is_set():
                break
            asked_at = self._now()
            try:
                klines = ask(
                    self._limits,
                    weight,
                    lambda: self._venue.fetch_klines(
                        self._market, window.key.symbol, start, end, window.limit, TIMEOUT
                    ),
                    self._priority,
                )
            except Unavailable:
                self._unanswered += 1
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            self._unanswered = 0
            answer = None if window.probe else answered(window, klines, asked_at)
            # Checked here, while another answer is being stored.
            return _Fetched(window, klines, asked_at, answer and services.check(answer))
        raise Unavailable("the run was stopped")

    def _result(self, future: Future[_Fetched], window: Window) -> _Fetched | None:
        """What came of a window; None when it has to be asked for another time."""
        outcome = self._outcome
        try:
            fetched = future.result()
        except NoLeave as refusal:
            self._halt(refusal.retry_at, "halted" if refusal.halted else "budget")
        except MarketHalted as halted:
            if halted.event:
                record([halted.event])
            self._halt(halted.until, halted.cause)
        except Refused as refused:
            refusals.note(f"{REFUSED}:{window.key.exchange}", self._market, window.key.symbol)
            self._drop(window, str(refused))
        except Unavailable as error:
            if not self._stop.is_set():
                self._drop(window, str(error))
            if self._unanswered >= DOWN_AFTER:
                self._halt(datetime.now(UTC) + timedelta(seconds=5), "unavailable")
        else:
            outcome.requests += 1
            return fetched
        return None

    def _halt(self, until: datetime, cause: str) -> None:
        self._outcome.resume_at = max(until, self._outcome.resume_at or until)
        self._outcome.stopped = cause
        self._stop.set()

    def _drop(self, window: Window, message: str) -> None:
        """This series is left alone for the rest of the run."""
        self._outcome.failed[window.key] = message
        self._source.leave_out(window.key)

    def _store(self, fetched: list[_Fetched]) -> None:
        if not fetched:
            return
        answers: list[KlineAnswer] = []
        for one in fetched:
            if one.window.probe:
                self._note_first(one)
                continue
            self._outcome.finished.append(one.window)
            if one.answer is None:
                self._source.leave_out(one.window.key)  # nothing new yet: not again in this run
            else:
                answers.append(one.answer)
            self._note_open(one)
        self._write(answers)
        self._source.learn({row.key: row for row in states([one.window.key for one in fetched])})
        if self._report:
            self._report(self._outcome)

    def _write(self, answers: list[KlineAnswer]) -> None:
        if not answers:
            return
        stored = services.store_answers(answers, announce=self._announce)
        outcome = self._outcome
        outcome.candles += sum(len(answer.klines) for answer in answers)
        outcome.added += stored.added
        outcome.changed += stored.changed
        outcome.refused += stored.refused
        outcome.touched.update(stored.keys)

    def _note_first(self, fetched: _Fetched) -> None:
        rows = fetched.klines.rows
        if rows:
            services.note_available(fetched.window.key, fetched.window.start, rows[0].open_time)
        else:
            self._drop(fetched.window, "the exchange has no candles of this time")

    def _note_open(self, fetched: _Fetched) -> None:
        """The open minute of a live window, if it came with it."""
        opening = milliseconds_of(fetched.asked_at.replace(second=0, microsecond=0))
        if fetched.window.live:
            self._outcome.live += [(fetched.window.key, row) for row in fetched.klines.rows if row.open_time == opening]
