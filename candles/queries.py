"""SQL of candles of every timeframe, made of the longest buckets that divide theirs: for candles.selectors."""

from psycopg import sql

from candles.columns import ARRAYS
from candles.rollups import COLUMNS, FROM_BUCKETS, FROM_MINUTES, SERIES
from candles.timeframes import SPELLINGS, Timeframe

# The oldest minute; and up to where everything is known: the newest minute's end, or the end of what the exchange
# itself does not have.
BOUNDS = sql.SQL("""
    SELECT (SELECT open_time FROM candles WHERE {series} ORDER BY open_time LIMIT 1), greatest(
        (SELECT open_time + INTERVAL '1 minute' FROM candles WHERE {series} ORDER BY open_time DESC LIMIT 1),
        (SELECT max("end") FROM candles_holes WHERE {series}))
""").format(series=SERIES)
MINUTES = sql.SQL("""
    SELECT open_time AS bucket, open_price, high_price, low_price, close_price, volume, quote_volume, trades,
           taker_buy_volume, taker_buy_quote_volume, 1 AS minutes
    FROM candles WHERE {series} AND open_time >= %(start)s AND open_time < %(end)s
""").format(series=SERIES)
SHORT = sql.SQL("""
    SELECT {bin} AS bucket, {figures} FROM candles
    WHERE {series} AND open_time >= %(start)s AND open_time < %(end)s GROUP BY 1
""")
# Parts come from an aggregate, except those of hours that were written to since: they are made of their minutes.
PARTS = sql.SQL("""
    WITH unrolled AS MATERIALIZED (
        SELECT DISTINCT hour FROM candles_unrolled
        WHERE {series} AND hour >= date_trunc('hour', %(start)s::timestamptz, 'UTC') AND hour < %(end)s
    ), parts AS (
        SELECT bucket, {columns} FROM {relation}
        WHERE {series} AND bucket >= %(start)s AND bucket < %(end)s
          AND date_trunc('hour', bucket, 'UTC') NOT IN (SELECT hour FROM unrolled)
        UNION ALL
        SELECT minutes.* FROM unrolled CROSS JOIN LATERAL (
            SELECT date_bin({width}, open_time, 'epoch') AS bucket, {figures} FROM candles
            WHERE {series} AND open_time >= hour AND open_time < hour + INTERVAL '1 hour' GROUP BY 1
        ) AS minutes WHERE bucket >= %(start)s AND bucket < %(end)s
    )
""")
# A day with such an hour is made of its hours; all others are read.
DAY_PARTS = sql.SQL("""
    WITH unrolled AS MATERIALIZED (
        SELECT DISTINCT hour FROM candles_unrolled WHERE {series} AND hour >= %(start)s AND hour < %(end)s
    ), touched AS MATERIALIZED (
        SELECT DISTINCT date_trunc('day', hour, 'UTC') AS day FROM unrolled
    ), hours AS (
        SELECT hourly.* FROM touched CROSS JOIN LATERAL (
            SELECT bucket, {columns} FROM candles_1h
            WHERE {series} AND bucket >= day AND bucket < day + INTERVAL '1 day'
        ) AS hourly WHERE bucket NOT IN (SELECT hour FROM unrolled)
        UNION ALL
        SELECT hour, minutes.* FROM unrolled CROSS JOIN LATERAL (
            SELECT {from_minutes} FROM candles
            WHERE {series} AND open_time >= hour AND open_time < hour + INTERVAL '1 hour' HAVING count(*) > 0
        ) AS minutes
    ), parts AS (
        SELECT bucket, {columns} FROM candles_1d
        WHERE {series} AND bucket >= %(start)s AND bucket < %(end)s AND bucket NOT IN (SELECT day FROM touched)
        UNION ALL
        SELECT date_trunc('day', bucket, 'UTC') AS day, {from_buckets} FROM hours GROUP BY day
    )
""").format(series=SERIES, columns=COLUMNS, from_minutes=FROM_MINUTES, from_buckets=FROM_BUCKETS)
WHOLE = sql.SQL("{parts} SELECT bucket, {columns} FROM parts")
GROUPED = sql.SQL("{parts} SELECT {bin} AS bucket, {figures} FROM parts GROUP BY 1")
# Opening times as epoch seconds: to read a thousand of them as texts takes as long as all else together.
ORDERED = sql.SQL("""
    SELECT extract(epoch FROM bucket)::bigint, {columns} FROM ({made}) AS made ORDER BY bucket {direction}
    LIMIT %(limit)s
""")
# The same as arrays of numbers in network byte order, as COPY has them, and beside them the last row as it is: to make
# a thousand rows of numbers into objects and those into arrays takes four times as long.
AS_ARRAYS = sql.SQL("""
    WITH chosen AS MATERIALIZED (
        SELECT bucket, {columns} FROM ({made}) AS made ORDER BY bucket {direction} LIMIT %(limit)s
    )
    SELECT newest.*, arrays.* FROM (
        SELECT extract(epoch FROM bucket)::bigint, {columns} FROM chosen ORDER BY bucket DESC LIMIT 1
    ) AS newest CROSS JOIN (SELECT {arrays} FROM (SELECT * FROM chosen ORDER BY bucket) AS ordered) AS arrays
""")
SOURCES = (("candles_1d", 1440), ("candles_1h", 60), ("candles_15m", 15))  # each with its minutes


