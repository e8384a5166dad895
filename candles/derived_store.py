"""Bulk writes of what is made of closed candles: indicators by COPY, analyses, and the notes of what is stale."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec
from django.db import connection
from psycopg import sql

from candles.candle import SeriesKey
from candles.store import Written, escaped
from candles.timeframes import Timeframe

SERIES = sql.SQL("exchange = %s AND market_type = %s AND symbol = %s")
TIMEFRAME = sql.SQL("{} AND timeframe = %s").format(SERIES)
# Whoever writes minutes locks this row too: while it is held no minute of the series changes.
HOLD = sql.SQL("SELECT 1 FROM candles_state WHERE {} FOR NO KEY UPDATE").format(SERIES)
NOTE_STALE = """
    UPDATE candles_derived AS derived SET stale_from = least(derived.stale_from, written.first)
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[])
        AS written (exchange, market_type, symbol, first, last)
    WHERE derived.exchange = written.exchange AND derived.market_type = written.market_type
      AND derived.symbol = written.symbol AND derived.stored_until > written.first
      AND (derived.reads_from IS NULL OR derived.reads_from <= written.last)
      AND (derived.stale_from IS NULL OR derived.stale_from > written.first)
"""
CLEAR_VALUES = sql.SQL("DELETE FROM indicators WHERE {} AND timestamp >= %s").format(TIMEFRAME)
FORGET_VALUES = sql.SQL("DELETE FROM indicators WHERE {} AND timestamp < %s").format(TIMEFRAME)
FORGET_ANALYSES = sql.SQL("DELETE FROM analysis WHERE {} AND timestamp < %s").format(TIMEFRAME)
COPY_VALUES = """
    COPY indicators (exchange, market_type, symbol, timeframe, timestamp, indicator_name, value) FROM STDIN
"""
CLEAR_ANALYSES = sql.SQL("DELETE FROM analysis WHERE {} AND timestamp >= %s RETURNING timestamp").format(TIMEFRAME)
ADD_ANALYSIS = """
    INSERT INTO analysis (exchange, market_type, symbol, timeframe, timestamp, trend, strength, votes, signals,
                          support_levels, resistance_levels, fibonacci_levels, candles, missing, incomplete)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
VALUES_AT = sql.SQL("""
    SELECT timestamp, indicator_name, (value ->> 'value')::float8 FROM indicators
    WHERE {} AND timestamp = ANY (%s) AND indicator_name = ANY (%s)
""").format(TIMEFRAME)
JSON_COLUMNS = ("votes", "signals", "support_levels", "resistance_levels", "fibonacci_levels")
_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Place:
    """One timeframe of one series."""

    key: SeriesKey
    timeframe: Timeframe

    @property
    def columns(self) -> tuple[str, str, str, str]:
        return self.key.exchange, self.key.market, self.key.symbol, self.timeframe.name


def note_stale(written: Sequence[Written]) -> None:
    """Notes of what is stored that it rests on minutes which say something else now; in the writers' transaction."""
    if not written:
        return
    keys = [one.key for one in written]
    columns = ([k.exchange for k in keys], [k.market for k in keys], [k.symbol for k in keys])
    with connection.cursor() as cursor:
        cursor.execute(NOTE_STALE, [*columns, [one.first for one in written], [one.last for one in written]])


def hold(key: SeriesKey) -> bool:
    """Keeps the minutes of a series as they are until the transaction ends; False when it has not begun."""
    with connection.cursor() as cursor:
        cursor.execute(HOLD, [key.exchange, key.market, key.symbol])
        return cursor.fetchone() is not None


def values_at(place: Place, openings: Sequence[datetime], names: Sequence[str]) -> dict[tuple[datetime, str], float]:
    """Stored values of indicators of one line."""
    with connection.cursor() as cursor:
        cursor.execute(VALUES_AT, [*place.columns, list(openings), list(names)])
        return {(opening, name): value for opening, name, value in cursor.fetchall() if value is not None}


def replace_values(place: Place, start: datetime, rows: Iterable[tuple[datetime, str, dict[str, Any]]]) -> int:
    """Puts these values in the place of whatever is stored from `start` on; gives how many."""
    head, count = "\t".join(map(escaped, place.columns)), 0
    lines = (f"{head}\t{opening.isoformat()}\t{name}\t{_json(value).decode()}\n" for opening, name, value in rows)
    with connection.cursor() as cursor:
        cursor.execute(CLEAR_VALUES, [*place.columns, start])
        with connection.wrap_database_errors, cursor.copy(COPY_VALUES) as copy:
            for part in _batched(lines):
                copy.write("".join(part))  # line by line would take longer than all else
                count += len(part)
    return count


def _batched(lines: Iterator[str], size: int = 1000) -> Iterator[list[str]]:
    while part := list(islice(lines, size)):
        yield part


def clear_analyses(place: Place, start: datetime) -> list[datetime]:
    """Takes away the analyses from `start` on; gives the candles that they were of."""
    with connection.cursor() as cursor:
        cursor.execute(CLEAR_ANALYSES, [*place.columns, start])
        return [row[0] for row in cursor.fetchall()]


def add_analyses(place: Place, rows: Sequence[dict[str, Any]]) -> None:
    """Each row has the columns of the table but those of the series; JSON columns hold plain values."""
    lines = [
        [
            *place.columns,
            row["timestamp"],
            row["trend"],
            row["strength"],
            *(_json(row[name]).decode() for name in JSON_COLUMNS),
            row["candles"],
            row["missing"],
            row["incomplete"],
        ]
        for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.executemany(ADD_ANALYSIS, lines)


def forget(place: Place, before: datetime) -> int:
    """Deletes what is past its lifetime; gives how many rows."""
    with connection.cursor() as cursor:
        cursor.execute(FORGET_VALUES, [*place.columns, before])
        deleted: int = cursor.rowcount
        cursor.execute(FORGET_ANALYSES, [*place.columns, before])
        return deleted + cursor.rowcount
