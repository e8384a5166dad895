"""Beside the resources: answers that are kept as bytes, and served for as long as nothing behind them has changed.

An answer is kept with the mark of what it was made from, read in the database before it was made: what the registry
says of its symbol or its market, and the versions of their series (`depth.cache`); of candles, their versions and open
minutes in Redis (`candles.results`). It is served only to who reads the same mark now, and no longer than to the end of
its minute, when ranges that count from now begin elsewhere. Its `timestamp`, or the age of its book, is written in anew
each time. `api.quick` serves them before Django is asked at all."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from hashlib import blake2b
from time import monotonic, time
from typing import Any, cast
from urllib.parse import parse_qs

import msgspec
import redis
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotModified
from rest_framework.request import Request

from candles.results import stamp, stamp_keys
from depth.cache import count
from markets.connections import cache_redis
from markets.room import Room

ROOM = Room(40_000_000)
LONGEST = 1_000_000
PREFIXES = ("/api/v1/", "/api/")
AWAY_SECONDS = 5.0
OWN_HEADERS = ("x-request-id", "x-ratelimit-limit", "x-ratelimit-remaining", "content-length")

# Resource: what its answers depend on: a symbol's books, its candles (the closed ones, or the open one too), a market's
# books.
SCOPES = {
    "analysis": "closed",
    "analytics/history": "symbol",
    "binance/futures": "symbol",
    "binance/spot": "symbol",
    "candles": "open",
    "chart-data": "symbol",
    "indicators": "open",
    "overview": "market",
    "snapshots": "symbol",
}
CANDLES = {"closed": False, "open": True}  # scopes of candles, and whether the open minute counts
BOOKS = {"binance/spot": "SPOT", "binance/futures": "FUTURES"}  # told live where the book is
# What the registry and the store have, one line each. Series of a symbol on both markets count, since a question may
# name none; of a market all that is told of its collected symbols. Versions only rise, so their sum tells any change.
MARKS = """
    SELECT 'symbol:' || s.name,
           string_agg(concat_ws(' ', s.market, s.collected, s.status, v.version), ',' ORDER BY s.market)
    FROM symbols s LEFT JOIN series_versions v ON v.symbol = s.name AND v.market_type = s.market
    WHERE s.name = ANY (%(symbols)s) AND s.exchange = 'binance' GROUP BY s.name
    UNION ALL
    SELECT 'market:' || s.market, concat_ws(' ', count(*), sum(v.version), sum(hashtextextended(concat_ws(
        ' ', s.name, s.base, s.quote, s.status, s.tick_size, s.lot_size, s.quote_volume), 0)::numeric))
    FROM symbols s LEFT JOIN series_versions v ON v.symbol = s.name AND v.market_type = s.market
    WHERE s.market = ANY (%(markets)s) AND s.exchange = 'binance' AND s.collected GROUP BY s.market
"""


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """An answer: until when it may be served (epoch seconds), its scope (such as `symbol:BTCUSDT`) and mark, its
    headers and its body. Between the body's parts stand the milliseconds since `since` (epoch milliseconds): 0 for a
    moment, when its book was read for an age; `after` is None where neither is told. `live`: the body was a live
    state's, and only the headers are of use."""

    until: float
    scope: str
    mark: str
    headers: list[tuple[str, str]]
    before: bytes
    after: bytes | None
    since: int
    live: bool

    def body(self, now: float) -> bytes:
        """`now`: epoch seconds."""
        if self.after is None:
            return self.before
        return b"%b%d%b" % (self.before, max(0, int(now * 1000) - self.since), self.after)


_decoder = msgspec.msgpack.Decoder(Kept)
_encoder = msgspec.msgpack.Encoder()


class _Process:
    """Until when this process leaves Redis alone."""

    away_until = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A question whose answer may be kept: the resource, the answer's key in Redis, and its scope."""

    resource: str
    key: str
    scope: str

    @property
    def book(self) -> tuple[str, str] | None:
        """(market, symbol) where the newest book is asked for."""
        market = BOOKS.get(self.resource)
        return (market, self.scope.partition(":")[2]) if market else None


def asked_of(path: str, query: bytes) -> Asked | None:
    """The question in an address; the same for all spellings of the resource. None for what is never kept."""
    prefix = next((prefix for prefix in PREFIXES if path.startswith(prefix)), None)
    resource = path.removeprefix(prefix).rstrip("/") if prefix else ""
    kind = SCOPES.get(resource)
    if kind is None:
        return None
    told = parse_qs(query.decode("latin1"), encoding="utf-8", errors="replace")
    if kind != "market":
        name = told.get("symbol", [""])[-1].strip().upper()
        valid = 0 < len(name) <= 40 and "\x00" not in name
    else:
        name = told.get("market", told.get("marketType", ["SPOT"]))[-1].upper()
        valid = name in BOOKS.values()
    key = f"answer:{resource}:{blake2b(query, digest_size=16).hexdigest()}"
    return Asked(resource, key, f"{kind}:{name}") if valid else None


def row_of(scope: str) -> str:
    """The line of MARKS that is of this scope."""
    kind, _, name = scope.partition(":")
    return f"symbol:{name}" if kind in CANDLES else scope


