"""The web process: Daphne, which here waits for readers that are slow, and ends broken answers as broken.

Daphne alone takes whatever an application sends into memory, however slowly the reader takes it, and an error in the
middle of an answer stops its own housekeeping."""

import asyncio
import logging
from typing import Any

from daphne.cli import CommandLineInterface
from daphne.http_protocol import WebRequest
from daphne.server import Server

logger = logging.getLogger(__name__)


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


class WebServer(Server):
    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """As Daphne's; but a part of a long answer is over only when there is room for the next."""
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
        """As Daphne's; but an answer that fails after it began ends without its end, which every reader notices."""
        queue = super().create_application(protocol, scope)
        if queue is not None and isinstance(protocol, WebRequest):
            details = self.connections[protocol]
            details["application_instance"].add_done_callback(lambda done: _end_broken(protocol, details, done))
        return queue


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
