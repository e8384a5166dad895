"""Between a candle stream and the candles: one series as its stream tells it, and as polls tell it in its place (pure).

`now` is monotonic seconds, `clock` the exchange's, epoch milliseconds."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from candles.candle import MINUTE_MS, Kline, SeriesKey

SILENT = 10.0  # seconds without a word after which a poll looks whether the stream keeps something back
BEGINNING = 5.0  # seconds that a stream has for its first word
LATE_MS = 2_500  # after a minute's end when it should have been told as closed
SETTLED_MS = 1_500  # after a minute's end when an answer holds all of it
GIVEN_UP_MS = 3 * MINUTE_MS  # so old a minute is not waited for any more when the exchange does not tell it
REACH_MS = 90 * MINUTE_MS  # polls go no further back: that is left to who collects each minute
USUAL_MS = 4 * MINUTE_MS
AGAIN = 2.0  # seconds between two polls for a minute that is late
LONGEST_PAUSE = 30.0  # seconds between two polls that fail


@dataclass(frozen=True, slots=True)
class Learned:
    """What was new: minutes that are closed, and the open one as it is now (None: nothing new of it)."""

    closed: Sequence[Kline] = ()
    open: Kline | None = None


class CandleLine:
    """Knows which minute is open, which closed ones are still to come, and whether its stream can be trusted."""

    def __init__(self, key: SeriesKey, now: float) -> None:
        self.key = key
        self.open: Kline | None = None
        self.next_close: int | None = None  # the opening time of the oldest minute that was not told as closed
        self.is_down = False  # its connection is; nothing comes
        self.is_behind = False  # a poll knew more than a stream that was silent
        self.polling = False
        self._heard_at = now - SILENT + BEGINNING
        self._poll_at = 0.0
        self._failures = 0
        self._closed: deque[Kline] = deque(maxlen=8)  # the newest ones

    # --- what comes -------------------------------------------------------------------------------------------------

    def streamed(self, kline: Kline, closed: bool, now: float) -> Learned:
        """A word of the stream."""
        self._heard_at = now
        self.is_down = self.is_behind = False
        if closed:
            return Learned(closed=(kline,)) if self._close(kline) else Learned()
        return Learned(open=kline) if self._open(kline) else Learned()

    def polled(self, klines: Sequence[Kline], asked: int, now: float) -> Learned:
        """An answer to a question that was put at `asked` (exchange's clock). The open minute is told again also when
        it has not changed: that is news, too."""
        self.polling, self._failures = False, 0
        settled = (asked - SETTLED_MS) // MINUTE_MS * MINUTE_MS
        closed = [kline for kline in klines if kline.open_time < settled and self._close(kline)]
        newest = klines[-1] if klines and klines[-1].open_time >= settled else None
        if newest is not None:
            known, silent = _version(self.open), now - self._heard_at > SILENT
            self.is_behind = self.is_behind or (silent and self.open is not None and _version(newest) > known)
            newest = newest if self._open(newest) or _version(newest) == known else None
        self._heard_at = max(self._heard_at, now - SILENT) if self.is_behind else max(self._heard_at, now)
        self._give_up(asked)
        return Learned(closed, newest)

    def lost(self, now: float) -> None:
        """The connection is down."""
        self.is_down = True

    def failed(self, now: float) -> None:
        """A poll was not answered."""
        self.polling = False
        self._failures += 1
        self._poll_at = now + min(LONGEST_PAUSE, 0.5 * 2 ** min(self._failures, 8))

    def _open(self, kline: Kline) -> bool:
        """Whether this is not older than what is known; trades only become more within a minute."""
        if _version(kline) < _version(self.open) or self._is_closed(kline.open_time):
            return False
        self.open = kline
        if self.next_close is None:
            self.next_close = kline.open_time
        return True

    def _close(self, kline: Kline) -> bool:
        """Whether it says something new."""
        if kline in self._closed:
            return False
        self._closed.append(kline)
        opening = kline.open_time
        if self.next_close is None:
            self.next_close = opening
        while self._is_closed(self.next_close):
            self.next_close += MINUTE_MS
        if self.open is not None and self.open.open_time <= opening:
            self.open = None
        return True

    def _is_closed(self, opening: int) -> bool:
        return any(kline.open_time == opening for kline in self._closed)

    def _give_up(self, asked: int) -> None:
        oldest = (asked - GIVEN_UP_MS) // MINUTE_MS * MINUTE_MS
        if self.next_close is not None and self.next_close < oldest:
            self.next_close = oldest
            while self._is_closed(self.next_close):
                self.next_close += MINUTE_MS

    # --- what is to be asked ----------------------------------------------------------------------------------------

    def wants_poll(self, now: float, clock: int) -> bool:
        """Whether the exchange is to be asked now."""
        if self.polling or now < self._poll_at:
            return False
        late = self.next_close is not None and clock >= self.next_close + MINUTE_MS + LATE_MS
        return self.is_down or self.is_behind or late or now - self._heard_at > SILENT

    def poll(self, now: float, clock: int, interval: float) -> tuple[int, int]:
        """The first minute to ask for (its opening time) and how many. From here on a poll is on its way."""
        self.polling = True
        self._poll_at = now + (interval if self.is_down or self.is_behind else AGAIN)
        minute = clock // MINUTE_MS * MINUTE_MS
        wanted = minute - USUAL_MS if self.next_close is None else min(self.next_close, minute)
        start = max(wanted, minute - REACH_MS)
        return start, (minute - start) // MINUTE_MS + 2


def _version(kline: Kline | None) -> tuple[int, int]:
    return (kline.open_time, kline.trades) if kline is not None else (0, -1)
