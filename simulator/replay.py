"""In place of a generated book on the simulated data's way: a recorded file in, the book that it tells at a time out.

Understood: recordings of the combined stream (`<received ns> <json>` lines with one bare REST snapshot, gzip or
plain), CSV snapshots (TimestampOfReceive, LastUpdateId, IsAsk, Price, Quantity), and one REST answer as JSON. Numbers
stay the recorded strings.
"""

import csv
import gzip
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from simulator.listings import Market

Level = tuple[str, str]


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
class Recording:
    """A snapshot and what changed after it, in order."""

    symbol: str
    market: Market
    update_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    changes: tuple[Change, ...] = ()


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
    return Recording(symbol, market or found, snapshot.lastUpdateId, snapshot.bids, snapshot.asks, tuple(changes))


def _levels(side: tuple[Level, ...] | str | int) -> tuple[Level, ...]:
    return side if isinstance(side, tuple) else ()


class ReplayedBook:
    """A recording's book in real time: the snapshot at `start` (ms), each change when its time has come.

    `speed` 0 holds the snapshot; when the changes are over, the last book stays."""

    def __init__(self, recording: Recording, start: int, speed: float = 1.0) -> None:
        self.recording = recording
        self.update_id = recording.update_id
        self._start, self._speed, self._next = start, speed, 0
        self._bids = {float(price): (price, quantity) for price, quantity in recording.bids}
        self._asks = {float(price): (price, quantity) for price, quantity in recording.asks}

    def at(self, now: int, limit: int) -> tuple[int, list[Level], list[Level]]:
        """The book's id and both sides, best first, at a time that never goes back."""
        changes, elapsed = self.recording.changes, (now - self._start) * self._speed
        while self._next < len(changes) and changes[self._next].offset <= elapsed and self._speed > 0:
            change = changes[self._next]
            _apply(self._bids, change.bids)
            _apply(self._asks, change.asks)
            self.update_id, self._next = change.update_id, self._next + 1
        bids = [self._bids[price] for price in sorted(self._bids, reverse=True)[:limit]]
        return self.update_id, bids, [self._asks[price] for price in sorted(self._asks)[:limit]]


def _apply(side: dict[float, Level], levels: tuple[Level, ...]) -> None:
    for price, quantity in levels:
        if float(quantity) > 0:
            side[float(price)] = (price, quantity)
        else:
            side.pop(float(price), None)
