"""`manage.py run_feed`: live order books from the exchange's streams, until it is told to end."""

import signal
from argparse import ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from collector.feed.leases import Shard
from collector.feed.run import Feed
from collector.heartbeat import beat, end


def shard(text: str) -> Shard:
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count) <= 1000):
        raise ArgumentTypeError("must be i/n, such as 1/2 and 2/2")
    return Shard(int(index), int(count))


class Command(BaseCommand):
    help = "Keeps live order books from the exchange's streams, publishes them and stores their minutes."
    requires_system_checks = ()  # they load every page; `manage.py check` asks for them

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--shard", type=shard, default=Shard(), help="of several feeds that share the symbols: i/n")

        parser.add_argument("--capture", action="store_true", help="record everything that comes, as CAPTURE=true does")

    def handle(self, *args: Any, **options: Any) -> None:
        capture = settings.CAPTURE_DIR if settings.CAPTURE or options["capture"] else None
        feed = Feed(shard=options["shard"], capture=capture)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: feed.stop())
        beat("feed")
        feed.run()
        end("feed")
