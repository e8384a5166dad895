"""The only way out: trades, mark prices, liquidations, open interest and funding, newest first, page by page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.db import connection
from django.db.models import Count, F, Min, Q, QuerySet, Sum

from derivatives.history import flow, interest, liquidated, marks
from derivatives.market import ContractRow, market_table
from derivatives.models import ForceOrder, MarkPrice, OpenInterest, Trade, TradeGap

__all__ = [
    "ContractRow",
    "GapCounts",
    "InterestRow",
    "LiquidationRow",
    "MarkRow",
    "TradeRow",
    "flow",
    "funding",
    "gap_counts",
    "interest",
    "liquidated",
    "liquidations",
    "mark_prices",
    "market_table",
    "marks",
    "newest_ids",
    "newest_trade_time",
    "open_gap_count",
    "open_interest",
    "stored_ids",
    "trades",
]

Key = tuple[str, str]  # market, symbol
Row = TypeVar("Row")

NEWEST_IDS = """
    SELECT wanted.market, wanted.symbol, newest.id
    FROM unnest(%(markets)s::varchar[], %(symbols)s::varchar[]) AS wanted (market, symbol)
    CROSS JOIN LATERAL (
        SELECT id FROM agg_trades WHERE market_type = wanted.market AND symbol = wanted.symbol
          AND trade_time > %(since)s
        ORDER BY trade_time DESC, id DESC LIMIT 1
    ) AS newest
"""
STORED_IDS = """
    SELECT id FROM agg_trades
    WHERE market_type = %s AND symbol = %s AND id BETWEEN %s AND %s AND trade_time >= %s AND trade_time <= %s
"""
# The newest mark price of each contract and minute is enough for lines over hours; here it is the newest of all.
FUNDING = """
    SELECT wanted.symbol, newest.event_time, newest.mark_price, newest.index_price, newest.funding_rate,
           newest.next_funding_time
    FROM unnest(%(symbols)s::varchar[]) AS wanted (symbol)
    CROSS JOIN LATERAL (
        SELECT * FROM mark_prices WHERE symbol = wanted.symbol ORDER BY event_time DESC LIMIT 1
    ) AS newest
    ORDER BY wanted.symbol
"""


class TradeRow(NamedTuple):
    """A stored trade, as the model of that name; without its payload. Long lists are quick to make of these."""

    id: int
    trade_time: datetime
    event_time: datetime | None
    price: Decimal
    quantity: Decimal
    first_trade_id: int
    last_trade_id: int
    buyer_is_maker: bool


class LiquidationRow(NamedTuple):
    """A stored liquidation, as the model ForceOrder; without its payload."""

    symbol: str
    trade_time: datetime
    content: UUID
    event_time: datetime
    position: str
    side: str
    order_type: str
    status: str
    price: Decimal
    average_price: Decimal
    quantity: Decimal
    filled_quantity: Decimal
    notional: Decimal


class MarkRow(NamedTuple):
    """A stored mark price, as the model of that name; without its payload."""

    event_time: datetime
    mark_price: Decimal
    index_price: Decimal
    settle_price: Decimal
    funding_rate: Decimal | None
    next_funding_time: datetime | None


class InterestRow(NamedTuple):
    """A stored open interest, as the model of that name."""

    time: datetime
    open_interest: Decimal
    notional: Decimal | None


@dataclass(frozen=True, slots=True)
class GapCounts:
    """Ranges of trades that are to be fetched, how many trades that is, since when the oldest waits (None: none does);
    and how many trades are lost for good."""

    open: int
    trades: int
    oldest: datetime | None
    lost: int


def newest_ids(keys: Sequence[Key], since: datetime) -> Mapping[Key, int]:
    """The newest stored trade of each series; those without one after `since` are left out. One query."""
    markets, symbols = [key[0] for key in keys], [key[1] for key in keys]
    with connection.cursor() as cursor:
        cursor.execute(NEWEST_IDS, {"markets": markets, "symbols": symbols, "since": since})
        return {(market, symbol): trade_id for market, symbol, trade_id in cursor.fetchall()}


def newest_trade_time(market: str, symbol: str) -> datetime | None:
    """When the newest stored trade of a series was made."""
    found = Trade.objects.filter(market_type=market, symbol=symbol).order_by("-trade_time")
    return found.values_list("trade_time", flat=True).first()


def stored_ids(gap: TradeGap, start: datetime, end: datetime) -> list[int]:
    """The ids of a gap's trades that are stored; all of them were made from `start` to `end`."""
    with connection.cursor() as cursor:
        cursor.execute(STORED_IDS, [gap.market_type, gap.symbol, gap.first, gap.last, start, end])
        return [row[0] for row in cursor.fetchall()]


