"""`manage.py replay`: plays recordings through the feed's own parts, to the same books and the same minutes."""

import csv
import signal
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from collector.exchanges import STREAMS
from collector.feed.books import BookRules
from collector.feed.recording import InvalidCapture, files_of, header
from collector.feed.replay import Played, Replay, Sink
from depth.services import CollectedBook, SpoolFull, measured

COLUMNS = (
    "symbol", "market", "band", "minute", "bid_volume", "ask_volume", "bid_value", "ask_value", "bid_complete",
    "ask_complete",
)  # fmt: skip


class Command(BaseCommand):
    help = (
        "Play recordings through the feed's own parts. The books that come out are told at the end; their minutes can "
        "be stored (those that are there already stay as they are) or written to a file."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="*", type=Path, help="files or folders; default: the feed's own recordings")
        parser.add_argument(
            "--speed", type=float, default=0.0, help="1: real time, 10: ten times; 0: as fast as it goes"
        )
        parser.add_argument("--store", action="store_true", help="store minutes and seconds of books")
        parser.add_argument("--minutes", type=Path, metavar="FILE", help="write the bands of each minute as CSV")
        parser.add_argument("--books", type=Path, metavar="FOLDER", help="write each book as it is at the end as CSV")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["speed"] < 0:
            raise CommandError("--speed must not be negative")
        rules = BookRules(
            settings.DEPTH_BANDS, settings.LIVE_RATE, settings.ORDERBOOK_LEVELS, settings.ORDERBOOK_UPDATE_INTERVAL
        )
        began = time.monotonic()
        with ExitStack() as stack:
            try:
                files = files_of(options["paths"] or [settings.CAPTURE_DIR])
                exchange = header(files[0]).exchange
                if exchange not in STREAMS:
                    raise InvalidCapture(f"{files[0].name} is of {exchange[:60]!r}, an exchange that is not known here")
                addresses = {market: parts["ws"] for market, parts in settings.VENUE_URLS[exchange].items()}
                sinks = [self._csv(options["minutes"], stack)] if options["minutes"] else []
                replay = Replay(exchange, STREAMS[exchange](addresses), rules, sinks, options["store"])
                for number in (signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, lambda *_: replay.stop())
                played = replay.play(files, options["speed"])
                if options["books"]:
                    self._write_books(replay, options["books"])
            except InvalidCapture as error:
                raise CommandError(str(error)) from None
            except (OSError, SpoolFull) as error:
                raise CommandError(f"stopped: {error}") from None
        self._tell(replay, played, time.monotonic() - began)

    def _csv(self, path: Path, stack: ExitStack) -> Sink:
        writer = csv.writer(stack.enter_context(path.open("w", newline="")))
        writer.writerow(COLUMNS)

        def write(books: list[CollectedBook]) -> None:
            writer.writerows(row for row in measured(books).volumes)

        return write

    def _write_books(self, replay: Replay, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for (market, symbol), followed in sorted(replay.books.followed.items()):
            book = followed.sync.book
            if book is None:
                continue
            with (folder / f"{market}-{symbol}-{book.sequence}.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(("side", "price", "quantity"))
                for side, levels in zip(("bid", "ask"), book.top(book.most_levels), strict=True):
                    writer.writerows((side, price, quantity) for price, quantity in levels)

    def _tell(self, replay: Replay, played: Played, seconds: float) -> None:
        first, last = (datetime.fromtimestamp(moment, UTC) for moment in (played.first, played.last))
        self.stdout.write(
            f"{played.frames:,} frames of {first:%Y-%m-%d %H:%M:%S} to {last:%H:%M:%S} UTC in {played.files} files, "
            f"played in {seconds:.1f} s; {played.minutes:,} minutes of books"
        )
        for (market, symbol), followed in sorted(replay.books.followed.items()):
            sync = followed.sync
            levels = "no book" if sync.book is None else f"at {sync.book.sequence}, {sync.book.levels} levels"
            self.stdout.write(f"{market} {symbol}: {sync.state}, {levels}, {sync.resyncs} resyncs")
        if played.events:
            self.stdout.write("  ".join(f"{kind} {count}" for kind, count in sorted(played.events.items())))
        if played.dropped:
            self.stderr.write(f"{played.dropped:,} lines were not recorded: the disk was too slow")
        for torn in played.torn:
            self.stderr.write(f"read up to its tear: {torn}")
