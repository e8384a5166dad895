"""Bulk writes of candles: the exchange's own decimal strings by text COPY, then one INSERT in which the newest wins."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from candles.candle import Kline, SeriesKey

# `position` tells which of two rows of one minute came later.
CREATE = """
    CREATE TEMPORARY TABLE incoming_candles (
        exchange varchar, market_type varchar, symbol varchar, timestamp bigint,
        open_price numeric, high_price numeric, low_price numeric, close_price numeric,
        volume numeric, quote_volume numeric, trades integer,
        taker_buy_volume numeric, taker_buy_quote_volume numeric, position integer
    ) ON COMMIT DROP
"""
COPY = """
    COPY incoming_candles (exchange, market_type, symbol, timestamp, open_price, high_price, low_price, close_price,
                           volume, quote_volume, trades, taker_buy_volume, taker_buy_quote_volume, position) FROM STDIN
"""
# Rows that are there already and say the same are left alone, so that asking twice changes and marks nothing.
# `xmax` is 0 in a row that no transaction has updated: it was added.
WRITE = """
    WITH written AS (
        INSERT INTO candles AS kept (
            exchange, market_type, symbol, timestamp, open_time, close_time, open_price, high_price, low_price,
            close_price, volume, quote_volume, trades, taker_buy_volume, taker_buy_quote_volume)
        SELECT DISTINCT ON (exchange, market_type, symbol, timestamp)
            exchange, market_type, symbol, timestamp,
            'epoch'::timestamptz + timestamp * INTERVAL '1 millisecond',
            'epoch'::timestamptz + (timestamp + 59999) * INTERVAL '1 millisecond',
            open_price, high_price, low_price, close_price, volume, quote_volume, trades,
            taker_buy_volume, taker_buy_quote_volume
        FROM incoming_candles ORDER BY exchange, market_type, symbol, timestamp, position DESC
        ON CONFLICT (exchange, market_type, symbol, open_time) DO UPDATE SET
            open_price = excluded.open_price, high_price = excluded.high_price, low_price = excluded.low_price,
            close_price = excluded.close_price, volume = excluded.volume, quote_volume = excluded.quote_volume,
            trades = excluded.trades, taker_buy_volume = excluded.taker_buy_volume,
            taker_buy_quote_volume = excluded.taker_buy_quote_volume
        WHERE (kept.open_price, kept.high_price, kept.low_price, kept.close_price, kept.volume, kept.quote_volume,
               kept.trades, kept.taker_buy_volume, kept.taker_buy_quote_volume)
            IS DISTINCT FROM
              (excluded.open_price, excluded.high_price, excluded.low_price, excluded.close_price, excluded.volume,
               excluded.quote_volume, excluded.trades, excluded.taker_buy_volume, excluded.taker_buy_quote_volume)
        RETURNING exchange, market_type, symbol, open_time, (xmax = 0) AS added
    )
    SELECT exchange, market_type, symbol, count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added),
           min(open_time), max(open_time)
    FROM written GROUP BY 1, 2, 3
"""
DROP = "DROP TABLE incoming_candles"


@dataclass(frozen=True, slots=True)
class Written:
    """What one series got: minutes added, minutes that say something else now, the first and the last of both."""

    key: SeriesKey
    added: int
    changed: int
    first: datetime
    last: datetime


def write(rows: Sequence[tuple[SeriesKey, Sequence[Kline]]]) -> list[Written]:
    """Writes minutes; of several rows of one minute the last one counts. What is written replaces what was there.

    Gives what changed, series by series; those to which nothing did are absent. All or nothing, inside the caller's
    transaction where there is one. Rows must be without a flaw (candles.candle): their text goes to the database."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(CREATE)
        with connection.wrap_database_errors, cursor.copy(COPY) as copy:
            position = 0
            for key, klines in rows:
                copy.write(_text(key, klines, position))
                position += len(klines)
        cursor.execute(WRITE)
        written = [Written(SeriesKey(*row[:3]), *row[3:]) for row in cursor.fetchall()]
        cursor.execute(DROP)
    return sorted(written, key=lambda one: one.key)


def _text(key: SeriesKey, klines: Sequence[Kline], first: int) -> str:
    head = "\t".join(map(escaped, (key.exchange, key.market, key.symbol)))
    return "".join(
        f"{head}\t{k.open_time}\t{k.open}\t{k.high}\t{k.low}\t{k.close}\t{k.volume}\t{k.quote_volume}\t{k.trades}"
        f"\t{k.taker_buy_volume}\t{k.taker_buy_quote_volume}\t{position}\n"
        for position, k in enumerate(klines, first)
    )


def escaped(text: str) -> str:
    """As COPY wants it: an exchange may call its symbols anything."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
