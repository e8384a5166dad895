"""Makes hours and days again from the stored minutes, as after rows were deleted or loaded by hand."""

import argparse
import time
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from depth.rollups import refresh


def moment(text: str) -> datetime:
    """A date or a time in ISO 8601; UTC where it names no zone. Raises ArgumentTypeError."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time like 2026-01-31T12:00") from None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


class Command(BaseCommand):
    help = "Make the hourly and daily aggregates of a range (default: of all stored minutes) again. Repeating is fine."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--from", dest="start", type=moment, help="first hour, UTC")
        parser.add_argument("--to", dest="end", type=moment, help="last hour, UTC, included")

    def handle(self, *args: Any, **options: Any) -> None:
        begun = time.monotonic()
        hours = refresh(datetime.now(UTC), options["start"], options["end"])
        self.stdout.write(f"{hours:,} hours and their days were made again in {time.monotonic() - begun:.1f} s")
