"""Comparisons of live books with the exchange's own: from the feed to the database, and wishes for one to the feed."""

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import cast

import msgspec

from collector.models import BookAudit
from depth.audit import Audit
from depth.services import kind
from markets.connections import broker_redis

ASKED = "feed:audits"  # set of MARKET:SYMBOL whose books somebody wants compared
ASKED_LIFETIME = 300  # seconds: what no feed has taken by then is forgotten
HOURLY, ASKED_FOR, WRONG = BookAudit.Cause.values
MOST_DIFFERENCES = 50
Key = tuple[str, str]  # market, symbol


class Compared(msgspec.Struct, frozen=True):
    """One comparison at `time` (epoch seconds). `by_distance` are percent from the best price, levels compared and
    equal within; `differences` are side, price, quantity held and quantity told, of the first hundred levels a side."""

    time: float
    market: str
    symbol: str
    cause: str
    sequence: int
    compared: int
    equal: int
    unsettled: int
    by_distance: list[tuple[str, int, int]]
    differences: list[tuple[str, float, float, float]]


def compared(audit: Audit, market: str, symbol: str, cause: str, time: float) -> Compared:
    """An audit as it is kept."""
    return Compared(
        time, market, symbol, cause, audit.sequence, audit.compared, audit.equal, audit.unsettled,
        [(str(one.distance), one.compared, one.equal) for one in audit.by_distance],
        [(one.side, one.price, one.held, one.told) for one in audit.top[:MOST_DIFFERENCES]],
    )  # fmt: skip


def _store(rows: list[Compared]) -> None:
    BookAudit.objects.bulk_create(
        BookAudit(
            time=datetime.fromtimestamp(row.time, UTC),
            market_type=row.market,
            symbol=row.symbol,
            cause=row.cause,
            sequence=row.sequence,
            compared=row.compared,
            equal=row.equal,
            unsettled=row.unsettled,
            by_distance=row.by_distance,
            differences=row.differences,
        )
        for row in rows
    )


BOOK_AUDITS = kind("collector.book_audits", list[Compared], _store)


def ask_for(keys: Iterable[Key]) -> int:
    """Wants these live books compared as soon as the exchange's request budget has room; gives how many. Raises
    redis.RedisError."""
    names = [f"{market}:{symbol}" for market, symbol in keys]
    if names:
        client = broker_redis()
        client.sadd(ASKED, *names)
        client.expire(ASKED, ASKED_LIFETIME)
    return len(names)


def take_asked(holds: Callable[[str], bool]) -> Collection[Key]:
    """The wishes that are of symbols held here, which are then no longer waiting. Raises redis.RedisError."""
    client = broker_redis()
    found = []
    for member in cast("set[bytes]", client.smembers(ASKED)):
        market, _, symbol = member.decode().partition(":")
        if holds(symbol) and client.srem(ASKED, member):
            found.append((market, symbol))
    return found


def since(moment: datetime, keys: Collection[Key]) -> list[BookAudit]:
    """The newest comparison of each of these books since then."""
    newest: dict[Key, BookAudit] = {}
    names = {symbol for _, symbol in keys}
    for row in BookAudit.objects.filter(time__gte=moment, symbol__in=names).order_by("time"):
        if (row.market_type, row.symbol) in keys:
            newest[row.market_type, row.symbol] = row
    return list(newest.values())
