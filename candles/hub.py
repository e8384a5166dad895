"""On the way from Redis to live clients: the candles of one symbol, heard and computed once, told to all who watch."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import uniform
from time import monotonic, time

import redis.asyncio
from channels.db import database_sync_to_async

from candles import broadcast
from candles.broadcast import Heard, channel
from candles.candle import Candle, SeriesKey
from candles.indicators import Request, lead
from candles.live import IndicatorState, LiveSeries, Step
from candles.selectors import beginning
from candles.technical import MOST_LEAD
from candles.timeframes import Timeframe
from markets.hub import Topic
from markets.sockets import Frame, Writer
from markets.storage import DATABASE_AWAY

logger = logging.getLogger(__name__)

LIVE_SECONDS = 30.0  # without a word after which a series is told as not live
FEWEST = 60  # candles that a series begins with, whatever its indicators need
LINGER_SECONDS = 20.0  # that a series is kept after its last client left
RELOAD_AFTER = 0.5  # seconds, so that repairs that come one by one are read together
SHORT_EVERY = 30.0  # seconds after which a series whose history is still being collected is read again
MOST_LABELS = 200  # different indicators of one series
LOADS_AT_ONCE = 4


class TooManyIndicators(Exception):
    """Other clients have this series compute as much as it may."""


@dataclass(frozen=True, eq=False, slots=True)
class Watch:
    """What one client wants of a series: `spelling` is its name for the timeframe, `flat` the shape of its messages."""

    writer: Writer
    spelling: str
    requests: tuple[Request, ...] = ()
    flat: bool = False


class Watched:
    """One series in one timeframe, and who watches it."""

    def __init__(self, key: SeriesKey, timeframe: Timeframe) -> None:
        self.key, self.timeframe = key, timeframe
        self.series: LiveSeries | None = None
        self.watches: set[Watch] = set()
        self.heard_at: int | None = None  # epoch ms
        self.requests: dict[str, Request] = {}
        self.pending: list[Heard] | None = None  # what comes while the store is asked
        self.lock = asyncio.Lock()
        self.dirty_since: float | None = None  # monotonic
        self.loaded_at = 0.0
        self.empty_since: float | None = monotonic()
        self.joining = 0  # clients who are about to watch it
        self.told_live = True
        self.told_closed: Candle | None = None

    @property
    def wanted(self) -> int:
        """Candles that its indicators need."""
        return max(FEWEST, min(MOST_LEAD, lead(list(self.requests.values()))) + 2)

    async def load(self) -> None:
        """Begins anew from the store. Raises one of DATABASE_AWAY; what was known stays then."""
        async with self.lock:
            await self._load()

    async def ensure(self, requests: Iterable[Request]) -> None:
        """Knows its candles and computes these. Raises TooManyIndicators, and one of DATABASE_AWAY."""
        async with self.lock:
            new = {one.label: one for one in requests if one.label not in self.requests}
            if len(self.requests) + len(new) > MOST_LABELS:
                used = {request.label for watch in self.watches for request in watch.requests}
                self.requests = {label: one for label, one in self.requests.items() if label in used}
                if len(self.requests) + len(new) > MOST_LABELS:
                    raise TooManyIndicators
            if new or self.series is None:
                before = self.requests
                self.requests = before | new
                try:
                    await self._load()
                except BaseException:
                    self.requests = before  # nobody computes the new ones yet: whoever asks next has to load, too
                    raise

    async def _load(self) -> None:
        self.pending, self.dirty_since = [], None
        try:
            made, heard_at = await _loading(self.key, self.timeframe, self.wanted, tuple(self.requests.values()))
        except BaseException:  # also when the client for whom it was begun has gone
            self.dirty_since = monotonic()
            raise
        else:
            self.told_closed = self.told_closed or made.last
            self.series, self.loaded_at = made, monotonic()
            self.heard_at = max(self.heard_at or 0, heard_at or 0) or None
        finally:
            missed, self.pending = self.pending, None
            for minute in missed:
                self.apply(minute, datetime.now(UTC))

    def apply(self, minute: Heard, now: datetime) -> tuple[bool, list[Candle]]:
        """Whether the newest candle is another one now, and those that closed."""
        if self.series is None:
            return False, []
        candle, finished = minute.candle, list[Candle]()
        if minute.closed:
            step, finished = self.series.closed(candle, now)
        else:
            step = self.series.opened(candle)
            self.heard_at = int(now.timestamp() * 1000)
        if step is Step.RELOAD and self.dirty_since is None:
            self.dirty_since = monotonic()
        elif step is Step.CHANGED:
            self.heard_at = int(now.timestamp() * 1000)
        return step is Step.CHANGED, finished

    def due(self, now: float) -> bool:
        """Whether the store is to be asked again."""
        if self.lock.locked() or self.series is None:
            return False
        if self.dirty_since is not None:
            return now - max(self.dirty_since, self.loaded_at) > RELOAD_AFTER
        return self.series.held < self.wanted and now - self.loaded_at > SHORT_EVERY * uniform(1, 1.5)  # noqa: S311


_loads: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


async def _loading(
    key: SeriesKey, timeframe: Timeframe, count: int, requests: tuple[Request, ...]
) -> tuple[LiveSeries, int | None]:
    """A series as the store has it, and when it was heard of; in a thread, a few at once."""
    few = _loads.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(LOADS_AT_ONCE))

    def load() -> tuple[LiveSeries, int | None]:
        known = beginning(key, timeframe, datetime.now(UTC), count)
        made = LiveSeries(timeframe, known.candles, known.settled, requests)
        if known.minute is not None:
            made.opened(known.minute)
        return made, known.heard_at

    async with few:
        return await database_sync_to_async(load, thread_sensitive=False)()


class CandleTopic(Topic):
    """Everything that is told of one symbol's candles, and the series that clients watch."""

    def __init__(self, symbol: str) -> None:
        super().__init__(channel(symbol))
        self.watched: dict[tuple[str, str], Watched] = {}  # by market and timeframe
        self._cut = False  # Redis is away
        self._tasks: set[asyncio.Task[None]] = set()

    # --- who watches ------------------------------------------------------------------------------------------------

    async def join(self, key: SeriesKey, timeframe: Timeframe, watch: Watch, before: Callable[[], None]) -> Watched:
        """From now on this client is told; `before` is called when that is certain, then comes the newest state.
        Raises TooManyIndicators, and one of DATABASE_AWAY."""
        self.empty_since = None
        place = (key.market, timeframe.name)
        found = self.watched.get(place)
        if found is None:
            found = self.watched[place] = Watched(key, timeframe)
        found.joining += 1
        try:
            await found.ensure(watch.requests)
        finally:
            found.joining -= 1
        self._tell_repaired(found)
        found.watches.add(watch)
        self.empty_since = found.empty_since = None
        before()
        self._tell(found, [watch])
        return found

    def leave(self, found: Watched, watch: Watch) -> None:
        found.watches.discard(watch)
        if not found.watches:
            found.empty_since = monotonic()
        self._mark_empty()

    def _mark_empty(self) -> None:
        if not self.joining and not any(found.watches for found in self.watched.values()):
            self.empty_since = monotonic()

    # --- what comes -------------------------------------------------------------------------------------------------

    async def load(self, client: redis.asyncio.Redis) -> None:
        """Redis is there, or there again: what was told meanwhile is in the store."""
        self._cut = False
        for found in self.watched.values():
            if found.series is not None and found.dirty_since is None:
                found.dirty_since = 0.0

    def heard(self, data: bytes, now: float) -> None:
        minute, moment = broadcast.heard(data), datetime.now(UTC)
        for (market, _), found in self.watched.items():
            if market != minute.market:
                continue
            if found.pending is not None:
                found.pending.append(minute)
                continue
            changed, finished = found.apply(minute, moment)
            if finished:
                self._tell_closed(found, finished)
            if changed and found.series is not None and found.series.tail(moment):
                self._tell(found, found.watches)

    def lost(self, now: float) -> None:
        self._cut = True
        self.tick(now)

    def tick(self, now: float) -> None:
        for place, found in list(self.watched.items()):
            if found.watches and found.told_live != self._is_live(found):
                self._tell(found, found.watches)
            if found.due(now):
                task = asyncio.create_task(self._reload(found))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            given_up = found.empty_since is not None and now - found.empty_since > LINGER_SECONDS
            if given_up and not found.joining:
                del self.watched[place]
        if self.empty_since is None:
            self._mark_empty()

    async def _reload(self, found: Watched) -> None:
        try:
            await found.load()
        except DATABASE_AWAY as error:
            logger.info("live candles of %s go on as they are: the database is away (%s)", found.key.symbol, error)
        except Exception:
            found.dirty_since = monotonic() + SHORT_EVERY
            logger.exception("live candles of %s were not read again", found.key.symbol)
        else:
            self._tell_repaired(found)
            self._tell(found, found.watches)

    # --- what is told -----------------------------------------------------------------------------------------------

    def _is_live(self, found: Watched) -> bool:
        return not self._cut and found.heard_at is not None and time() * 1000 - found.heard_at <= LIVE_SECONDS * 1000

    def _tell(self, found: Watched, watches: Iterable[Watch]) -> None:
        """The newest candle and its indicators, as they are now."""
        if found.series is None:
            return
        now, series = datetime.now(UTC), found.series
        candle = series.newest(now)
        found.told_live = self._is_live(found)
        if candle is not None:
            self._put(found, watches, candle, "newest", lambda label: series.indicator(label, now))

    def _tell_closed(self, found: Watched, finished: list[Candle]) -> None:
        """Candles that have just closed, each of which every client gets; their indicators for the last of them."""
        series = found.series
        if series is None:
            return
        found.told_closed = finished[-1]
        for candle in finished:
            last = candle is finished[-1]
            self._put(found, found.watches, candle, candle.open_time, series.indicator_at_close if last else None)

    def _tell_repaired(self, found: Watched) -> None:
        """The newest closed candle, where the store says something else of it than what was told."""
        last = found.series.last if found.series is not None else None
        if last is not None and last != found.told_closed:
            self._tell_closed(found, [last])

    def _put(
        self,
        found: Watched,
        watches: Iterable[Watch],
        candle: Candle,
        kind: object,
        indicator: Callable[[str], IndicatorState] | None,
    ) -> None:
        """Each message is encoded once. Of one kind a slow client gets the newest."""
        body = broadcast.told_body(candle, found.heard_at, self._is_live(found))
        frames: dict[object, Frame] = {}
        states: dict[str, IndicatorState] = {}
        for watch in watches:
            spelling = watch.spelling
            place: object = (spelling, watch.flat)
            if place not in frames:
                make = broadcast.flat_message if watch.flat else broadcast.price_update
                frames[place] = Frame(make(found.key, spelling, body))
            watch.writer.put((found, kind, place), frames[place])
            for request in watch.requests if indicator is not None else ():
                label = request.label
                place = (spelling, label)
                if place not in frames:
                    if label not in states:
                        states[label] = indicator(label)  # type: ignore[misc]  # it is there, see above
                    told = broadcast.indicator_update(found.key, spelling, label, candle, states[label])
                    frames[place] = Frame(told)
                watch.writer.put((found, kind, place), frames[place])
