"""Beside the candle streams: while one is down or silent, the exchange is asked for its series instead.

The budget decides how often: each series every REALTIME_INTERVAL where there is room, all of them in turn where not."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, time

from candles.candle import MINUTE_MS
from collector import refusals
from collector.asking import MarketHalted, NoLeave, ask
from collector.candle_fetch import REFUSED
from collector.exchanges.base import Refused, Venue, VenueError
from collector.feed.candle_line import CandleLine
from collector.feed.candles import Candles
from collector.limits import Priority, WeightBudget

logger = logging.getLogger(__name__)

STEP = 0.05  # seconds between two looks
READERS = 4
TIMEOUT = 5.0
SHARE = 0.2  # of a market's budget that polls may use, spread evenly over the minute


class CandlePolls:
    """Asks in threads of its own; answers go to the part, in the thread of frames, by `call`."""

    def __init__(
        self,
        part: Candles,
        venue: Venue,
        budget: Callable[[str], WeightBudget],
        interval: float,
        call: Callable[[Callable[[], None]], None],
    ) -> None:
        self.asked = 0
        self._part, self._venue, self._budget, self._interval, self._call = part, venue, budget, interval, call
        self._free_at: dict[str, float] = {}  # monotonic, by market: when the next may be asked
        self._turn: dict[str, int] = {}
        self._replacing: set[str] = set()  # markets whose streams are down
        self._ended = threading.Event()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="candle-poll")
        self._thread = threading.Thread(target=self._run, name="candle-polls", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self, seconds: float = 2.0) -> None:
        self._ended.set()
        self._thread.join(seconds)
        self._readers.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._ended.wait(STEP):
            try:
                self.look(monotonic())
            except Exception:
                logger.exception("candles were not asked for")

    def look(self, now: float) -> None:
        """Begins the polls that are due and that the budget has room for, each series in its turn."""
        lines: dict[str, list[CandleLine]] = {}
        for (market, _), line in list(self._part.lines.items()):
            lines.setdefault(market, []).append(line)
        for market, ours in lines.items():
            self._tell(market, sum(line.is_down for line in ours))
            clock = int(time() * 1000) + self._budget(market).offset_ms
            first = self._turn.get(market, 0) % len(ours)
            for place, line in enumerate([*ours[first:], *ours[:first]], first + 1):
                if now < self._free_at.get(market, 0.0):
                    break
                if line.wants_poll(now, clock):
                    self._turn[market] = place
                    self._begin(line, now, clock)

    def _tell(self, market: str, down: int) -> None:
        if down and market not in self._replacing:
            self._replacing.add(market)
            logger.info("%s: candles of %d series are asked for, as their stream is down", market, down)
        elif not down and market in self._replacing:
            self._replacing.discard(market)
            logger.info("%s: candles come by their streams again", market)

    def _begin(self, line: CandleLine, now: float, clock: int) -> None:
        market = line.key.market
        start, count = line.poll(now, clock, self._interval)
        weight = self._venue.klines_weight(market, count)
        pause = 60.0 * weight / (self._budget(market).limit * SHARE)
        self._free_at[market] = max(self._free_at.get(market, 0.0), now - 1.0) + pause
        self._readers.submit(self._poll, line, start, count, weight)

    def _poll(self, line: CandleLine, start: int, count: int, weight: int) -> None:
        """In a reader's thread."""
        key, limits = line.key, self._budget(line.key.market)
        clock = int(time() * 1000) + limits.offset_ms
        try:
            klines = ask(
                limits,
                weight,
                lambda: self._venue.fetch_klines(
                    key.market, key.symbol, start, start + count * MINUTE_MS, count, TIMEOUT
                ),
                Priority.REPAIR,
            )
        except (NoLeave, MarketHalted) as refusal:
            until = refusal.retry_at if isinstance(refusal, NoLeave) else refusal.until
            self._free_at[key.market] = monotonic() + max(0.5, until.timestamp() - time())
            self._call(lambda: line.failed(monotonic()))
        except VenueError as error:
            if isinstance(error, Refused):
                refusals.note(f"{REFUSED}:{key.exchange}", key.market, key.symbol)
            logger.debug("candles of %s are not told: %s", key.symbol, error)
            self._call(lambda: line.failed(monotonic()))
        except Exception:
            logger.exception("candles of %s were not asked for", key.symbol)
            self._call(lambda: line.failed(monotonic()))
        else:
            self.asked += 1
            self._call(lambda: self._part.polled(line, klines.rows, clock))
