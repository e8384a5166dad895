"""After the migrations: what TimescaleDB adds where the server offers it. Repeating it changes nothing."""

import logging
from dataclasses import dataclass

from django.db import Error, connection
from psycopg import sql

from tradingplatform.aggregates import provision_aggregates
from tradingplatform.candle_aggregates import provision_candle_aggregates
from tradingplatform.event_aggregates import provision_event_aggregates

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hypertable:
    """How a table lives under TimescaleDB. Intervals are PostgreSQL's; None: never."""

    name: str
    time: str
    chunk: str
    series: str  # columns that name one series, for compression
    compress_after: str | None
    retain: str | None


HYPERTABLES = (
    Hypertable("snapshots", "timestamp", "7 days", "symbol, market_type, depth", "14 days", "60 days"),
    Hypertable("depth_snapshots", "time", "1 day", "symbol, market_type", "2 days", "14 days"),
    Hypertable("orderbook_seconds", "time", "6 hours", "symbol, market_type", "1 day", "2 days"),
    Hypertable("candles", "open_time", "7 days", "exchange, market_type, symbol", "7 days", None),
    Hypertable("order_events", "timestamp", "30 days", "contract, order_id", None, None),
    Hypertable("agg_trades", "trade_time", "6 hours", "market_type, symbol", "12 hours", "7 days"),
    Hypertable("mark_prices", "event_time", "1 day", "symbol", "1 day", "30 days"),
    Hypertable("force_orders", "trade_time", "7 days", "symbol", "30 days", "365 days"),
    Hypertable("open_interest", "time", "7 days", "symbol", "30 days", "365 days"),
    Hypertable("depth_updates", "event_time", "1 hour", "market_type, symbol", "2 hours", "2 days"),
    Hypertable("websocket_events", "time", "1 day", "event_type", None, "14 days"),
    Hypertable("system_metrics", "time", "7 days", "name", "14 days", "60 days"),
)

AVAILABLE = """
    SELECT (SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'),
           (SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb')
"""
CREATE_EXTENSION = "CREATE EXTENSION IF NOT EXISTS timescaledb"
CREATE_HYPERTABLE = """
    SELECT create_hypertable({table}, by_range({time}, INTERVAL {chunk}),
                             create_default_indexes => false, if_not_exists => true, migrate_data => true)
"""
IS_COMPRESSED = "SELECT compression_enabled FROM timescaledb_information.hypertables WHERE hypertable_name = %s"
ENABLE_COMPRESSION = """
    ALTER TABLE {identifier} SET (timescaledb.compress, timescaledb.compress_segmentby = {series},
                                  timescaledb.compress_orderby = {order})
"""
COMPRESSION_POLICY = "SELECT add_compression_policy({table}, INTERVAL {after}, if_not_exists => true)"
RETENTION_POLICY = "SELECT add_retention_policy({table}, INTERVAL {after}, if_not_exists => true)"


def provision() -> str:
    """Makes hypertables with compression and retention where the extension can be had, and the aggregates on either;
    gives what storage it is: `timescaledb` or `postgresql`. Not in a transaction."""
    storage = "timescaledb" if _extension() else "postgresql"
    if storage == "timescaledb":
        for table in HYPERTABLES:
            _provision(table)
    provision_aggregates(storage)
    provision_candle_aggregates(storage)
    provision_event_aggregates(storage)
    return storage


def _extension() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(AVAILABLE)
        available, installed = cursor.fetchone()
        if installed:
            return True
        if not available:
            return False
        try:
            cursor.execute(CREATE_EXTENSION)
        except Error as error:
            logger.warning("TimescaleDB is offered by the server but cannot be used here: %s", error)
            return False
    return True


def _provision(table: Hypertable) -> None:
    parts = {
        "identifier": sql.Identifier(table.name),
        "table": sql.Literal(table.name),
        "time": sql.Literal(table.time),
        "chunk": sql.Literal(table.chunk),
        "series": sql.Literal(table.series),
        "order": sql.Literal(f"{table.time} DESC"),
    }
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(CREATE_HYPERTABLE).format(**parts))
        if table.compress_after:
            cursor.execute(IS_COMPRESSED, [table.name])
            if not cursor.fetchone()[0]:
                cursor.execute(sql.SQL(ENABLE_COMPRESSION).format(**parts))
            cursor.execute(sql.SQL(COMPRESSION_POLICY).format(after=sql.Literal(table.compress_after), **parts))
        if table.retain:
            cursor.execute(sql.SQL(RETENTION_POLICY).format(after=sql.Literal(table.retain), **parts))
