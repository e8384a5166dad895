"""Beside the resources: answers that are kept as bytes, and served for as long as nothing behind them has changed.

An answer is kept with the mark of what it was made from, read in the database before it was made: what the registry
says of its symbol, and the versions of its series (`depth.cache`). It is served only to who reads the same mark in the
database now, and no longer than to the end of its minute, when ranges that count from now begin elsewhere. Its
`timestamp` is written in anew each time. `api.quick` serves them before Django is asked at all."""

import threading
from collections.abc import Callable
from functools import wraps
from hashlib import blake2b
from time import monotonic, time
from typing import Any

import msgspec
import redis
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework.request import Request

from depth.cache import count
from markets.connections import cache_redis

MOST_BYTES = 40_000_000  # that one process keeps in a minute, so that no stranger's questions fill Redis
LONGEST = 1_000_000
PREFIXES = ("/api/v1/", "/api/")
AWAY_SECONDS = 5.0
OWN_HEADERS = ("x-request-id", "x-ratelimit-limit", "x-ratelimit-remaining", "content-length")

# What the registry and the store have of these symbols: one line each. Series of a symbol on both markets count, since
# a question may name none.
MARKS = """
    SELECT s.name, string_agg(concat_ws(' ', s.market, s.collected, s.status, v.version), ',' ORDER BY s.market)
    FROM symbols s LEFT JOIN series_versions v ON v.symbol = s.name AND v.market_type = s.market
    WHERE s.name = ANY (%s) AND s.exchange = 'binance' GROUP BY s.name
"""


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """An answer: until when it may be served (epoch seconds), of which symbol, by which mark, its headers and its
    body, between whose parts the moment stands (epoch milliseconds; `after` is None where none is told)."""

    until: float
    symbol: str
    mark: str
    headers: list[tuple[str, str]]
    before: bytes
    after: bytes | None

    def body(self, now: float) -> bytes:
        """`now`: epoch seconds."""
        if self.after is None:
            return self.before
        return b"%b%d%b" % (self.before, now * 1000, self.after)


_decoder = msgspec.msgpack.Decoder(Kept)
_encoder = msgspec.msgpack.Encoder()


class _Process:
    """What this process has kept in the current minute, and until when it leaves Redis alone."""

    minute = 0.0
    bytes = 0
    away_until = 0.0
    lock = threading.Lock()


def key_of(path: str, query: bytes) -> str | None:
    """The key of an answer; the same for the spellings of its address. None for what is no resource."""
    for prefix in PREFIXES:
        if path.startswith(prefix):
            name = path.removeprefix(prefix).rstrip("/")
            return f"answer:{name}:{blake2b(query, digest_size=16).hexdigest()}"
    return None


def decode(kept: bytes, now: float) -> Kept | None:
    """A kept answer, unless its time is over."""
    found = _decoder.decode(kept)
    return found if found.until > now else None


def mark_of(symbol: str) -> str | None:
    """One query."""
    if "\x00" in symbol:
        return None
    with connection.cursor() as cursor:
        cursor.execute(MARKS, [[symbol]])
        row = cursor.fetchone()
        return row[1] if row else None


def kept(answer: Callable[..., Any]) -> Callable[..., Any]:
    """For a `get` whose answer depends on its parameters, on one `symbol`, on what the store and the registry have of
    it and on the minute, and may tell its moment in `timestamp`: it is kept, and answers that are kept are served."""

    @wraps(answer)
    def served(view: Any, request: Request) -> Any:
        symbol = request.query_params.get("symbol", "").strip().upper()
        key = key_of(request.path, request.META.get("QUERY_STRING", "").encode())
        if request.method != "GET" or key is None or not symbol:
            return answer(view, request)
        mark, now = mark_of(symbol), time()
        found = _read(key, now)
        hit = found is not None and found.mark == mark
        count("answers", hit)
        if found is not None and hit:
            return HttpResponse(found.body(now), headers=dict(found.headers))
        response = answer(view, request)
        if mark is not None and response.status_code == 200:
            request._request.kept = (key, symbol, mark, (now // 60 + 1) * 60, response.data.get("timestamp"))
        return response

    return served


def keep(request: HttpRequest, response: HttpResponseBase) -> None:
    """Keeps the answer that has just been made, with all headers that it got on its way out."""
    plan = getattr(request, "kept", None)
    if plan is None or not isinstance(response, HttpResponse) or response.cookies:
        return
    key, symbol, mark, until, moment = plan
    before, found, after = response.content, True, None
    if moment is not None:
        before, found, after = response.content.partition(b'"timestamp":%d' % moment)
        before += b'"timestamp":'
    headers = [
        (name.lower(), value)
        for name, value in response.items()
        if name.lower() not in OWN_HEADERS and not name.lower().startswith("access-control-")
    ]
    left = until - time()
    if found and left > 0:
        made = Kept(until, symbol, mark, headers, before, after)
        _write(key, _encoder.encode(made), left)


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
    if len(body) > LONGEST or monotonic() < _Process.away_until or not _room(len(body)):
        return
    try:
        cache_redis().set(key, body, px=max(1, int(seconds * 1000)))
    except redis.RedisError:
        _Process.away_until = monotonic() + AWAY_SECONDS


def _room(size: int) -> bool:
    minute = time() // 60
    with _Process.lock:
        if minute != _Process.minute:
            _Process.minute, _Process.bytes = minute, 0
        _Process.bytes += size
        return _Process.bytes <= MOST_BYTES
