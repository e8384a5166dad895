"""On the way from Redis to live clients: the trades of one symbol, heard once and told to all who watch it.

A client may ask for large trades alone; those who ask for the same share one message."""

from time import monotonic, time

import msgspec

from derivatives.broadcast import WANTED, TapeMessage, channel, member
from markets.hub import Topic
from markets.sockets import Frame, Writer

STALE_SECONDS = 7.0  # without a word from the feed; it speaks every two
GONE_SECONDS = 20.0


def view(message: TapeMessage, least: float) -> Frame:
    """The message for somebody who wants trades from so much in the quote asset on. Its ids stay those of all trades,
    so that a message that was skipped shows."""
    if least:
        kept = [trade for trade in message.trades if trade.notional >= least]
        message = msgspec.structs.replace(message, trades=kept)
    return Frame(msgspec.json.encode(message))


class TapeTopic(Topic):
    """Who watches a symbol's trades, each from which size on; and how fresh what they see is."""

    def __init__(self, market: str, symbol: str) -> None:
        super().__init__(channel(market, symbol))
        self.market, self.symbol = market, symbol
        self.demand = (WANTED, member(market, symbol))
        self.loaded.set()  # there is nothing to ask for: past trades are in the database
        self._watching: dict[Writer, float] = {}
        self._said = "connecting"  # the feed's last word
        self._said_at = monotonic()
        self._told = "connecting"  # to the clients

    def heard(self, data: bytes, now: float) -> None:
        message = msgspec.json.decode(data, type=TapeMessage)
        self._said = self._told = message.ws_status
        self._said_at = now
        frames: dict[float, Frame] = {}
        for writer, least in self._watching.items():
            frame = frames.get(least)
            if frame is None:
                frame = frames[least] = view(message, least)
            writer.put(self, frame)

    def lost(self, now: float) -> None:
        self._said_at = min(self._said_at, now - GONE_SECONDS)
        self._tell(now)

    def tick(self, now: float) -> None:
        self._tell(now)
        if not self._watching and self.empty_since is None:
            self.empty_since = now

    def status(self, now: float) -> str:
        """What is known: without a word from the feed it is stale, then disconnected."""
        silent = now - self._said_at
        if silent >= GONE_SECONDS:
            return "disconnected"
        return "stale" if silent > STALE_SECONDS else self._said

    def _tell(self, now: float) -> None:
        status = self.status(now)
        if status == self._told:
            return
        self._told = status
        frame = self.status_frame(now)
        for writer in self._watching:
            writer.put((self, "status"), frame)

    def status_frame(self, now: float) -> Frame:
        body = {"type": "status", "symbol": self.symbol, "marketType": self.market, "wsStatus": self.status(now)}
        return Frame(msgspec.json.encode({**body, "publishedAt": int(time() * 1000)}))

    def join(self, writer: Writer, least: float, first: Frame) -> None:
        """From now on this client is told; `first` is what it begins with."""
        self._watching[writer] = least
        self.empty_since = None
        writer.put((self, "first"), first)

    def leave(self, writer: Writer) -> None:
        self._watching.pop(writer, None)
        if not self._watching:
            self.empty_since = monotonic()
