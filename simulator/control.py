"""Beside the simulated data's way: faults, limits and counters at `/control`, for tests and demonstrations.

    GET    /control              faults, limits, counters, this minute's weight by client
    GET    /control/faults       the active faults
    POST   /control/faults       one more: {"kind": "429", "market": "spot", "count": 3, ...}
    DELETE /control/faults       none; /control/faults/<id> ends one
    POST   /control/limits       {"market": "spot", "weight": 1200, "enforced": true, "tolerance": 5, "ban_seconds": 10}
    DELETE /control/limits       forgets what was used and who is banned
    DELETE /control/counters     counts from zero

Bad input is answered 400 {"error": "..."}. docs/simulator.md lists the kinds of faults.
"""

from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import web

from simulator.exchange import Counters, Exchange
from simulator.faults import InvalidFault
from simulator.listings import Market


class _LimitsRequest(msgspec.Struct, forbid_unknown_fields=True):
    market: Market | None = None
    weight: int | None = None
    enforced: bool | None = None
    tolerance: int | None = None
    ban_seconds: float | None = None


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
    asked = msgspec.json.decode(body, type=_LimitsRequest)
    changes = {
        name: value for name, value in msgspec.structs.asdict(asked).items() if name != "market" and value is not None
    }
    if any(not isinstance(value, bool) and value < 0 for value in changes.values()):
        raise msgspec.ValidationError("limits are not negative")
    for market, rules in list(exchange.limits.rules.items()):
        if asked.market in (None, market):
            exchange.limits.rules[market] = replace(rules, **changes)


def add_routes(app: web.Application, exchange: Exchange) -> None:
    """Adds the control addresses of `exchange` to an application."""

    async def state(request: web.Request) -> web.Response:
        return _json(_state(exchange))

    async def faults(request: web.Request) -> web.Response:
        return _json({"faults": exchange.faults.active(exchange.machine_time())})

    async def add_fault(request: web.Request) -> web.Response:
        try:
            return _json(exchange.faults.add(await request.read(), exchange.machine_time()), 201)
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
        return _json(_state(exchange))

    app.router.add_get("/control", state)
    app.router.add_get("/control/faults", faults)
    app.router.add_post("/control/faults", add_fault)
    app.router.add_delete("/control/faults", clear_faults)
    app.router.add_delete(r"/control/faults/{id:\d{1,9}}", clear_faults)
    app.router.add_post("/control/limits", change_limits)
    app.router.add_delete("/control/limits", forget_usage)
    app.router.add_delete("/control/counters", clear_counters)