def scoped(scopes: Iterable[str]) -> dict[str, list[str]]:
    """The parameters of MARKS for these scopes."""
    split = [row_of(scope).partition(":") for scope in scopes]
    return {f"{kind}s": [name for of, _, name in split if of == kind] for kind in ("symbol", "market")}


def candle_keys(scope: str) -> list[str]:
    """The keys in Redis that tell of candles, where the scope is of them."""
    kind, _, name = scope.partition(":")
    return stamp_keys(name) if kind in CANDLES else []


def joined(scope: str, registered: str | None, values: Sequence[bytes | None], now: float) -> str | None:
    """The mark, of its line in MARKS and the values of `candle_keys`; None where nothing can be kept."""
    kind = scope.partition(":")[0]
    if registered is None or kind not in CANDLES:
        return registered
    told = stamp(values, CANDLES[kind], datetime.fromtimestamp(now, UTC))
    return f"{registered} {told}" if told else None


def decode(kept: bytes, now: float) -> Kept | None:
    """A kept answer, unless its time is over."""
    found = _decoder.decode(kept)
    return found if found.until > now else None


def mark_of(scope: str) -> str | None:
    """One query, and for candles one trip to Redis. None where nothing can be kept."""
    keys = candle_keys(scope)
    if keys and monotonic() < _Process.away_until:
        return None
    with connection.cursor() as cursor:
        cursor.execute(MARKS, scoped([scope]))
        row = cursor.fetchone()
    try:
        values = cast("list[bytes | None]", cache_redis().mget(keys)) if keys else []
    except redis.RedisError:
        _Process.away_until = monotonic() + AWAY_SECONDS
        return None
    return joined(scope, row[1] if row else None, values, time())


def kept(answer: Callable[..., Any]) -> Callable[..., Any]:
    """For the `get` of a resource in SCOPES, whose answer depends on its parameters, on what the store and the registry
    have in that scope and on the minute, and may tell its moment in `timestamp`: it is kept, and answers that are kept
    are served. Newest books are served so only where they are not live."""

    @wraps(answer)
    def served(view: Any, request: Request) -> Any:
        asked = asked_of(request.path, request.META.get("QUERY_STRING", "").encode("latin1"))
        if request.method != "GET" or asked is None:
            return answer(view, request)
        mark, now = mark_of(asked.scope), time()
        found = None if asked.book else _read(asked.key, now)
        hit = found is not None and mark is not None and found.mark == mark
        count("answers", hit)
        if found is not None and hit:
            return _served(found, request.headers.get("If-None-Match", ""), now)
        response = answer(view, request)
        if mark is not None and response.status_code == 200:
            request._request.kept = (asked, mark, (now // 60 + 1) * 60, getattr(response, "data", {}))
        return response

    return served


def _served(found: Kept, known: str, now: float) -> HttpResponse:
    headers = dict(found.headers)
    if unchanged(headers, known):
        headers.pop("content-type", None)
        return HttpResponseNotModified(headers=headers)
    return HttpResponse(found.body(now), headers=headers)


def unchanged(headers: dict[str, str], known: str) -> bool:
    """Whether the caller has this answer already, by the ETags that it knows."""
    return bool(known) and headers.get("etag", "\n") in known


def keep(request: HttpRequest, response: HttpResponseBase) -> None:
    """Keeps the answer that has just been made, with all headers that it got on its way out."""
    plan = getattr(request, "kept", None)
    if plan is None or not isinstance(response, HttpResponse) or response.cookies:
        return
    asked, mark, until, data = plan
    headers = [
        (name.lower(), value)
        for name, value in response.items()
        if name.lower() not in OWN_HEADERS and not name.lower().startswith("access-control-")
    ]
    live = asked.book is not None and data["wsStatus"] != "off"
    parts = (b"", None, 0) if live else _parted(response.content, data)
    left = until - time()
    if parts is not None and left > 0:
        made = Kept(until, asked.scope, mark, headers, *parts, live)
        _write(asked.key, _encoder.encode(made), left)


def _parted(body: bytes, data: dict[str, Any]) -> tuple[bytes, bytes | None, int] | None:
    """The body before and after what tells the time, and since when that counts."""
    name = next((name for name in ("ageMs", "timestamp") if name in data), None)
    if name is None:
        return body, None, 0
    before, found, after = body.partition(b'"%b":%d' % (name.encode(), data[name]))
    since = data["timestamp"] if name == "ageMs" else 0
    return (b'%b"%b":' % (before, name.encode()), after, since) if found else None


def _read(key: str, now: float) -> Kept | None:
    if monotonic() < _Process.away_until:
        return None
    try:
        found = cache_redis().get(key)
    except redis.RedisError:
        _Process.away_until = monotonic() + AWAY_SECONDS
        return None
    return decode(found, now) if isinstance(found, bytes) else None


def _write(key: str, body: bytes, seconds: float) -> None:
    if len(body) > LONGEST or monotonic() < _Process.away_until or not ROOM.take(len(body), key):
        return
    try:
        cache_redis().set(key, body, px=max(1, int(seconds * 1000)))
    except redis.RedisError:
        _Process.away_until = monotonic() + AWAY_SECONDS
