"""Reads DEX order events from the chain until it is told to stop."""

import signal
from threading import Event
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from eth_utils.address import to_checksum_address

from collector import heartbeat
from collector.scanner import Configuration, Scanner, nodes


class Command(BaseCommand):
    help = "Read DEX order events from the chain (WEB3_PROVIDERS, TRADING_ADDRESS) until SIGTERM."
    requires_system_checks = ()  # they load every page; `manage.py check` asks for them

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.WEB3_PROVIDERS or not settings.TRADING_ADDRESS:
            raise CommandError("WEB3_PROVIDERS and TRADING_ADDRESS say what to read; one of them is not set")
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        configuration = Configuration(
            contract=str(to_checksum_address(settings.TRADING_ADDRESS)),
            router=settings.ROUTER_ADDRESS,
            confirmations=settings.CONFIRMATIONS,
            start_block=settings.START_BLOCK,
            abi=settings.TRADING_ABI,
        )
        try:
            scanner = Scanner(nodes(settings.WEB3_PROVIDERS), configuration, stop)
        except (ValueError, OSError) as error:
            raise CommandError(f"TRADING_ABI cannot be used: {error}") from error
        heartbeat.beat("scanner")
        scanner.run()
