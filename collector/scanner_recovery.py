"""Beside the scanner while it is far behind: ranges of blocks read by several threads at once, given out in order.

A range is as long as the nodes allow: halved when one says that there is too much in it, doubled again while answers
are small."""

import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from collector.chains.evm import ChainError, Node, TooMuch
from collector.chains.reading import Read, Source, read_range

logger = logging.getLogger(__name__)

THREADS = 4
AHEAD = 6  # ranges read or being read before the one that is stored
FIRST_RANGE = 1_000  # blocks
LONGEST_RANGE = 10_000
FEW_LOGS = 2_000  # fewer than this in an answer, and the next range may be longer
ATTEMPTS = 5
PAUSE = 0.5  # seconds before a range is asked for again, more each time


class Recovery:
    """Iterates over the reads from `first` to `last`. Raises the ChainError of a range that no node would tell."""

    def __init__(self, nodes: Sequence[Node], source: Source, first: int, last: int, stop: threading.Event) -> None:
        self._nodes, self._source = list(nodes), source
        self._next, self._last = first, last
        self._stop = stop
        self._length = FIRST_RANGE
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="recovery")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._pool.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[Read]:
        waiting: deque[Future[list[Read]]] = deque()
        while not self._stop.is_set():
            while self._next <= self._last and len(waiting) < AHEAD:
                end = min(self._next + self._length - 1, self._last)
                waiting.append(self._pool.submit(self._read, self._next, end))
                self._next = end + 1
            if not waiting:
                return
            yield from waiting.popleft().result()

    def _read(self, first: int, last: int) -> list[Read]:
        """One range as one read, or as several where it holds too much."""
        try:
            read = self._insist(first, last)
        except TooMuch:
            if first == last:
                raise
            self._shorten(last - first + 1)
            middle = (first + last) // 2
            return self._read(first, middle) + self._read(middle + 1, last)
        if len(read.stretch.logs) < FEW_LOGS:
            self._lengthen(last - first + 1)
        return [read]

    def _insist(self, first: int, last: int) -> Read:
        """Asks node after node. Raises TooMuch, or the last node's error."""
        failure: ChainError | None = None
        for attempt in range(ATTEMPTS):
            if self._ended.is_set() or self._stop.is_set():
                break
            node = self._nodes[attempt % len(self._nodes)]
            try:
                return read_range(node, self._source, first, last)
            except TooMuch:
                raise
            except ChainError as error:
                failure = error
                logger.info("%s, blocks %d to %d: %s", node.name, first, last, error)
            self._ended.wait(PAUSE * (attempt + 1))
        raise failure or ChainError("the scanner stops")

    def _shorten(self, length: int) -> None:
        with self._lock:
            self._length = min(self._length, max(1, length // 2))

    def _lengthen(self, length: int) -> None:
        with self._lock:
            if length >= self._length:
                self._length = min(LONGEST_RANGE, self._length * 2)
