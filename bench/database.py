"""A database of its own for the measurements: embedded servers on a temporary folder, migrated and provisioned."""

import os
from functools import cache


@cache
def ready() -> str:
    """Starts the servers, sets Django up and migrates; gives the storage's name. Safe to call again."""
    import tests.servers  # noqa: F401 - its import starts the servers and sets their addresses

    os.environ["DJANGO_SETTINGS_MODULE"] = "tradingplatform.settings"
    import django

    django.setup()
    from django.core.management import call_command

    from tradingplatform.timescale import provision

    call_command("migrate", verbosity=0)
    return provision()
