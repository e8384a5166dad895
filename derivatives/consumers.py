"""Live clients of trades: `/ws?type=trades&symbol=&market=&minNotional=`."""

from datetime import timedelta
from time import monotonic, time

import msgspec
from channels.db import database_sync_to_async
from django.utils import timezone

from derivatives.broadcast import TapeMessage, TapeTrade, channel
from derivatives.hub import TapeTopic
from derivatives.tape import newest
from markets.consumers import BAD_REQUEST, NOT_FOUND, TRY_LATER, Refused, Socket
from markets.errors import NotCollected, UnknownSymbol
from markets.hub import hub
from markets.models import Market
from markets.selectors import find
from markets.sockets import Frame
from markets.storage import DATABASE_AWAY

FIRST_TRADES = 100
FIRST_REACH = timedelta(hours=1)
MOST_NOTIONAL = 1e12

Ids = tuple[int | None, int | None]  # of the first and the last trade


class TradesSocket(Socket):
    """Told `snapshot` with the newest stored trades first, then `trades` as they come, some times a second, and
    `status` on changes. Trades may come twice, in the snapshot and after it: their ids tell."""

    topic: TapeTopic | None = None

    async def opened(self) -> None:
        symbol, market, least = self._asked()
        try:
            market = await database_sync_to_async(_collected, thread_sensitive=False)(symbol, market)
            async with hub().joining(channel(market, symbol), lambda: TapeTopic(market, symbol)) as topic:
                self.topic = topic
                found, ids = await database_sync_to_async(stored, thread_sensitive=False)(symbol, market, least)
                topic.join(self.writer, least, first_frame(topic, found, ids))
        except UnknownSymbol as error:
            raise Refused("unknown_symbol", str(error), NOT_FOUND) from error
        except NotCollected as error:
            raise Refused("not_collected", str(error), NOT_FOUND) from error
        except DATABASE_AWAY as error:
            raise Refused("unavailable", "The database does not answer; try again", TRY_LATER) from error

    def gone(self) -> None:
        if self.topic is not None:
            self.topic.leave(self.writer)

    def _asked(self) -> tuple[str, str, float]:
        """Symbol, market (empty: whichever it is collected on, SPOT first) and the least notional."""
        symbol = self.query.get("symbol", "").strip().upper()
        if not symbol:
            raise Refused("missing_parameter", "symbol is missing", BAD_REQUEST)
        market = self.query.get("market", self.query.get("markettype", "")).upper()
        if market and market not in Market.values:
            raise Refused("invalid_parameter", f"market must be {' or '.join(Market.values)}", BAD_REQUEST)
        try:
            least = float(self.query.get("minnotional", "0") or "0")
        except ValueError:
            least = -1.0
        if not 0 <= least <= MOST_NOTIONAL:
            raise Refused("invalid_parameter", "minNotional must be a number of the quote asset", BAD_REQUEST)
        return symbol, market, least


def first_frame(topic: TapeTopic, found: list[TapeTrade], ids: Ids) -> Frame:
    """The snapshot of these trades and ids."""
    message = TapeMessage(topic.symbol, topic.market, topic.status(monotonic()), int(time() * 1000), found, [], *ids)
    return Frame(msgspec.json.encode({**msgspec.to_builtins(message), "type": "snapshot"}))


def _collected(symbol: str, market: str) -> str:
    """The market on which the symbol is collected. Raises UnknownSymbol and NotCollected."""
    try:
        return find(symbol, market or str(Market.SPOT)).market
    except NotCollected:
        if market:
            raise
        return find(symbol, str(Market.FUTURES)).market


def stored(symbol: str, market: str, least: float) -> tuple[list[TapeTrade], Ids]:
    """The newest stored trades from this size on, oldest first, and the ids between which they are all. Large ones
    alone begin anywhere, and go up to the newest trade of any size: what came after it, and is not stored yet, shows as
    a gap before the next message."""
    since = timezone.now() - FIRST_REACH
    whole = newest(market, symbol, 0.0, 1, since) if least else []  # first: what is stored meanwhile is beyond it
    found = newest(market, symbol, least, FIRST_TRADES, since)[::-1]
    if least:
        return found, (None, whole[0].id if whole else None)
    return found, (found[0].id, found[-1].id) if found else (None, None)
