"""Beside the feed: everything that comes to its thread of frames, and what it did about it, into files by the hour.

The thread of frames only adds lines; another one compresses and writes them, a block a second. A disk that is full or
too slow stops or thins the recording, which then says so, and never the feed."""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from collector.exchanges.base import RawBook
from collector.feed import recording
from collector.feed.recording import Ask, Follow, Header, Lost, Reply

logger = logging.getLogger(__name__)

FLUSH_EVERY = 1.0  # seconds; what a kill costs
FLUSH_LINES = 5_000
MOST_WAITING = 64 << 20  # bytes of lines that the disk has not taken
PARTS = 8  # of what may be kept in all: the most that one file holds
Books = Collection[tuple[str, str, int, int]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is kept of recordings in one folder: so many bytes in all, files whose hour is not older than so many."""

    size: int
    hours: float


class Recorder:
    """One feed's recording. `trouble` is told what goes wrong. The methods that add lines belong to the thread of
    frames; the feed's time is that of `step`."""

    def __init__(self, folder: Path, exchange: str, bounds: Bounds, trouble: Callable[[str], None]) -> None:
        self.folder = folder
        self.written = 0  # bytes, compressed
        self.files = 0
        self.dropped = 0  # lines
        self.failed = ""
        self._exchange = exchange
        self._bounds = bounds
        self._trouble = trouble
        self._lines: list[bytes] = []
        self._size = 0
        self._over: tuple[str, bool, str] | None = None
        self._flush_at = 0.0
        self._follow = Follow([], False)
        self._hour = ""
        self._started = 0.0
        self._unsaid = 0  # lines that were dropped and are not told yet
        self._begun_with = self._follow  # what was followed at the first of the lines
        self._blocks: deque[tuple[str, Follow, list[bytes], int]] = deque()  # hour, begun with, lines, bytes
        self._waiting = 0
        self._path: Path | None = None
        self._part = 0
        self._part_hour = ""
        self._part_size = 0
        self._filled = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def begin(self) -> None:
        """Raises OSError when nothing can be written there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f".{os.getpid()}").touch()
        (self.folder / f".{os.getpid()}").unlink()
        self._thread.start()

    def end(self, seconds: float = 10.0) -> None:
        """Writes what waits; after the thread of frames has ended."""
        self._hand_over()
        self._ended.set()
        self._filled.set()
        self._thread.join(seconds)

    # --- the thread of frames -----------------------------------------------------------------------------------------

    def step(self, wall: float, now: float) -> None:
        """What has come is worked off from here on."""
        self._look(wall)
        self._add(recording.time_line("s", wall, now))

    def tick(self, wall: float, now: float) -> None:
        """What is to be done now and then comes from here on."""
        self._look(wall)
        self._add(recording.time_line("t", wall, now))

    def _look(self, wall: float) -> None:
        if wall >= self._flush_at or len(self._lines) >= FLUSH_LINES:
            self._hand_over()
            self._started = self._started or wall
            self._hour = datetime.fromtimestamp(wall, UTC).strftime("%Y%m%dT%H")
            self._flush_at = min(wall + FLUSH_EVERY, (wall // 3600 + 1) * 3600)

    def frame(self, over: tuple[str, bool, str], received_at: float, data: bytes) -> None:
        """`over`: the connection, whether it is the one that counts, and its market."""
        if over != self._over:
            self._over = over
            self._add(b"#c %b %b %d\n" % (over[0].encode(), over[2].encode(), over[1]))
        self._add(recording.frame_line(received_at, data))

    def lost(self, market: str, streams: Collection[str], down: bool) -> None:
        self._add(recording.told_line("lost", Lost(market, sorted(streams), down)))

    def follow(self, books: Mapping[tuple[str, str], tuple[int, int]], running: bool) -> None:
        """From now on these: levels planned and the deepest by market and symbol."""
        told = Follow([(*key, *levels) for key, levels in sorted(books.items())], running)
        if told != self._follow:
            self._follow = told
            self._add(recording.told_line("follow", told))

    def ask(self, market: str, symbol: str, limit: int, needed: bool) -> None:
        self._add(recording.told_line("ask", Ask(market, symbol, limit, needed)))

    def answer(self, ask: Ask, raw: RawBook | None, reason: str, retry_at: float | None) -> None:
        reply = Reply(ask.market, ask.symbol, ask.limit, ask.needed, raw is not None, reason, retry_at)
        self._add(recording.told_line("answer", reply))
        if raw is not None:
            self._add(recording.body_line(raw.received_at.timestamp(), raw))

    def _add(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)

    def _hand_over(self) -> None:
        lines, size, self._lines, self._size = self._lines, self._size, [], 0
        self._over = None  # each block says of itself whose frames it holds
        begun_with, self._begun_with = self._begun_with, self._follow
        if not lines:
            return
        if self._waiting > MOST_WAITING or self.failed:
            self.dropped += len(lines)
            self._unsaid += len(lines)
            return
        if self._unsaid:
            lines.insert(0, b"#dropped %d\n" % self._unsaid)
            lines.insert(1, recording.told_line("follow", self._follow))
            self._unsaid = 0
        self._waiting += size
        self._blocks.append((self._hour, begun_with, lines, size))
        self._filled.set()

    # --- the thread that writes ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not (self._ended.is_set() and not self._blocks):
            self._filled.wait(1.0)
            self._filled.clear()
            while self._blocks:
                hour, follow, lines, size = self._blocks.popleft()
                if self.failed:  # after what is missing nothing may follow as if it were not
                    self.dropped += len(lines)
                    continue
                try:
                    self._write(hour, follow, lines)
                except Exception as error:  # what cannot be written ends the recording, which then says so
                    self._fail(error)
                self._waiting -= size

    def _fail(self, error: Exception) -> None:
        self.failed = str(error) or type(error).__name__
        logger.error("the recording to %s has ended: %s", self.folder, self.failed)
        self._trouble(f"the recording has ended: {self.failed}")

    def _write(self, hour: str, follow: Follow, lines: list[bytes]) -> None:
        full = self._part_size >= self._bounds.size // PARTS
        if self._path is None or hour != self._part_hour or full:
            self._open(hour, follow)
        assert self._path is not None  # noqa: S101 - it is open now
        data = recording.block(lines)
        with self._path.open("ab") as file:  # whole or torn, but never between others
            file.write(data)
        self.written += len(data)
        self._part_size += len(data)

    def _open(self, hour: str, follow: Follow) -> None:
        session = f"{datetime.fromtimestamp(self._started, UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
        self._part += 1
        self._part_hour, self._part_size = hour, 0
        self._path = self.folder / f"{self._exchange}-{hour}-{session}-{self._part:05}{recording.SUFFIX}"
        head = Header(self._exchange, session, self._part, self._started, follow.books, follow.running)
        self._path.write_bytes(recording.block([recording.told_line("capture", head)]))
        self.files += 1
        self._make_room()

    def _make_room(self) -> None:
        """The oldest go, until the rest is within bounds; other feeds may write to the same folder."""
        facts = {path: _facts(path) for path in self.folder.glob(f"*{recording.SUFFIX}")}
        sizes = {path: size for path, (_, size) in facts.items()}
        room = self._bounds.size - self._bounds.size // PARTS  # this file is about to grow
        oldest = datetime.now(UTC).timestamp() - self._bounds.hours * 3600
        for path in sorted(facts, key=lambda path: facts[path]):
            if path == self._path:
                continue
            if sum(sizes.values()) <= room and facts[path][0] >= oldest:
                return
            path.unlink(missing_ok=True)
            del sizes[path]


def _facts(path: Path) -> tuple[float, int]:
    """When it was written to, and its size."""
    try:
        found = path.stat()
    except FileNotFoundError:  # another feed has made room
        return 0.0, 0
    return found.st_mtime, found.st_size
