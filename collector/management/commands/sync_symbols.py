"""Reads the exchange's symbols, limits and clock into the registry, now."""

from typing import Any

from django.core.management.base import BaseCommand

from collector.services import sync_registry


class Command(BaseCommand):
    help = "Read the exchange's symbols into the registry. A market that cannot be read keeps what is known of it."

    def handle(self, *args: Any, **options: Any) -> None:
        for line in sync_registry():
            self.stdout.write(line)
