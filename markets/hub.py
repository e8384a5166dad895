"""On the way from Redis to live clients: each web process hears a channel once, however many clients watch it."""

import asyncio
import contextlib
import logging
import os
import socket as network
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from time import monotonic, time
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

import msgspec
import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from markets.clients import FIGURES
from markets.sockets import COUNTERS

logger = logging.getLogger(__name__)

CLOCK_SECONDS = 1.0
REPORT_SECONDS = 2.0
DEMAND_SECONDS = 10.0
LINGER_SECONDS = 5.0  # that a channel is heard after its last client left: most of them come back
SILENCE_SECONDS = 15.0  # without an answer to a ping after which a connection to Redis is made anew
LOADS_AT_ONCE = 8
BACK_OFF = (0.1, 0.2, 0.5, 1.0, 2.0)
OWN = f"hub:{network.gethostname()}:{os.getpid()}"  # a channel that nobody uses: there is always one to hear


class Watcher(Protocol):
    """A client, as the hub knows it."""

    def tick(self, now: float) -> None: ...


class Topic:
    """One channel that clients of this process watch. Subclasses keep its newest message and pass it on.

    `now` is monotonic everywhere."""

    demand: tuple[str, str] | None = None  # the sorted set and its member in which watching is told to the feed

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.loaded = asyncio.Event()  # what Redis holds at the beginning has been asked for, with or without success
        self.empty_since: float | None = monotonic()
        self.joining = 0  # clients who are about to watch it: it stays, however long their first message takes

    async def load(self, client: redis.asyncio.Redis) -> None:
        """Asks for what is there, after the channel is heard; again whenever Redis was away. Raises RedisError."""

    def heard(self, data: bytes, now: float) -> None:
        """A message came."""

    def lost(self, now: float) -> None:
        """Redis is away: nothing will come."""

    def tick(self, now: float) -> None:
        """Once a second."""


AnyTopic = TypeVar("AnyTopic", bound=Topic)


