"""Live clients of orders: `/ws/orders`."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from dex.addresses import read_address, read_pair
from dex.broadcast import CHANNEL
from dex.events import Status
from dex.hub import OrdersTopic, View
from dex.selectors import Filter
from markets.consumers import BAD_REQUEST, Refused, Socket
from markets.hub import hub

LOAD_SECONDS = 2.0  # that Redis may take; the orders themselves come from the database
MOST_ORDERS = 1000
FILTERS: dict[str, Callable[[str], Any]] = {
    "user": read_address,
    "token": read_address,
    "token_in": read_address,
    "token_out": read_address,
    "pair": read_pair,
}


class OrdersSocket(Socket):
    """Told how the scanner is (`status`), the newest orders (`snapshot`), then every change of one (`order`,
    `order_removed`) and the router's newest prices of pending ones (`quotes`)."""

    topic: OrdersTopic | None = None

    async def opened(self) -> None:
        view = View(Filter(status=self._status(), **self._filters()), self._limit())
        async with hub().joining(CHANNEL, OrdersTopic) as topic:
            self.topic = topic
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(topic.loaded.wait(), LOAD_SECONDS)
            await topic.join(self.writer, view)

    def gone(self) -> None:
        if self.topic is not None:
            self.topic.leave(self.writer)

    def _filters(self) -> dict[str, Any]:
        found = {}
        for name, read in FILTERS.items():
            if self.query.get(name):
                try:
                    found[name] = read(self.query[name].strip())
                except ValueError as error:
                    raise _bad(f"{name} {error}") from error
        return found

    def _status(self) -> Status | None:
        word = self.query.get("status", "").strip().upper()
        if word in {"", "ALL"}:
            return None
        if word not in Status.__members__:
            raise _bad("status must be pending, executed, cancelled or all")
        return Status(word)

    def _limit(self) -> int:
        text = self.query.get("limit", "100").strip()
        if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) <= MOST_ORDERS):
            raise _bad(f"limit must be a whole number from 0 to {MOST_ORDERS}")
        return int(text)


def _bad(message: str) -> Refused:
    return Refused("invalid_parameter", message, BAD_REQUEST)
