"""The feed put together: what it follows, its threads, and its end."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, time

from django.conf import settings
from django.db import connection
from redis import RedisError

from collector import kinds  # noqa: F401 - whatever waits in the spool is known
from collector.asking import budget_of
from collector.audits import take_asked
from collector.cycle import is_running
from collector.events import Event, Type
from collector.exchanges import STREAMS
from collector.exchanges.streams import Kind, Taken
from collector.feed.books import BookRules, Books
from collector.feed.candle_polls import CandlePolls
from collector.feed.candles import CandleKeeper, Candles, candles_to_follow
from collector.feed.engine import Engine
from collector.feed.keeping import Keeping
from collector.feed.leases import Leases, Shard
from collector.feed.minutes import is_ready
from collector.feed.publisher import Publisher
from collector.feed.raw_depth import RawDepth
from collector.feed.recorder import Bounds, Recorder
from collector.feed.report import Reporter
from collector.feed.snapshots import SnapshotDesk
from collector.feed.tape import Tape
from collector.feed.tape_keeping import TapeKeeper
from collector.feed.tape_live import LiveTape
from collector.feed.tape_wanted import raw_depth_to_follow, tape_to_follow
from collector.feed.wanted import registered, symbols_to_follow
from collector.handover import announce
from collector.limits import WeightBudget, budget
from collector.spool_use import publish
from collector.venues import venue
from depth.services import replay
from markets.storage import DATABASE_AWAY

logger = logging.getLogger(__name__)

STEP = 0.25
FOLLOW_EVERY = 2.0
TAPE_EVERY = 10.0
CANDLES_EVERY = 10.0
ANNOUNCE_EVERY = 1.0
REPORT_EVERY = 2.0
BUDGET_EVERY = 15.0
SPOOL_EVERY = 2.0


class Feed:
    """One exchange's feed. `run` lasts until `stop`, which any thread may call. `capture` is the folder that everything
    that comes is recorded to."""

    def __init__(self, exchange: str = "binance", shard: Shard | None = None, capture: Path | None = None) -> None:
        self.shard = shard or Shard()
        self.venue = venue(exchange)
        addresses = {market: parts["ws"] for market, parts in settings.VENUE_URLS[exchange].items()}
        self.keeping = Keeping(exchange)
        self.leases = Leases(self.shard, lambda symbols: self.publisher.taken(symbols), self._leases_changed)
        self.publisher = Publisher(self.leases.guard)
        self.engine = Engine(STREAMS[exchange](addresses, _taken()), self.keeping)
        self.desk = SnapshotDesk(self.venue, self._budget, self.keeping.event)
        rules = BookRules(
            settings.DEPTH_BANDS, settings.LIVE_RATE, settings.ORDERBOOK_LEVELS, settings.ORDERBOOK_UPDATE_INTERVAL
        )
        later = self.engine.inbox.call
        clock = self.engine.clock
        self.books = Books(rules, self.desk, self.publisher, self.keeping, later, self.leases.may_store, clock)
        self.recorder = None
        if capture is not None:
            bounds = Bounds(settings.CAPTURE_LIMIT, settings.CAPTURE_HOURS)
            self.recorder = Recorder(capture, exchange, bounds, self._events_lost)
            self.engine.recorder = self.books.recorder = self.recorder
        self.engine.add(self.books)
        self.tape = Tape()
        self.live_tape = self.tape.live = LiveTape(self.tape.followed, self.leases.holds)
        self.engine.add(self.tape)
        self.raw_depth = RawDepth()
        self.engine.add(self.raw_depth)
        self._tape_keeper = TapeKeeper(self.tape, self._events_lost, self.raw_depth)
        self.candles = Candles()
        self.engine.add(self.candles)
        self._candle_keeper = CandleKeeper(self.candles, self._events_lost)
        self._candle_polls = CandlePolls(
            self.candles, self.venue, self._budget, settings.REALTIME_INTERVAL, self.engine.inbox.call
        )
        self.reporter = Reporter(str(self.shard), self.engine, self.books, self.publisher, self.desk, self.keeping)
        self.reporter.tape = self._tape_keeper.reports
        self._stopping = threading.Event()
        self._due: dict[str, float] = {}

    def run(self) -> None:
        """Until `stop`. Then what is gathered is stored and published, and connections are closed."""
        self._begin_recording()
        self.keeping.begin()
        self.leases.begin()
        self.publisher.begin()
        with suppress(RedisError):
            self.reporter.remember()
        self._tape_keeper.begin()
        self._candle_keeper.begin()
        self._candle_polls.begin()
        self.live_tape.begin()
        housekeeper = threading.Thread(target=self._keep_house, name="housekeeper", daemon=True)
        housekeeper.start()
        logger.info("the feed %s begins", self.shard)
        try:
            self.engine.run()
        finally:
            self._stopping.set()
            if self.recorder is not None:
                self.recorder.end()
            self.desk.end()
            self.publisher.end()
            self.leases.end()
            self._tape_keeper.end()
            self._candle_polls.end()
            self._candle_keeper.end()
            self.live_tape.end()
            self.keeping.end()
            housekeeper.join(2.0)
            logger.info("the feed %s has ended", self.shard)

    def stop(self) -> None:
        self._stopping.set()
        self.engine.stop()

    def _begin_recording(self) -> None:
        """A folder that takes nothing, as on a full disk, costs the recording, and not the feed."""
        try:
            if self.recorder is not None:
                self.recorder.begin()
        except OSError as error:
            self.recorder = self.engine.recorder = self.books.recorder = None
            self._events_lost(f"nothing is recorded: {error}")

    def _budget(self, market: str) -> WeightBudget:
        return budget(self.venue.name, market, self.venue.default_weight[market])

    # --- what is looked at now and then, by a thread of its own: it asks the database and Redis ----------------------

    def _keep_house(self) -> None:
        while not self._stopping.is_set():
            for every, task in (
                (FOLLOW_EVERY, self._follow),
                (TAPE_EVERY, self._follow_tape),
                (CANDLES_EVERY, self._follow_candles),
                (BUDGET_EVERY, self._know_budgets),
                (ANNOUNCE_EVERY, self._announce),
                (REPORT_EVERY, self._report),
                (SPOOL_EVERY, _work_off_spool),
            ):
                self._do(every, task)
            self._stopping.wait(STEP)
        try:
            if not self.leases.standby:
                announce(str(self.shard), [], time())
                self.reporter.withdraw()
        except RedisError as error:
            logger.warning("the feed's end is not told: Redis is away (%s)", error)
        connection.close()

    def _do(self, every: float, task: Callable[[], None]) -> None:
        now, name = monotonic(), task.__name__
        if now < self._due.get(name, 0.0):
            return
        self._due[name] = now + every
        try:
            task()
        except (RedisError, *DATABASE_AWAY) as error:
            logger.warning("%s: a server is away (%s)", name, str(error).strip())
        except Exception:
            logger.exception("%s did not go well", name)

    def _follow(self) -> None:
        rows = registered(self.venue)
        self.leases.want(symbol for _, symbol in rows)
        leaving = self.leases.leaving
        found = symbols_to_follow(self.venue, rows, self.leases, settings.LIVE_ON_DEMAND)
        symbols = {key: one for key, one in found.items() if Kind.DEPTH in settings.STREAM_KINDS[key[0]]}
        running = is_running()

        def use() -> None:
            self.books.minutes.running = running
            self.books.follow(symbols, leaving)
            if leaving:
                self.publisher.then(lambda: self.leases.let_go(leaving))

        self.engine.inbox.call(use)
        if asked := take_asked(self.leases.holds):
            self.engine.inbox.call(lambda: self.books.audit(asked))

    def _follow_tape(self) -> None:
        chosen = tape_to_follow(self.venue, self.leases, self.tape.followed(), is_running())
        raw = raw_depth_to_follow(self.venue, self.leases, is_running())

        def use() -> None:
            self.tape.follow(chosen)
            self.raw_depth.follow(raw)

        self.engine.inbox.call(use)

    def _follow_candles(self) -> None:
        chosen = candles_to_follow(self.venue, self.leases, is_running())
        self.engine.inbox.call(lambda: self.candles.follow(chosen))

    def _leases_changed(self) -> None:
        """From the thread of leases: the housekeeper looks at once."""
        self._due.clear()

    def _events_lost(self, text: str) -> None:
        logger.critical("%s", text)
        self.keeping.event(Event(Type.ERROR, text))

    def _know_budgets(self) -> None:
        """Limits and clocks as the registry has them, for all threads."""
        for market in self.venue.markets:
            budget_of(self.venue, market)

    def _report(self) -> None:
        if not self.leases.standby:
            self.reporter.write()

    def _announce(self) -> None:
        if self.leases.standby:
            return
        now = time()
        running = self.books.minutes.running
        followed = [item for item in list(self.books.followed.items()) if self.leases.may_store(item[0][1])]
        ready = [key for key, book in followed if running and is_ready(book, now)]
        announce(str(self.shard), ready, now)


def _taken() -> Taken:
    return Taken(
        payloads=[Kind(name) for name in settings.EVENT_PAYLOADS],
        depth=settings.DEPTH_UPDATES,
        mark_price_seconds=settings.MARK_PRICE_SECONDS,
    )


def _work_off_spool() -> None:
    """What waits for the database on this machine is stored when it is back, be a worker here or not."""
    try:
        replay()
    finally:
        publish()
