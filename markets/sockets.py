"""On the way to live clients: a message encoded once for all of them, and a writer for each that keeps the latest.

A client that reads too slowly skips messages instead of queueing them: what waits for it is at most one message of each
kind, always the newest."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol

OUTLET = "platform.outlet"  # the ASGI extension by which a server offers an Outlet of its own
SEND_BUFFER = 64 * 1024  # bytes that the kernel holds for one live client; what is older than that is of no use
CLOSE_SECONDS = 5.0  # for a client to answer a close; then its connection is cut
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Frame:
    """One text message; its forms are made when the first client needs them, and once."""

    __slots__ = ("_text", "_wire", "body")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._wire: bytes | None = None
        self._text: str | None = None

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = self.body.decode()
        return self._text

    @property
    def wire(self) -> bytes:
        """A whole unmasked text frame (RFC 6455, 5.2)."""
        if self._wire is None:
            size = len(self.body)
            if size < 126:
                head = struct.pack("!BB", 0x81, size)
            elif size <= 0xFFFF:
                head = struct.pack("!BBH", 0x81, 126, size)
            else:
                head = struct.pack("!BBQ", 0x81, 127, size)
            self._wire = head + self.body
        return self._wire


class Outlet(Protocol):
    """Where a writer's frames leave. While `full` it takes none, and calls `drained` once it takes them again."""

    full: bool
    drained: Callable[[], None]

    def write(self, frame: Frame) -> None: ...

    def close(self) -> None:
        """The last frame has left; a client that does not take its close either is cut in CLOSE_SECONDS."""


class SendOutlet:
    """An outlet over ASGI's own `send`, for servers that offer none: full while one frame is on its way.

    `send` alone waits for whoever does not read, and so do closes: it is the connection below that has little room, and
    that can be cut."""

    def __init__(self, send: Send) -> None:
        self.full = False
        self.drained: Callable[[], None] = lambda: None
        self._send = send
        self._sending: asyncio.Task[None] | None = None
        self._transport = _below(send)
        if self._transport is not None:
            self._transport.set_write_buffer_limits(0)  # `send` waits as soon as the kernel takes no more
            with suppress(OSError):  # the client has gone already
                self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def write(self, frame: Frame) -> None:
        self.full = True
        self._sending = asyncio.get_running_loop().create_task(self._pass(frame))

    async def _pass(self, frame: Frame) -> None:
        try:
            await self._send({"type": "websocket.send", "text": frame.text})
        except (OSError, RuntimeError):  # the client has gone: its disconnect comes by the other way
            return
        self.full = False
        self.drained()

    def close(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
        if self._transport is not None:  # of no effect where it is closed by then
            asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._transport.abort)


def _below(send: Send) -> asyncio.Transport | None:
    """The connection below `send`, where that is a method of its protocol, as uvicorn's is."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    return transport if hasattr(transport, "set_write_buffer_limits") else None


@dataclass(slots=True)
class Counters:
    """What this process did for its live clients since its start."""

    opened: int = 0
    sent: int = 0
    skipped: int = 0  # frames that a newer one replaced before they could leave
    slow: int = 0  # clients closed because they stayed slow
    floods: int = 0  # clients closed because they sent too much
    refused: int = 0  # connections beyond the limit


COUNTERS = Counters()


class Writer:
    """What one client is still to get: of each kind the newest frame, in the order in which kinds came up."""

    __slots__ = ("_outlet", "_stopped", "_waiting", "blocked_since")

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._waiting: dict[Hashable, Frame] = {}
        self._stopped = False
        self.blocked_since: float | None = None  # monotonic; while the client takes nothing more
        outlet.drained = self._drain

    def put(self, kind: Hashable, frame: Frame) -> None:
        """Send now if the client takes it, else once it does, unless a newer one of this kind comes before."""
        if self._stopped:
            return
        if self._outlet.full:
            if kind in self._waiting:
                COUNTERS.skipped += 1
            self._waiting[kind] = frame
            if self.blocked_since is None:
                self.blocked_since = monotonic()
            return
        COUNTERS.sent += 1
        self._outlet.write(frame)

    @property
    def waiting(self) -> int:
        """How many frames the client has not taken yet."""
        return len(self._waiting)

    def forget(self) -> None:
        """What waits is not sent."""
        self._waiting.clear()

    def _drain(self) -> None:
        self.blocked_since = None
        while self._waiting and not self._outlet.full and not self._stopped:
            kind = next(iter(self._waiting))
            COUNTERS.sent += 1
            self._outlet.write(self._waiting.pop(kind))
        if self._waiting:
            self.blocked_since = monotonic()

    def stop(self) -> None:
        """Nothing more leaves."""
        self._stopped = True
        self._waiting.clear()
        self._outlet.close()
