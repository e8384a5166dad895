"""Between the threads that read sockets and the one that understands frames: a queue that says when it overflows."""

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from collector.websocket import Line

MOST_FRAMES = 20_000
MOST_AT_ONCE = 400

Frame = tuple[Line, bytes, float]  # of which line, what, when (our clock, epoch seconds)
Call = Callable[[], None]


class Inbox:
    """Frames and calls in the order in which they came. Frames beyond the bound are dropped; `overflowed` is then
    called with their line in the reading thread's turn, before any frame that came after them."""

    def __init__(self, overflowed: Callable[[Line], None], most: int = MOST_FRAMES) -> None:
        self._queue: SimpleQueue[Frame | Call] = SimpleQueue()
        self._overflowed = overflowed
        self._most = most
        self._dropping: set[int] = set()  # a line's own thread adds and removes it
        self.dropped = 0

    def frame(self, line: Line, data: bytes, received_at: float) -> None:
        """From a line's thread; never blocks."""
        if self._queue.qsize() < self._most:
            self._dropping.discard(id(line))
            self._queue.put((line, data, received_at))
            return
        self.dropped += 1
        if id(line) not in self._dropping:
            self._dropping.add(id(line))
            self._queue.put(lambda: self._overflowed(line))

    def call(self, action: Call) -> None:
        """From any thread: to be done in turn by the thread that takes."""
        self._queue.put(action)

    def take(self, seconds: float) -> list[Frame | Call]:
        """What waits, at most MOST_AT_ONCE; nothing when nothing comes for so long."""
        items: list[Frame | Call] = []
        with suppress(Empty):
            items.append(self._queue.get(timeout=seconds))
            while len(items) < MOST_AT_ONCE:
                items.append(self._queue.get_nowait())
        return items

    def __len__(self) -> int:
        return self._queue.qsize()
