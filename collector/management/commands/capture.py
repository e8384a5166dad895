"""`manage.py capture`: records what the exchange sends, for `manage.py replay`, until it is told to end."""

import signal
import threading
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from collector.events import Event
from collector.feed.capture import Capture
from collector.feed.recorder import Bounds
from markets.models import Market
from markets.selectors import collected_symbols
from markets.storage import DATABASE_AWAY

MIB = 1024 * 1024
TELL_EVERY = 10.0


class Command(BaseCommand):
    help = (
        "Record the exchange's frames, and the order books that are read by REST to begin with, to compressed files by "
        "the hour. Nothing is published or stored. (The platform's own feed records itself with CAPTURE=true.)"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--folder", type=Path, default=settings.CAPTURE_DIR, help="default: below DATA_DIR")
        parser.add_argument("--symbol", action="append", help="instead of the live ones; may be repeated")
        parser.add_argument("--market", choices=[*Market.values, "all"], default="all")
        parser.add_argument("--minutes", type=float, help="end after so many; else on Ctrl-C or SIGTERM")
        parser.add_argument("--limit-mb", type=int, default=settings.CAPTURE_LIMIT // MIB, help="in all, of the folder")
        parser.add_argument("--hours", type=float, default=settings.CAPTURE_HOURS, help="older files are removed")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["limit_mb"] < 8:
            raise CommandError("--limit-mb must be at least 8")
        if not options["hours"] > 0:  # nor what is no number: everything would be older
            raise CommandError("--hours must be above 0")
        chosen = self._chosen(options)
        bounds = Bounds(options["limit_mb"] * MIB, options["hours"])
        capture = Capture("binance", chosen, options["folder"], bounds, self._tell)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: capture.stop())
        self.stdout.write(f"recording {len(chosen)} books and what else the settings name to {options['folder']}")
        telling = threading.Thread(target=self._follow, args=(capture, options["minutes"]), daemon=True)
        telling.start()
        try:
            capture.run()
        except OSError as error:
            raise CommandError(f"nothing can be recorded to {options['folder']}: {error}") from None
        recorder = capture.recorder
        self.stdout.write(f"{capture.engine.messages:,} frames in {recorder.files} files, {recorder.written:,} bytes")
        if capture.failed:
            raise CommandError(capture.failed)

    def _chosen(self, options: dict[str, Any]) -> dict[tuple[str, str], int]:
        markets = Market.values if options["market"] == "all" else [options["market"]]
        names = {name.upper() for name in options["symbol"] or ()}
        try:
            rows = [(market, row) for market in markets for row in collected_symbols(market)]
        except DATABASE_AWAY as error:
            raise CommandError(f"the registry of symbols cannot be read: {str(error).splitlines()[0]}") from None
        if unknown := names - {row.name for _, row in rows}:
            raise CommandError(f"not collected there: {', '.join(sorted(unknown))}")
        chosen = [(market, row) for market, row in rows if (row.name in names if names else row.live)]
        found = {(market, row.name): row.depth_limit or 0 for market, row in chosen}
        if not found:
            raise CommandError("no symbol is live; name some with --symbol, or run sync_symbols first")
        return found

    def _tell(self, event: Event) -> None:
        if event.type in {"ERROR", "DISCONNECTED", "BANNED", "RATE_LIMITED"}:
            self.stderr.write(f"{event.type} {event.market} {event.symbol} {event.message}")

    def _follow(self, capture: Capture, minutes: float | None) -> None:
        end = None if minutes is None else time.monotonic() + minutes * 60
        while end is None or time.monotonic() < end:
            time.sleep(TELL_EVERY if end is None else max(0.0, min(TELL_EVERY, end - time.monotonic())))
            right = sum(book.sync.synced for book in list(capture.books.followed.values()))
            self.stdout.write(
                f"{capture.engine.messages:,} frames, {right} books right, {capture.recorder.written / MIB:,.1f} MiB"
            )
            self.stdout.flush()
        capture.stop()
