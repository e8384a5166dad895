"""The feed's part for raw diffs: takes those of the series in DEPTH_UPDATES as they come, gathers them for storing."""

from collections.abc import Collection, Sequence

from collector.exchanges.streams import DepthUpdate as Told
from collector.exchanges.streams import Kind, Message
from collector.feed.parts import Wish
from collector.feed.tape import Basket, Key
from depth.services import kind
from derivatives import services
from derivatives.events import DepthUpdate

DEPTH_UPDATES = kind("derivatives.depth_updates", list[DepthUpdate], services.store_depth_updates)


class RawDepth:
    """A Part. Diffs that were lost cannot be had again; ids tell where they are missing."""

    messages: Sequence[type] = (Told,)

    def __init__(self) -> None:
        self.updates: Basket[DepthUpdate] = Basket()
        self._newest: dict[Key, int] = {}
        self._wishes: list[Wish] = []

    def follow(self, keys: Collection[Key]) -> None:
        """From now on these; in the thread of frames."""
        self._newest = {key: self._newest.get(key, -1) for key in keys}
        self._wishes = [Wish(market, Kind.DEPTH, symbol) for market, symbol in keys]

    def wishes(self) -> Collection[Wish]:
        return self._wishes

    def take(self, message: Message, received_at: float, main: bool) -> bool:
        if isinstance(message, Told):
            key = (message.market, message.symbol)
            # Of a renewal's two connections either may be ahead: what both carry is stored once, by its id.
            if key in self._newest and message.final_update_id != self._newest[key]:
                self._newest[key] = message.final_update_id
                self.updates.put(
                    DepthUpdate(
                        *(*key, message.event_time, message.first_update_id, message.final_update_id),
                        message.previous_update_id,
                        message.payload,
                    )
                )
        return True

    def lost(self, wishes: Collection[Wish], down: bool) -> None:
        """They cannot be had again."""

    def unreadable(self, wishes: Collection[Wish], reason: str) -> None:
        """As `lost`."""

    def tick(self, now: float) -> None:
        """Nothing waits for a time."""

    def close(self) -> None:
        """What is gathered is stored by the tape's thread."""
