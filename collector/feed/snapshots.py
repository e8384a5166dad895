"""Order books by REST for the feed: asked within the shared budget, in threads beside that of the frames."""

import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from collector.asking import MarketHalted, NoLeave, ask
from collector.events import Event
from collector.exchanges.base import RawBook, Refused, Venue, VenueError
from collector.limits import Priority, WeightBudget
from depth.book import Snapshot, snapshot_from_levels
from depth.volumes import InvalidBook

logger = logging.getLogger(__name__)

THREADS = 4
PATIENCE = 8.0  # seconds for one answer
REFUSED_PAUSE = 300.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """How asking for a book went: the snapshot and how many levels a side were asked for, or why there is none.
    `retry_at` (our clock, epoch seconds; None: by the usual pauses) is when asking again may help."""

    snapshot: Snapshot | None
    limit: int
    reason: str = ""
    retry_at: float | None = None
    raw: RawBook | None = None  # as it came


class SnapshotDesk:
    """Fetches books. `done` is called in a thread of the desk's."""

    def __init__(
        self,
        venue: Venue,
        budgets: Callable[[str], WeightBudget],
        tell: Callable[[Event], None],
        threads: int = THREADS,
    ) -> None:
        self.asked = 0
        self.failed = 0
        self._venue = venue
        self._budgets = budgets
        self._tell = tell
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="snapshot")

    def fetch(self, market: str, symbol: str, limit: int, priority: Priority, done: Callable[[Fetched], None]) -> None:
        self._pool.submit(self._fetch, market, symbol, limit, priority, done)

    def end(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, market: str, symbol: str, limit: int, priority: Priority, done: Callable[[Fetched], None]) -> None:
        try:
            found = self._ask(market, symbol, limit, priority)
        except Exception as error:  # whoever waits must hear of it
            logger.exception("%s %s could not be asked for", market, symbol)
            found = Fetched(None, limit, f"{type(error).__name__}: {error}")
        self.failed += found.snapshot is None
        done(found)

    def _ask(self, market: str, symbol: str, limit: int, priority: Priority) -> Fetched:
        weight = self._venue.book_weight(market, limit)
        try:
            self.asked += 1
            raw = ask(
                self._budgets(market), weight, lambda: self._venue.fetch_book(market, symbol, limit, PATIENCE), priority
            )
            event_time = None if raw.event_time is None else round(raw.event_time.timestamp() * 1000)
            snapshot = snapshot_from_levels(raw.bids, raw.asks, limit, raw.last_update_id, event_time)
        except NoLeave as refusal:
            # Not all at once when the next minute begins.
            return Fetched(None, limit, str(refusal), refusal.retry_at.timestamp() + random.uniform(0, 2))  # noqa: S311
        except MarketHalted as halted:
            if halted.event:
                self._tell(halted.event)
            return Fetched(None, limit, str(halted), halted.until.timestamp())
        except Refused as refused:
            return Fetched(None, limit, str(refused), time.time() + REFUSED_PAUSE)
        except (VenueError, InvalidBook) as error:
            return Fetched(None, limit, str(error))
        return Fetched(snapshot, limit, raw=raw)
