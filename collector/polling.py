"""One part of a minute, from the exchange: its order books, read in parallel within the budget and the deadline."""

import logging
import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from collector.asking import MarketHalted, NoLeave, ask
from collector.events import Event
from collector.exchanges.base import Answer, RawBook, Refused, Unavailable, Venue
from collector.limits import WeightBudget

logger = logging.getLogger(__name__)

READERS = 12  # connections of a process
ATTEMPTS = 3
LONGEST_WAIT = 8.0  # seconds for one answer
TICK = 0.5  # seconds between two looks at the clock
DOWN_AFTER = 8  # answers in a row that did not come: the exchange is down, and others wait for this process
DOWN_PAUSE = (3.0, 6.0)

OVERRUN, BUDGET, UNAVAILABLE, REFUSED = "overrun", "budget", "unavailable", "refused"


@dataclass(frozen=True, slots=True)
class Target:
    """One order book to be read: its symbol, levels a side, and the weight of asking."""

    name: str
    limit: int
    weight: int


@dataclass(frozen=True, slots=True)
class Reading:
    """How one target went: `raw`, or the `cause` and `message` of its absence. `postponed` asks for another try in
    this minute. `asked` requests were made, `unanswered` of them without a usable answer."""

    target: Target
    raw: RawBook | None
    cause: str = ""
    message: str = ""
    postponed: bool = False
    asked: int = 0
    unanswered: int = 0


@cache
def _readers(process: int) -> ThreadPoolExecutor:
    """The reading threads of this process; a fork makes its own. Each keeps its connections."""
    return ThreadPoolExecutor(READERS, thread_name_prefix=f"reader-{process}")


class Poll:
    """Reads `targets` until `deadline`; answers may come until `end` (both aware). Make one for each part.

    `resume_at` tells when reading may go on when it stopped before; `events` what is worth keeping."""

    def __init__(
        self, venue: Venue, limits: WeightBudget, targets: Sequence[Target], deadline: datetime, end: datetime
    ) -> None:
        self.resume_at: datetime | None = None
        self.events: list[Event] = []
        self._venue = venue
        self._limits = limits
        self._targets = targets
        self._deadline = deadline.timestamp()
        self._end = end.timestamp()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._unanswered = 0  # in a row
        self._reason = ("", "")  # cause and message of the stop

    def readings(self) -> Iterator[Reading | None]:
        """Each target's reading as it comes, and None now and then, so that the caller can see to other things."""
        pool = _readers(os.getpid())
        pending = {pool.submit(self._read, target): target for target in self._targets}
        try:
            while pending and time.time() < self._end:
                done, _ = wait(pending, TICK, FIRST_COMPLETED)
                for future in done:
                    yield self._result(future, pending.pop(future))
                yield None
        finally:
            self._stop.set()
            for future in pending:
                future.cancel()
        for target in pending.values():  # still on its way: what comes now belongs to no minute
            yield Reading(target, None, OVERRUN, "no answer before the minute's end", asked=1, unanswered=1)

    def _result(self, future: Future[Reading], target: Target) -> Reading:
        try:
            return future.result()
        except Exception as error:  # one symbol must never harm the others
            logger.exception("%s %s could not be read", target.name, self._limits.market)
            return Reading(target, None, UNAVAILABLE, f"{type(error).__name__}: {error}", asked=1, unanswered=1)

    def _read(self, target: Target) -> Reading:
        unanswered, message = 0, ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._stop.wait(random.uniform(0.2, 0.6) * 2 ** (attempt - 1))  # noqa: S311 - jitter
            if time.time() >= self._deadline:
                told = message or "not asked before the minute's end"
                return Reading(target, None, OVERRUN, told, asked=unanswered, unanswered=unanswered)
            if self._stop.is_set():
                return self._postponed(target, unanswered)
            try:
                raw = ask(self._limits, target.weight, lambda: self._fetch(target))
            except NoLeave as refusal:
                self._pause(refusal.retry_at, "halted" if refusal.halted else BUDGET, str(refusal))
                return self._postponed(target, unanswered)
            except MarketHalted as halted:
                self._halted(halted)
                return self._postponed(target, unanswered + 1)
            except Refused as refused:
                return Reading(target, None, REFUSED, str(refused), asked=unanswered + 1, unanswered=unanswered + 1)
            except Unavailable as error:
                unanswered, message = unanswered + 1, str(error)
                self._not_answered(message)
                continue
            self._unanswered = 0
            return Reading(target, raw, asked=unanswered + 1, unanswered=unanswered)
        if self._stop.is_set():
            return self._postponed(target, unanswered)
        return Reading(target, None, UNAVAILABLE, message, asked=unanswered, unanswered=unanswered)

    def _postponed(self, target: Target, asked: int) -> Reading:
        """None of the `asked` requests was answered, and the part has stopped for now, for the reason it stopped."""
        return Reading(target, None, *self._reason, postponed=True, asked=asked, unanswered=asked)

    def _fetch(self, target: Target) -> Answer[RawBook]:
        seconds = min(LONGEST_WAIT, self._end - time.time())
        return self._venue.fetch_book(self._limits.market, target.name, target.limit, seconds)

    def _not_answered(self, message: str) -> None:
        with self._lock:
            self._unanswered += 1
            down = self._unanswered >= DOWN_AFTER
        if down:
            until = datetime.fromtimestamp(time.time() + random.uniform(*DOWN_PAUSE), UTC)  # noqa: S311 - jitter
            self._pause(until, UNAVAILABLE, message)

    def _halted(self, halted: MarketHalted) -> None:
        if halted.event:
            self.events.append(halted.event)
        self._pause(halted.until, halted.cause, str(halted))

    def _pause(self, until: datetime, cause: str, message: str) -> None:
        with self._lock:
            if self.resume_at is None or until > self.resume_at:
                self.resume_at, self._reason = until, (cause, message)
        self._stop.set()
