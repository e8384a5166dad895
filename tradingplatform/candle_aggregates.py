"""After the migrations: quarters of an hour, hours and days of candles, and the triggers that mark what changed.

With TimescaleDB they are continuous aggregates, elsewhere tables; whoever reads them cannot tell (candles.rollups)."""

from django.db import connection
from psycopg import sql

from candles.rollups import FROM_BUCKETS, FROM_MINUTES, RELATIONS
from tradingplatform.aggregates import no_tables

CREATE_TABLE = """
    CREATE TABLE IF NOT EXISTS {relation} (
        exchange varchar(16) NOT NULL, market_type varchar(7) NOT NULL, symbol varchar(40) NOT NULL,
        bucket timestamptz NOT NULL,
        open_price numeric NOT NULL, high_price numeric NOT NULL, low_price numeric NOT NULL,
        close_price numeric NOT NULL, volume numeric NOT NULL, quote_volume numeric NOT NULL, trades bigint NOT NULL,
        taker_buy_volume numeric NOT NULL, taker_buy_quote_volume numeric NOT NULL, minutes bigint NOT NULL,
        PRIMARY KEY (exchange, market_type, symbol, bucket)
    )
"""
CREATE_VIEW = """
    CREATE MATERIALIZED VIEW IF NOT EXISTS {relation}
    WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT exchange, market_type, symbol, time_bucket(INTERVAL {width}, parts.{time}) AS bucket, {figures}
    FROM {source} AS parts GROUP BY 1, 2, 3, 4
    WITH NO DATA
"""
VIEWS = (
    ("candles_15m", "15 minutes", "candles", "open_time"),
    ("candles_1h", "1 hour", "candles_15m", "bucket"),
    ("candles_1d", "1 day", "candles_1h", "bucket"),
)
HAS_TRIGGER = "SELECT 1 FROM pg_trigger WHERE tgname = 'candles_mark_insert' AND tgrelid = 'candles'::regclass"
CREATE_FUNCTION = """
    CREATE OR REPLACE FUNCTION candles_mark() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO candles_unrolled (exchange, market_type, symbol, hour)
        SELECT DISTINCT exchange, market_type, symbol, date_trunc('hour', open_time, 'UTC') FROM touched;
        RETURN NULL;
    END $$
"""
CREATE_ROW_FUNCTION = """
    CREATE OR REPLACE FUNCTION candles_mark_row() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO candles_unrolled (exchange, market_type, symbol, hour)
        VALUES (OLD.exchange, OLD.market_type, OLD.symbol, date_trunc('hour', OLD.open_time, 'UTC'));
        RETURN NULL;
    END $$
"""
CREATE_TRIGGER = """
    CREATE TRIGGER {name} AFTER {event} ON candles
    REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION candles_mark()
"""
# Row by row: TimescaleDB knows no table of what was deleted. The platform itself deletes no candle.
CREATE_DELETE_TRIGGER = """
    CREATE TRIGGER candles_mark_delete AFTER DELETE ON candles FOR EACH ROW EXECUTE FUNCTION candles_mark_row()
"""
MARK_ALL = """
    INSERT INTO candles_unrolled (exchange, market_type, symbol, hour)
    SELECT DISTINCT exchange, market_type, symbol, date_trunc('hour', open_time, 'UTC') FROM candles
"""


def provision_candle_aggregates(storage: str) -> None:
    """Makes what is missing; not in a transaction. Tables that hold aggregates stay tables when TimescaleDB comes
    later."""
    if storage == "timescaledb" and no_tables(RELATIONS):
        _create_views()
    else:
        _create_tables()
    _create_triggers()


def _create_tables() -> None:
    with connection.cursor() as cursor:
        for name in RELATIONS:
            cursor.execute(sql.SQL(CREATE_TABLE).format(relation=sql.Identifier(name)))


def _create_views() -> None:
    """Roll-ups fill them: everything that is stored was marked by a trigger."""
    with connection.cursor() as cursor:
        for relation, width, source, time in VIEWS:
            parts = {
                "relation": sql.Identifier(relation),
                "width": sql.Literal(width),
                "source": sql.Identifier(source),
                "time": sql.Identifier(time),
                "figures": FROM_MINUTES if source == "candles" else FROM_BUCKETS,
            }
            cursor.execute(sql.SQL(CREATE_VIEW).format(**parts))


def _create_triggers() -> None:
    with connection.cursor() as cursor:
        cursor.execute(HAS_TRIGGER)
        if cursor.fetchone():
            return
        cursor.execute(CREATE_FUNCTION)
        cursor.execute(CREATE_ROW_FUNCTION)
        cursor.execute(CREATE_DELETE_TRIGGER)
        for event in ("UPDATE", "INSERT"):
            name = sql.Identifier(f"candles_mark_{event.lower()}")
            cursor.execute(sql.SQL(CREATE_TRIGGER).format(name=name, event=sql.SQL(event)))
        cursor.execute(MARK_ALL)  # what was stored before
