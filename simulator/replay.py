"""In place of a generated book on the simulated data's way: a recorded file in, the book that it tells at a time out.

Understood: recordings of the combined stream (`<received ns> <json>` lines with one bare REST snapshot, gzip or
plain), CSV snapshots (TimestampOfReceive, LastUpdateId, IsAsk, Price, Quantity), and one REST answer as JSON. Numbers
stay the recorded strings. The first form also holds messages, which the sockets play.
"""

import csv
import gzip
import io
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from simulator.listings import Market

Level = tuple[str, str]
_STREAM = re.compile(r'\{"stream": ?"[^"@]*@([A-Za-z]+)[^"]*", ?"data": ?')
_EVENT_TIME = re.compile(rb'"E":(\d+)')
_TIMES = re.compile(rb'("[ET]":)(\d+)')


class InvalidRecording(ValueError):
    """A file that holds no book; the message says why."""


@dataclass(frozen=True, slots=True)
class Change:
    """Levels that changed `offset` ms after the snapshot; `update_id` is the book's id afterwards."""

    offset: float
    update_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Frames:
    """Messages of one recorded stream: ms after the snapshot, rising, and the data of each."""

    offsets: list[float] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Recording:
    """A snapshot and what changed after it, in order; `frames` are the messages by the word for their stream."""

    symbol: str
    market: Market
    update_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    changes: tuple[Change, ...] = ()
    frames: dict[str, Frames] = field(default_factory=dict)

    @property
    def begins(self) -> float:
        """Where the first message stands (ms after the snapshot, so mostly below 0)."""
        return min([0.0, *(one.offsets[0] for one in self.frames.values())])

    @property
    def ends(self) -> float:
        return max([0.0, *(one.offsets[-1] for one in self.frames.values())])


class _Snapshot(msgspec.Struct):
    lastUpdateId: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    E: int | None = None


class _Event(msgspec.Struct):
    e: str = ""
    s: str = ""
    u: int = 0
    b: tuple[Level, ...] | str = ()
    a: tuple[Level, ...] | str | int = ()
    pu: int | None = None


class _Frame(msgspec.Struct):
    data: _Event


def load(paths: Iterable[Path], market: Market | None = None, snapshot: int = 1) -> Recording:
    """The recording that one file or several that follow one another hold; `market` overrides what the content tells.

    `snapshot` says which one of a CSV, counted from 1. Raises InvalidRecording, OSError.
    """
    lines = [line for path in paths for line in _text(path).splitlines() if line.strip()]
    content = [line for line in lines if not line.startswith("#")]
    if not content:
        raise InvalidRecording("the recording is empty")
    if content[0].startswith("Timestamp"):
        return _from_csv(content, market or "spot", snapshot)
    if content[0].lstrip().startswith("{"):
        return _from_rest("".join(content), market)
    return _from_stream(content, market)


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InvalidRecording(f"{path}: {error}") from error


def _from_rest(text: str, market: Market | None) -> Recording:
    try:
        body = msgspec.json.decode(text, type=_Snapshot)
    except msgspec.DecodeError as error:
        raise InvalidRecording(f"not an order book: {error}") from error
    found: Market = "spot" if body.E is None else "futures"
    return Recording("BTCUSDT", market or found, body.lastUpdateId, body.bids, body.asks)


def _from_csv(lines: list[str], market: Market, number: int) -> Recording:
    books: dict[tuple[str, str], tuple[list[Level], list[Level]]] = {}
    for row in csv.DictReader(io.StringIO("\n".join(lines))):
        sides = books.setdefault((row["TimestampOfReceive"], row["LastUpdateId"]), ([], []))
        sides[row["IsAsk"] == "1"].append((row["Price"], row["Quantity"]))
    if not 1 <= number <= len(books):
        raise InvalidRecording(f"the file holds {len(books)} snapshots, there is no number {number}")
    (_, update_id), (bids, asks) = list(books.items())[number - 1]
    return Recording("BTCUSDT", market, int(update_id), tuple(bids), tuple(asks))


def _from_stream(lines: list[str], market: Market | None) -> Recording:
    """Changes that the snapshot already holds are dropped, wherever they stand in the file."""
    snapshot: _Snapshot | None = None
    taken_at, symbol, future = 0, "BTCUSDT", False
    events: list[tuple[int, _Event]] = []
    for line in lines:
        received, _, text = line.partition(" ")
        try:
            if text.startswith('{"lastUpdateId"'):
                if snapshot is None:
                    snapshot, taken_at = msgspec.json.decode(text, type=_Snapshot), int(received)
            elif "depthUpdate" in text:
                event = msgspec.json.decode(text, type=_Frame).data
                symbol, future = event.s or symbol, future or event.pu is not None
                events.append((int(received), event))
        except (msgspec.DecodeError, ValueError) as error:
            raise InvalidRecording(f"{line[:60]}...: {error}") from error
    if snapshot is None:
        raise InvalidRecording("the recording holds no snapshot to start from")
    changes = [
        Change((received - taken_at) / 1e6, event.u, _levels(event.b), _levels(event.a))
        for received, event in events
        if event.u > snapshot.lastUpdateId
    ]
    found: Market = "futures" if future or snapshot.E is not None else "spot"
    frames = _frames(lines, taken_at)
    return Recording(
        symbol, market or found, snapshot.lastUpdateId, snapshot.bids, snapshot.asks, tuple(changes), frames
    )


