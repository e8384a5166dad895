"""Column types that Django does not have."""

from typing import Any

from django.db import models


class RealField(models.FloatField):
    """PostgreSQL `real`: 4 bytes, 7 significant digits; compresses twice as well as float8."""

    def db_type(self, connection: Any) -> str:
        return "real"
