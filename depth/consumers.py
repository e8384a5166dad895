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

_known: dict[tuple[str, str | None], tuple[str, float]] = {}  # what was asked to the market, and until when


class BookSocket(Socket):
    """Told the whole latest book of one symbol: `snapshot` first, then `update`, and `status` on changes."""

    view: View = staticmethod(whole)
    topic: BookTopic | None = None

    async def opened(self) -> None:
        symbol, market, database = await self._find(*self._asked())
        async with hub().joining(channel(market, symbol), lambda: BookTopic(market, symbol)) as topic:
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

    def _asked(self) -> tuple[str, str | None]:
        """Symbol and market of the address; None: whichever it is collected on, SPOT first."""
        symbol = self.query.get("symbol", "").strip().upper()
        if not symbol:
            raise Refused("missing_parameter", "symbol is missing", BAD_REQUEST)
        market = self.query.get("market", self.query.get("markettype", "")).upper()
        if market and market not in Market.values:
            raise Refused("invalid_parameter", f"market must be {' or '.join(Market.values)}", BAD_REQUEST)
        return symbol, market or None

    async def _find(self, symbol: str, market: str | None) -> tuple[str, str, bool]:
        """Symbol, market, and whether the database could say that it is collected there. Raises Refused when it says
        that it is not."""
        known, until = _known.get((symbol, market), ("", 0.0))
        if monotonic() < until:
            return symbol, known, True
        try:
            found = await database_sync_to_async(_collected, thread_sensitive=False)(symbol, market)
        except UnknownSymbol as error:
            raise Refused("unknown_symbol", str(error), NOT_FOUND) from error
        except NotCollected as error:
            raise Refused("not_collected", str(error), NOT_FOUND) from error
        except DATABASE_AWAY:
            return symbol, market or "SPOT", False
        _known[symbol, market] = found, monotonic() + KNOWN_SECONDS
        return symbol, found, True


def _collected(symbol: str, market: str | None) -> str:
    """The market on which the symbol is collected. Raises UnknownSymbol and NotCollected."""
    try:
        return find(symbol, market or "SPOT").market
    except NotCollected:
        if market:
            raise
        return find(symbol, "FUTURES").market


class FlatBookSocket(BookSocket):
    """Told the levels of one symbol as flat messages of the type `orderbook`."""

    view: View = staticmethod(flat)


async def _stored(symbol: str, market: str) -> LatestBook | None:
    """The newest collected book; None also while the database is away."""
    try:
        return await database_sync_to_async(latest, thread_sensitive=False)(symbol, market)
    except DATABASE_AWAY:
        return None
