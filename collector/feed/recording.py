"""The form of what a feed records: lines of text in gzip files, an hour in each.

What came over sockets and by REST stands as `<received, epoch ns> <body as it came>`; `zgrep -v '^#'` gives just that.
Lines that begin with # tell what else the feed did in that order: without it nobody could do the same again.

    #capture {...}          the first line of each file: format, exchange, session, part, books, collection on or off
    #s <ns> <monotonic>     the thread of frames begins with what has come
    #t <ns> <monotonic>     ... and with what is to be done now and then
    #c <connection> <market> <1: the one that counts, 0: one that is to take its place>     of the frames that follow
    #x <ns> <base64>        a frame that is not one line of text
    #follow {...}           books come or go
    #lost {...}             nothing comes of these streams, or something of them is missing
    #ask {...}, #answer {...}   a book was asked for by REST, and what came of it; the body is the next line
    #dropped <n>            so many lines could not be kept here

A file is a row of gzip members, each whole in itself: of a file whose end is torn all up to the tear can be read."""

import base64
import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from collector.exchanges.base import RawBook

FORMAT = 1
SUFFIX = ".capture.gz"
READ = 1 << 20
NS = 1_000_000_000


class InvalidCapture(ValueError):
    """What is to be read is no recording of a feed, or of a form that is not known here."""


class Header(msgspec.Struct):
    """What a file begins with. `books` are (market, symbol, levels planned, deepest); `started`: epoch seconds, of the
    session."""

    exchange: str
    session: str
    part: int
    started: float
    books: list[tuple[str, str, int, int]]
    running: bool
    format: int = FORMAT


class Follow(msgspec.Struct):
    books: list[tuple[str, str, int, int]]
    running: bool


class Lost(msgspec.Struct):
    market: str
    streams: list[str]
    down: bool


class Ask(msgspec.Struct):
    market: str
    symbol: str
    limit: int
    needed: bool


class Reply(msgspec.Struct):
    """What came of an Ask; without a body, why there is none."""

    market: str
    symbol: str
    limit: int
    needed: bool
    body: bool
    reason: str = ""
    retry_at: float | None = None


class Body(msgspec.Struct, omit_defaults=True):
    """A book by REST, as the exchange spells it."""

    lastUpdateId: int  # noqa: N815
    bids: Sequence[tuple[str, str]]
    asks: Sequence[tuple[str, str]]
    E: int | None = None


class Line(NamedTuple):
    """One line: `kind` is the word after #, or "" for what came; `data` is the rest of it."""

    kind: str
    ns: int
    data: bytes


TOLD: dict[str, type[msgspec.Struct]] = {
    "capture": Header, "follow": Follow, "lost": Lost, "ask": Ask, "answer": Reply,
}  # fmt: skip


def nanoseconds(seconds: float) -> int:
    """Of epoch seconds, such that `seconds_of` gives the same number back."""
    whole = int(seconds)
    return whole * NS + round((seconds - whole) * NS)


def seconds_of(nanoseconds: int) -> float:
    whole, rest = divmod(nanoseconds, NS)
    return whole + rest / NS


def frame_line(received_at: float, data: bytes) -> bytes:
    if b"\n" in data or b"\r" in data:
        return b"#x %d %b\n" % (nanoseconds(received_at), base64.b64encode(data))
    return b"%d %b\n" % (nanoseconds(received_at), data)


def told_line(kind: str, what: msgspec.Struct) -> bytes:
    return b"#%b %b\n" % (kind.encode(), msgspec.json.encode(what))


def time_line(kind: str, wall: float, now: float) -> bytes:
    return b"#%b %d %b\n" % (kind.encode(), nanoseconds(wall), repr(now).encode())


def body_line(received_at: float, raw: RawBook) -> bytes:
    event_time = None if raw.event_time is None else round(raw.event_time.timestamp() * 1000)
    body = Body(raw.last_update_id, raw.bids, raw.asks, event_time)
    return b"%d %b\n" % (nanoseconds(received_at), msgspec.json.encode(body))


def parsed(line: bytes) -> Line:
    """Raises InvalidCapture."""
    try:
        head, _, rest = line.partition(b" ")
        if not head.startswith(b"#"):
            return Line("", int(head), rest)
        kind = head[1:].decode()
        if kind in {"s", "t", "x"}:
            ns, _, rest = rest.partition(b" ")
            return Line(kind, int(ns), base64.b64decode(rest, validate=True) if kind == "x" else rest)
        return Line(kind, 0, rest)
    except ValueError as error:
        raise InvalidCapture(f"no line of a recording: {line[:60]!r}") from error


def told(line: Line) -> Any:
    """What a line with a body of JSON tells. Raises InvalidCapture."""
    try:
        return msgspec.json.decode(line.data, type=TOLD[line.kind])
    except (msgspec.MsgspecError, KeyError) as error:
        raise InvalidCapture(f"#{line.kind} cannot be read: {error}") from error


def block(lines: Sequence[bytes]) -> bytes:
    """One member of a file."""
    return gzip.compress(b"".join(lines), compresslevel=4)


class Reader:
    """The lines of a file, in order. `torn` says how the file ends when it is read: None whole, else what is wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn: str | None = None

    def __iter__(self) -> Iterator[Line]:
        """Raises InvalidCapture where the beginning is of no recording."""
        rest, first = b"", True
        for piece in self._pieces():
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            for line in lines:
                found = parsed(line)
                if first and found.kind != "capture":
                    raise InvalidCapture(f"{self.path.name} is no recording of a feed")
                first = False
                yield found
        if first:
            raise InvalidCapture(f"{self.path.name} is no recording of a feed: {self.torn or 'it is empty'}")
        if rest:
            self.torn = self.torn or "the last line is not whole"

    def _pieces(self) -> Iterator[bytes]:
        member = zlib.decompressobj(31)
        begun = False
        with self.path.open("rb") as file:
            while data := file.read(READ):
                while data:
                    try:
                        piece = member.decompress(data)
                    except zlib.error as error:
                        self.torn = f"cannot be read on: {error}"
                        return
                    begun = True
                    yield piece
                    if not member.eof:
                        break
                    data, member, begun = member.unused_data, zlib.decompressobj(31), False
        if begun:
            yield member.flush()
            self.torn = "the end is torn"


def header(path: Path) -> Header:
    """What a file begins with. Raises InvalidCapture or OSError."""
    found: Header = told(next(iter(Reader(path))))
    if found.format != FORMAT:
        raise InvalidCapture(f"{path.name} is of format {found.format}; known is {FORMAT}")
    return found


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The recordings that are named, those of folders too, in the order in which they were made. Raises InvalidCapture
    or OSError."""
    found: set[Path] = set()
    for path in paths:
        if path.is_dir():
            kept = set(path.glob(f"*{SUFFIX}"))
            # Beside others, one of no bytes is what a kill left that came before the first of them.
            found |= {one for one in kept if one.stat().st_size} or kept
        elif path.exists():
            found.add(path)
        else:
            raise InvalidCapture(f"{path} does not exist")
    if not found:
        raise InvalidCapture(f"no recording (*{SUFFIX}) in {', '.join(map(str, paths))}")
    heads = {path: header(path) for path in found}
    return sorted(found, key=lambda path: (heads[path].started, heads[path].session, heads[path].part))
