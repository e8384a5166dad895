"""What a migrated database and a fresh checkout need before the processes start. Repeating it is harmless."""

import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from alerts.services import make_usual_rules
from collector.models import RunState
from collector.services import sync_registry
from tradingplatform.timescale import provision


class Command(BaseCommand):
    help = "Provision the database, collect static files, create what a new platform begins with, read the symbols."
    requires_system_checks = ()  # they load every page; `manage.py check` asks for them

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-static", action="store_true", help="leave the static files as they are")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_mixing()
        self.stdout.write(f"storage: {provision()}")
        if not options["no_static"]:
            call_command("collectstatic", interactive=False, verbosity=0)
        create_administrator()
        make_usual_rules()
        for line in sync_registry():
            self.stdout.write(line)


def refuse_mixing() -> None:
    """One database holds either the simulated market or the real one. Raises CommandError when asked for both."""
    state, _ = RunState.objects.get_or_create(id=1)
    if state.simulated != settings.SIMULATED_MARKET:
        kind, other = ("simulated", "real") if state.simulated else ("real", "simulated")
        raise CommandError(f"this database holds the {kind} market; give the {other} one a DATABASE_URL of its own")


def create_administrator() -> None:
    """The first superuser, from ADMIN_USER and ADMIN_PASSWORD; does nothing where there is one or no password."""
    users = get_user_model().objects
    password = os.environ.get("ADMIN_PASSWORD")
    if password and not users.filter(is_superuser=True).exists():
        users.create_superuser(os.environ.get("ADMIN_USER", "admin"), "", password)
