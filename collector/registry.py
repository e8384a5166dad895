"""From a venue's listings to the registry: symbols, 24 h volumes, the request limit and the clock, market by market."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from django.conf import settings
from django.db import connection, transaction

from collector.asking import MarketHalted, NoLeave, ask, ask_patiently, budget_of
from collector.events import Event, Type, record
from collector.exchanges import EXCHANGES
from collector.exchanges.base import Listings, Venue, VenueError
from collector.limits import Priority
from collector.models import VenueLimit
from collector.venues import venue
from markets import services as markets
from markets.listings import SymbolListing
from markets.models import Market
from markets.selectors import collected_symbols

logger = logging.getLogger(__name__)

SPOT = str(Market.SPOT)
TIMEOUT = 20.0
PATIENCE = 5.0  # seconds to wait for the request budget
SKEW_MS = 1000
LOCK = 7_203_114  # any number that no other advisory lock of this database has


class NotSeeded(Exception):
    """The first symbols of a market cannot be chosen yet; the message says what is missing."""


def sync_registry(only: Sequence[str] | None = None) -> list[str]:
    """Reads every market (or `only` these) of every exchange into the registry; gives a line for each.

    A market that cannot be read keeps what is known of it and does not hinder the others."""
    return [
        f"{chosen.name} {market}: {_sync_or_tell(chosen, market)}"
        for chosen in map(venue, EXCHANGES)
        for market in chosen.markets
        if only is None or market in only
    ]


def _sync_or_tell(chosen: Venue, market: str) -> str:
    try:
        return sync_market(chosen, market)
    except (VenueError, NoLeave, NotSeeded) as error:
        if isinstance(error, MarketHalted) and error.event:
            record([error.event])
        logger.warning("%s %s was not read: %s", chosen.name, market, error)
        return f"not read: {error}"


def sync_market(chosen: Venue, market: str) -> str:
    """One market into the registry, in one transaction; gives what changed in words.

    Raises VenueError or NoLeave when it cannot be read, NotSeeded when it is new and cannot be seeded yet."""
    limits = budget_of(chosen, market)
    listings = ask_patiently(
        limits,
        chosen.listings_weight[market],
        lambda: chosen.fetch_listings(market, TIMEOUT),
        Priority.RESYNC,
        PATIENCE,
    )
    _keep_limit(chosen, market, listings)
    measure_clock(chosen, market)
    rows = _with_volumes(chosen, market, listings)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        seed = None if market in markets.known_markets(chosen.name) else _seed(chosen, market, rows)
        written = markets.upsert_symbols(rows, chosen.name)
        gone = markets.mark_delisted(market, [row.name for row in rows], chosen.name)
        collected = 0 if seed is None else markets.seed_collected(market, seed, chosen.name)
        live = 0 if seed is None else markets.seed_live(market, _seed_live(chosen, market), chosen.name)
    told = f"{len(rows)} symbols, {written} new or changed, {gone} delisted"
    return told if seed is None else f"{told}, {collected} chosen for collection, {live} of them live"


def _with_volumes(chosen: Venue, market: str, listings: Listings) -> list[SymbolListing]:
    """The listings with their 24 h volumes; as they are when the exchange does not give those."""
    limits = budget_of(chosen, market)
    weight = chosen.volumes_weight[market]
    try:
        volumes = ask(limits, weight, lambda: chosen.fetch_volumes(market, TIMEOUT), Priority.RESYNC)
    except (VenueError, NoLeave) as error:
        if isinstance(error, MarketHalted) and error.event:
            record([error.event])
        logger.warning("%s %s: 24 h volumes were not read: %s", chosen.name, market, error)
        return listings.symbols
    return [replace(row, quote_volume=volumes.get(row.name)) for row in listings.symbols]


def _seed(chosen: Venue, market: str, rows: list[SymbolListing]) -> list[str]:
    """The names that are collected from the beginning. Raises NotSeeded."""
    setting, quotes = settings.SYMBOLS, settings.QUOTE_ASSETS
    if setting.startswith("top:"):
        if market != SPOT:
            if SPOT not in markets.known_markets(chosen.name):
                raise NotSeeded(f"SYMBOLS={setting} counts spot volumes, and the spot market is not known yet")
            return [symbol.name for symbol in collected_symbols(SPOT, chosen.name)]
        if not any(row.quote_volume for row in rows):
            raise NotSeeded(f"SYMBOLS={setting} counts 24 h volumes, and the exchange did not give them")
        return markets.seed_names(setting, rows, quotes)
    names = markets.seed_names(setting, rows, quotes)
    missing = sorted({name.strip().upper() for name in setting.split(",") if name.strip()} - set(names))
    if missing:
        level = logging.WARNING if names else logging.ERROR
        logger.log(level, "SYMBOLS: %s does not trade %s against %s", market, ", ".join(missing), "/".join(quotes))
    return names


def _seed_live(chosen: Venue, market: str) -> list[str]:
    """The names whose books are live from the beginning, of those that are collected; the same on every market where
    they are counted by volume."""
    setting = settings.LIVE_SYMBOLS
    if setting == "none":
        return []
    if setting.startswith("top:"):
        counted = collected_symbols(SPOT, chosen.name) or collected_symbols(market, chosen.name)
        return [symbol.name for symbol in counted][: int(setting.removeprefix("top:"))]
    return [name.strip().upper() for name in setting.split(",")]


def _keep_limit(chosen: Venue, market: str, listings: Listings) -> None:
    weight = listings.weight_per_minute or chosen.default_weight[market]
    VenueLimit.objects.update_or_create(
        exchange=chosen.name,
        market=market,
        defaults={"weight_per_minute": weight, "checked_at": datetime.now(UTC)},
    )


def measure_clock(chosen: Venue, market: str) -> int | None:
    """Measures how far the exchange's clock is from ours and keeps it, milliseconds; None when it does not tell.

    Budgets count in the exchange's minutes, so a clock that is off would spend one minute's budget in another."""
    limits = budget_of(chosen, market)
    try:
        offset = ask(limits, chosen.clock_weight[market], lambda: chosen.fetch_clock_offset(market, 3), Priority.RESYNC)
    except (VenueError, NoLeave) as error:
        if isinstance(error, MarketHalted) and error.event:
            record([error.event])
        logger.info("%s %s: the clock was not read: %s", chosen.name, market, error)
        return None
    before = limits.offset_ms
    limits.offset_ms = offset = max(-(2**31), min(2**31 - 1, offset))
    VenueLimit.objects.filter(exchange=chosen.name, market=market).update(clock_offset_ms=offset)
    if abs(offset) > SKEW_MS and abs(offset - before) > SKEW_MS / 2:
        told = f"the exchange's clock is {offset / 1000:+.1f} s from ours"
        logger.warning("%s %s: %s", chosen.name, market, told)
        record([Event(Type.CLOCK_SKEW, told, market=market, metadata={"offset_ms": offset})])
    return offset
