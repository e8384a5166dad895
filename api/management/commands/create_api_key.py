"""Makes an API key and prints it, once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from api.keys import issue
from api.models import Scope
from api.times import parse_moment


class Command(BaseCommand):
    help = "Makes an API key and prints it once; only its hash is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="What the key is for.")
        scopes = f"May be repeated, or several with commas between: {', '.join(Scope.values)}."
        parser.add_argument("--scope", action="append", required=True, dest="scopes", metavar="SCOPE", help=scopes)
        parser.add_argument("--expires", help="Date or time (ISO 8601, UTC) from which on the key is refused.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            expires_at = parse_moment(options["expires"]) if options["expires"] else None
        except ValueError as error:
            raise CommandError("--expires must be a date such as 2027-01-31") from error
        if expires_at is not None and expires_at <= timezone.now():
            raise CommandError("--expires must be in the future")
        try:
            scopes = [scope for given in options["scopes"] for scope in given.split(",")]
            _, key = issue(options["name"], scopes, expires_at)
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(key)
