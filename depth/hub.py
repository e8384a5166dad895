"""On the way from Redis to live clients: the book of one symbol, heard once and told to all who watch it."""

from collections.abc import Callable
from time import monotonic, time
from typing import Any, cast

import msgspec
import redis.asyncio

from depth.broadcast import WANTED, WsStatus, channel, member, state_body, state_key, status_body
from depth.live import FRESH_MS, status_at, told
from depth.selectors import LatestBook
from markets.hub import Topic
from markets.sockets import Frame, Writer

CONNECTING_SECONDS = 15.0  # that the feed may take for the first state of a symbol that nobody watched before

View = Callable[[bytes], Frame]


class Head(msgspec.Struct):
    """What the hub itself needs of a message. Times are epoch milliseconds."""

    type: str = ""
    seq: int = 0
    wsStatus: str = "off"  # noqa: N815 - the message's own names
    publishedAt: int = 0  # noqa: N815
    timestamp: int = 0


def whole(state: bytes) -> Frame:
    """The view of `/ws/depth`: the state as it was published."""
    return Frame(state)


def flat(state: bytes) -> Frame:
    """The view of `/ws?type=orderbook`: the levels as pairs."""
    body = msgspec.json.decode(state)
    pairs = {side: [(level["price"], level["volume"]) for level in body[side]] for side in ("bids", "asks")}
    names = ("symbol", "marketType", "seq", "timestamp")
    kept = ("bestBid", "bestAsk", "midPrice", "spread", "wsStatus", "source", "ageMs")
    head: dict[str, Any] = {"type": "orderbook", **{name: body[name] for name in names}}
    rest = {name: body[name] for name in kept}
    return Frame(msgspec.json.encode({**head, "last_update_id": body["lastUpdateId"], **pairs, **rest}))


class BookTopic(Topic):
    """The newest state of a symbol on a market, and who watches it in which view.

    What is told of it is never better than what is known: without news from the feed the hub itself says stale, then
    disconnected, then off."""

    def __init__(self, market: str, symbol: str) -> None:
        super().__init__(channel(market, symbol))
        self.market, self.symbol = market, symbol
        self.demand = (WANTED, member(market, symbol))
        self.state: bytes | None = None
        self.head = Head()
        self._said = WsStatus.CONNECTING  # the feed's last word
        self._said_at: float | None = None  # monotonic; of any word
        self._state_at = 0.0  # monotonic; of the last state
        self._cut = False  # Redis is away
        self._began = monotonic()
        self._told = WsStatus.CONNECTING  # to the clients
        self._watching: dict[Writer, View] = {}
        self._newcomers: set[Writer] = set()  # those who have had no book yet

    # --- what comes ---------------------------------------------------------------------------------------------

    async def load(self, client: redis.asyncio.Redis) -> None:
        state = cast("bytes | None", await client.get(state_key(self.market, self.symbol)))
        self._cut = False
        head = Head() if state is None else msgspec.json.decode(state, type=Head)
        if state is not None and (head.publishedAt, head.seq) > (self.head.publishedAt, self.head.seq):
            self._take(state, head, monotonic() - max(0.0, time() - head.publishedAt / 1000))
        self._tell_status(monotonic())

    def heard(self, data: bytes, now: float) -> None:
        self._cut = False
        head = msgspec.json.decode(data, type=Head)
        if head.type != "status":
            if head.seq > self.head.seq or head.publishedAt > self.head.publishedAt:
                self._take(data, head, now)  # else it was read from its key while it was on its way
            return
        self._said, self._said_at = WsStatus(head.wsStatus), now
        self._tell_status(now)

    def _take(self, state: bytes, head: Head, at: float) -> None:
        self.state, self.head = state, head
        self._said, self._said_at, self._state_at = WsStatus(head.wsStatus), at, at
        self._tell_status(monotonic())
        frames: dict[View, Frame] = {}
        for writer, view in self._watching.items():
            if writer in self._newcomers:
                writer.put(self, self.first(view))
                continue
            frame = frames.get(view)
            if frame is None:
                frame = frames[view] = view(state)
            writer.put(self, frame)
        self._newcomers.clear()

    def lost(self, now: float) -> None:
        self._cut = True
        self._tell_status(now)

    def tick(self, now: float) -> None:
        self._tell_status(now)
        if not self._watching and self.empty_since is None:
            self.empty_since = now

    # --- what is known ------------------------------------------------------------------------------------------

    def status(self, now: float) -> WsStatus:
        if self._said_at is None:
            return WsStatus.CONNECTING if now - self._began < CONNECTING_SECONDS else WsStatus.OFF
        status = status_at(self._said, (now - self._said_at) * 1000)
        old = self._cut or (now - self._state_at) * 1000 > FRESH_MS
        return WsStatus.STALE if status == WsStatus.CONNECTED and old else status

    def _tell_status(self, now: float) -> None:
        status = self.status(now)
        if status == self._told:
            return
        self._told = status
        frame = self.status_frame(status)
        for writer in self._watching:
            writer.put((self, "status"), frame)

    def status_frame(self, status: WsStatus) -> Frame:
        return Frame(msgspec.json.encode(status_body(self.market, self.symbol, status)))

    # --- who watches --------------------------------------------------------------------------------------------

    def join(self, writer: Writer, view: View, stored: LatestBook | None) -> None:
        """From now on this client is told; at first the newest book: the state, or what is `stored` if that is newer
        or all there is. Without either it hears the status, and the first state as its first book."""
        self._watching[writer] = view
        self.empty_since = None
        if stored is not None and (self.state is None or told(stored).read_at > self.head.timestamp):
            writer.put(self, self._first_stored(view, stored))
        elif self.state is not None:
            writer.put(self, self.first(view))
        else:
            self._newcomers.add(writer)
            writer.put((self, "status"), self.status_frame(self.status(monotonic())))

    def leave(self, writer: Writer) -> None:
        self._watching.pop(writer, None)
        self._newcomers.discard(writer)
        if not self._watching:
            self.empty_since = monotonic()

    def first(self, view: View) -> Frame:
        """The newest state for somebody who comes new, with its age and status of this moment."""
        body = msgspec.json.decode(self.state or b"{}")
        body["ageMs"] = max(0, int(time() * 1000) - self.head.timestamp)
        return self._snapshot(view, body)

    def _first_stored(self, view: View, stored: LatestBook) -> Frame:
        return self._snapshot(view, state_body(told(stored), WsStatus.OFF, int(time() * 1000), self.head.seq))

    def _snapshot(self, view: View, body: dict[str, Any]) -> Frame:
        body["type"], body["wsStatus"] = "snapshot", str(self.status(monotonic()))
        return view(msgspec.json.encode(body))
