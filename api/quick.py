"""Before Django: answers that are kept leave at once, counted and limited like all others; everything else goes on.

Requests that arrive while others are being looked up go together: one trip to Redis for their kept answers and their
limits, one question to the database for the marks that say whether those still hold."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from time import monotonic, time
from types import SimpleNamespace
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.db import connection
from django.http.request import split_domain_port, validate_host
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from api.answers import MARKS, Kept, decode, key_of
from api.middleware import chosen_id
from api.throttling import COUNT, COUNTED, Rate, RateLimit, address_windows, told
from depth.cache import count, tell_counts

logger = logging.getLogger(__name__)

AWAY_SECONDS = 5.0
TELL_EVERY = 1.0
PATIENCE = 1.5  # seconds for one look-up
BATCH = 64
DEBUG_HOSTS = [".localhost", "127.0.0.1", "[::1]"]
Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class Question:
    """A request: the key of its answer and the windows that count it; `rate` and `answer` once they are known."""

    key: str
    windows: dict[str, tuple[int, int]]
    rate: Rate | None = None
    answer: Kept | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Desk:
    """Looks questions up, together, for one event loop. Whatever it cannot tell is left to Django."""

    def __init__(self) -> None:
        # Not of Django's settings file: tests and commands change the database's name.
        database = connection.settings_dict
        names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
        self._database = {name: database[given] for name, given in names.items() if database[given]}
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._redis = Redis.from_url(
            settings.CACHE_REDIS_URL, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 1)
        )
        self._waiting: list[Question] = []
        self._runner: asyncio.Task[None] | None = None
        self._away_until = 0.0
        self._told_at = monotonic()
        self._teller: asyncio.Task[None] | None = None  # a task that nobody holds may vanish

    async def ask(self, question: Question) -> None:
        """Fills in the question's rate and, where it is kept and still holds, its answer."""
        if monotonic() < self._away_until:
            return
        self._waiting.append(question)
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        await question.done.wait()

    async def _run(self) -> None:
        if monotonic() - self._told_at > TELL_EVERY:
            self._told_at = monotonic()
            self._teller = asyncio.create_task(asyncio.to_thread(tell_counts))
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            try:
                await asyncio.wait_for(self._look_up(batch), PATIENCE)
            except Exception as error:  # whatever it is, Django answers
                self._away_until = monotonic() + AWAY_SECONDS
                known = isinstance(error, redis.RedisError | psycopg.Error | OSError | TimeoutError)
                logger.warning("no kept answers for %.0f s: %r", AWAY_SECONDS, error, exc_info=not known)
                await self._drop()
            finally:
                for question in batch:
                    question.done.set()

    async def _look_up(self, batch: Sequence[Question]) -> None:
        pipe = self._redis.pipeline(transaction=False)
        for question in batch:
            pipe.get(question.key)
            if question.windows:
                numbers = [number for pair in question.windows.values() for number in pair]
                pipe.eval(COUNT, len(question.windows), *question.windows, *numbers)
        answers = iter(await pipe.execute())
        now, held = time(), []
        for question in batch:
            kept = next(answers)
            if question.windows:
                question.rate = told(next(iter(question.windows.values()))[0], next(answers))
            found = decode(kept, now) if kept else None
            if found is not None:
                held.append((question, found))
        if held:
            marks = await self._marks(sorted({found.symbol for _, found in held}))
            for question, found in held:
                if marks.get(found.symbol) == found.mark:
                    question.answer = found

    async def _marks(self, symbols: list[str]) -> dict[str, str]:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                **self._database, autocommit=True, connect_timeout=2, prepare_threshold=0
            )
        async with self._connection.cursor() as cursor:
            await cursor.execute(MARKS, [symbols])
            return dict(await cursor.fetchall())

    async def _drop(self) -> None:
        kept, self._connection = self._connection, None
        if kept is not None:
            await kept.close()

    async def close(self) -> None:
        await self._drop()
        await self._redis.aclose()


class Quick:
    """An ASGI application in front of Django's."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._desks: dict[asyncio.AbstractEventLoop, Desk] = {}  # one in a running server

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        question = question_of(scope)
        if question is not None:
            await self.desk().ask(question)
            limited = question.rate is not None and question.rate.wait is not None
            if question.answer is not None and not limited:
                count("answers", hit=True, tell=False)
                await respond(question.answer, question.rate, scope, send)
                return
            if question.rate is not None:
                scope = {**scope, COUNTED: question.rate}
        await self._application(scope, receive, send)

    def desk(self) -> Desk:
        loop = asyncio.get_running_loop()
        if loop not in self._desks:
            self._desks = {loop: Desk()}
        return self._desks[loop]


def question_of(scope: dict[str, Any]) -> Question | None:
    """The question that a request asks; None for all that only Django can settle: whatever is not a plain GET, who
    signs in, comes from another site's page, or wants another form."""
    if scope["type"] != "http" or scope["method"] != "GET" or not settings.API_PUBLIC:
        return None
    key = key_of(scope["path"], scope["query_string"]) if scope["path"].startswith("/api/") else None
    if key is None or b"symbol=" not in scope["query_string"]:
        return None
    told = {}
    for name, value in scope["headers"]:
        if name in (b"authorization", b"origin", b"range", b"if-none-match", b"if-modified-since"):
            return None
        if name in told:
            return None
        told[name] = value
    accepted = told.get(b"accept", b"*/*")
    if not (b"*/*" in accepted or b"application/json" in accepted) or b"q=" in accepted:
        return None
    if not _valid_host(told.get(b"host", b"").decode("latin1"), settings.DEBUG, tuple(settings.ALLOWED_HOSTS)):
        return None
    return Question(key, _windows(scope, told))


@lru_cache(256)
def _valid_host(host: str, debug: bool, allowed: tuple[str, ...]) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, list(allowed) or (DEBUG_HOSTS if debug else []))


def _windows(scope: dict[str, Any], told: dict[bytes, bytes]) -> dict[str, tuple[int, int]]:
    per_minute: int = settings.API_RATE_LIMIT
    if not per_minute:
        return {}
    client = scope.get("client")
    facts = {"REMOTE_ADDR": client[0] if client else None}
    headers = {}
    if b"x-forwarded-for" in told:
        headers["x-forwarded-for"] = facts["HTTP_X_FORWARDED_FOR"] = told[b"x-forwarded-for"].decode("latin1")
    address = RateLimit().get_ident(SimpleNamespace(META=facts, headers=headers))
    return address_windows(address or "", per_minute)


async def respond(answer: Kept, rate: Rate | None, scope: dict[str, Any], send: Send) -> None:
    body = answer.body(time())
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode("latin1")
    headers = [(name.encode("latin1"), value.encode("latin1")) for name, value in answer.headers]
    headers.append((b"content-length", b"%d" % len(body)))
    headers.append((b"x-request-id", chosen_id(given).encode("latin1")))
    if rate is not None:
        headers.append((b"x-ratelimit-limit", b"%d" % rate.limit))
        headers.append((b"x-ratelimit-remaining", b"%d" % rate.remaining))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
