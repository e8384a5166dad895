"""What the database can do."""

from django.db import connection


def storage_name() -> str:
    """`timescaledb` where the extension is installed in this database, else `postgresql`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")
        return "timescaledb" if cursor.fetchone() else "postgresql"
