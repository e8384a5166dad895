"""From recordings through the feed's own parts, to the same books and the same minutes: no socket, no request, no clock
but the recorded one."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from math import isfinite, nan
from pathlib import Path
from typing import Any, cast

import msgspec

from collector.audits import Compared
from collector.events import Event
from collector.exchanges.streams import Streams
from collector.feed import recording
from collector.feed.books import BookRules, Books, Key, LiveSymbol
from collector.feed.engine import Engine
from collector.feed.keeping import Keeping
from collector.feed.minutes import MinuteBooks
from collector.feed.publisher import State
from collector.feed.recording import Ask, Body, Follow, Header, InvalidCapture, Lost, Reader, Reply
from collector.feed.snapshots import Fetched
from collector.websocket import Line
from depth.book import Snapshot, snapshot_from_levels
from depth.broadcast import LiveBook, ToldBook
from depth.seconds import SECONDS, BookSecond
from depth.services import CollectedBook, accept
from depth.volumes import InvalidBook

Sink = Callable[[list[CollectedBook]], None]
LATEST_NS = 4_000_000_000 * recording.NS
NAME = re.compile(r"\w{1,60}")  # of a symbol


@dataclass(slots=True)
class Played:
    """What was played: `first` and `last` are epoch seconds of the recording, `torn` says which files end how,
    `dropped` counts lines that were not recorded, `events` what happened to books, by type."""

    files: int = 0
    frames: int = 0
    states: int = 0
    minutes: int = 0
    audits: int = 0
    dropped: int = 0
    first: float = 0.0
    last: float = 0.0
    torn: list[str] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)


class Replayed(Keeping):
    """Where books' minutes and what happened go: minutes to `sinks`, at once, in turn; seconds are stored on demand."""

    def __init__(self, exchange: str, played: Played, sinks: Sequence[Sink], store: bool) -> None:
        super().__init__(exchange)
        self._played = played
        self._sinks = [*sinks, self._store_minute] if store else list(sinks)
        self._store_seconds = store
        self.error: Exception | None = None  # why something could not be handed on

    def event(self, event: Event) -> None:
        self._played.events[event.type] += 1

    def minute(self, books: list[CollectedBook]) -> None:
        self._played.minutes += len(books)
        for sink in self._sinks:
            self._hand_on(partial(sink, books))

    def audit(self, row: Compared) -> None:
        self._played.audits += 1

    def seconds(self, rows: Iterable[BookSecond]) -> None:
        if self._store_seconds and (found := list(rows)):
            self._hand_on(partial(accept, SECONDS, found))

    def _hand_on(self, action: Callable[[], object]) -> None:
        """The engine, which lets nothing stop it, is not to hide what goes wrong here."""
        try:
            action()
        except Exception as error:
            self.error = self.error or error
            raise


class Nobody:
    """Takes what would be published."""

    def __init__(self, played: Played) -> None:
        self._played = played

    def state(self, market: str, symbol: str, state: State) -> None:
        self._played.states += 1

    def deep(self, books: Sequence[LiveBook], tops: Sequence[ToldBook]) -> None:
        """Nobody reads it."""

    def gone(self, market: str, symbol: str) -> None:
        """Nobody is told."""


class _ReplayedBooks(Books):
    """Asks for nothing: what was asked for, and what came, is in the recording."""

    def _ask(self, now: float) -> None:
        """Nothing."""

    def asked(self, ask: Ask) -> None:
        book = self.followed.get((ask.market, ask.symbol))
        if book is not None:
            book.fetching = True
            if not ask.needed:
                book.sync.begin_merge()

    def answered(self, reply: Reply, snapshot: Snapshot | None) -> None:
        book = self.followed.get((reply.market, reply.symbol))
        if book is not None:
            self._use(book, reply.needed, Fetched(snapshot, reply.limit, reply.reason, reply.retry_at))


class _Connection:
    """A recorded line and its link in one: what the engine asks of them."""

    def __init__(self, market: str) -> None:
        self.name = self.group = market
        self.streams: tuple[str, ...] = ()  # what is lost with an unreadable frame is told by itself
        self.heard: dict[str, float] = {}
        self.main = True

    @property
    def owner(self) -> "_Connection":
        return self

    def is_main(self, line: Any) -> bool:
        return self.main

    def end_announced(self, line: Any) -> None:
        """It was looked after then."""