def trades(
    market: str,
    symbol: str,
    limit: int,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    taker_side: str = "",
    least_quantity: Decimal | None = None,
    after: tuple[datetime, int] | None = None,
) -> Sequence[TradeRow]:
    """At most `limit` trades of a series, newest first. `taker_side` is buy or sell; `after` goes on behind a page."""
    found = Trade.objects.filter(market_type=market, symbol=symbol)
    if start:
        found = found.filter(trade_time__gte=start)
    if end:
        found = found.filter(trade_time__lte=end)
    if taker_side:
        found = found.filter(buyer_is_maker=taker_side == "sell")
    if least_quantity is not None:
        found = found.filter(quantity__gte=least_quantity)
    if after:
        found = found.filter(Q(trade_time__lt=after[0]) | Q(trade_time=after[0], id__lt=after[1]))
        found = found.filter(trade_time__lte=after[0])  # what the index can use
    return _made(TradeRow, found.order_by("-trade_time", "-id"), limit)


def open_gap_count(market: str, symbol: str) -> int:
    """How many ranges of a series' trades are still to be fetched, or lost."""
    return TradeGap.objects.filter(market_type=market, symbol=symbol).exclude(state=TradeGap.State.FILLED).count()


def gap_counts() -> GapCounts:
    """Of all series. One query."""
    open_ones = Q(state=TradeGap.State.OPEN)
    found = TradeGap.objects.exclude(state=TradeGap.State.FILLED).aggregate(
        open=Count("pk", filter=open_ones),
        trades=Sum(F("last") - F("first") + 1, filter=open_ones),
        oldest=Min("found_at", filter=open_ones),
        lost=Sum("missing"),
    )
    return GapCounts(found["open"], found["trades"] or 0, found["oldest"], found["lost"] or 0)


def mark_prices(
    symbol: str,
    limit: int,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    after: datetime | None = None,
) -> Sequence[MarkRow]:
    found = MarkPrice.objects.filter(symbol=symbol)
    bounds = {"event_time__gte": start, "event_time__lte": end, "event_time__lt": after}
    found = found.filter(**{name: value for name, value in bounds.items() if value})
    return _made(MarkRow, found.order_by("-event_time"), limit)


def liquidations(
    limit: int,
    *,
    symbol: str = "",
    position: str = "",
    least_notional: Decimal | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    after: tuple[datetime, str, UUID] | None = None,
) -> Sequence[LiquidationRow]:
    """At most `limit` liquidations, of all contracts or of one, newest first: a sample, as the exchange tells them."""
    found = ForceOrder.objects.all()
    wanted = {"symbol": symbol, "position": position, "trade_time__gte": start, "trade_time__lte": end}
    found = found.filter(**{name: value for name, value in wanted.items() if value})
    if least_notional is not None:
        found = found.filter(notional__gte=least_notional)
    if after:
        later = Q(trade_time=after[0], symbol__gt=after[1]) | Q(
            trade_time=after[0], symbol=after[1], content__gt=after[2]
        )
        found = found.filter(Q(trade_time__lt=after[0]) | later).filter(trade_time__lte=after[0])
    return _made(LiquidationRow, found.order_by("-trade_time", "symbol", "content"), limit)


def open_interest(
    symbol: str,
    limit: int,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    after: datetime | None = None,
) -> Sequence[InterestRow]:
    found = OpenInterest.objects.filter(symbol=symbol)
    bounds = {"time__gte": start, "time__lte": end, "time__lt": after}
    found = found.filter(**{name: value for name, value in bounds.items() if value})
    return _made(InterestRow, found.order_by("-time"), limit)


def funding(
    symbols: Sequence[str],
) -> Sequence[tuple[str, datetime, Decimal, Decimal, Decimal | None, datetime | None]]:
    """By symbol: time, mark price, index price, funding rate and the next funding's time, each the newest known."""
    with connection.cursor() as cursor:
        cursor.execute(FUNDING, {"symbols": list(symbols)})
        return cursor.fetchall()


def _made(row: type[Row], found: QuerySet[Any], limit: int) -> list[Row]:
    return [row(*values) for values in found.values_list(*row._fields)[:limit]]  # type: ignore[attr-defined]
