"""What the feed is made of: parts that say which streams they want and understand what comes over them."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from collector.exchanges.streams import Kind, Message


class Wish(NamedTuple):
    """A stream that somebody wants. `symbol` None: of every symbol; `interval` is for candles."""

    market: str
    kind: Kind
    symbol: str | None
    interval: str = "1m"


class Part(Protocol):
    """A part of the feed. All but `wishes` is called by the feed's one thread of frames, in the order in which things
    came, and must not wait for anything: what is slow (database, Redis, HTTP) goes to a thread of the part's own."""

    messages: Sequence[type]  # the types of Message that are given to it

    def wishes(self) -> Collection[Wish]:
        """What it wants to hear now. From another thread, every second or so; must be quick, too."""

    def take(self, message: Message, received_at: float, main: bool) -> bool:
        """A message that came at `received_at` (our clock, epoch seconds). While a connection is renewed two carry
        the same streams: `main` is False for what comes over the new one, which may be ahead of the other or behind
        it. Gives whether it fits what came before; once it does over the new connection, the old one goes."""

    def lost(self, wishes: Collection[Wish], down: bool) -> None:
        """Something of these may be lost, or nothing comes any more; `down`: the connection is."""

    def unreadable(self, wishes: Collection[Wish], reason: str) -> None:
        """Something came for these that could not be read."""

    def tick(self, now: float) -> None:
        """Now and then, at least fifty times a second. `now` is monotonic."""

    def close(self) -> None:
        """The feed ends: write down what is to be written."""