class Replay:
    """Plays files in the order given. `speed` 1 is real time, 0 as fast as it goes. `books` are those of the moment."""

    def __init__(
        self, exchange: str, streams: Streams, rules: BookRules, sinks: Sequence[Sink] = (), store: bool = False
    ) -> None:
        self.played = Played()
        self._exchange, self._streams = exchange, streams
        self._keeping = Replayed(exchange, self.played, sinks, store)
        self._engine = Engine(streams, self._keeping)
        nobody: Any = Nobody(self.played)
        desk: Any = None
        later = self._engine.inbox.call
        self.books = _ReplayedBooks(rules, desk, nobody, self._keeping, later, clock=self._engine.clock)
        self._engine.add(self.books)
        self._header: Header | None = None
        self._over: _Connection | None = None
        self._connections: dict[str, _Connection] = {}
        self._reply: Reply | None = None  # whose body is the next line
        self._speed = 0.0
        self._begun = 0.0  # our monotonic time at `played.first`
        self._stopped = False

    def stop(self) -> None:
        """From any thread: ends after the line in hand."""
        self._stopped = True

    def play(self, files: Sequence[Path], speed: float = 0.0) -> Played:
        """Raises InvalidCapture, OSError, or what storing raises."""
        self._speed = speed
        for path in files:
            reader = Reader(path)
            for line in reader:
                if self._stopped:
                    return self.played
                self._line(line)
            self.played.files += 1
            if reader.torn:
                self.played.torn.append(f"{path.name}: {reader.torn}")
                self._forget_connections()
        return self.played

    def _line(self, line: recording.Line) -> None:
        if line.kind == "":
            self._came(line)
        elif line.kind == "t":
            self._at(line)
            self._engine.turn()
            if self._keeping.error is not None:
                raise self._keeping.error
        elif line.kind == "s":
            self._at(line)
        elif line.kind == "x":
            self._came(line)
        elif line.kind == "c":
            self._over = self._connection(line)
        elif line.kind == "dropped":
            self.played.dropped += int(_number(line))
            self.books.lost(list(self.books.wishes()), False)
        else:
            self._told(recording.told(line))

    def _told(self, told: Any) -> None:
        match told:
            case Ask():
                self.books.asked(told)
            case Reply() if told.body:
                self._reply = told
            case Reply():
                self.books.answered(told, None)
            case Lost():
                self._engine.lose(told.market, told.streams, told.down)
            case Follow():
                self._follow(told.books, told.running)
            case Header():
                self._begin(told)

    def _at(self, line: recording.Line) -> None:
        """The recorded time; at real time or a multiple of it, waits until then."""
        wall = recording.seconds_of(line.ns)
        self._engine.clock.set(wall, _number(line))
        if not self.played.first:
            self.played.first, self._begun = wall, time.monotonic()
        self.played.last = wall
        if self._speed:
            ahead = (wall - self.played.first) / self._speed - (time.monotonic() - self._begun)
            if ahead > 0:
                time.sleep(ahead)

    def _connection(self, line: recording.Line) -> _Connection:
        try:
            name, market, main = line.data.decode().split()
        except ValueError as error:
            raise InvalidCapture(f"#c cannot be read: {line.data[:60]!r}") from error
        if market not in self._streams.rules:
            raise InvalidCapture(f"a connection of {market[:60]!r}, which is no market of {self._exchange}")
        self._engine.know_group(market, market)
        found = self._connections.setdefault(name, _Connection(market))
        found.main = main == "1"
        return found

    def _came(self, line: recording.Line) -> None:
        if self._reply is not None:
            reply, self._reply = self._reply, None
            self.books.answered(reply, _snapshot(line, reply))
            return
        if self._over is None:
            raise InvalidCapture("a frame before its connection is named")
        self.played.frames += 1
        self._engine.understand(cast("Line", self._over), line.data, recording.seconds_of(line.ns))

    def _begin(self, header: Header) -> None:
        """A file begins: goes on where the last one ended, or anew."""
        if header.format != recording.FORMAT:
            raise InvalidCapture(f"a recording of format {header.format}; known is {recording.FORMAT}")
        if header.exchange != self._exchange:
            raise InvalidCapture(f"a recording of {header.exchange}, not of {self._exchange}")
        before, self._header = self._header, header
        if before is None or (before.session, before.part + 1) != (header.session, header.part):
            self.books.follow({})
            self.books.minutes = MinuteBooks(self._keeping)
            self._forget_connections()
        self._follow(header.books, header.running)

    def _forget_connections(self) -> None:
        self._over, self._reply = None, None
        self._connections.clear()
        self.books.lost(list(self.books.wishes()), False)

    def _follow(self, books: Sequence[tuple[str, str, int, int]], running: bool) -> None:
        for market, symbol, *_ in books:  # names of files, too, may be made of them
            if market not in self._streams.rules or not NAME.fullmatch(symbol):
                raise InvalidCapture(f"a book of {symbol[:60]!r} on {market[:60]!r}, which cannot be")
        self.books.minutes.running = running
        chosen: dict[Key, LiveSymbol] = {(one[0], one[1]): LiveSymbol(one[2], one[3]) for one in books}
        self.books.follow(chosen)
        self._engine.know(list(self.books.wishes()))


def _number(line: recording.Line) -> float:
    try:
        number = float(line.data)
    except ValueError:
        number = nan
    if not isfinite(number) or not 0 <= line.ns < LATEST_NS:
        raise InvalidCapture(f"#{line.kind} cannot be read: {line.ns} {line.data[:60]!r}")
    return number


def _snapshot(line: recording.Line, reply: Reply) -> Snapshot | None:
    try:
        body = msgspec.json.decode(line.data, type=Body)
        return snapshot_from_levels(body.bids, body.asks, reply.limit, body.lastUpdateId, body.E)
    except (msgspec.MsgspecError, InvalidBook) as error:
        when = datetime.fromtimestamp(recording.seconds_of(line.ns), UTC)
        raise InvalidCapture(f"the book of {when:%H:%M:%S} cannot be read: {error}") from error
