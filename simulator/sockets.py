"""At the outer end of the simulated data's way: WebSocket addresses, handshakes, and what clients say."""

import asyncio
import time
from collections.abc import AsyncIterator
from socket import SO_SNDBUF, SOL_SOCKET

from aiohttp import WSMsgType, web

from simulator import subscribing
from simulator.channels import Route, market_of
from simulator.connections import Connection
from simulator.exchange import Exchange
from simulator.hub import Hub
from simulator.subscribing import Refused

_LONGEST = 1 << 20  # bytes of a client's message
_SEND_BUFFER = 1 << 17


def add_routes(app: web.Application, exchange: Exchange, hub: Hub) -> None:
    """Adds the sockets' addresses. Spot's own are /ws and /stream, futures' the same below /public and /market.

    By the port for futures, where there is one, /ws and /stream are futures' old addresses."""

    async def open_socket(request: web.Request) -> web.StreamResponse:
        return await _open(request, exchange, hub)

    for prefix in ("", "/public", "/market"):
        for path in ("/ws", "/ws/", "/ws/{names:.+}", "/stream", "/stream/"):
            app.router.add_get(prefix + path, open_socket)

    async def running(app: web.Application) -> AsyncIterator[None]:
        task = asyncio.ensure_future(hub.run())
        yield
        task.cancel()

    async def leave(app: web.Application) -> None:
        hub.close_all()

    app.cleanup_ctx.append(running)
    app.on_shutdown.append(leave)


def _route(request: web.Request, exchange: Exchange) -> Route:
    first = request.path.split("/", 2)[1]
    if first in ("public", "market"):
        return "public" if first == "public" else "market"
    address = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return "unrouted" if address is not None and address[1] == exchange.futures_port else "spot"


async def _open(request: web.Request, exchange: Exchange, hub: Hub) -> web.StreamResponse:
    route = _route(request, exchange)
    market, client = market_of(route), request.remote or ""
    if not hub.attempt(market, client):
        hub.counters["too_many_attempts"] += 1
        return web.Response(status=429, text="Too many connection attempts")
    for fault in exchange.faults.of({"refuse"}, exchange.machine_time()):
        if fault.on_connection(market, request.path, 0) and exchange.faults.meets(fault):
            hub.counters["refused"] += 1
            return await _refused(request, fault.how, fault.status)
    socket = web.WebSocketResponse(autoping=False, compress=False, timeout=2.0, max_msg_size=_LONGEST)
    await socket.prepare(request)
    _bound(request)
    combined = request.path.removeprefix(f"/{route}").startswith("/stream")
    number, opened = hub.next_number(), exchange.machine_time()
    connection = Connection(number, route, request.path, combined, client, socket, request, opened)
    hub.add(connection)
    try:
        _subscribe(connection, hub, _names(request))
        await _listen(connection, hub)
    finally:
        hub.remove(connection)
        if connection.closing and request.transport is not None:
            request.transport.close()  # both have said goodbye: aiohttp need not say it again
    return socket


def _bound(request: web.Request) -> None:
    """Keeps the system from queueing megabytes for a client that does not read."""
    found = request.transport.get_extra_info("socket") if request.transport is not None else None
    if found is not None:
        found.setsockopt(SOL_SOCKET, SO_SNDBUF, _SEND_BUFFER)


async def _refused(request: web.Request, how: str | None, status: int) -> web.Response:
    if how == "hang":
        await asyncio.Event().wait()
    if how == "abort" and request.transport is not None:
        request.transport.abort()
        raise asyncio.CancelledError
    return web.Response(status=status, text="Service unavailable")


def _names(request: web.Request) -> list[str]:
    """The streams that the address itself asks for."""
    text = request.match_info.get("names") or request.query.get("streams", "")
    return [name for name in text.split("/") if name]


def _subscribe(connection: Connection, hub: Hub, names: list[str]) -> None:
    if len({**connection.names, **dict.fromkeys(names)}) > hub.rules[connection.market].streams:
        hub.counters["too_many_streams"] += 1
        hub.close(connection, 1008, "Too many streams")
        return
    hub.subscribe(connection, names)


async def _listen(connection: Connection, hub: Hub) -> None:
    """Reads what a client sends until it goes or is sent away."""
    async for message in connection.socket:
        if connection.closing:
            continue
        if connection.too_many(time.monotonic(), hub.rules[connection.market].messages):
            hub.counters["too_many_messages"] += 1
            hub.close(connection, 1008, "Too many requests")
        elif message.type is WSMsgType.PING:
            connection.pong(bytes(message.data))
        elif message.type is WSMsgType.PONG:
            connection.pong_received(bytes(message.data))
        elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            try:
                _obey(connection, hub, subscribing.parse(message.data))
            except Refused as error:
                connection.answer(error.body())


def _obey(connection: Connection, hub: Hub, request: subscribing.Request) -> None:
    """Raises Refused."""
    match request.method:
        case "SUBSCRIBE":
            connection.answer(subscribing.result(request))
            _subscribe(connection, hub, request.params)
        case "UNSUBSCRIBE":
            hub.unsubscribe(connection, request.params)
            connection.answer(subscribing.result(request))
        case "LIST_SUBSCRIPTIONS":
            connection.answer(subscribing.result(request, list(connection.names)))
        case "SET_PROPERTY":
            connection.combined = bool(subscribing.combined_asked(request))
            connection.answer(subscribing.result(request))
        case _:
            subscribing.combined_asked(request)
            connection.answer(subscribing.result(request, connection.combined))
