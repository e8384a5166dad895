"""Loads the simulated market's past beside live collection, with a progress bar; the demo starts it by itself."""

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from tradingplatform.past import load

BAR = 30


class Command(BaseCommand):
    help = "Store 48 hours of the simulated market before its first live minute. Goes on where it was stopped."
    requires_system_checks = ()  # they load every page; `manage.py check` asks for them

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.SIMULATED_MARKET:
            raise CommandError("only the simulated market has a past that can be made")
        begun, self.shown = time.monotonic(), -1
        try:
            added = load(self.report)
        except (OperationalError, TimeoutError) as error:
            raise CommandError(f"stopped, and will go on from there: {str(error).splitlines()[0]}") from None
        if added:
            self.stdout.write(f"48 hours of history: {added:,} books in {time.monotonic() - begun:.0f} s")

    def report(self, done: int, total: int, seconds_left: float) -> None:
        """One line for every five percent: the supervisor's log shows lines."""
        percent = done * 100 // total
        if percent // 5 == self.shown:
            return
        self.shown = percent // 5
        bar = "#" * (percent * BAR // 100)
        self.stdout.write(f"[{bar:.<{BAR}}] {percent:3} %  {done:,} of {total:,} books, {seconds_left:.0f} s left")
        self.stdout.flush()
