"""Between what is known of candles and the exchange: which minutes of which series are to be asked for next (pure)."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from candles.candle import KlineAnswer, SeriesKey, milliseconds_of, moment_of
from candles.timeframes import MINUTE
from collector.exchanges.base import Klines

AGAIN = 2 * MINUTE  # asked for once more with the newest minute: an exchange may still correct them
UNSETTLED = 3 * MINUTE  # so young a minute may be on its way yet: that it is missing means nothing


@dataclass(frozen=True, slots=True)
class Window:
    """Minutes from `start` to `end` (not included) of one series. `live` wants the open minute after them too; `probe`
    asks only which one is the first that there is; `first` begins a series, that may be younger than its beginning;
    `ticket` says what it belongs to, for who planned it."""

    key: SeriesKey
    start: datetime
    end: datetime
    live: bool = False
    probe: bool = False
    first: bool = False
    ticket: int = 0

    @property
    def limit(self) -> int:
        return 1 if self.probe else (self.end - self.start) // MINUTE + int(self.live)


class Known(Protocol):
    """What is known of a series (candles.models.SeriesState)."""

    key: SeriesKey
    wanted_from: datetime | None
    available_from: datetime | None
    covered_from: datetime | None
    covered_until: datetime | None


def newest_window(row: Known, now: datetime, most: int) -> Window | None:
    """What is missing up to the minute that is open at `now`, oldest first; of a new series the newest stretch."""
    end = now.replace(second=0, microsecond=0)
    if row.covered_until is None:
        return Window(row.key, end - (most - 1) * MINUTE, end, live=True, first=True)
    if row.covered_until >= end:
        return None
    start = max(row.covered_from or row.covered_until, row.covered_until - AGAIN)
    stop = min(end, start + (most - 1) * MINUTE)
    return Window(row.key, start, stop, live=stop == end)


def history_window(row: Known, now: datetime, most: int) -> Window | None:
    """What is missing before the oldest known minute, newest first; first of all, where history begins."""
    if row.covered_from is None or row.wanted_from is None:
        return None
    if row.available_from is None:
        return Window(row.key, row.wanted_from, now, probe=True)
    if row.covered_from <= row.available_from:
        return None
    return Window(row.key, max(row.available_from, row.covered_from - most * MINUTE), row.covered_from)


def cut(key: SeriesKey, start: datetime, end: datetime, most: int, ticket: int = 0) -> list[Window]:
    """A range in windows that one request each can fill, oldest first."""
    count = -(-(end - start) // (most * MINUTE))
    starts = (start + n * most * MINUTE for n in range(count))
    return [Window(key, one, min(end, one + most * MINUTE), ticket=ticket) for one in starts]


def answered(window: Window, klines: Klines, asked_at: datetime) -> KlineAnswer | None:
    """What an answer tells of its window; None when nothing at all. `asked_at`: the exchange's clock when it was asked.

    Minutes that were open then do not count, nor do those that are so young that they may be on their way."""
    low, high = (
        milliseconds_of(window.start),
        milliseconds_of(min(window.end, asked_at.replace(second=0, microsecond=0))),
    )
    rows = [row for row in klines.rows if low <= row.open_time < high]
    start = moment_of(min(row.open_time for row in rows)) if rows and window.first else window.start
    last = moment_of(max(row.open_time for row in rows)) + MINUTE if rows else window.start
    end = max(last, min(moment_of(high), _minute(asked_at - UNSETTLED)))
    if end <= window.start:
        return None
    return KlineAnswer(window.key, start, end, rows, whole=not klines.unreadable)


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


Plan = Callable[[Known, datetime, int], Window | None]


class SeriesSource:
    """Windows of many series, each made of what is known of it when its last one is stored. Those of which the least is
    known come first. `most`: minutes that one request may ask for."""

    def __init__(self, rows: Iterable[Known], plan: Plan, most: int) -> None:
        self.rows = {row.key: row for row in rows}
        self._plan = plan
        self._most = most
        self._out: set[SeriesKey] = set()

    def take(self, busy: Iterable[SeriesKey], now: datetime) -> Window | None:
        taken = self._out.union(busy)
        for row in sorted((row for row in self.rows.values() if row.key not in taken), key=_newest_first):
            window = self._plan(row, now, self._most)
            if window is not None:
                return window
            self._out.add(row.key)
        return None

    def learn(self, rows: Mapping[SeriesKey, Known]) -> None:
        """Takes over what is known now."""
        self.rows |= {key: row for key, row in rows.items() if key in self.rows}

    def leave_out(self, key: SeriesKey) -> None:
        self._out.add(key)


def _newest_first(row: Known) -> tuple[float, SeriesKey]:
    return (-row.covered_from.timestamp() if row.covered_from else float("-inf"), row.key)


class ListSource:
    """Windows that were chosen before; several of one series may be on their way at once."""

    def __init__(self, windows: Iterable[Window]) -> None:
        self._windows = deque(windows)

    def take(self, busy: Iterable[SeriesKey], now: datetime) -> Window | None:
        return self._windows.popleft() if self._windows else None

    def learn(self, rows: Mapping[SeriesKey, Known]) -> None:
        """Nothing of what is chosen depends on what is known."""

    def leave_out(self, key: SeriesKey) -> None:
        self._windows = deque(window for window in self._windows if window.key != key)


class Source(Protocol):
    """Gives the next window for a series that is not busy, learns what is known after each answer is stored."""

    def take(self, busy: Iterable[SeriesKey], now: datetime) -> Window | None: ...

    def learn(self, rows: Mapping[SeriesKey, Known]) -> None: ...

    def leave_out(self, key: SeriesKey) -> None: ...
