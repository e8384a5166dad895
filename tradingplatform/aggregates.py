"""After the migrations: the relations of hours and days, and the trigger that marks what is not in them yet.

With TimescaleDB they are continuous aggregates, elsewhere tables; whoever reads them cannot tell (depth.rollups)."""

from collections.abc import Sequence

from django.db import connection
from psycopg import sql

from depth.rollups import FROM_HOURS, FROM_MINUTES

RELATIONS = ("snapshots_agg_1h", "snapshots_agg_1d")

TABLES = """
    SELECT relname FROM pg_class
    WHERE relname = ANY (%s) AND relnamespace = 'public'::regnamespace AND relkind = 'r'
"""
IS_EMPTY = "SELECT NOT EXISTS (SELECT FROM {relation})"
DROP_TABLE = "DROP TABLE {relation}"
CREATE_TABLE = """
    CREATE TABLE IF NOT EXISTS {relation} (
        symbol varchar(40) NOT NULL, market_type varchar(7) NOT NULL, depth numeric(5, 2) NOT NULL,
        bucket timestamptz NOT NULL, count bigint NOT NULL,
        avg_bid_volume float8 NOT NULL, min_bid_volume real NOT NULL, max_bid_volume real NOT NULL,
        avg_ask_volume float8 NOT NULL, min_ask_volume real NOT NULL, max_ask_volume real NOT NULL,
        avg_bid_volume_usd float8 NOT NULL, min_bid_volume_usd real NOT NULL, max_bid_volume_usd real NOT NULL,
        avg_ask_volume_usd float8 NOT NULL, min_ask_volume_usd real NOT NULL, max_ask_volume_usd real NOT NULL,
        bid_complete boolean NOT NULL, ask_complete boolean NOT NULL,
        PRIMARY KEY (symbol, market_type, depth, bucket)
    )
"""
CREATE_INDEX = "CREATE INDEX IF NOT EXISTS {index} ON {relation} (bucket)"
CREATE_HOURS = sql.SQL("""
    CREATE MATERIALIZED VIEW IF NOT EXISTS snapshots_agg_1h
    WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT symbol, market_type, depth, time_bucket(INTERVAL '1 hour', timestamp) AS bucket, {figures}
    FROM snapshots GROUP BY 1, 2, 3, 4
    WITH NO DATA
""").format(figures=FROM_MINUTES)
CREATE_DAYS = sql.SQL("""
    CREATE MATERIALIZED VIEW IF NOT EXISTS snapshots_agg_1d
    WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT symbol, market_type, depth, time_bucket(INTERVAL '1 day', hours.bucket) AS bucket, {figures}
    FROM snapshots_agg_1h AS hours GROUP BY 1, 2, 3, 4
    WITH NO DATA
""").format(figures=FROM_HOURS)
# The roll-up alone refreshes: what a job of the database is about to commit, a refresh beside it takes for done, and
# hours would lose their marks before their sums are there.
NO_REFRESH_POLICY = "SELECT remove_continuous_aggregate_policy({relation}, if_exists => true)"
HAS_TRIGGER = "SELECT 1 FROM pg_trigger WHERE tgname = 'snapshots_mark' AND tgrelid = 'snapshots'::regclass"
CREATE_FUNCTION = """
    CREATE OR REPLACE FUNCTION snapshots_mark() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO snapshots_unrolled (hour) SELECT DISTINCT date_trunc('hour', timestamp, 'UTC') FROM added;
        RETURN NULL;
    END $$
"""
CREATE_TRIGGER = """
    CREATE TRIGGER snapshots_mark AFTER INSERT ON snapshots
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION snapshots_mark()
"""
MARK_ALL = """
    INSERT INTO snapshots_unrolled (hour)
    SELECT hour FROM (SELECT min(timestamp) AS first, max(timestamp) AS last FROM snapshots) stored,
        generate_series(date_trunc('hour', first, 'UTC'), last, INTERVAL '1 hour') hour
    WHERE EXISTS (SELECT FROM snapshots WHERE timestamp >= hour AND timestamp < hour + INTERVAL '1 hour')
"""


def provision_aggregates(storage: str) -> None:
    """Makes what is missing; not in a transaction. Tables that hold aggregates stay tables when TimescaleDB comes
    later: they may reach further back than the minutes they were made from."""
    if storage == "timescaledb" and no_tables(RELATIONS):
        _create_views()
    else:
        _create_tables()
    _create_trigger()


def no_tables(relations: Sequence[str]) -> bool:
    """Whether none of the relations is a table; where all are without a row they are dropped for it."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES, [list(relations)])
        tables = [sql.Identifier(name) for (name,) in cursor.fetchall()]
        for table in tables:
            cursor.execute(sql.SQL(IS_EMPTY).format(relation=table))
            if not cursor.fetchone()[0]:
                return False
        for table in tables:
            cursor.execute(sql.SQL(DROP_TABLE).format(relation=table))
    return True


def _create_tables() -> None:
    with connection.cursor() as cursor:
        for name in RELATIONS:
            parts = {"relation": sql.Identifier(name), "index": sql.Identifier(f"{name}_bucket")}
            cursor.execute(sql.SQL(CREATE_TABLE).format(**parts))
            cursor.execute(sql.SQL(CREATE_INDEX).format(**parts))


def _create_views() -> None:
    """The first roll-up fills them: everything that is stored was marked by the trigger."""
    with connection.cursor() as cursor:
        cursor.execute(CREATE_HOURS)
        cursor.execute(CREATE_DAYS)
        for name in RELATIONS:
            cursor.execute(sql.SQL(NO_REFRESH_POLICY).format(relation=sql.Literal(name)))


def _create_trigger() -> None:
    with connection.cursor() as cursor:
        cursor.execute(HAS_TRIGGER)
        if cursor.fetchone():
            return
        cursor.execute(CREATE_FUNCTION)
        cursor.execute(CREATE_TRIGGER)
        cursor.execute(MARK_ALL)  # what was stored before
