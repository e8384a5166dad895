"""Beside the simulated data's way: faults, limits and counters at `/control`, for tests and demonstrations.

    GET    /control              faults, limits, counters, this minute's weight by client
    GET    /control/faults       the active faults
    POST   /control/faults       one more: {"kind": "429", "market": "spot", "count": 3, ...}
    DELETE /control/faults       none; /control/faults/<id> ends one
    POST   /control/limits       {"market": "spot", "weight": 1200, "enforced": true, "tolerance": 5, "ban_seconds": 10}
    DELETE /control/limits       forgets what was used and who is banned
    DELETE /control/counters     counts from zero
    GET    /control/streams      replay, connections, streams with their listeners, rules, counters of the sockets
    POST   /control/streams      {"market": "spot", "ping_seconds": 1, "pong_seconds": 3, "life_seconds": 60, ...}
    DELETE /control/streams      the rules as they were, and attempts to connect forgotten

Bad input is answered 400 {"error": "..."}. docs/simulator.md lists the kinds of faults.
"""

from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import web

from simulator.exchange import Counters, Exchange
from simulator.faults import AT_ONCE, InvalidFault
from simulator.hub import Hub
from simulator.listings import Market


class _LimitsRequest(msgspec.Struct, forbid_unknown_fields=True):
    market: Market | None = None
    weight: int | None = None
    enforced: bool | None = None
    tolerance: int | None = None
    ban_seconds: float | None = None


class _SocketRequest(msgspec.Struct, forbid_unknown_fields=True):
    """simulator.connections.SocketRules, each optional."""

    market: Market | None = None
    ping_seconds: float | None = None
    pong_seconds: float | None = None
    messages: int | None = None
    streams: int | None = None
    life_seconds: float | None = None
    attempts: int | None = None
    waiting_bytes: int | None = None


def _asked(body: bytes, kind: type[_LimitsRequest] | type[_SocketRequest]) -> tuple[Market | None, dict[str, Any]]:
    """The market and what is to change. Raises msgspec.DecodeError."""
    sent = msgspec.structs.asdict(msgspec.json.decode(body, type=kind))
    market = sent.pop("market")
    changes = {name: value for name, value in sent.items() if value is not None}
    if any(not isinstance(value, bool) and value < 0 for value in changes.values()):
        raise msgspec.ValidationError("limits are not negative")
    return market, changes


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def _state(exchange: Exchange) -> dict[str, Any]:
    usage = {
        f"{market} {client}": {
            "used": exchange.limits.used(market, client, exchange.now(market)), "bannedUntil": usage.banned_until,
        }
        for (market, client), usage in exchange.limits.usage.items()
    }  # fmt: skip
    counters = exchange.counters
    return {
        "faults": exchange.faults.active(exchange.machine_time()),
        "limits": exchange.limits.rules,
        "usage": usage,
        "counters": {"requests": counters.requests, "weight": counters.weight, "answers": counters.answers},
    }


def _change_limits(exchange: Exchange, body: bytes) -> None:
    market, changes = _asked(body, _LimitsRequest)
    for one, rules in list(exchange.limits.rules.items()):
        if market in (None, one):
            exchange.limits.rules[one] = replace(rules, **changes)


def _sockets(hub: Hub) -> dict[str, Any]:
    connections = [
        {
            "id": one.number, "market": one.market, "path": one.path, "client": one.client, "opened": one.opened,
            "combined": one.combined, "streams": list(one.names), "sent": one.sent, "lost": one.lost,
            "waitingBytes": one.waiting, "pongsMissing": len(one.unanswered),
        }
        for one in hub.connections.values()
    ]  # fmt: skip
    streams = {f"{market} {name}": len(live.listeners) for (market, name), live in hub.live.items()}
    return {
        "replay": hub.replay(),
        "connections": connections,
        "streams": streams,
        "rules": hub.rules,
        "counters": hub.counters,
    }


def _add_socket_routes(app: web.Application, hub: Hub) -> None:
    async def streams(request: web.Request) -> web.Response:
        return _json(_sockets(hub))

    async def change_rules(request: web.Request) -> web.Response:
        try:
            hub.change_rules(*_asked(await request.read(), _SocketRequest))
        except msgspec.DecodeError as error:
            return _json({"error": str(error)}, 400)
        return _json(hub.rules)

    async def forget_rules(request: web.Request) -> web.Response:
        hub.forget()
        return _json(hub.rules)

    app.router.add_get("/control/streams", streams)
    app.router.add_post("/control/streams", change_rules)
    app.router.add_delete("/control/streams", forget_rules)


def add_routes(app: web.Application, exchange: Exchange, hub: Hub) -> None:
    """Adds the control addresses of `exchange` to an application."""

    async def state(request: web.Request) -> web.Response:
        return _json(_state(exchange))

    async def faults(request: web.Request) -> web.Response:
        return _json({"faults": exchange.faults.active(exchange.machine_time())})

    async def add_fault(request: web.Request) -> web.Response:
        try:
            fault = exchange.faults.add(await request.read(), exchange.machine_time())
            if fault.kind in AT_ONCE:
                hub.at_once(fault)
            return _json(fault, 201)
        except InvalidFault as error:
            return _json({"error": str(error)}, 400)

    async def clear_faults(request: web.Request) -> web.Response:
        number = request.match_info.get("id")
        return _json({"cleared": exchange.faults.clear(None if number is None else int(number))})

    async def change_limits(request: web.Request) -> web.Response:
        try:
            _change_limits(exchange, await request.read())
        except msgspec.DecodeError as error:
            return _json({"error": str(error)}, 400)
        return _json(exchange.limits.rules)

    async def forget_usage(request: web.Request) -> web.Response:
        exchange.limits.usage.clear()
        return _json(exchange.limits.rules)

    async def clear_counters(request: web.Request) -> web.Response:
        exchange.counters = Counters()
        hub.counters.clear()
        return _json(_state(exchange))

    app.router.add_get("/control", state)
    app.router.add_get("/control/faults", faults)
    app.router.add_post("/control/faults", add_fault)
    app.router.add_delete("/control/faults", clear_faults)
    app.router.add_delete(r"/control/faults/{id:\d{1,9}}", clear_faults)
    app.router.add_post("/control/limits", change_limits)
    app.router.add_delete("/control/limits", forget_usage)
    app.router.add_delete("/control/counters", clear_counters)
    _add_socket_routes(app, hub)
