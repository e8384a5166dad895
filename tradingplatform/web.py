"""The web process: Daphne, which here waits for readers that are slow, and ends broken answers as broken.

Daphne alone takes whatever an application sends into memory, however slowly the reader takes it, and an error in the
middle of an answer stops its own housekeeping. Live sockets get an outlet of their own, and end with the code that
says so when the server ends."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from daphne.cli import CommandLineInterface
from daphne.http_protocol import WebRequest
from daphne.server import Server
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet import defer, tcp

from markets.sockets import CLOSE_SECONDS, OUTLET, SEND_BUFFER, Frame

logger = logging.getLogger(__name__)

SOCKET_OPTIONS = {
    # A client is dead when it answers neither a ping nor anything else for a minute.
    "ping_interval": 20,
    "ping_timeout": 40,
    "websocket_timeout": -1,
    "websocket_max_message_size": 64 * 1024,
    "websocket_max_frame_size": 64 * 1024,
}


class Pace:
    """Told by the transport when its buffer is full and when it has drained: Twisted's push producer."""

    def __init__(self) -> None:
        self.clear = asyncio.Event()
        self.clear.set()

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's names
        self.clear.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        self.clear.set()

    stopProducing = resumeProducing  # noqa: N815 - the reader is gone: nobody has to be waited for


class Wire(Pace):
    """The outlet of a live client: whole frames straight to its socket, and no more than the client reads."""

    def __init__(self, protocol: WebSocketProtocol) -> None:
        super().__init__()
        self.full = False
        self.drained: Callable[[], None] = lambda: None
        self._protocol = protocol
        self._transport = protocol.transport
        transport = protocol.transport
        self._plain = transport.socket if isinstance(transport, tcp.Server) and not transport.TLS else None
        self._limit()

    def _limit(self) -> None:
        self._transport.unregisterProducer()  # the HTTP channel that the connection began with
        self._transport.registerProducer(self, True)
        if self._plain is not None:
            self._plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def write(self, frame: Frame) -> None:
        if self._protocol.state != WebSocketProtocol.STATE_OPEN:
            return
        wire, transport = frame.wire, self._transport
        if self._plain is not None and not (transport.dataBuffer or transport._tempDataLen):
            try:  # nothing waits before it: most frames leave here, without a round of the event loop
                sent = self._plain.send(wire)
            except BlockingIOError:
                sent = 0
            except OSError:
                return  # the client has gone: the transport hears of it, too
            if sent == len(wire):
                return
            wire = wire[sent:]
        transport.write(wire)
        if self._plain is not None:  # as if its buffer were full: we hear when all of it has left
            self.full = transport.producerPaused = True

    def close(self) -> None:
        self.drained = lambda: None

    def pauseProducing(self) -> None:  # noqa: N802
        self.full = True
        super().pauseProducing()

    def resumeProducing(self) -> None:  # noqa: N802
        self.full = False
        super().resumeProducing()
        self.drained()

    def stopProducing(self) -> None:  # noqa: N802
        self.drained = lambda: None
        super().resumeProducing()


class WebServer(Server):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | SOCKET_OPTIONS)

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """As Daphne's; but a part of a long answer is over only when there is room for the next, and sockets close with
        any code."""
        if message["type"] == "websocket.close" and protocol.state == WebSocketProtocol.STATE_OPEN:
            protocol.sendCloseFrame(code=message.get("code") or 1000, isReply=False)
            return
        long = isinstance(protocol, WebRequest) and message["type"] == "http.response.body"
        if not long or protocol.finished or protocol.channel is None:
            await super().handle_reply(protocol, message)
            await asyncio.sleep(0)  # so that an application whose reader left hears of it
            return
        more = message.get("more_body", False)
        if more and protocol.producer is None:
            protocol.registerProducer(Pace(), True)
        if not more and protocol.producer is not None:
            protocol.unregisterProducer()
        await super().handle_reply(protocol, message)
        if isinstance(protocol.producer, Pace):
            await protocol.producer.clear.wait()

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """As Daphne's; but an answer that fails after it began ends without its end, which every reader notices, and
        live sockets get their outlet."""
        if isinstance(protocol, WebSocketProtocol):
            protocol.closeHandshakeTimeout = CLOSE_SECONDS
            protocol.failByDrop = False  # what breaks the protocol is told by a code
            scope.setdefault("extensions", {})[OUTLET] = Wire(protocol)
        queue = super().create_application(protocol, scope)
        if queue is not None and isinstance(protocol, WebRequest):
            details = self.connections[protocol]
            details["application_instance"].add_done_callback(lambda done: _end_broken(protocol, details, done))
        return queue

    def kill_all_applications(self) -> defer.Deferred[Any]:
        """As Daphne's; but what the applications say at their end still leaves, and one that has ended is no error."""
        running = [details.get("application_instance") for details in self.connections.values()]
        tasks = [task for task in running if task is not None and not task.done()]
        for task in tasks:
            task.cancel()

        async def ended() -> None:
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0.2)

        return defer.Deferred.fromFuture(asyncio.ensure_future(ended()))


def _end_broken(protocol: WebRequest, details: dict[str, Any], done: asyncio.Future[Any]) -> None:
    if done.cancelled() or done.exception() is None or not protocol._response_started:
        return
    logger.error("An answer broke off: %r", done.exception(), exc_info=done.exception())
    details.pop("application_instance", None)  # Daphne would try to answer once more
    if protocol.channel is not None and not protocol.finished:
        protocol.channel.transport.abortConnection()


class Web(CommandLineInterface):
    server_class = WebServer


if __name__ == "__main__":
    Web.entrypoint()
