"""After the migrations: hours and days of futures events, and the triggers that mark what changed.

With TimescaleDB they are continuous aggregates, elsewhere tables; whoever reads them cannot tell
(derivatives.rollups)."""

from django.db import connection
from psycopg import sql

from derivatives.series import RELATIONS, ROLLUPS, Rollup
from tradingplatform.aggregates import no_tables

CREATE_TABLE = """
    CREATE TABLE IF NOT EXISTS {relation} ({keys}, bucket timestamptz NOT NULL, {columns}, PRIMARY KEY ({key}, bucket))
"""
CREATE_VIEW = """
    CREATE MATERIALIZED VIEW IF NOT EXISTS {relation}
    WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT {keys}, time_bucket(INTERVAL {width}, parts.{time}) AS bucket, {figures}
    FROM {source} AS parts GROUP BY {keys}, time_bucket(INTERVAL {width}, parts.{time})
    WITH NO DATA
"""
HAS_TRIGGER = "SELECT 1 FROM pg_trigger WHERE tgname = %s AND tgrelid = %s::regclass"
# A mark that is there is locked until the writer's end, not written again: batches of trades come every second.
CREATE_FUNCTION = """
    CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO derivatives_unrolled (source, market_type, symbol, hour, taken)
        SELECT DISTINCT {source}, {market}, symbol, date_trunc('hour', {time}, 'UTC'), false FROM added
        ORDER BY 1, 2, 3, 4
        ON CONFLICT (source, market_type, symbol, hour) DO UPDATE SET taken = false WHERE derivatives_unrolled.taken;
        RETURN NULL;
    END $$
"""
CREATE_TRIGGER = """
    CREATE TRIGGER {trigger} AFTER INSERT ON {table}
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION {trigger}()
"""
MARK_ALL = """
    INSERT INTO derivatives_unrolled (source, market_type, symbol, hour, taken)
    SELECT DISTINCT {source}, {market}, symbol, date_trunc('hour', {time}, 'UTC'), false FROM {table}
    ON CONFLICT (source, market_type, symbol, hour) DO NOTHING
"""


def provision_event_aggregates(storage: str) -> None:
    """Makes what is missing; not in a transaction. Tables that hold aggregates stay tables when TimescaleDB comes
    later."""
    if storage == "timescaledb" and no_tables(RELATIONS):
        for rollup in ROLLUPS:
            _create_views(rollup)
    else:
        for rollup in ROLLUPS:
            _create_tables(rollup)
    for rollup in ROLLUPS:
        _create_trigger(rollup)


def _create_tables(rollup: Rollup) -> None:
    kinds = {"market_type": "varchar(7)", "symbol": "varchar(40)"}
    keys = ", ".join(f"{name} {kinds[name]} NOT NULL" for name in rollup.series)
    columns = ", ".join(f"{name} {kind}" for name, kind, *_ in rollup.columns)
    with connection.cursor() as cursor:
        for name in (rollup.hours, rollup.days):
            cursor.execute(
                sql.SQL(CREATE_TABLE).format(
                    relation=sql.Identifier(name),
                    keys=sql.SQL(keys),
                    columns=sql.SQL(columns),
                    key=sql.SQL(", ".join(rollup.series)),
                )
            )


def _create_views(rollup: Rollup) -> None:
    """Roll-ups fill them: everything that is stored was marked by a trigger."""
    with connection.cursor() as cursor:
        for relation, width, source, time, figures in (
            (rollup.hours, "1 hour", rollup.source, rollup.time, rollup.from_events),
            (rollup.days, "1 day", rollup.hours, "bucket", rollup.from_hours),
        ):
            parts = {
                "relation": sql.Identifier(relation),
                "width": sql.Literal(width),
                "source": sql.Identifier(source),
                "time": sql.Identifier(time),
                "keys": sql.SQL(", ".join(rollup.series)),
                "figures": figures,
            }
            cursor.execute(sql.SQL(CREATE_VIEW).format(**parts))


def _create_trigger(rollup: Rollup) -> None:
    name = f"{rollup.source}_mark"
    parts = {
        "function": sql.Identifier(name),
        "trigger": sql.Identifier(name),
        "table": sql.Identifier(rollup.source),
        "source": sql.Literal(rollup.source),
        "market": sql.SQL(rollup.market),
        "time": sql.Identifier(rollup.time),
    }
    with connection.cursor() as cursor:
        cursor.execute(HAS_TRIGGER, [name, rollup.source])
        if cursor.fetchone():
            return
        cursor.execute(sql.SQL(CREATE_FUNCTION).format(**parts))
        cursor.execute(sql.SQL(CREATE_TRIGGER).format(**parts))
        cursor.execute(sql.SQL(MARK_ALL).format(**parts))  # what was stored before
