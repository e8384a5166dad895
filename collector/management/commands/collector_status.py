"""Prints how collection goes: totals, the newest minutes, the request budget, the processes."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand
from redis import RedisError

from collector.models import CollectionMinute
from collector.selectors import processes, statistics, status, weight
from markets.models import Market


class Command(BaseCommand):
    help = "Print the collector's statistics, its newest minutes, the request budget and the processes that are alive."

    def handle(self, *args: Any, **options: Any) -> None:
        figures, found = statistics(), status(datetime.now(UTC))
        self.stdout.write(
            f"collector  {found.status}, {found.symbols} symbols, newest minute {found.last_minute or '-'}"
        )
        self.stdout.write(
            f"requests   {figures.total_requests} ({figures.failed_requests} failed, {figures.success_rate} % good)"
        )
        for market in Market.values:
            use = weight(market)
            halt = f", nothing is asked until {use.blocked_until:%H:%M:%S}" if use.blocked_until else ""
            self.stdout.write(f"weight     {market}: {use.used} of {use.limit} in this minute{halt}")
        for row in CollectionMinute.objects.all()[:10]:
            took = "-" if row.seconds is None else f"{row.seconds:.1f} s"
            missing = f", {row.failed} failed, {row.overrun} overrun {row.causes}" if row.partial else ""
            self.stdout.write(f"minute     {row.minute:%H:%M} {row.stored} of {row.expected} in {took}{missing}")
        self._processes()

    def _processes(self) -> None:
        try:
            for beat in processes():
                memory = f"{beat.memory_bytes / 2**20:.0f} MiB"
                self.stdout.write(
                    f"process    {beat.name} {beat.host}:{beat.pid} {beat.cpu_percent:.0f} % CPU {memory}"
                )
        except RedisError as error:
            self.stdout.write(f"process    unknown: Redis is away ({error})")
