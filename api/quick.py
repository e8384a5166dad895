"""Before Django: answers that are kept leave at once, counted and limited like all others; everything else goes on.

Requests that arrive while others are being looked up go together: one trip to Redis for their kept answers and their
limits, one question to the database for the marks that say whether those still hold."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
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

from api.answers import MARKS, Asked, Kept, asked_of, candle_keys, decode, joined, row_of, scoped, unchanged
from api.renderers import encode
from api.request_id import chosen_id
from api.throttling import COUNT, COUNTED, Rate, RateLimit, address_windows, told
from depth.broadcast import WANTED, member, state_key
from depth.cache import count, tell_counts
from depth.live import live_answer

logger = logging.getLogger(__name__)

AWAY_SECONDS = 5.0
TELL_EVERY = 1.0
PATIENCE = 1.5  # seconds for one look-up
BATCH = 64
WANT_EVERY = 10.0  # seconds; well below the time that a symbol counts as wanted
DJANGOS = {b"authorization", b"origin", b"range", b"if-modified-since"}  # headers that change the answer
DEBUG_HOSTS = [".localhost", "127.0.0.1", "[::1]"]
Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class Question:
    """A request: what it asks and the windows that count it; once they are known its `rate` and, of the answer, the
    headers (with the scope and the mark that they hold by) and the body."""

    asked: Asked
    windows: dict[str, tuple[int, int]]
    rate: Rate | None = None
    answer: Kept | None = None
    body: bytes = b""
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Desk:
    """Looks questions up, together, for one event loop. Whatever it cannot tell is left to Django."""

    def __init__(self) -> None:
        # Not of Django's settings file: tests and commands change the database's name.
        database = connection.settings_dict
        names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
        self._database = {name: database[given] for name, given in names.items() if database[given]}
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._redis = _client(settings.CACHE_REDIS_URL)
        one = settings.CACHE_REDIS_URL == settings.REDIS_URL
        self._broker = self._redis if one else _client(settings.REDIS_URL)
        self._wanted: dict[tuple[str, str], float] = {}
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
            pipe.mget([question.asked.key, *candle_keys(question.asked.scope)])
            if question.windows:
                numbers = [number for pair in question.windows.values() for number in pair]
                pipe.eval(COUNT, len(question.windows), *question.windows, *numbers)
        books = list({question.asked.book for question in batch if question.asked.book})
        found, states = await asyncio.gather(pipe.execute(), self._states(books))
        answers, now, held_by, candles = iter(found), time(), [], {}
        for question in batch:
            kept, *values = next(answers)
            candles[question.asked.scope] = values
            if question.windows:
                question.rate = told(next(iter(question.windows.values()))[0], next(answers))
            held = decode(kept, now) if kept else None
            if held is not None and (body := _body(question.asked, held, states, now)):
                held_by.append((question, held, body))
        marks = await self._marks({held.scope for _, held, _ in held_by}) if held_by else {}
        valid = [
            (question, held, body)
            for question, held, body in held_by
            if joined(held.scope, marks.get(row_of(held.scope)), candles[held.scope], now) == held.mark
        ]
        await self._want({question.asked.book for question, _, _ in valid if question.asked.book}, now)
        for question, held, body in valid:
            question.answer, question.body = held, body

    async def _states(self, books: Sequence[tuple[str, str]]) -> dict[tuple[str, str], bytes | None]:
        """By (market, symbol): the newest live state, None where there is none."""
        if not books:
            return {}
        found: Any = await self._broker.mget([state_key(*book) for book in books])
        return dict(zip(books, found, strict=True))

    async def _want(self, books: Iterable[tuple[str, str]], now: float) -> None:
        """Tells the feed that somebody reads these, each now and then."""
        due = [book for book in books if now - self._wanted.get(book, 0.0) > WANT_EVERY]
        if due:
            self._wanted = {book: at for book, at in self._wanted.items() if now - at <= WANT_EVERY}
            self._wanted |= dict.fromkeys(due, now)
            await self._broker.zadd(WANTED, {member(*book): now for book in due})

    async def _marks(self, scopes: Iterable[str]) -> dict[str, str]:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                **self._database, autocommit=True, connect_timeout=2, prepare_threshold=0
            )
        async with self._connection.cursor() as cursor:
            await cursor.execute(MARKS, scoped(scopes))
            return dict(await cursor.fetchall())

    async def _drop(self) -> None:
        kept, self._connection = self._connection, None
        if kept is not None:
            await kept.close()

    async def close(self) -> None:
        await self._drop()
        await self._redis.aclose()
        await self._broker.aclose()


def _client(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 1))


def _body(asked: Asked, held: Kept, states: dict[tuple[str, str], bytes | None], now: float) -> bytes:
    """The answer's body as of now; empty where it has to be made anew."""
    state = states.get(asked.book) if asked.book else None
    if state is None:
        return b"" if held.live else held.body(now)
    body = live_answer(state, int(now * 1000))
    return encode(body) if body is not None else b""


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
                await respond(question, scope, send)
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
    asked = asked_of(scope["path"], scope["query_string"])
    told = dict(scope["headers"])
    if asked is None or len(told) < len(scope["headers"]) or not told.keys().isdisjoint(DJANGOS):
        return None
    accepted = told.get(b"accept", b"*/*")
    if not (b"*/*" in accepted or b"application/json" in accepted) or b"q=" in accepted:
        return None
    if not _valid_host(told.get(b"host", b"").decode("latin1"), settings.DEBUG, tuple(settings.ALLOWED_HOSTS)):
        return None
    return Question(asked, _windows(scope, told))


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


async def respond(question: Question, scope: dict[str, Any], send: Send) -> None:
    """The kept answer; 304 without a body where the caller has it already."""
    told, rate = dict(scope["headers"]), question.rate
    kept = dict(question.answer.headers) if question.answer else {}
    same = unchanged(kept, told.get(b"if-none-match", b"").decode("latin1"))
    body = b"" if same else question.body
    if same:
        kept.pop("content-type", None)
    kept["content-length"] = str(len(body))
    kept["x-request-id"] = chosen_id(told.get(b"x-request-id", b"").decode("latin1"))
    if rate is not None:
        kept |= {"x-ratelimit-limit": str(rate.limit), "x-ratelimit-remaining": str(rate.remaining)}
    headers = [(name.encode("latin1"), value.encode("latin1")) for name, value in kept.items()]
    await send({"type": "http.response.start", "status": 304 if same else 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
