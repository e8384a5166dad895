"""Where live clients come in: who may, and which socket serves them."""

from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from channels.db import database_sync_to_async
from django.conf import settings
from django.http.request import split_domain_port, validate_host

from api.permissions import may_read
from candles import routing as candles
from depth import routing as depth
from derivatives import routing as derivatives
from dex import routing as dex
from markets.consumers import BAD_REQUEST, Receive, Refused, Socket
from markets.sockets import Send
from markets.storage import DATABASE_AWAY

PATHS: dict[str, type[Socket]] = {**depth.PATHS, **candles.PATHS, **dex.PATHS}
TYPES: dict[str, type[Socket]] = {**depth.TYPES, **candles.TYPES, **derivatives.TYPES}  # of /ws, by `type`


class UnknownType(Socket):
    """`/ws` with a `type` that there is not."""

    async def opened(self) -> None:
        raise Refused("invalid_parameter", f"type must be {' or '.join(sorted(TYPES))}", BAD_REQUEST)


async def sockets(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """The ASGI application of every live client. Foreign origins and unknown paths are refused before they are open."""
    found = _route(scope)
    if found is None or not _own_origin(_headers(scope)) or not await _may_read(scope):
        await receive()
        await send({"type": "websocket.close"})
        return
    await found(scope, receive, send).run()


def _route(scope: dict[str, Any]) -> type[Socket] | None:
    path = scope["path"].rstrip("/")
    if path != "/ws":
        return PATHS.get(path)
    query = scope.get("query_string", b"").decode("latin1").lower()
    kinds = [part.removeprefix("type=") for part in query.split("&") if part.startswith("type=")]
    return TYPES.get(kinds[0] if kinds else "candles", UnknownType)


def _headers(scope: dict[str, Any]) -> dict[str, str]:
    return {name.decode("latin1").lower(): value.decode("latin1") for name, value in scope.get("headers", [])}


def _own_origin(headers: dict[str, str]) -> bool:
    """Programs send no Origin. A browser's must be this host, one of ours, or one that may use the API."""
    origin, host = headers.get("origin"), headers.get("host", "")
    if origin is None or origin in settings.CORS_ALLOWED_ORIGINS:
        return True
    hosts = settings.ALLOWED_HOSTS or (["localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else [])
    name, _ = split_domain_port(host)
    try:
        same = urlsplit(origin).netloc == host
    except ValueError:
        return False
    return same and validate_host(name, hosts)


async def _may_read(scope: dict[str, Any]) -> bool:
    if settings.API_PUBLIC:
        return True
    headers = _headers(scope)
    try:
        session = SimpleCookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME)
        key = session.value if session else ""
    except CookieError:
        key = ""
    try:
        return await database_sync_to_async(may_read, thread_sensitive=False)(headers.get("authorization", ""), key)
    except DATABASE_AWAY:
        return False
