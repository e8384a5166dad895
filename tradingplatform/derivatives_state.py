"""What the derivatives page shows, as JSON: times are epoch seconds on the chart and milliseconds elsewhere."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import msgspec
from django.conf import settings

from alerts import selectors as alerting
from alerts.deliveries import body as alert_body
from api.times import epoch_ms, ms_or_none
from api.views.candles import key_of
from candles.selectors import bounds, candles
from candles.timeframes import SPELLINGS
from collector.exchanges.streams import Kind
from depth.formats import decimals_of
from derivatives import history, picture
from derivatives.market import ContractRow, market_table
from derivatives.models import LIFETIMES
from derivatives.picture import Flow, Point
from derivatives.selectors import funding
from derivatives.selectors import open_interest as stored_interest
from derivatives.tape import Hole, holes, newest
from markets.errors import NotCollected, UnknownSymbol
from markets.models import Market, Symbol
from markets.selectors import collected_symbols, find

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
FINE = HOUR  # steps below it are made of single events, others of hours
AT_ONCE = timedelta(hours=6)  # of single trades that are summed up while the reader waits
TAPE_ROWS = 100
TAPE_REACH = timedelta(hours=1)
ALERTS = 30


@dataclass(frozen=True, slots=True)
class View:
    """A contract (its futures row) in steps over a span that ends `now`; trades of `market`, from `least` in the quote
    asset on. `after`: only what is newer, from the step on that begins then."""

    row: Symbol
    market: str
    step: timedelta
    span: timedelta
    least: float
    now: datetime
    after: datetime | None = None

    @property
    def last(self) -> datetime:
        """When the open step began."""
        return self.now - (self.now - EPOCH) % self.step

    @property
    def begin(self) -> datetime:
        """When the first step of the whole span began."""
        return self.last - self.span + self.step

    @property
    def first(self) -> datetime:
        """When the first step began that is asked for."""
        return self.begin if self.after is None else max(self.begin, _floor(self.after, self.step))


def contract(view: View) -> dict[str, Any]:
    """The chart's steps with what is missing, and the newest figures."""
    symbol, end = view.row.name, view.last + view.step
    return {
        "now": epoch_ms(view.now),
        "symbol": symbol,
        "base": view.row.base,
        "quote": view.row.quote,
        "decimals": decimals_of(view.row.tick_size),
        "lotDecimals": decimals_of(view.row.lot_size),
        "step": int(view.step.total_seconds()),
        "first": _seconds(view.first),
        "points": [_point(point) for point in _points(view)],
        "silences": [(_seconds(start), _seconds(stop)) for start, stop in _silences(view)],
        "liquidated": [
            (_seconds(it.time), it.position, it.notional, it.count, it.price, it.largest)
            for it in picture.liquidated(symbol, view.first, end, view.step)
        ],
        "flow": flows(view),
        "newest": _newest(symbol),
        "tape": tape(view) if view.after is None else None,
        "expected": {"minutes": max(1, view.step // timedelta(minutes=1)), "marks": _has(Kind.MARK_PRICE)},
        "kept": {name: int(lifetime.total_seconds()) for name, (_, lifetime) in LIFETIMES.items()},
        "liquidations": _has(Kind.LIQUIDATIONS),
    }


def _has(kind: Kind) -> bool:
    return kind in settings.STREAM_KINDS["FUTURES"]


def _points(view: View) -> list[Point]:
    """Steps from what is stored; marks older than single ones are kept come from their hours."""
    symbol = view.row.name
    found = picture.points(symbol, view.first, view.last, view.step)
    oldest = view.now - LIFETIMES["mark_prices"][1]
    if view.step < FINE or view.first >= oldest:
        return found
    hours = history.marks(symbol, view.first, min(oldest + HOUR, view.now), "1h", view.now)
    by_step = {_floor(hour.time, view.step): hour for hour in hours}
    made = []
    for point in found:
        hour = by_step.get(point.time)
        if point.mark is None and hour is not None:
            rate = None if hour.funding_rate is None else float(hour.funding_rate)
            marks = (float(hour.mark_close), float(hour.index_close), rate, hour.next_funding_time)
            point = Point(point.time, *marks, point.interest, point.interest_value, point.minutes)
        made.append(point)
    return made


def _silences(view: View) -> list[tuple[datetime, datetime]]:
    """Single ones over hours; over longer spans a step without any tells."""
    return picture.silences(view.row.name, view.first, view.now) if view.step < FINE else []


def _floor(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - EPOCH) % step


def _point(it: Point) -> tuple[Any, ...]:
    due = _seconds(it.next_funding) if it.next_funding else None
    return (_seconds(it.time), it.mark, it.index, it.rate, due, it.interest, it.interest_value, it.minutes)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


# --- flow of trades --------------------------------------------------------------------------------------------------


def flows(view: View, deferred: bool = True) -> dict[str, Any]:
    """By market {source, points [time, bought, sold, trades, whole]}; `points` null where it takes long: it is asked
    for on its own then. A market that the symbol is not collected on is left out."""
    made = {}
    for market in (str(Market.FUTURES), str(Market.SPOT)):
        try:
            row = view.row if market == Market.FUTURES else find(view.row.name, market)
        except (UnknownSymbol, NotCollected):
            continue
        made[market] = _flow(row, view, deferred)
    return made


def _flow(row: Symbol, view: View, deferred: bool) -> dict[str, Any]:
    found = _from_candles(row, view)
    if found is not None:
        return {"source": "candles", "points": _told(found)}
    if view.step >= FINE:
        return {"source": "trades", "points": _told(_from_hours(row, view))}
    if deferred and view.after is None and view.span > AT_ONCE:
        return {"source": "trades", "points": None}
    end = view.last + view.step
    return {"source": "trades", "points": _told(picture.flow(row.market, row.name, view.first, end, view.step))}


def _told(found: Iterable[Flow]) -> list[tuple[Any, ...]]:
    return [(_seconds(it.time), it.bought, it.sold, it.trades, it.whole) for it in found]


def _from_candles(row: Symbol, view: View) -> list[Flow] | None:
    """What candles say of takers; None where they do not reach back over the whole span, whatever part of it is asked
    for: one line is of one source."""
    oldest, _ = bounds(key_of(row))
    if oldest is None or oldest > view.begin + view.step:
        return None
    minutes = view.step // timedelta(minutes=1)
    timeframe = SPELLINGS[str(minutes) if minutes < 60 else f"{minutes // 60}H"]
    found = candles(key_of(row), timeframe, view.now, view.first, view.last)
    return [
        Flow(
            it.open_time,
            float(it.taker_buy_quote_volume),
            float(it.quote_volume - it.taker_buy_quote_volume),
            it.trades,
            it.complete,
        )
        for it in found
    ]


def _from_hours(row: Symbol, view: View) -> list[Flow]:
    """Hours of trades as steps."""
    hours = history.flow(row.market, row.name, view.first, view.now, "1h", view.now)
    made = []
    for time, group in groupby(hours, key=lambda hour: _floor(hour.time, view.step)):
        parts = list(group)
        bought = float(sum(part.buy_quote_volume for part in parts))
        sold = float(sum(part.sell_quote_volume for part in parts))
        made.append(Flow(time, bought, sold, sum(part.count for part in parts), all(part.complete for part in parts)))
    return made


# --- beside the chart ------------------------------------------------------------------------------------------------


def tape(view: View) -> dict[str, Any]:
    """The newest trades of the chosen market, newest first, and which are missing among them."""
    try:
        row = view.row if view.market == Market.FUTURES else find(view.row.name, view.market)
    except (UnknownSymbol, NotCollected):
        return {"market": view.market, "least": view.least, "collected": False, "trades": [], "holes": []}
    since = view.now - TAPE_REACH
    found = newest(row.market, row.name, view.least, TAPE_ROWS, since)
    return {
        "market": row.market,
        "least": view.least,
        "collected": Kind.TRADES in settings.STREAM_KINDS[row.market],
        "trades": [msgspec.structs.astuple(trade) for trade in found],
        "holes": [_hole(hole) for hole in holes(row.market, row.name, view.now - view.span)],
    }


def _hole(it: Hole) -> dict[str, Any]:
    start = _seconds(it.start) if it.start else None
    return {
        "first": it.first,
        "last": it.last,
        "lost": it.lost,
        "missing": it.missing,
        "from": start,
        "to": _seconds(it.end),
    }


def _newest(symbol: str) -> dict[str, Any]:
    """The newest mark price and open interest, whenever they were told."""
    marks, interest = funding([symbol]), stored_interest(symbol, 1)
    made: dict[str, Any] = {"mark": None, "interest": None}
    if marks:
        _, at, mark, index, rate, due = marks[0]
        made["mark"] = {
            "at": epoch_ms(at),
            "price": float(mark),
            "index": float(index),
            "rate": None if rate is None else float(rate),
            "nextFunding": ms_or_none(due),
        }
    if interest:
        it = interest[0]
        value = None if it.notional is None else float(it.notional)
        made["interest"] = {"at": epoch_ms(it.time), "value": float(it.open_interest), "notional": value}
    return made


def table(now: datetime) -> list[dict[str, Any]]:
    """Every collected contract."""
    listed = {row.name: row for row in collected_symbols(str(Market.FUTURES))}
    return [_row(listed[it.symbol], it) for it in market_table(list(listed), now)]


def _row(symbol: Symbol, it: ContractRow) -> dict[str, Any]:
    def number(value: Any) -> float | None:
        return None if value is None else float(value)

    return {
        "symbol": it.symbol,
        "base": symbol.base,
        "decimals": decimals_of(symbol.tick_size),
        "price": number(it.mark_price),
        "markAt": ms_or_none(it.mark_time),
        "interest": number(it.notional),
        "interestBase": number(it.open_interest),
        "interestAt": ms_or_none(it.interest_time),
        "change1h": it.change_1h,
        "change24h": it.change_24h,
        "funding": None if it.funding_rate is None else float(it.funding_rate) * 100,
        "next": ms_or_none(it.next_funding_time),
        "basis": it.basis_percent,
        "longs": float(it.long_liquidations),
        "shorts": float(it.short_liquidations),
        "liquidations": it.liquidations,
        "heard": it.heard_minutes,
        "stale": it.stale,
    }


def alerts() -> list[dict[str, Any]]:
    """The newest ones that are for the page."""
    return [alert_body(firing) for firing in alerting.firings(ALERTS, page_only=True)]
