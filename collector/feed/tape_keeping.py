"""From the feed to the database: trades, mark prices, liquidations and raw diffs in batches, by threads of their own.

While the database is away they go to the spool. While it is only slow, what gathers beyond half of a queue goes there
as well, by a second thread: the reader of the socket never waits, and nothing is dropped for want of room."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic, time
from typing import Any

from django.db import connection

from collector.feed.figures import TapeReport
from collector.feed.raw_depth import DEPTH_UPDATES, RawDepth
from collector.feed.tape import BATCH, Basket, Tape
from depth.services import SpoolFull, accept, kind, set_aside
from derivatives import services
from derivatives.events import ForcedOrder, IdRange, Mark, Trade

logger = logging.getLogger(__name__)

TRADES = kind("derivatives.trades", list[Trade], services.store_trades)
MARKS = kind("derivatives.marks", list[Mark], services.store_marks)
FORCED_ORDERS = kind("derivatives.forced_orders", list[ForcedOrder], services.store_forced_orders)
TRADE_GAPS = kind("derivatives.trade_gaps", list[IdRange], services.store_gaps)

EVERY = 1.0  # seconds after which what is gathered is stored, however little
URGENT = 0.05  # the same for what cannot be had again
LOOK_EVERY = 0.25
HALF = 0.5  # of a queue: where storing is that far behind, batches wait on disk


@dataclass(slots=True)
class Course:
    """One kind of events on its way. `lag` is the longest time in seconds from an event to its being stored since it
    was last told; None: nothing was."""

    name: str
    what: Any
    basket: Basket[Any]
    stored: int = 0
    spooled: int = 0
    lost: int = 0
    lag: float | None = None


class TapeKeeper:
    """Stores what a tape gathers. `on_lost` is told of what is lost, in words."""

    def __init__(self, tape: Tape, on_lost: Callable[[str], None], raw: RawDepth | None = None) -> None:
        self._tape = tape
        self._on_lost = on_lost
        self._told = 0
        # Gaps are stored first and taken last: the tape puts a gap before the trade behind it, so whatever is killed in
        # between, no trade is stored whose gap is not. A trade behind a gap says that it is there to be fetched.
        self._courses = [
            Course("gaps", TRADE_GAPS, tape.gaps),
            Course("liquidations", FORCED_ORDERS, tape.forced_orders),
            Course("trades", TRADES, tape.trades),
            Course("marks", MARKS, tape.marks),
        ]
        if raw is not None:
            self._courses.append(Course("depth", DEPTH_UPDATES, raw.updates))
        self._reported: dict[str, tuple[float, int]] = {}
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name="tape", daemon=True),
            threading.Thread(target=self._relieve, name="tape-relief", daemon=True),
        ]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self, seconds: float = 4.0) -> None:
        """Stores what waits."""
        self._ended.set()
        self._tape.urgent.set()
        for thread in self._threads:
            thread.join(seconds)

    def reports(self) -> list[TapeReport]:
        """Of each kind; rates since the last call."""
        now, made = monotonic(), []
        for course in self._courses:
            done = course.stored + course.spooled
            since, before = self._reported.get(course.name, (now - LOOK_EVERY, done))
            self._reported[course.name] = now, done
            lag, course.lag = course.lag, None
            made.append(
                TapeReport(
                    kind=course.name,
                    rate=round((done - before) / max(now - since, 1e-3), 1),
                    waiting=len(course.basket),
                    stored=course.stored,
                    spooled=course.spooled,
                    dropped=course.basket.dropped + course.lost,
                    lag=None if lag is None else round(lag, 3),
                )
            )
        return made

    def _run(self) -> None:
        while not self._ended.is_set():
            began = monotonic()
            if not self.store() and self._tape.urgent.wait(max(URGENT, EVERY - (monotonic() - began))):
                self._tape.urgent.clear()
                self._ended.wait(URGENT)
        while self.store():
            pass
        connection.close()

    def store(self) -> bool:
        """One batch of each kind; whether there may be more."""
        more = False
        for course, items in self._taken(self._courses):
            self._keep(course, items, accept)
            more = more or len(items) >= BATCH
        dropped = sum(course.basket.dropped for course in self._courses)
        if dropped > self._told:
            self._on_lost(f"{dropped - self._told} events were dropped: storing them is too slow")
            self._told = dropped
        return more

    def _relieve(self) -> None:
        while not self._ended.wait(LOOK_EVERY):
            while crowded := [course for course in self._courses if course.basket.room() < HALF]:
                for course, items in self._taken([self._courses[0], *crowded]):
                    self._keep(course, items, set_aside)

    def _taken(self, courses: Sequence[Course]) -> list[tuple[Course, list[Any]]]:
        """A batch of each of these, the first one (gaps) whole and taken last."""
        found = [(course, course.basket.take()) for course in reversed(courses[1:])]
        gaps = courses[0].basket
        found.append((courses[0], gaps.take(max(BATCH, 2 * len(gaps)))))
        return [(course, items) for course, items in reversed(found) if items]

    def _keep(self, course: Course, items: list[Any], way: Callable[[Any, Any], Any]) -> None:
        """Accepts a batch in this way. What cannot be is told, and trades among it are to be fetched."""
        try:
            added = way(course.what, items)
        except SpoolFull as error:
            self._lose(course, items, f"the database is away, and the spool is full: {error}")
        except Exception as error:
            logger.exception("%d %s were not stored", len(items), course.name)
            self._lose(course, items, f"they cannot be stored: {type(error).__name__}")
        else:
            if added is None:
                course.spooled += len(items)
            else:
                course.stored += len(items)
                course.lag = max(course.lag or 0.0, lag_of(items, time()))

    def _lose(self, course: Course, items: Sequence[Any], reason: str) -> None:
        course.lost += len(items)
        self._on_lost(f"{len(items)} {course.name} are lost: {reason}")
        if course.what is TRADES:  # they can be had again
            for gap in joined(IdRange(trade.market, trade.symbol, trade.id, trade.id) for trade in items):
                self._tape.gaps.put(gap)


def lag_of(items: Sequence[Any], now: float) -> float:
    """Seconds from the oldest event's time, by the exchange's clock, to `now`; 0 where none tells its time."""
    times = [time_ms for item in items if (time_ms := getattr(item, "event_time", None))]
    return max(0.0, now - min(times) / 1000) if times else 0.0


def joined(ranges: Any) -> list[IdRange]:
    """Neighbours as one, in order."""
    made: list[IdRange] = []
    for one in sorted(ranges, key=lambda r: (r.market, r.symbol, r.first)):
        last = made[-1] if made else None
        if last and (last.market, last.symbol) == (one.market, one.symbol) and one.first <= last.last + 1:
            made[-1] = IdRange(last.market, last.symbol, last.first, max(last.last, one.last))
        else:
            made.append(one)
    return made