def _bin(timeframe: Timeframe, time: str) -> sql.Composable:
    """The opening time of the candle that holds a column's moment."""
    if not timeframe.minutes:
        return sql.SQL("date_trunc('month', {}, 'UTC')").format(sql.Identifier(time))
    origin = "1970-01-05T00:00:00Z" if timeframe.minutes % (7 * 1440) == 0 else "1970-01-01T00:00:00Z"
    width = f"{timeframe.minutes} minutes"
    return sql.SQL("date_bin({}, {}, {})").format(sql.Literal(width), sql.Identifier(time), sql.Literal(origin))


def _made(timeframe: Timeframe) -> sql.Composable:
    """The query that makes a timeframe's candles: short ones of minutes, longer ones of what divides them."""
    minutes = timeframe.minutes
    if minutes == 1:
        return MINUTES
    if minutes and minutes < 15:
        return SHORT.format(bin=_bin(timeframe, "open_time"), figures=FROM_MINUTES, series=SERIES)
    relation, own = next((relation, own) for relation, own in SOURCES if minutes % own == 0)
    if relation == "candles_1d":
        parts: sql.Composable = DAY_PARTS
    else:
        parts = PARTS.format(
            series=SERIES,
            columns=COLUMNS,
            relation=sql.Identifier(relation),
            width=sql.Literal(f"{own} minutes"),
            figures=FROM_MINUTES,
        )
    if minutes == own:
        return WHOLE.format(parts=parts, columns=COLUMNS)
    return GROUPED.format(parts=parts, bin=_bin(timeframe, "bucket"), figures=FROM_BUCKETS)


def _arrays() -> sql.Composable:
    parts = [f"string_agg({kind}send(({column})::{kind}), ''::bytea)" for column, kind, _ in ARRAYS]
    return sql.SQL(", ".join(parts))


def _all(template: sql.SQL, **parts: sql.Composable) -> dict[tuple[str, bool], sql.Composable]:
    """By a timeframe's name and whether the newest candles are asked for, not the first ones."""
    return {
        (timeframe.name, newest): template.format(
            columns=COLUMNS, made=_made(timeframe), direction=sql.SQL("DESC" if newest else "ASC"), **parts
        )
        for timeframe in set(SPELLINGS.values())
        for newest in (True, False)
    }


QUERIES = _all(ORDERED)
ARRAY_QUERIES = _all(AS_ARRAYS, arrays=_arrays())
