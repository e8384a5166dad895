"""Between minutes as they are told and live clients: one series in one timeframe that goes on by itself (pure).

At every moment it says what the store would say if it were asked, with the open minute; `Step.RELOAD` says that the
store has to be asked, as something older than what is known has changed."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from msgspec.structs import replace

from candles.candle import Candle, judged, merge, with_open
from candles.indicators import Request
from candles.running import Bar, Running, Values
from candles.timeframes import MINUTE, Timeframe

RECENT = 10  # closed minutes that are known by heart: told twice, they change nothing


class Step(Enum):
    """What a minute did."""

    NOTHING = 0
    CHANGED = 1
    RELOAD = 2


@dataclass(frozen=True, slots=True)
class IndicatorState:
    """One indicator at the newest candle: values by line ("" for the only one), those at the newest closed candle
    before it, and the lines over candles to come. NaN is not known."""

    values: dict[str, float]
    before: dict[str, float]
    ahead: dict[str, list[float]] = field(default_factory=dict)


def bar_of(candle: Candle) -> Bar:
    return Bar(
        int(candle.open_time.timestamp()),
        *map(float, (candle.open, candle.high, candle.low, candle.close, candle.volume, candle.taker_buy_volume)),
    )


class LiveSeries:
    """`candles` are as the store has them (`candles.selectors.beginning`), oldest first, `settled` the end of the
    newest minute that is known."""

    def __init__(
        self,
        timeframe: Timeframe,
        candles: Sequence[Candle],
        settled: datetime | None,
        requests: Iterable[Request] = (),
    ) -> None:
        self.timeframe = timeframe
        self.settled = settled
        self.held = len(candles)  # candles that it began with
        self._partial: Candle | None = None  # what is closed of the candle that is not
        self._minute: Candle | None = None  # the open one
        self.last: Candle | None = None  # the newest closed candle
        self._recent: deque[Candle] = deque(maxlen=RECENT)
        closed = list(candles)
        if closed and settled is not None and timeframe.end_of(closed[-1].open_time) > settled:
            self._partial = closed.pop()
        if closed and settled is not None:
            self.last = judged(closed[-1], timeframe, settled, settled)
        bars = [bar_of(candle) for candle in closed]
        self._running = {
            request.label: Running(request, bars if request.indicator.whole else bars[-(request.lead + 2) :])
            for request in requests
        }

    # --- what comes -------------------------------------------------------------------------------------------------

    def opened(self, minute: Candle) -> Step:
        """An open minute as it is now."""
        known = self._minute
        if self.settled is not None and minute.open_time < self.settled:
            return Step.NOTHING
        if known is not None and (minute.open_time, minute.trades) < (known.open_time, known.trades):
            return Step.NOTHING
        if minute == known:
            return Step.NOTHING
        self._minute = minute
        return Step.CHANGED

    def closed(self, minute: Candle, now: datetime) -> tuple[Step, list[Candle]]:
        """A closed minute, and the candles that close with it, oldest first."""
        opening = minute.open_time
        if self.settled is not None and opening < self.settled:
            return (Step.NOTHING if minute in self._recent else Step.RELOAD), []
        self._recent.append(minute)
        finished: list[Candle] = []
        start = self.timeframe.open_of(opening)
        if self._partial is not None and self._partial.open_time != start:  # its last minutes never came
            finished.append(self._finish(self._partial, opening, now))
            self._partial = None
        part = replace(minute, open_time=start)
        self._partial = part if self._partial is None else merge([self._partial, part])
        self.settled = opening + MINUTE
        if self._minute is not None and self._minute.open_time <= opening:
            self._minute = None
        if self.timeframe.end_of(start) <= self.settled:
            finished.append(self._finish(self._partial, self.settled, now))
            self._partial = None
        return Step.CHANGED, finished

    def _finish(self, candle: Candle, settled: datetime, now: datetime) -> Candle:
        self.last = judged(candle, self.timeframe, settled, now)
        bar = bar_of(self.last)
        for running in self._running.values():
            running.close(bar)
        return self.last

    # --- what is known ----------------------------------------------------------------------------------------------

    def tail(self, now: datetime) -> list[Candle]:
        """The candles that are not closed: none, one, or two while the older one's last minute is still to come."""
        settled = self.settled or now
        found = [] if self._partial is None else [judged(self._partial, self.timeframe, settled, now)]
        return found if self._minute is None else with_open(found, self._minute, self.timeframe, now)

    def newest(self, now: datetime) -> Candle | None:
        """The newest candle, open or closed."""
        tail = self.tail(now)
        return tail[-1] if tail else self.last

    def labels(self) -> set[str]:
        return set(self._running)

    def indicator(self, label: str, now: datetime) -> IndicatorState:
        """An indicator at the newest candle. Raises KeyError."""
        running = self._running[label]
        bars = [bar_of(candle) for candle in self.tail(now)]
        if not bars:
            return _state(running, running.closed, running.before, {})
        values, ahead = running.look(*bars)
        return _state(running, values, running.closed, ahead)

    def indicator_at_close(self, label: str) -> IndicatorState:
        """An indicator at the newest closed candle."""
        running = self._running[label]
        return _state(running, running.closed, running.before, {})


def _state(running: Running, values: Values, before: Values, ahead: dict[str, list[float]]) -> IndicatorState:
    names = running.request.indicator.lines

    def named(of: Values) -> dict[str, float]:
        return {name: value for name, value in zip(names, of, strict=True) if not name.startswith("ahead")}

    return IndicatorState(named(values), named(before), ahead)
