"""A live symbol's minute comes from its live book, where that is right, fresh and deep enough; else it is polled.

The feed has the first seconds of a minute to take its books. What it is going to take is told to pollers
(`collector.handover`), who leave it out at first and read what is missing after that: so a minute is lost at no change,
and whichever comes second adds nothing."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from collector.feed.followed import Followed
from collector.feed.keeping import Keeping
from depth.broadcast import WsStatus
from depth.services import CollectedBook

LAST_TAKE = 15.0  # seconds of a minute after which the feed takes none: what it takes has to be stored by the takeover
Key = tuple[str, str]  # market, symbol


class MinuteBooks:
    """Takes books at the beginning of each minute; belongs to the thread of frames. `running`: collection is on."""

    def __init__(self, keeping: Keeping, may_store: Callable[[str], bool] = lambda symbol: True) -> None:
        self.running = False
        self._may_store = may_store
        self._keeping = keeping
        self._minute: int | None = None
        self._due: set[Key] = set()

    def look(self, wall: float, followed: Mapping[Key, Followed]) -> None:
        minute = int(wall // 60)
        if minute != self._minute:
            # The rest of the minute in which the feed starts is left to polling.
            begun = self._minute is None or not self.running
            self._minute, self._due = minute, set() if begun else set(followed)
        if self._due and wall % 60 <= LAST_TAKE:
            self._take(wall, followed)

    def _take(self, wall: float, followed: Mapping[Key, Followed]) -> None:
        books: defaultdict[str, list[CollectedBook]] = defaultdict(list)
        for key in list(self._due):
            book = followed.get(key)
            if book is None:
                self._due.discard(key)
            elif is_ready(book, wall) and self._may_store(key[1]):
                self._due.discard(key)
                books[book.market].append(_collected(book, wall))
        for found in books.values():
            self._keeping.minute(found)


def is_ready(book: Followed, wall: float) -> bool:
    """Whether a minute may be taken from this book."""
    return book.status_at(wall) is WsStatus.CONNECTED and book.deep_enough


def _collected(book: Followed, wall: float) -> CollectedBook:
    held = book.sync.book
    assert held is not None  # noqa: S101 - the caller looked
    return CollectedBook(
        symbol=book.symbol,
        market=book.market,
        received_at=datetime.fromtimestamp(wall, UTC),
        book=held.frozen(),
        last_update_id=held.sequence,
        event_time=None if held.event_time is None else datetime.fromtimestamp(held.event_time / 1000, UTC),
        limit=book.limit,
        source="stream",
    )
