"""What hours and days of futures events hold, and what they are made of: the columns of each rollup, written once.

`<table>_1h` is made from the stored events, `<table>_1d` from the hours. Sums are exact decimals."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import sql

from derivatives.models import LIFETIMES

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rollup:
    """One table of events and its hours and days. `market` is what SQL says for a row's market; `columns` are
    (name, type, from events, from hours), the same wherever they are made or read."""

    source: str
    time: str
    series: tuple[str, ...]
    market: str
    columns: tuple[tuple[str, str, str, str], ...]

    @property
    def hours(self) -> str:
        return f"{self.source}_1h"

    @property
    def days(self) -> str:
        return f"{self.source}_1d"

    @property
    def lifetime(self) -> timedelta:
        """Of the events; hours and days stay."""
        return LIFETIMES[self.source][1]

    @property
    def names(self) -> sql.Composed:
        return sql.SQL(", ").join(sql.Identifier(name) for name, *_ in self.columns)

    @property
    def from_events(self) -> sql.Composed:
        return self._figures(2)

    @property
    def from_hours(self) -> sql.Composed:
        return self._figures(3)

    def _figures(self, index: int) -> sql.Composed:
        return sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(sql.SQL(column[index]), sql.Identifier(column[0])) for column in self.columns
        )


def _sum(name: str, kind: str, of_events: str) -> tuple[str, str, str, str]:
    return name, kind, of_events, f"sum({name})" + ("::bigint" if kind == "bigint" else "")


def _first(name: str, column: str, time: str) -> tuple[str, str, str, str]:
    return name, "numeric", f"(array_agg({column} ORDER BY {time}))[1]", f"(array_agg({name} ORDER BY bucket))[1]"


def _last(name: str, column: str, time: str, kind: str = "numeric") -> tuple[str, str, str, str]:
    of_hours = f"(array_agg({name} ORDER BY bucket))[count(*)]"
    return name, kind, f"(array_agg({column} ORDER BY {time}))[count(*)]", of_hours


def _most(name: str, column: str) -> tuple[str, str, str, str]:
    return name, "numeric", f"max({column})", f"max({name})"


def _least(name: str, column: str) -> tuple[str, str, str, str]:
    return name, "numeric", f"min({column})", f"min({name})"


COUNT = _sum("count", "bigint", "count(*)")

# `fills` are the single trades behind the aggregate ones; ids tell whether one is missing.
TRADES = Rollup(
    "agg_trades",
    "trade_time",
    ("market_type", "symbol"),
    "market_type",
    (
        COUNT,
        _sum("fills", "bigint", "sum(last_trade_id - first_trade_id + 1)::bigint"),
        _sum("volume", "numeric", "sum(quantity)"),
        _sum("quote_volume", "numeric", "sum(price * quantity)"),
        _sum("buy_volume", "numeric", "coalesce(sum(quantity) FILTER (WHERE NOT buyer_is_maker), 0)"),
        _sum("buy_quote_volume", "numeric", "coalesce(sum(price * quantity) FILTER (WHERE NOT buyer_is_maker), 0)"),
        ("first_id", "bigint", "min(id)", "min(first_id)"),
        ("last_id", "bigint", "max(id)", "max(last_id)"),
    ),
)
LIQUIDATIONS = Rollup(
    "force_orders",
    "trade_time",
    ("symbol",),
    "'FUTURES'",
    (
        COUNT,
        _sum("long_count", "bigint", "count(*) FILTER (WHERE position = 'long')"),
        _sum("long_notional", "numeric", "coalesce(sum(notional) FILTER (WHERE position = 'long'), 0)"),
        _sum("short_count", "bigint", "count(*) FILTER (WHERE position = 'short')"),
        _sum("short_notional", "numeric", "coalesce(sum(notional) FILTER (WHERE position = 'short'), 0)"),
        _most("largest", "notional"),
    ),
)
MARKS = Rollup(
    "mark_prices",
    "event_time",
    ("symbol",),
    "'FUTURES'",
    (
        COUNT,
        _first("mark_open", "mark_price", "event_time"),
        _most("mark_high", "mark_price"),
        _least("mark_low", "mark_price"),
        _last("mark_close", "mark_price", "event_time"),
        _last("index_close", "index_price", "event_time"),
        _last("funding_rate", "funding_rate", "event_time"),
        _least("funding_low", "funding_rate"),
        _most("funding_high", "funding_rate"),
        _last("next_funding_time", "next_funding_time", "event_time", "timestamptz"),
    ),
)
INTEREST = Rollup(
    "open_interest",
    "time",
    ("symbol",),
    "'FUTURES'",
    (
        COUNT,
        _first("interest_open", "open_interest", "time"),
        _most("interest_high", "open_interest"),
        _least("interest_low", "open_interest"),
        _last("interest_close", "open_interest", "time"),
        _first("notional_open", "notional", "time"),
        _last("notional_close", "notional", "time"),
    ),
)
ROLLUPS = (TRADES, LIQUIDATIONS, MARKS, INTEREST)
RELATIONS = tuple(name for rollup in ROLLUPS for name in (rollup.hours, rollup.days))


def hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def day_of(moment: datetime) -> datetime:
    return hour_of(moment).replace(hour=0)


def kept_from(rollup: Rollup, now: datetime) -> datetime:
    """The beginning of the first day (UTC) whose events are kept; days go whole."""
    return day_of(now - rollup.lifetime)


def settled_before(rollup: Rollup, now: datetime) -> datetime:
    """Hours before this are made once and then never again: by now their events may be gone, or soon will be."""
    return day_of(now - rollup.lifetime + DAY)
