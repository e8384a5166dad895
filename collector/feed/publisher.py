"""Out of the feed to Redis: the newest state of each live book, conflated, by a thread of its own."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import msgspec
from redis import RedisError

from depth import broadcast
from depth.broadcast import LiveBook, Publication, ToldBook
from markets.connections import broker_redis

logger = logging.getLogger(__name__)

PAUSE_WITHOUT_REDIS = 0.5
STATUS_EVERY = 5.0
SHORT = 0.005  # seconds in which states gather into one trip
Key = tuple[str, str]  # market, symbol


@dataclass(frozen=True, slots=True)
class State:
    """A state of a book on its way out: what is told of it (None while there is no book), and its status.
    `received_at` is our time, epoch seconds, of the newest message in it."""

    told: ToldBook | None
    ws_status: str
    received_at: float


class Publisher:
    """Sends what it is given. Only the newest state of a symbol waits, however long Redis is away."""

    def __init__(self) -> None:
        self.published = 0
        self.failures = 0
        self.slowest = 0.0  # seconds from message to publication, since it was last read
        self._states: dict[Key, State] = {}
        self._books: dict[Key, LiveBook] = {}
        self._outside: dict[Key, ToldBook] = {}
        self._gone: set[Key] = set()
        self._sequences: dict[Key, int] | None = None
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

    def _run(self) -> None:
        while not self._ended.is_set():
            self._filled.wait(1.0)
            self._filled.clear()
            self._send_all()
            self._ended.wait(SHORT)
        self._send_all()

    def _send_all(self) -> None:
        with self._lock:
            states, self._states = self._states, {}
            books, self._books = self._books, {}
            outside, self._outside = self._outside, {}
            gone, self._gone = self._gone, set()
        try:
            self._send(states, books, outside, gone)
        except RedisError as error:
            self.failures += 1
            logger.warning("live books are not published: Redis is away (%s)", error)
            with self._lock:
                self._states = states | self._states
                self._gone |= gone - set(self._states)
            self._ended.wait(PAUSE_WITHOUT_REDIS)
            self._filled.set()
        except Exception:
            logger.exception("states were not published")

    def _send(
        self, states: dict[Key, State], books: dict[Key, LiveBook], outside: dict[Key, ToldBook], gone: set[Key]
    ) -> None:
        client = broker_redis()
        if self._sequences is None:
            self._sequences = broadcast.last_sequences(client)
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
            self._tell_outside(outside)
        for market, symbol in gone:
            client.delete(broadcast.state_key(market, symbol), broadcast.book_key(market, symbol))
            broadcast.publish_status(client, market, symbol, broadcast.WsStatus.OFF)

    def _message(self, key: Key, state: State, now: float) -> Publication:
        assert state.told is not None  # noqa: S101 - the caller looked
        assert self._sequences is not None  # noqa: S101 - the caller read them
        seq = self._sequences[key] = self._sequences.get(key, 0) + 1
        return broadcast.state_message(state.told, state.ws_status, round(now * 1000), seq)

    def _tell_outside(self, tops: dict[Key, ToldBook]) -> None:
        pipe = broker_redis().pipeline(transaction=False)
        for top in tops.values():
            body = msgspec.json.encode(broadcast.outside_body(top, top.last_update_id))
            for channel in broadcast.outside_channels(top.symbol):
                pipe.publish(channel, body)
        pipe.execute()