def _frames(lines: list[str], taken_at: int) -> dict[str, Frames]:
    """The messages by the word that follows the symbol in their stream's name: depth, bookTicker, trade."""
    found: dict[str, Frames] = {}
    for line in lines:
        received, _, text = line.partition(" ")
        name = _STREAM.match(text)
        if name is not None:
            frames = found.setdefault(name[1], Frames())
            frames.offsets.append((int(received) - taken_at) / 1e6)
            frames.data.append(text[name.end() : text.rindex("}")].encode())
    return found


def _levels(side: tuple[Level, ...] | str | int) -> tuple[Level, ...]:
    return side if isinstance(side, tuple) else ()


class ReplayedBook:
    """A recording's book in real time: the snapshot at `start` (ms), each change when its time has come.

    `speed` 0 holds the snapshot; when the changes are over, the last book stays. Without a start it waits at the
    recording's first message until it is told to begin."""

    def __init__(self, recording: Recording, start: int | None, speed: float = 1.0) -> None:
        self.recording = recording
        self.update_id = recording.update_id
        self._speed, self._next = speed, 0
        self._start = None if start is None else float(start)
        self._bids = {float(price): (price, quantity) for price, quantity in recording.bids}
        self._asks = {float(price): (price, quantity) for price, quantity in recording.asks}

    @property
    def begun(self) -> bool:
        return self._start is not None

    def begin(self, now: int) -> None:
        """Starts what waits, at the recording's first message."""
        if self._start is None:
            self._start = now - (self.recording.begins / self._speed if self._speed else 0.0)

    def elapsed(self, now: int) -> float:
        """Where the replay stands, in ms after the snapshot."""
        if self._start is None:
            return self.recording.begins - 1
        return (now - self._start) * self._speed

    def first(self, limit: int) -> tuple[int, list[Level], list[Level]]:
        """The recorded snapshot, whatever has changed since."""
        recording = self.recording
        return recording.update_id, list(recording.bids[:limit]), list(recording.asks[:limit])

    def at(self, now: int, limit: int) -> tuple[int, list[Level], list[Level]]:
        """The book's id and both sides, best first, at a time that never goes back."""
        changes, elapsed = self.recording.changes, self.elapsed(now)
        while self._next < len(changes) and changes[self._next].offset <= elapsed and self._speed > 0:
            change = changes[self._next]
            _apply(self._bids, change.bids)
            _apply(self._asks, change.asks)
            self.update_id, self._next = change.update_id, self._next + 1
        bids = [self._bids[price] for price in sorted(self._bids, reverse=True)[:limit]]
        return self.update_id, bids, [self._asks[price] for price in sorted(self._asks)[:limit]]


class ReplayedFrames:
    """The way through the messages of one recorded stream, from the moment on at which somebody listens.

    Times in the messages are moved to now, unless `recorded_times`; all else stays as it was recorded."""

    def __init__(self, book: ReplayedBook, word: str, now: int, *, recorded_times: bool = False) -> None:
        self._book, self._recorded_times = book, recorded_times
        self._frames = book.recording.frames.get(word, Frames())
        self._next = bisect_right(self._frames.offsets, book.elapsed(now))

    @property
    def ended(self) -> bool:
        return self._next >= len(self._frames.data)

    def due(self, machine_time: int, told_time: int, most: int) -> list[bytes]:
        """The next messages whose time has come by the machine's clock, at most so many."""
        last = bisect_right(self._frames.offsets, self._book.elapsed(machine_time), lo=self._next)
        first, self._next = self._next, min(last, self._next + most)
        found = self._frames.data[first : self._next]
        return found if self._recorded_times else [retimed(data, told_time) for data in found]


def retimed(data: bytes, now: int) -> bytes:
    """A message as if it came now (ms): its event time is now, its transaction time as long before as it was."""
    event = _EVENT_TIME.search(data)
    if event is None:
        return data
    shift = now - int(event[1])
    return _TIMES.sub(lambda found: b"%b%d" % (found[1], int(found[2]) + shift), data, count=2)


def _apply(side: dict[float, Level], levels: tuple[Level, ...]) -> None:
    for price, quantity in levels:
        if float(quantity) > 0:
            side[float(price)] = (price, quantity)
        else:
            side.pop(float(price), None)
