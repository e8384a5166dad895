"""At the far end of the simulated data's way: one client's WebSocket, with what it asked for and what waits for it."""

from collections import deque
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from simulator.channels import Route, market_of
from simulator.listings import Market

_TEXT, _CLOSE, _PING, _PONG = 0x81, 0x88, 0x89, 0x8A


@dataclass(frozen=True, slots=True)
class SocketRules:
    """One market's rules for sockets; seconds, numbers a second, bytes that may wait for a client that does not read.

    `attempts` connections within five minutes for each address; 0: no limit."""

    ping_seconds: float
    pong_seconds: float
    messages: int
    streams: int = 1024
    life_seconds: float = 86_400.0
    attempts: int = 0
    waiting_bytes: int = 16 << 20


RULES: dict[Market, SocketRules] = {
    "spot": SocketRules(ping_seconds=20, pong_seconds=60, messages=5, attempts=300),
    "futures": SocketRules(ping_seconds=180, pong_seconds=600, messages=10),
}


def frame(payload: bytes, head: int = _TEXT) -> bytes:
    """A whole WebSocket frame from the server's side."""
    length = len(payload)
    if length < 126:
        return bytes((head, length)) + payload
    if length < 65_536:
        return bytes((head, 126)) + length.to_bytes(2, "big") + payload
    return bytes((head, 127)) + length.to_bytes(8, "big") + payload


class Message:
    """One message of a stream, for all who listen: each of its two forms is made once."""

    __slots__ = ("_frames", "data", "name")

    def __init__(self, name: str, data: bytes) -> None:
        self.name, self.data = name, data
        self._frames: dict[bool, bytes] = {}

    def frame(self, combined: bool) -> bytes:
        found = self._frames.get(combined)
        if found is None:
            data = b'{"stream":%b,"data":%b}' % (msgspec.json.encode(self.name), self.data) if combined else self.data
            self._frames[combined] = found = frame(data)
        return found


@dataclass(slots=True, eq=False)
class Connection:
    """A client's socket. `names` are all streams that it asked for, also those that stay silent.

    Data frames go straight to the transport, several in one write; aiohttp does the handshake, reading and closing."""

    number: int
    route: Route
    path: str
    combined: bool
    client: str
    socket: web.WebSocketResponse
    request: web.Request
    opened: int
    names: dict[str, None] = field(default_factory=dict)
    pending: list[bytes] = field(default_factory=list)
    held: dict[str, Message] = field(default_factory=dict)  # messages that come after the next one of their stream
    sent: int = 0
    lost: int = 0
    silent: bool = False
    pinged: int = 0
    closing: int = 0  # when (ms) the server said goodbye
    unanswered: dict[bytes, int] = field(default_factory=dict)
    _received: deque[float] = field(default_factory=deque)

    @property
    def market(self) -> Market:
        return market_of(self.route)

    @property
    def waiting(self) -> int:
        """Bytes that the client has not read yet."""
        transport = self.request.transport
        return transport.get_write_buffer_size() if transport is not None else 0

    def send(self, message: Message) -> None:
        self.pending.append(message.frame(self.combined))
        self.sent += 1

    def flush(self) -> None:
        """Writes what is pending at once."""
        if not self.pending:
            return
        data = b"".join(self.pending)
        self.pending.clear()
        self._write(data)

    def answer(self, payload: bytes) -> None:
        """Outside of the streams: answers to the client's requests and the server's own events."""
        if not self.silent:
            self._write(frame(payload))

    def ping(self, now: int) -> None:
        """The exchange's ping carries its time."""
        payload = b"%d" % now
        self.pinged = now
        self.unanswered[payload] = now
        if not self.silent:
            self._write(frame(payload, _PING))

    def pong(self, payload: bytes) -> None:
        if not self.silent:
            self._write(frame(payload[:125], _PONG))

    def pong_received(self, payload: bytes) -> None:
        """Only a copy of a ping's payload answers it, and all pings before it; others are allowed and mean nothing."""
        answered = self.unanswered.get(payload)
        if answered is not None:
            self.unanswered = {one: sent for one, sent in self.unanswered.items() if sent > answered}

    def overdue(self, now: int, seconds: float) -> bool:
        """Whether a ping has waited for its pong for too long."""
        return any(now - sent > seconds * 1000 for sent in self.unanswered.values())

    def too_many(self, now: float, limit: int) -> bool:
        """Counts a message of the client's; whether it is one too many within a second."""
        self._received.append(now)
        while now - self._received[0] >= 1.0:
            self._received.popleft()
        return len(self._received) > limit

    def close(self, code: int, reason: str, now: int) -> None:
        """Says goodbye. What the client still sends is read until it says goodbye too."""
        if not self.closing:
            self.flush()
            self._write(frame(code.to_bytes(2, "big") + reason.encode(), _CLOSE))
            self.closing = now

    def leave(self) -> None:
        """Says goodbye as a server that goes away, without waiting for an answer."""
        self.close(1001, "", 1)
        if self.request.transport is not None:
            self.request.transport.close()

    def abort(self) -> None:
        """The connection is gone without a word."""
        if self.request.transport is not None:
            self.request.transport.abort()

    def _write(self, data: bytes) -> None:
        transport = self.request.transport
        if transport is not None and not transport.is_closing() and not self.closing:
            transport.write(data)
