"""The feed's part for candles: takes each minute as it is told, open ones to who watches, closed ones to be kept."""

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic, time

from django.conf import settings
from django.db import connection

from candles import services
from candles.candle import Kline, SeriesKey
from collector.backfill import wanted_series
from collector.exchanges.base import Venue
from collector.exchanges.streams import CandleUpdate, Kind, Message
from collector.feed.candle_line import CandleLine, Learned
from collector.feed.leases import Holder
from collector.feed.parts import Wish
from collector.feed.tape import Basket
from depth.services import SpoolFull, accept, kind

logger = logging.getLogger(__name__)

Key = tuple[str, str]  # market, symbol
Batch = list[tuple[SeriesKey, list[Kline]]]

INTERVAL = "1m"
TELL_EVERY = 0.1  # seconds in which what is open of one series is told once
BATCH = 20_000


def _store(batch: Batch) -> services.Stored:
    return services.store_klines(batch, within=True)


CLOSED = kind("candles.closed", Batch, _store)


def candles_to_follow(venue: Venue, holder: Holder, running: bool) -> list[SeriesKey]:
    """The series whose candles are collected and have a stream; none while collection is switched off. Raises one of
    DATABASE_AWAY."""
    chosen = [one for one in settings.CANDLE_MARKETS if Kind.CANDLES in settings.STREAM_KINDS[one]]
    if not running or not chosen:
        return []
    return [key for key in wanted_series(chosen) if key.exchange == venue.name and holder.holds(key.symbol)]


class Candles:
    """A Part. Gathers for CandleKeeper; its lines say what CandlePolls has to ask for."""

    messages: Sequence[type] = (CandleUpdate,)

    def __init__(self) -> None:
        self.lines: Mapping[Key, CandleLine] = {}
        self.closed: Basket[tuple[SeriesKey, Kline]] = Basket()
        self.came = threading.Event()
        self._open: dict[SeriesKey, tuple[Kline, float]] = {}
        self._lock = threading.Lock()
        self._wishes: list[Wish] = []

    def follow(self, keys: Collection[SeriesKey]) -> None:
        """From now on these series; in the thread of frames."""
        now = monotonic()
        wanted = {(key.market, key.symbol): key for key in keys}
        self.lines = {place: self.lines.get(place) or CandleLine(key, now) for place, key in wanted.items()}
        self._wishes = [Wish(market, Kind.CANDLES, symbol, INTERVAL) for market, symbol in wanted]

    def wishes(self) -> Collection[Wish]:
        return self._wishes

    def take(self, message: Message, received_at: float, main: bool) -> bool:
        if isinstance(message, CandleUpdate) and message.interval == INTERVAL:
            line = self.lines.get((message.market, message.symbol))
            if line is not None:
                learned = line.streamed(_kline(message), message.closed, monotonic())
                self._gather(line.key, learned, received_at)
        return True

    def polled(self, line: CandleLine, klines: Sequence[Kline], asked: int) -> None:
        """What the exchange answered about a line; in the thread of frames."""
        self._gather(line.key, line.polled(klines, asked, monotonic()), time())

    def _gather(self, key: SeriesKey, learned: Learned, received_at: float) -> None:
        for kline in learned.closed:
            self.closed.put((key, kline))
        if learned.open is not None:
            with self._lock:
                self._open[key] = (learned.open, received_at)
        if learned.closed or learned.open is not None:
            self.came.set()

    def take_open(self) -> dict[SeriesKey, tuple[Kline, float]]:
        """The open minutes that came since the last time, with when (epoch seconds); from any thread."""
        with self._lock:
            found, self._open = self._open, {}
        return found

    def lost(self, wishes: Collection[Wish], down: bool) -> None:
        """While nothing comes the exchange is asked instead. What was missed shows by the minutes that do not close."""
        if not down:
            return
        now = monotonic()
        for wish in wishes:
            line = self.lines.get((wish.market, wish.symbol or ""))
            if wish.kind is Kind.CANDLES and line is not None:
                line.lost(now)

    def unreadable(self, wishes: Collection[Wish], reason: str) -> None:
        """The next message tells the whole minute again."""

    def tick(self, now: float) -> None:
        """Nothing waits for a time."""

    def close(self) -> None:
        """What is gathered is stored by the keeper."""


class CandleKeeper:
    """Tells what is open and stores what is closed, each in a thread of its own: a database that is slow must not hold
    up prices. While it is away closed minutes go to the spool, and are told all the same."""

    def __init__(self, part: Candles, on_lost: Callable[[str], None]) -> None:
        self._part = part
        self._on_lost = on_lost
        self._dropped = 0
        self._ended = threading.Event()
        self._filled = threading.Event()
        self._threads = [
            threading.Thread(target=self._run_telling, name="candles-open", daemon=True),
            threading.Thread(target=self._run_storing, name="candles-closed", daemon=True),
        ]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self, seconds: float = 4.0) -> None:
        """Stores what waits."""
        self._ended.set()
        self._part.came.set()
        self._filled.set()
        for thread in self._threads:
            thread.join(seconds)

    def _run_telling(self) -> None:
        while not self._ended.is_set():
            self._part.came.wait(1.0)
            self._part.came.clear()
            if len(self._part.closed):
                self._filled.set()
            try:
                self.tell()
            except Exception:
                logger.exception("open candles were not told")
            self._ended.wait(TELL_EVERY)

    def tell(self) -> None:
        found = self._part.take_open()
        if found:
            heard = max(received for _, received in found.values())
            rows = [(key, kline) for key, (kline, _) in found.items()]
            services.live_candles(rows, datetime.fromtimestamp(heard, UTC))

    def _run_storing(self) -> None:
        while not self._ended.is_set():
            self._filled.wait(1.0)
            self._filled.clear()
            self.store()
        self.store()
        connection.close()

    def store(self) -> None:
        """Everything that is closed and waits."""
        while rows := self._part.closed.take(BATCH):
            batch: dict[SeriesKey, list[Kline]] = {}
            for key, kline in rows:
                batch.setdefault(key, []).append(kline)
            self._accept(list(batch.items()))
        if self._part.closed.dropped > self._dropped:
            self._on_lost(
                f"{self._part.closed.dropped - self._dropped} candles wait to be fetched again: storing is slow"
            )
            self._dropped = self._part.closed.dropped

    def _accept(self, batch: Batch) -> None:
        """What is lost here is missing behind what its series knows, and is fetched again when that is possible."""
        try:
            if accept(CLOSED, batch) is None:
                services.tell_closed(batch)
        except SpoolFull as error:
            self._on_lost(f"candles are not kept: the database is away, and the spool is full: {error}")
        except Exception:
            logger.exception("candles of %d series were not stored", len(batch))


def _kline(it: CandleUpdate) -> Kline:
    return Kline(
        it.open_time, it.open, it.high, it.low, it.close, it.volume, it.close_time, it.quote_volume, it.trades,
        it.taker_buy_volume, it.taker_buy_quote_volume,
    )  # fmt: skip
