"""At the outer end of the simulated data's way: requests in, the exchange's answers out, with limits and faults."""

import asyncio
from collections.abc import Mapping

from aiohttp import web

from simulator import control, futures, sockets, spot
from simulator.answers import Context, Endpoint
from simulator.errors import ApiError, invalid_symbol
from simulator.exchange import Config, Exchange
from simulator.faults import BOOK_KINDS, Fault
from simulator.hub import Hub
from simulator.limits import Verdict, refusal
from simulator.listings import Market
from simulator.parameters import Parameters

EXCHANGE = web.AppKey("exchange", Exchange)
ENDPOINTS: dict[str, tuple[Market, Endpoint]] = {
    **{path: ("spot", endpoint) for path, endpoint in spot.ENDPOINTS.items()},
    **{path: ("futures", endpoint) for path, endpoint in futures.ENDPOINTS.items()},
}
JSON = "application/json;charset=UTF-8"
FIREWALL = (
    b"<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<h1>403 ERROR</h1>\r\n</body>\r\n</html>\r\n"
)
BLOCKED = (
    b'{"code":0,"msg":"Service unavailable from a restricted location according to \'b. Eligibility\' in the terms."}'
)


class _Stop(Exception):
    """An answer that a fault gives in place of the real one."""

    def __init__(self, response: web.Response) -> None:
        super().__init__()
        self.response = response


def create_app(config: Config) -> web.Application:
    """The simulator as an aiohttp application. Raises InvalidRecording and OSError for a replay that cannot be."""
    app = web.Application()
    app[EXCHANGE] = exchange = Exchange(config)
    hub = Hub(exchange)
    control.add_routes(app, exchange, hub)
    sockets.add_routes(app, exchange, hub)
    app.router.add_route("*", "/{path:.*}", _handle)
    return app


def _json(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=body, status=status, headers={"Content-Type": JSON, **(headers or {})})


def _not_found(path: str) -> web.Response:
    if path.startswith("/fapi"):
        return _json(b'{"code":-5000,"msg":"Path %b, Method GET is invalid"}' % path.encode(), 404)
    page = b"<html>\r\n<head><title>404 Not Found</title></head>\r\n<body><h1>404 Not Found</h1></body>\r\n</html>\r\n"
    return web.Response(body=page, status=404, content_type="text/html")


async def _handle(request: web.Request) -> web.StreamResponse:
    exchange = request.app[EXCHANGE]
    found = ENDPOINTS.get(request.path)
    exchange.counters.requests[request.path if found else "unknown"] += 1
    if found is None or request.method not in {"GET", "HEAD"}:
        exchange.counters.answers["unknown:404"] += 1
        return _not_found(request.path)
    market, endpoint = found
    now, client = exchange.now(market), request.remote or ""
    weight = endpoint.weight(request.query)
    verdict = exchange.limits.charge(market, client, weight, now)
    exchange.counters.weight[market] += weight
    try:
        response = await _answer(request, exchange, (market, endpoint), now, verdict)
    except _Stop as stop:
        response = stop.response
    except ApiError as error:
        response = _json(error.body(), error.status)
    response.headers["X-MBX-USED-WEIGHT"] = response.headers["X-MBX-USED-WEIGHT-1M"] = str(verdict.used)
    response.headers["Cache-Control"] = "no-cache, no-store, must-revalidate"
    exchange.counters.answers[f"{market}:{response.status}"] += 1
    return response


async def _answer(
    request: web.Request,
    exchange: Exchange,
    target: tuple[Market, Endpoint],
    now: int,
    verdict: Verdict,
) -> web.Response:
    market, endpoint = target
    if verdict.status != 200:
        return _refused(exchange, market, request.remote or "", verdict)
    faults = list(exchange.faults.meet(market, request.path, request.query.get("symbol"), exchange.machine_time()))
    for fault in faults:
        await _interfere(request, exchange, market, fault, now)
    parameters = Parameters(market, request.query)
    parameters.only(*endpoint.known)
    books = [fault for fault in faults if fault.kind in BOOK_KINDS]
    body = endpoint.answer(Context(exchange, market, now, parameters, books))
    for fault in faults:
        if fault.kind == "truncate":
            return await _truncated(request, body, verdict.used)
        if fault.kind == "malformed":
            body = body[:-1] + b"?"
    return _json(body)


def _refused(exchange: Exchange, market: Market, client: str, verdict: Verdict) -> web.Response:
    """A ban's end stands in the message; spot also tells the seconds, futures does not."""
    message = refusal(market, verdict.status, exchange.limits.rules[market], client, verdict.banned_until)
    told = verdict.status == 429 or market == "spot"
    return _json(
        ApiError(-1003, message).body(), verdict.status, {"Retry-After": str(verdict.retry_after)} if told else None
    )


async def _interfere(request: web.Request, exchange: Exchange, market: Market, fault: Fault, now: int) -> None:
    """What a fault does before an answer is made. Raises _Stop or ApiError where it takes the answer's place."""
    match fault.kind:
        case "slow":
            await asyncio.sleep(fault.delay)
        case "timeout":
            await asyncio.Event().wait()
        case "disconnect":
            if request.transport is not None:
                request.transport.abort()
            raise asyncio.CancelledError
        case "429" | "418":
            raise _Stop(_forced(exchange, market, request.remote or "", fault, now))
        case "403":
            raise _Stop(web.Response(body=FIREWALL, status=403, content_type="text/html"))
        case "451":
            raise _Stop(_json(BLOCKED, 451))
        case "5xx":
            raise _Stop(
                _json(ApiError(-1000, "An unknown error occurred while processing the request.").body(), fault.status)
            )
        case "unknown_symbol":
            raise invalid_symbol()


def _forced(exchange: Exchange, market: Market, client: str, fault: Fault, now: int) -> web.Response:
    """A 429 or 418 that was asked for: `retry_after` says what the header tells, null that there is none."""
    status, skew = int(fault.kind), now - exchange.machine_time()
    seconds = -(-(fault.banned_until + skew - now) // 1000) if status == 418 else 60 - now % 60_000 // 1000
    verdict = Verdict(status, 0, max(1, seconds), fault.banned_until + skew)
    response = _refused(exchange, market, client, verdict)
    if fault.retry_after is None:
        response.headers.pop("Retry-After", None)
    elif isinstance(fault.retry_after, int):
        response.headers["Retry-After"] = str(fault.retry_after)
    return response


async def _truncated(request: web.Request, body: bytes, used: int) -> web.Response:
    """Half a body under the length of the whole; then the connection is gone."""
    headers = {"Content-Type": JSON, "Content-Length": str(len(body)), "X-MBX-USED-WEIGHT-1M": str(used)}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    raise asyncio.CancelledError
