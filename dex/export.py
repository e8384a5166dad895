"""The way out for files of orders: those of a filter, stretch by stretch."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from dex.selectors import Filter, Page, after, scanner_state

STRETCH = 5_000  # orders that one query may give: what is in memory at once


@dataclass(frozen=True, slots=True)
class OrderStretch:
    """Orders by rising id, at most STRETCH of them, with the tokens that they name."""

    page: Page


def stretches(wanted: Filter) -> Iterator[OrderStretch]:
    """Every order of the configured contract that the filter lets through, each once, by rising id. Each step is a few
    short queries, so whoever reads slowly or stops holds nothing of the database; it tells orders as they are then."""
    state = scanner_state()
    last = Decimal(-1)
    while state is not None:
        page = after(state, wanted, last, STRETCH)
        if not page.orders:
            return
        yield OrderStretch(page)
        last = Decimal(page.orders[-1].order.order_id)
