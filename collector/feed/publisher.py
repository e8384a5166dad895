"""Out of the feed to Redis: the newest state of each live book, conflated, by a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import msgspec
from redis import Redis, RedisError

from collector.feed.fence import FencedRedis, LeaseLost
from collector.feed.leases import Guard
from depth import broadcast
from depth.broadcast import LiveBook, Publication, ToldBook
from markets.connections import broker_redis

logger = logging.getLogger(__name__)

PAUSE_WITHOUT_REDIS = 0.5
PAUSE_WITHOUT_LEASE = 0.05
STATUS_EVERY = 5.0
SHORT = 0.005  # seconds in which states gather into one trip
Key = tuple[str, str]  # market, symbol
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class State:
    """A state of a book on its way out: what is told of it (None while there is no book), and its status.
    `received_at` is our time, epoch seconds, of the newest message in it."""

    told: ToldBook | None
    ws_status: str
    received_at: float


class Publisher:
    """Sends what it is given. Only the newest state of a symbol waits, however long Redis is away. `guard` gives leave:
    None, and everything waits; what is of no symbol that is held is dropped."""

    def __init__(self, guard: Callable[[], Guard | None]) -> None:
        self.published = 0
        self.failures = 0
        self.slowest = 0.0  # seconds from message to publication, since it was last read
        self._states: dict[Key, State] = {}
        self._books: dict[Key, LiveBook] = {}
        self._outside: dict[Key, ToldBook] = {}
        self._gone: set[Key] = set()
        self._guard = guard
        self._then: list[Callable[[], None]] = []
        self._sequences: dict[Key, int] = {}
        self._taken: set[str] = set()  # symbols that another feed may have published since
        self._lock = threading.Lock()
        self._filled = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Sends what waits, if Redis is there."""
        self._ended.set()
        self._filled.set()
        self._thread.join(3.0)

    def state(self, market: str, symbol: str, state: State) -> None:
        with self._lock:
            self._states[market, symbol] = state
            self._gone.discard((market, symbol))
        self._filled.set()

    def deep(self, books: Sequence[LiveBook], tops: Sequence[ToldBook]) -> None:
        """Once a second: the levels of books for those who ask for many, and the tops for other programs."""
        with self._lock:
            self._books |= {(book.market, book.symbol): book for book in books}
            self._outside |= {(top.market, top.symbol): top for top in tops}
        self._filled.set()

    def gone(self, market: str, symbol: str) -> None:
        """The symbol is not live any more."""
        with self._lock:
            for waiting in (self._states, self._books, self._outside):
                cast("dict[Key, object]", waiting).pop((market, symbol), None)
            self._gone.add((market, symbol))
        self._filled.set()

    def taken(self, symbols: Collection[str]) -> None:
        """These are published here from now on: their numbers go on after whoever did before."""
        with self._lock:
            self._taken |= set(symbols)

    def then(self, action: Callable[[], None]) -> None:
        """To be done when what waits now is sent; in the publisher's thread."""
        with self._lock:
            self._then.append(action)
        self._filled.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._filled.wait(1.0)
            self._filled.clear()
            self._send_all()
            self._ended.wait(SHORT)
        self._send_all()

    def _send_all(self) -> None:
        guard = self._guard()
        if guard is None:
            self._ended.wait(PAUSE_WITHOUT_LEASE)
            self._filled.set()
            return
        with self._lock:
            states, self._states = self._states, {}
            books, self._books = self._books, {}
            outside, self._outside = self._outside, {}
            gone, self._gone = self._gone, set()
            then, self._then = self._then, []
        try:
            held = guard.symbols
            self._send(
                guard.fence, _of(held, states), _of(held, books), _of(held, outside), {k for k in gone if k[1] in held}
            )
        except (RedisError, LeaseLost) as error:
            self.failures += 1
            logger.warning("live books are not published: %s", _why(error))
            with self._lock:
                self._states = states | self._states
                self._gone |= gone - set(self._states)
                self._then = then + self._then
            self._ended.wait(PAUSE_WITHOUT_REDIS)
            self._filled.set()
        except Exception:
            logger.exception("states were not published")
        else:
            for action in then:
                action()

    def _send(
        self,
        fence: str,
        states: dict[Key, State],
        books: dict[Key, LiveBook],
        outside: dict[Key, ToldBook],
        gone: set[Key],
    ) -> None:
        client = cast("Redis", FencedRedis(broker_redis(), fence))
        self._know_sequences()
        now = time.time()
        messages = [self._message(key, state, now) for key, state in states.items() if state.told is not None]
        if messages:
            broadcast.publish(client, messages)
            self.published += len(messages)
            self.slowest = max(self.slowest, *(now - state.received_at for state in states.values()))
        for (market, symbol), state in states.items():
            if state.told is None:
                broadcast.publish_status(client, market, symbol, state.ws_status)
        if books:
            broadcast.keep_books(client, books.values())
        if outside:
            self._tell_outside(client, outside)
        for market, symbol in gone:
            client.delete(broadcast.state_key(market, symbol), broadcast.book_key(market, symbol))
            broadcast.publish_status(client, market, symbol, broadcast.WsStatus.OFF)

    def _know_sequences(self) -> None:
        """Numbers never come twice: those of symbols that are new here go on after what is known of them."""
        with self._lock:
            taken, self._taken = self._taken, set()
        if not taken:
            return
        try:
            last = broadcast.last_sequences(broker_redis())
        except RedisError:
            with self._lock:
                self._taken |= taken
            raise
        for key, seq in last.items():
            if key[1] in taken:
                self._sequences[key] = max(seq, self._sequences.get(key, 0))

    def _message(self, key: Key, state: State, now: float) -> Publication:
        assert state.told is not None  # noqa: S101 - the caller looked
        seq = self._sequences[key] = self._sequences.get(key, 0) + 1
        return broadcast.state_message(state.told, state.ws_status, round(now * 1000), seq)

    def _tell_outside(self, client: Redis, tops: dict[Key, ToldBook]) -> None:
        pipe = client.pipeline(transaction=False)
        for top in tops.values():
            body = msgspec.json.encode(broadcast.outside_body(top, top.last_update_id))
            for channel in broadcast.outside_channels(top.symbol):
                pipe.publish(channel, body)
        pipe.execute()


def _of(symbols: Collection[str], waiting: dict[Key, T]) -> dict[Key, T]:
    return {key: it for key, it in waiting.items() if key[1] in symbols}


def _why(error: Exception) -> str:
    return "the lease has ended" if isinstance(error, LeaseLost) else f"Redis is away ({error})"
