"""Live clients of order books: `/ws/depth` and `/ws?type=orderbook`."""

import asyncio
import contextlib
from time import monotonic

from channels.db import database_sync_to_async

from depth.broadcast import WsStatus, channel
from depth.hub import BookTopic, View, flat, whole
from depth.selectors import LatestBook, latest
from markets.consumers import BAD_REQUEST, NOT_FOUND, TRY_LATER, Refused, Socket
from markets.errors import NotCollected, UnknownSymbol
from markets.hub import hub
from markets.models import Market
from markets.selectors import find
from markets.storage import DATABASE_AWAY

KNOWN_SECONDS = 30.0  # for which a symbol that was found is not looked up again
LOAD_SECONDS = 2.0  # that Redis may take for the newest state before the stored book has to do

_known: dict[tuple[str, str], float] = {}


class BookSocket(Socket):
    """Told the whole latest book of one symbol: `snapshot` first, then `update`, and `status` on changes."""

    view: View = staticmethod(whole)
    topic: BookTopic | None = None

    async def opened(self) -> None:
        symbol, market = self._asked()
        database = await self._find(symbol, market)
        topic = await hub().topic(channel(market, symbol), lambda: BookTopic(market, symbol))
        self.topic = topic
        with contextlib.suppress(TimeoutError):  # of a silent Redis: the stored book has to do
            await asyncio.wait_for(topic.loaded.wait(), LOAD_SECONDS)
        live = topic.status(monotonic()) == WsStatus.CONNECTED and topic.state is not None
        stored = None if live or not database else await _stored(symbol, market)
        if not database and topic.state is None:
            raise Refused("unavailable", "The database does not answer; try again", TRY_LATER)
        topic.join(self.writer, self.view, stored)

    def gone(self) -> None:
        if self.topic is not None:
            self.topic.leave(self.writer)

    def _asked(self) -> tuple[str, str]:
        """Symbol and market of the address."""
        symbol = self.query.get("symbol", "").strip().upper()
        if not symbol:
            raise Refused("missing_parameter", "symbol is missing", BAD_REQUEST)
        market = self.query.get("market", self.query.get("markettype", "SPOT")).upper()
        if market not in Market.values:
            raise Refused("invalid_parameter", f"market must be {' or '.join(Market.values)}", BAD_REQUEST)
        return symbol, market

    async def _find(self, symbol: str, market: str) -> bool:
        """Whether the database could say that the symbol is collected. Raises Refused when it says that it is not."""
        if monotonic() - _known.get((market, symbol), -KNOWN_SECONDS) < KNOWN_SECONDS:
            return True
        try:
            await database_sync_to_async(find, thread_sensitive=False)(symbol, market)
        except UnknownSymbol as error:
            raise Refused("unknown_symbol", str(error), NOT_FOUND) from error
        except NotCollected as error:
            raise Refused("not_collected", str(error), NOT_FOUND) from error
        except DATABASE_AWAY:
            return False
        _known[(market, symbol)] = monotonic()
        return True


class FlatBookSocket(BookSocket):
    """Told the levels of one symbol as flat messages of the type `orderbook`."""

    view: View = staticmethod(flat)


async def _stored(symbol: str, market: str) -> LatestBook | None:
    """The newest collected book; None also while the database is away."""
    try:
        return await database_sync_to_async(latest, thread_sensitive=False)(symbol, market)
    except DATABASE_AWAY:
        return None
