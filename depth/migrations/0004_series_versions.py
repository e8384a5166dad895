"""The version of every series, and the sequence that versions come from."""

import django.db.models.fields.composite
from django.db import migrations, models

# It begins at the moment of its making, so that a new database never gives a version that an older one has given.
CREATE_SEQUENCE = """
    DO $$ BEGIN
        EXECUTE format('CREATE SEQUENCE series_version START %s', (extract(epoch FROM clock_timestamp()) * 1000)::bigint);
    END $$
"""
# What was stored before has a version from the start.
NUMBER_ALL = """
    INSERT INTO series_versions (symbol, market_type, version)
    SELECT name, market, nextval('series_version') FROM (SELECT DISTINCT name, market FROM symbols) known
"""
# What is changed or deleted, by retention or by hand: every series has another version. (Rows that are added raise the
# version of their own series only: depth.store.)
CREATE_FUNCTION = """
    CREATE FUNCTION series_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM FROM series_versions ORDER BY symbol, market_type FOR UPDATE;
        UPDATE series_versions SET version = nextval('series_version');
        RETURN NULL;
    END $$
"""
CREATE_TRIGGER = """
    CREATE TRIGGER {table}_changed AFTER UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION series_changed()
"""
DROP_TRIGGER = "DROP TRIGGER {table}_changed ON {table}"


class Migration(migrations.Migration):

    dependencies = [
        ('depth', '0003_stored_batches'),
        ('markets', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='SeriesVersion',
            fields=[
                ('pk', django.db.models.fields.composite.CompositePrimaryKey('symbol', 'market_type', blank=True, editable=False, primary_key=True, serialize=False)),
                ('symbol', models.CharField(max_length=40)),
                ('market_type', models.CharField(choices=[('SPOT', 'Spot'), ('FUTURES', 'USD-M futures')], max_length=7)),
                ('version', models.BigIntegerField()),
            ],
            options={
                'db_table': 'series_versions',
            },
        ),
        migrations.RunSQL(CREATE_SEQUENCE, 'DROP SEQUENCE series_version'),
        migrations.RunSQL(NUMBER_ALL, migrations.RunSQL.noop),
        migrations.RunSQL(CREATE_FUNCTION, 'DROP FUNCTION series_changed'),
        *(
            migrations.RunSQL(CREATE_TRIGGER.format(table=table), DROP_TRIGGER.format(table=table))
            for table in ('snapshots', 'depth_snapshots')
        ),
    ]
