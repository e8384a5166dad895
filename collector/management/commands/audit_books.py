"""`manage.py audit_books`: has live books compared with the exchange's own now, and prints what came of it."""

import time
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from redis import RedisError

from collector import audits
from collector.feed.figures import reports
from collector.models import BookAudit
from markets.models import Market

LOOK_EVERY = 0.5


class Command(BaseCommand):
    help = "Compare live order books with snapshots of the exchange, within the spare request budget."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--symbol", action="append", help="only this symbol; may be repeated")
        parser.add_argument("--market", choices=[*Market.values, "all"], default="all")
        parser.add_argument("--seconds", type=float, default=90.0, help="how long to wait for what comes of it")

    def handle(self, *args: Any, **options: Any) -> None:
        begun = datetime.now(UTC)
        try:
            keys = self._keys(options)
            audits.ask_for(keys)
        except RedisError as error:
            raise CommandError(f"the feed cannot be asked: Redis is away ({error})") from None
        rows: list[BookAudit] = []
        until = time.monotonic() + options["seconds"]
        while len(rows) < len(keys) and time.monotonic() < until:
            time.sleep(LOOK_EVERY)
            rows = audits.since(begun, keys)
        for row in sorted(rows, key=lambda row: (row.market_type, row.symbol)):
            near = "  ".join(f"{distance} % {equal}/{of}" for distance, of, equal in row.by_distance)
            self.stdout.write(f"{row.market_type} {row.symbol}: {row.equal}/{row.compared} levels equal  ({near})")
        wrong = [row for row in rows if row.equal < row.compared]
        if missing := len(keys) - len(rows):
            raise CommandError(f"{missing} of {len(keys)} books were not compared in time")
        if wrong:
            raise CommandError(f"{len(wrong)} of {len(keys)} books were not the exchange's; they were made anew")

    def _keys(self, options: dict[str, Any]) -> set[tuple[str, str]]:
        names = {name.upper() for name in options["symbol"] or ()}
        live = {(book.market, book.symbol) for report in reports() for book in report.books}
        found = {
            (market, symbol)
            for market, symbol in live
            if (not names or symbol in names) and options["market"] in {market, "all"}
        }
        if unknown := names - {symbol for _, symbol in found}:
            raise CommandError(f"no live book there: {', '.join(sorted(unknown))}")
        if not found:
            raise CommandError("no book is live: the feed does not run, or follows none")
        return found
