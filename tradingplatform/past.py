"""The demo's past: books of the simulated market before its first live minute, through the maths and the store."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from multiprocessing import get_context
from typing import Literal

from collector.models import PastLoad
from depth import rollups
from depth.selectors import stored_symbols
from depth.services import CollectedBook, minute_of, store_books
from depth.volumes import Book, Side
from derivatives import rollups as events
from markets.models import Market
from markets.selectors import collected_symbols
from simulator.market import book_at, market_of
from tradingplatform.past_events import HOURS as EVENT_HOURS
from tradingplatform.past_events import hours_before, store_hour
from tradingplatform.pool import begin

HOURS = 48
BLOCK_MINUTES = 5
READ_AFTER_MS = 1500  # about when in its minute the live collection reads a book
Report = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True)
class Series:
    """What live collection reads of one symbol: the same, minute by minute, is its past."""

    symbol: str
    market: str
    limit: int


def load(report: Report, now: datetime | None = None, processes: int = 2) -> int:
    """Stores the HOURS before the first live minute, newest first, and goes on where an earlier run ended.

    `report` is called with books done, books in all and seconds left. Gives the number of books added by this run.
    It fills nothing but that past: minutes that live collection missed later stay gaps."""
    os.nice(10)  # behind live collection, with the pool that inherits it
    state, _ = PastLoad.objects.get_or_create(id=1, defaults={"until": minute_of(now or datetime.now(UTC))})
    if state.finished_at:
        return 0
    series = wait_for_plan()
    blocks = [state.until - timedelta(minutes=n) for n in range(BLOCK_MINUTES, HOURS * 60 + 1, BLOCK_MINUTES)]
    state.total, state.done = len(series) * HOURS * 60, 0
    state.save()
    added, begun = 0, time.monotonic()
    for number, stored in enumerate(_run(blocks, series, processes), start=1):
        added += stored
        state.done = number * BLOCK_MINUTES * len(series)
        state.save(update_fields=["done"])
        report(state.done, state.total, (time.monotonic() - begun) / number * (len(blocks) - number))
    _load_events(state.until, [one.symbol for one in series if one.market == Market.FUTURES], processes)
    rollups.refresh(datetime.now(UTC), state.until - timedelta(hours=HOURS), state.until)
    state.finished_at = datetime.now(UTC)
    state.save(update_fields=["finished_at"])
    return added


def _load_events(until: datetime, symbols: list[str], processes: int) -> None:
    """A day of contracts, which takes a minute; what is there is left out."""
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=begin) as pool:
        for done in [pool.submit(store_hour, start, symbols) for start in hours_before(until)]:
            done.result()
    events.refresh(datetime.now(UTC), until - timedelta(hours=EVENT_HOURS), until)


def wait_for_plan(patience: float = 120.0) -> list[Series]:
    """The collected series with the limits that live collection chose. Raises TimeoutError when it chooses none."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        rows = [row for market in Market.values for row in collected_symbols(market)]
        if rows and any(row.last_minute for row in rows) and all(row.depth_limit for row in rows):
            return [Series(row.name, row.market, row.depth_limit) for row in rows]
        time.sleep(0.5)
    raise TimeoutError("live collection has not begun, so its past cannot be made alike")


def _run(blocks: Sequence[datetime], series: list[Series], processes: int) -> Iterator[int]:
    """Books stored of each block as it is done; few are in flight, so that the newest come first."""
    waiting = iter(blocks)
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=begin) as pool:
        running: set[Future[int]] = {
            pool.submit(store_block, start, series) for start in islice(waiting, processes * 2)
        }
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(store_block, start, series) for start in islice(waiting, len(done))}
            yield from (future.result() for future in done)


def store_block(start: datetime, series: Sequence[Series]) -> int:
    """Makes and stores the books of BLOCK_MINUTES minutes from `start`; those that are there stay."""
    minutes = [start + timedelta(minutes=n) for n in range(BLOCK_MINUTES)]
    books = [_book(one, minute) for minute in minutes for one in _absent(minute, series)]
    return store_books([book for book in books if book]).books


def _absent(minute: datetime, series: Sequence[Series]) -> list[Series]:
    present = {m: stored_symbols(m, minute, [one.symbol for one in series if one.market == m]) for m in Market.values}
    return [one for one in series if one.symbol not in present[one.market]]


def _book(one: Series, minute: datetime) -> CollectedBook | None:
    """The book as REST would have told it at that time; None while the symbol did not trade."""
    market = market_of()
    kind: Literal["spot", "futures"] = "spot" if one.market == Market.SPOT else "futures"
    at = int(minute.timestamp() * 1000) + READ_AFTER_MS
    bids, asks = book_at(one.symbol, kind, at, one.limit)
    if not len(bids) or not len(asks):
        return None
    sides = [Side(side[:, 0].copy(), side[:, 1].copy(), len(side) < one.limit) for side in (bids, asks)]
    received_at = datetime.fromtimestamp(at / 1000, UTC)
    return CollectedBook(
        symbol=one.symbol,
        market=one.market,
        received_at=received_at,
        book=Book(*sides),
        last_update_id=market.update_id(market.listing(one.symbol, kind), at),
        event_time=received_at if one.market == Market.FUTURES else None,
        limit=one.limit,
        source="rest",
    )
