"""Out of the feed to Redis: trades and liquidations of the symbols that somebody watches, some times a second."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection

from redis import RedisError

from derivatives.broadcast import (
    EVERY_SECONDS,
    Key,
    TapeMessage,
    publish,
    told_liquidation,
    told_trade,
    wanted,
)
from derivatives.events import ForcedOrder, Trade
from markets.connections import broker_redis

logger = logging.getLogger(__name__)

PAUSE = 0.25  # seconds that trades gather for
LOOK_EVERY = 2.0
MOST_WAITING = 1000  # trades of one symbol; of more the newest are told, and their ids say that some are not


class LiveTape:
    """Takes trades in the thread of frames, sends them by a thread of its own. Past trades are in the database: what
    finds no reader is not kept."""

    def __init__(self, followed: Callable[[], Collection[Key]], holds: Callable[[str], bool]) -> None:
        """`holds` tells which symbols are this feed's to speak of, `followed` whose trades it takes."""
        self._followed, self._holds = followed, holds
        self._trades: dict[Key, deque[Trade]] = {}
        self._forced: dict[Key, deque[ForcedOrder]] = {}
        self._down: set[Key] = set()
        self._told_at: dict[Key, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live tape", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(2.0)

    # --- from the thread of frames ---------------------------------------------------------------------------------

    def trade(self, trade: Trade) -> None:
        waiting = self._trades.get((trade.market, trade.symbol))
        if waiting is not None:
            waiting.append(trade)
        if self._down:
            self._down.discard((trade.market, trade.symbol))

    def liquidation(self, market: str, order: ForcedOrder) -> None:
        waiting = self._forced.get((market, order.symbol))
        if waiting is not None:
            waiting.append(order)

    def down(self, keys: Collection[Key]) -> None:
        """The connections of these are lost; with the next trade it is back."""
        self._down |= set(keys)

    # --- the thread that sends -------------------------------------------------------------------------------------

    def _run(self) -> None:
        look_at = 0.0
        while not self._ended.wait(PAUSE):
            try:
                if time.monotonic() >= look_at:
                    look_at = time.monotonic() + LOOK_EVERY
                    self._follow({key for key in wanted(broker_redis(), time.time()) if self._holds(key[1])})
                self._send()
            except RedisError as error:
                logger.warning("live trades are not published: Redis is away (%s)", error)
                self._ended.wait(1.0)
            except Exception:
                logger.exception("live trades were not published")

    def _follow(self, keys: Collection[Key]) -> None:
        for waiting in (self._trades, self._forced):
            for gone in waiting.keys() - keys:
                waiting.pop(gone, None)
        for key in keys:
            self._trades.setdefault(key, deque(maxlen=MOST_WAITING))
            self._forced.setdefault(key, deque(maxlen=MOST_WAITING))
        self._told_at = {key: at for key, at in self._told_at.items() if key in keys}

    def _send(self) -> None:
        if not self._trades:
            return
        now, followed = time.monotonic(), set(self._followed())
        messages = []
        for key, waiting in self._trades.items():
            trades = [waiting.popleft() for _ in range(len(waiting))]
            forced = [self._forced[key].popleft() for _ in range(len(self._forced[key]))]
            if trades or forced or now - self._told_at.get(key, 0.0) >= EVERY_SECONDS:
                self._told_at[key] = now
                messages.append(self._message(key, trades, forced, key in followed))
        if messages:
            publish(broker_redis(), messages)

    def _message(self, key: Key, trades: list[Trade], forced: list[ForcedOrder], followed: bool) -> TapeMessage:
        status = "disconnected" if key in self._down else "connected"
        return TapeMessage(
            key[1],
            key[0],
            status if followed else "off",
            int(time.time() * 1000),
            [told_trade(trade) for trade in trades],
            [told_liquidation(order) for order in forced],
            trades[0].id if trades else None,
            trades[-1].id if trades else None,
        )
