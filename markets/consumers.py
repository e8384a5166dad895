"""One live client: what every socket of the platform does, whatever it tells. Domain apps say the rest.

A socket is a plain ASGI application. It does not go through Channels' dispatch, which crosses to a thread and back for
each message."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from django.conf import settings

from markets.hub import hub
from markets.nesting import too_deep
from markets.sockets import COUNTERS, OUTLET, Frame, Send, SendOutlet, Writer

logger = logging.getLogger(__name__)
Receive = Callable[[], Awaitable[dict[str, Any]]]

HEARTBEAT = Frame(b'{"type":"heartbeat"}')
PONG = Frame(b'{"type":"pong"}')
HEARTBEAT_SECONDS = 30.0
SLOW_SECONDS = 10.0  # that a client may take nothing at all before it is closed
MESSAGE_BYTES = 64 * 1024
MESSAGES_A_SECOND, MESSAGES_AT_ONCE = 20.0, 60.0  # from a client; more is a flood

GOING_AWAY, TOO_LARGE, POLICY, FAILED, TRY_LATER = 1001, 1009, 1008, 1011, 1013
BAD_REQUEST, NOT_FOUND = 4400, 4404


class Refused(Exception):
    """A connection or a message that cannot be served: what the client is told, and with which code its socket closes
    (None: it stays open)."""

    def __init__(self, code: str, message: str, close: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.close = close


def error_frame(code: str, message: str) -> Frame:
    return Frame(msgspec.json.encode({"type": "error", "code": code, "message": message}))


class Socket:
    """One client from its connection to its end. Subclasses override `opened`, `received` and `gone`."""

    def __init__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.scope = scope
        self.query = {name.lower(): value for name, value in parse_qsl(scope.get("query_string", b"").decode("latin1"))}
        self._receive, self._send = receive, send
        self._allowance, self._counted_at = MESSAGES_AT_ONCE, monotonic()
        self._beat_at = monotonic()
        self._closing: asyncio.Task[None] | None = None
        outlet = scope.get("extensions", {}).get(OUTLET)
        self.writer = Writer(SendOutlet(send) if outlet is None else outlet)

    async def opened(self) -> None:
        """The client is there. Raises Refused."""

    async def received(self, message: dict[str, Any]) -> None:
        """A message of the client, other than ping and pong. Raises Refused."""
        raise Refused("unknown_message", f"Unknown message type {str(message.get('type'))[:40]!r}")

    def gone(self) -> None:
        """The client is no longer there."""

    async def run(self) -> None:
        if (await self._receive())["type"] != "websocket.connect":
            return
        await self._send({"type": "websocket.accept"})
        own = hub()
        if len(own.clients) >= settings.WEBSOCKET_MAX_CONNECTIONS:
            COUNTERS.refused += 1
            await self._close(TRY_LATER)
            return
        own.clients.add(self)
        COUNTERS.opened += 1
        try:
            await self._serve()
        except asyncio.CancelledError:  # the server ends
            self.writer.stop()
            with contextlib.suppress(Exception):
                await self._close(GOING_AWAY)
            raise
        except Exception:
            logger.exception("a socket failed")
            await self._close(FAILED)
        finally:
            own.clients.discard(self)
            self.writer.stop()
            self.gone()

    async def _serve(self) -> None:
        try:
            await self.opened()
        except Refused as error:
            self._tell(error)
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            if self._closing is None:
                await self._take(message)

    async def _take(self, message: dict[str, Any]) -> None:
        text = message.get("text") or message.get("bytes") or b""
        if not self._within_rate():
            COUNTERS.floods += 1
            self.end(POLICY, "too_many_messages", "Too many messages")
        elif len(text) > MESSAGE_BYTES:
            self.end(TOO_LARGE)
        else:
            try:
                await self._answer(_decoded(text))
            except Refused as error:
                self._tell(error)

    async def _answer(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "ping":
            self.writer.put("pong", PONG)
        elif kind != "pong":
            await self.received(message)

    def _within_rate(self) -> bool:
        now = monotonic()
        grown = self._allowance + (now - self._counted_at) * MESSAGES_A_SECOND
        self._allowance, self._counted_at = min(MESSAGES_AT_ONCE, grown) - 1, now
        return self._allowance >= 0

    def _tell(self, error: Refused) -> None:
        if error.close is not None:
            self.end(error.close, error.code, str(error))
        else:
            self.writer.put("error", error_frame(error.code, str(error)))

    def tick(self, now: float) -> None:
        """Once a second, by the hub."""
        blocked = self.writer.blocked_since
        if self._closing is None and blocked is not None and now - blocked > SLOW_SECONDS:
            COUNTERS.slow += 1
            self.end(POLICY)
        elif now - self._beat_at >= HEARTBEAT_SECONDS:
            self._beat_at = now
            self.writer.put("heartbeat", HEARTBEAT)

    def end(self, close: int, code: str = "", message: str = "") -> None:
        """Say why, where there is something to say, and close. The client's disconnect comes after it."""
        if self._closing is None:
            if code:
                self.writer.put("error", error_frame(code, message))
            self._closing = asyncio.create_task(self._close(close))

    async def _close(self, code: int) -> None:
        await asyncio.sleep(0)  # a frame that was just put may leave first
        self.writer.stop()
        with contextlib.suppress(OSError, RuntimeError):  # it has gone, or was cut while the close waited for room
            await self._send({"type": "websocket.close", "code": code})


def _decoded(text: str | bytes) -> dict[str, Any]:
    try:
        if too_deep(text if isinstance(text, bytes) else text.encode()):
            raise Refused("invalid_json", "The message is nested too deep")
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Refused("invalid_json", "The message is not JSON") from error
    if not isinstance(message, dict):
        raise Refused("invalid_message", "A message is a JSON object")
    return message