class Hub:
    """The web process's one subscription, its topics, and its clients."""

    def __init__(self) -> None:
        self.topics: dict[str, Topic] = {}
        self.clients: set[Watcher] = set()
        self._redis = _connect()
        self._pubsub: redis.asyncio.client.PubSub | None = None
        self._away = False
        self._answered = monotonic()
        self._loads: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Semaphore(LOADS_AT_ONCE)
        self._tasks = [asyncio.create_task(part()) for part in (self._listen, self._clock, self._report)]

    @contextlib.asynccontextmanager
    async def joining(self, channel: str, make: Callable[[], AnyTopic]) -> AsyncIterator[AnyTopic]:
        """The topic of this channel, heard from now on, for a client that joins it within; `make` builds it where there
        is none."""
        found = self.topics.get(channel)
        new = found is None
        if found is None:
            found = self.topics[channel] = make()
        found.joining += 1
        found.empty_since = None
        try:
            if new:
                await self._hear(found)
            yield found  # type: ignore[misc]  # one channel, one kind of topic
        finally:
            found.joining -= 1

    async def _hear(self, topic: Topic) -> None:
        if self._pubsub is None:  # it is heard with all the others when Redis answers
            if self._away:
                self._deaf(topic)
            return
        try:
            await self._pubsub.subscribe(topic.channel)
        except (RedisError, OSError):  # the listener notices it, and hears every topic when it is back
            self._deaf(topic)
        else:
            self._load(topic)

    def _deaf(self, topic: Topic) -> None:
        topic.lost(monotonic())
        topic.loaded.set()

    def _load(self, topic: Topic) -> None:
        task = asyncio.create_task(self._ask(topic))
        self._loads.add(task)
        task.add_done_callback(self._loads.discard)

    async def _ask(self, topic: Topic) -> None:
        try:
            async with self._asking:
                await topic.load(self._redis)
                if topic.demand is not None:
                    await self._redis.zadd(topic.demand[0], {topic.demand[1]: time()})
        except (RedisError, OSError) as error:
            logger.info("the newest state of %s is not known: %s", topic.channel, error)
        finally:
            topic.loaded.set()

    async def _listen(self) -> None:
        failures = 0
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await self._hear_all(pubsub)
                    failures = 0
                    await self._pass_on(pubsub)
            except (RedisError, OSError) as error:
                logger.log(logging.INFO if failures else logging.WARNING, "live states stop: Redis is away: %s", error)
            finally:
                self._pubsub = None
            self._away = True
            for topic in self.topics.values():
                topic.lost(monotonic())
            failures += 1
            await asyncio.sleep(BACK_OFF[min(failures, len(BACK_OFF)) - 1])

    async def _hear_all(self, pubsub: redis.asyncio.client.PubSub) -> None:
        await pubsub.subscribe(OWN)
        heard: set[str] = set()
        while missing := self.topics.keys() - heard:  # some come up while we wait
            await pubsub.subscribe(*missing)
            heard |= missing
        self._pubsub, self._away, self._answered = pubsub, False, monotonic()
        for topic in self.topics.values():
            self._load(topic)

    async def _pass_on(self, pubsub: redis.asyncio.client.PubSub) -> None:
        while True:
            message = await pubsub.get_message(timeout=SILENCE_SECONDS)
            now = monotonic()
            if message is not None:
                self._answered = now
                if message["type"] == "message":
                    self._give(message["channel"].decode(), message["data"], now)
            elif now - self._answered > SILENCE_SECONDS:
                raise redis.exceptions.TimeoutError("Redis is silent")

    def _give(self, channel: str, data: bytes, now: float) -> None:
        topic = self.topics.get(channel)
        if topic is None:
            return
        try:
            topic.heard(data, now)
        except Exception:  # one bad message must not silence every channel
            logger.exception("a message of %s cannot be passed on", channel)

    async def _clock(self) -> None:
        while True:
            await asyncio.sleep(CLOCK_SECONDS)
            now = monotonic()
            for one in (*self.clients, *self.topics.values()):
                try:
                    one.tick(now)
                except Exception:  # nor must one client
                    logger.exception("a live client's or channel's second failed")
            await self._leave(now)

    async def _leave(self, now: float) -> None:
        for topic in list(self.topics.values()):
            unwatched = topic.empty_since is not None and now - topic.empty_since > LINGER_SECONDS
            if unwatched and not topic.joining:
                del self.topics[topic.channel]
                if self._pubsub is not None:
                    with contextlib.suppress(RedisError, OSError):
                        await self._pubsub.unsubscribe(topic.channel)

    async def _report(self) -> None:
        """Tells Redis what is watched here, and how it goes; and asks whether it is there at all."""
        marked = 0.0
        while True:
            try:
                now = monotonic()
                await self._tell()
                if now - marked >= DEMAND_SECONDS:
                    await self._mark()
                    marked = now
                if self._pubsub is not None:
                    await self._pubsub.ping()
            except (RedisError, OSError) as error:
                logger.debug("not told: Redis is away (%s)", error)
            await asyncio.sleep(REPORT_SECONDS)

    async def _tell(self) -> None:
        body = {"clients": len(self.clients), "topics": len(self.topics), "at": time(), **asdict(COUNTERS)}
        await self._redis.hset(FIGURES, OWN.removeprefix("hub:"), msgspec.json.encode(body))

    async def _mark(self) -> None:
        marks: dict[str, dict[str, float]] = {}
        for topic in self.topics.values():
            if topic.demand is not None and (topic.joining or topic.empty_since is None):
                marks.setdefault(topic.demand[0], {})[topic.demand[1]] = time()
        for name, members in marks.items():
            await self._redis.zadd(name, members)

    async def close(self) -> None:
        for task in (*self._tasks, *self._loads):
            task.cancel()
        with contextlib.suppress(RedisError, OSError):
            await self._redis.hdel(FIGURES, OWN.removeprefix("hub:"))
        await self._redis.aclose()


def _connect() -> redis.asyncio.Redis:
    options: dict[str, Any] = {"socket_timeout": None, "socket_connect_timeout": 2, "socket_keepalive": True}
    if settings.REDIS_URL.startswith("unix"):
        options.pop("socket_keepalive"), options.pop("socket_connect_timeout")
    return redis.asyncio.Redis.from_url(settings.REDIS_URL, retry=Retry(NoBackoff(), 0), **options)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The hub of the running event loop, which a web process has one of; made when it is first asked for."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
