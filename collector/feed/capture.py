"""Beside the platform: a feed that only records. It follows streams and books as the feed does, publishes and stores
nothing. (The platform's own feed records itself by the setting CAPTURE.)"""

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from collector.asking import budget_of
from collector.events import Event
from collector.exchanges import STREAMS
from collector.exchanges.streams import Kind, Message
from collector.feed.books import BookRules, Books, Key, LiveSymbol
from collector.feed.engine import Engine
from collector.feed.keeping import Keeping
from collector.feed.parts import Wish
from collector.feed.recorder import Bounds, Recorder
from collector.feed.replay import Nobody, Played
from collector.feed.snapshots import SnapshotDesk
from collector.limits import budget
from collector.venues import venue

logger = logging.getLogger(__name__)

BUDGET_EVERY = 15.0
WHOLE_MARKET = {Kind.MARK_PRICE, Kind.LIQUIDATIONS}  # told of all symbols in one stream


class Overheard:
    """A Part that wants streams and does nothing with them: they are recorded."""

    messages: Sequence[type] = ()

    def __init__(self, wishes: Collection[Wish]) -> None:
        self._wishes = list(wishes)

    def wishes(self) -> Collection[Wish]:
        return self._wishes

    def take(self, message: Message, received_at: float, main: bool) -> bool:
        return True

    def lost(self, wishes: Collection[Wish], down: bool) -> None:
        """It is recorded."""

    def unreadable(self, wishes: Collection[Wish], reason: str) -> None:
        """It is recorded."""

    def tick(self, now: float) -> None:
        """Nothing waits for a time."""

    def close(self) -> None:
        """Nothing is kept here."""


class _Told(Keeping):
    """What happens is told to whoever looks on; minutes and seconds are nobody's."""

    def __init__(self, exchange: str, tell: Callable[[Event], None]) -> None:
        super().__init__(exchange)
        self._tell = tell

    def event(self, event: Event) -> None:
        self._tell(event)

    def minute(self, books: Any) -> None:
        """Not kept."""

    def seconds(self, rows: Any) -> None:
        """Not kept."""

    def audit(self, row: Any) -> None:
        """Not kept."""


class Capture:
    """Records the streams of these symbols: levels that their minutes are read with by (market, symbol). `run` lasts
    until `stop`."""

    def __init__(
        self, exchange: str, chosen: Mapping[Key, int], folder: Path, bounds: Bounds, tell: Callable[[Event], None]
    ) -> None:
        self.venue = venue(exchange)
        addresses = {market: parts["ws"] for market, parts in settings.VENUE_URLS[exchange].items()}
        self.failed = ""
        self.recorder = Recorder(folder, exchange, bounds, self._fail)
        keeping = _Told(exchange, tell)
        self.engine = Engine(STREAMS[exchange](addresses), keeping)
        self.desk = SnapshotDesk(self.venue, self._budget, tell)
        nobody: Any = Nobody(Played())
        rules = BookRules((), 1, 1, 1)  # no bands: nothing is published
        self.books = Books(
            rules, self.desk, nobody, keeping, self.engine.inbox.call, lambda symbol: False, self.engine.clock
        )
        self.engine.recorder = self.books.recorder = self.recorder
        self.engine.add(self.books)
        self._chosen = {key: chosen[key] for key in chosen if Kind.DEPTH in settings.STREAM_KINDS[key[0]]}
        self.engine.add(Overheard(_others(chosen)))
        self._ended = threading.Event()

    def run(self) -> None:
        """Raises OSError when nothing can be written."""
        self.recorder.begin()
        deepest = {market: self.venue.tiers[market][-1].limit for market in self.venue.markets}
        chosen = {key: LiveSymbol(levels, deepest[key[0]]) for key, levels in self._chosen.items()}
        self.books.minutes.running = True  # a replay makes minutes of it
        self.engine.inbox.call(lambda: self.books.follow(chosen))
        threading.Thread(target=self._know_budgets, name="budgets", daemon=True).start()
        try:
            self.engine.run()
        finally:
            self._ended.set()
            self.desk.end()
            self.recorder.end()

    def stop(self) -> None:
        self._ended.set()
        self.engine.stop()

    def _fail(self, text: str) -> None:
        self.failed = text
        self.stop()

    def _budget(self, market: str) -> Any:
        return budget(self.venue.name, market, self.venue.default_weight[market])

    def _know_budgets(self) -> None:
        while not self._ended.is_set():
            try:
                for market in self.venue.markets:
                    budget_of(self.venue, market)
            except Exception:  # what is known of limits and clocks stays
                logger.exception("limits and clocks are not looked at")
            self._ended.wait(BUDGET_EVERY)
        connection.close()


def _others(keys: Collection[Key]) -> set[Wish]:
    """The streams beside order books that the settings name."""
    found = set()
    for market, symbol in keys:
        for kind in map(Kind, settings.STREAM_KINDS[market]):
            if kind is not Kind.DEPTH:
                found.add(Wish(market, kind, None if kind in WHOLE_MARKET else symbol))
    return found
