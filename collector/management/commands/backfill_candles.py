"""Fetches candle history at once instead of minute by minute in the background, with a progress bar."""

import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from candles import services
from candles.candle import SeriesKey
from collector import backfill
from collector.candle_fetch import Outcome
from markets.models import Market
from markets.storage import DATABASE_AWAY

BAR = 30
SLICE = 20.0  # seconds between looks at the clock


class Command(BaseCommand):
    help = (
        "Fetch one-minute candles of the collected symbols back to START_DATE within the request budget that order "
        "books leave, then what is missing in between. It may be stopped at any time and goes on from there."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", action="append", help="only this symbol; may be repeated")
        parser.add_argument("--market", choices=[*Market.values, "all"], help="instead of CANDLE_MARKETS")
        parser.add_argument("--from", dest="start", help="first day, such as 2025-01-01, instead of START_DATE")

    def handle(self, *args: Any, **options: Any) -> None:
        keys = self._series(options)
        self._wanted(keys, options["start"])
        self.begun, self.shown, self.keys = time.monotonic(), "", keys
        self.first: int | None = None
        try:
            total = self._fetch(keys)
        except DATABASE_AWAY as error:
            raise CommandError(f"stopped, and will go on from there: {str(error).splitlines()[0]}") from None
        except KeyboardInterrupt:
            raise CommandError("stopped, and will go on from there") from None
        took = time.monotonic() - self.begun
        self.stdout.write(f"{len(keys)} series, {total:,} candles added in {took:.0f} s")

    def _series(self, options: dict[str, Any]) -> list[SeriesKey]:
        chosen = options["market"]
        keys = backfill.wanted_series(None if not chosen else Market.values if chosen == "all" else [chosen])
        names = {name.upper() for name in options["symbol"] or ()}
        unknown = names - {key.symbol for key in keys}
        if unknown:
            raise CommandError(f"not collected there: {', '.join(sorted(unknown))}")
        found = [key for key in keys if not names or key.symbol in names]
        if not found:
            raise CommandError("no symbol is collected yet; run sync_symbols first")
        return found

    def _wanted(self, keys: list[SeriesKey], start: str | None) -> None:
        try:
            first = datetime.fromisoformat(start) if start else settings.START_DATE
        except ValueError:
            raise CommandError("--from must be a date, such as 2025-01-01") from None
        services.begin(keys, first if first.tzinfo else first.replace(tzinfo=UTC))

    def _fetch(self, keys: list[SeriesKey]) -> int:
        added = 0
        while True:
            outcome = backfill.collect_history(SLICE, keys, self.report)
            added += outcome.added
            for key, problem in outcome.failed.items():
                self.stderr.write(f"{key.symbol} {key.market}: {problem}")
            if outcome.done:
                return added + backfill.repair(3600.0, keys).added
            if outcome.resume_at is not None:
                self._wait(outcome)

    def _wait(self, outcome: Outcome) -> None:
        assert outcome.resume_at is not None  # noqa: S101 - the caller has looked
        seconds = max(0.2, outcome.resume_at.timestamp() - time.time())
        if outcome.stopped != "budget":
            self.stdout.write(f"waiting {seconds:.0f} s: {outcome.stopped}")
        time.sleep(seconds)

    def report(self, outcome: Outcome) -> None:
        """One line for each percent: logs show lines."""
        done, total = backfill.progress_of(self.keys, datetime.now(UTC))
        percent = done * 100 // total if total else 0
        bar = "#" * (percent * BAR // 100)
        line = f"[{bar:.<{BAR}}] {percent:3} %"
        self.first = done if self.first is None else self.first
        if line != self.shown:
            self.shown = line
            rate = (done - self.first) / max(0.1, time.monotonic() - self.begun)
            self.stdout.write(f"{line}  {done:,} of {total:,} minutes, {rate:,.0f} a second")
            self.stdout.flush()
