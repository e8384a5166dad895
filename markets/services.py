"""The only way into the registry: the exchange's listings, what is collected, and how each collection went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction

from markets.errors import NotCollectable, UnknownSymbol
from markets.listings import DELISTED, STABLE_BASES, TRADING, SymbolListing
from markets.models import Market, Symbol

LISTED = ("base", "quote", "tick_size", "lot_size", "status", "quote_volume")

RECORD = """
    WITH outcome AS (
        SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::float8[], %s::float8[],
                             %s::int[], %s::int[], %s::text[], %s::timestamptz[])
            AS o(exchange, market, name, minute, bid_reach, ask_reach, bid_levels, ask_levels, error, at)
    ), locked AS (
        SELECT s.id, o.* FROM symbols s JOIN outcome o USING (exchange, market, name)
        ORDER BY s.id FOR UPDATE OF s
    )
    UPDATE symbols s SET
        last_minute = CASE WHEN o.error IS NULL THEN GREATEST(s.last_minute, o.minute) ELSE s.last_minute END,
        bid_reach = CASE WHEN o.error IS NULL THEN o.bid_reach ELSE s.bid_reach END,
        ask_reach = CASE WHEN o.error IS NULL THEN o.ask_reach ELSE s.ask_reach END,
        bid_levels = COALESCE(o.bid_levels, s.bid_levels),
        ask_levels = COALESCE(o.ask_levels, s.ask_levels),
        failures = CASE WHEN o.error IS NULL THEN 0 ELSE s.failures + 1 END,
        last_error = COALESCE(o.error, s.last_error),
        last_error_at = CASE WHEN o.error IS NULL THEN s.last_error_at ELSE o.at END
    FROM locked o WHERE s.id = o.id
"""


@dataclass(frozen=True, slots=True)
class CollectionOutcome:
    """How one symbol's minute went: `error` is None when its book was stored. Reaches are percent, None when the
    whole side was known."""

    exchange: str
    market: str
    name: str
    minute: datetime
    at: datetime
    error: str | None = None
    bid_reach: float | None = None
    ask_reach: float | None = None
    bid_levels: int | None = None
    ask_levels: int | None = None


def upsert_symbols(rows: Sequence[SymbolListing], exchange: str = "binance") -> int:
    """Adds what is new and changes what differs; never what people have set. Gives how many rows were written.

    A listing without a volume keeps the volume that is known."""
    keys = {(row.market, row.name): row for row in rows}
    with transaction.atomic():
        known = Symbol.objects.select_for_update().filter(exchange=exchange, market__in={key[0] for key in keys})
        changed: list[Symbol] = []
        for symbol in known.order_by("id"):
            listing = keys.pop((symbol.market, symbol.name), None)
            if listing is not None and _apply(symbol, listing):
                changed.append(symbol)
        added = [_new(exchange, listing) for listing in keys.values()]
        Symbol.objects.bulk_create(added, batch_size=1000)
        Symbol.objects.bulk_update(changed, LISTED, batch_size=500)
    return len(added) + len(changed)


def _new(exchange: str, listing: SymbolListing) -> Symbol:
    symbol = Symbol(exchange=exchange, market=listing.market, name=listing.name)
    _apply(symbol, listing)
    return symbol


def _apply(symbol: Symbol, listing: SymbolListing) -> bool:
    """Brings the row to what the listing says; whether anything differed."""
    differs = False
    for field in LISTED:
        value = getattr(listing, field)
        if value is not None and getattr(symbol, field) != value:
            setattr(symbol, field, value)
            differs = True
    return differs


def mark_delisted(market: str, listed: Sequence[str], exchange: str = "binance") -> int:
    """Gives the status DELISTED to symbols of the market that are not `listed` any more; they stay as chosen as they
    were, should they come back. An empty listing is nobody's truth and changes nothing."""
    if not listed:
        return 0
    gone = Symbol.objects.filter(exchange=exchange, market=market).exclude(name__in=listed).exclude(status=DELISTED)
    changed: int = gone.update(status=DELISTED)
    return changed


def set_collected(names: Sequence[str], collected: bool, exchange: str = "binance") -> list[str]:
    """Switches collection of symbols on or off on every market where each trades; gives their names, each once.

    All or nothing: raises UnknownSymbol for a name that the registry does not know, and NotCollectable (one of its
    kind) when switching on what trades nowhere or is quoted in another asset than QUOTE_ASSETS."""
    unique = list(dict.fromkeys(names))
    with transaction.atomic():
        found = Symbol.objects.select_for_update().filter(exchange=exchange, name__in=_storable(unique)).order_by("id")
        by_name: dict[str, list[Symbol]] = {}
        for row in found:
            by_name.setdefault(row.name, []).append(row)
        chosen = [row.pk for name in unique for row in _switchable(name, by_name.get(name, []), collected)]
        Symbol.objects.filter(pk__in=chosen).exclude(collected=collected).update(collected=collected)
    return unique


def _storable(names: Sequence[str]) -> list[str]:
    return [name for name in names if "\x00" not in name]


def _switchable(name: str, rows: list[Symbol], collected: bool) -> list[Symbol]:
    if not rows:
        raise UnknownSymbol(name)
    if not collected:
        return rows
    if rows[0].quote not in settings.QUOTE_ASSETS:
        raise NotCollectable(name, f"{name} is quoted in {rows[0].quote}; only {', '.join(settings.QUOTE_ASSETS)} is")
    trading = [row for row in rows if row.status == TRADING]
    if not trading:
        raise NotCollectable(name, f"{name} does not trade: its status is {rows[0].status}")
    return trading


def seed_names(setting: str, listings: Sequence[SymbolListing], quotes: Sequence[str]) -> list[str]:
    """The names that `SYMBOLS` chooses among one market's listings (pure): those of a list that are listed, or the
    `top:N` by 24 h volume whose base is no stablecoin. Only what trades against one of `quotes`."""
    able = [row for row in listings if row.status == TRADING and row.quote in quotes]
    if not setting.startswith("top:"):
        wanted = {name.strip().upper() for name in setting.split(",")}
        return sorted(row.name for row in able if row.name in wanted)
    ranked = sorted(able, key=lambda row: (-(row.quote_volume or 0), row.name))
    return [row.name for row in ranked if row.base not in STABLE_BASES][: int(setting.removeprefix("top:"))]


def seed_collected(market: str, names: Sequence[str], exchange: str = "binance") -> int:
    """Switches on those of `names` that trade on this market against a collected quote asset; gives how many."""
    able = Symbol.objects.filter(exchange=exchange, market=market, status=TRADING, quote__in=settings.QUOTE_ASSETS)
    switched: int = able.filter(name__in=names).update(collected=True)
    return switched


def set_live(keys: Sequence[int], live: bool) -> int:
    """Makes the order books of these rows of the registry (primary keys) live, or no longer; gives how many changed.
    Only collected symbols can be live. The feed follows within seconds."""
    able = Symbol.objects.filter(pk__in=keys)
    changed: int = (able.filter(collected=True) if live else able).exclude(live=live).update(live=live)
    return changed


def seed_live(market: str, names: Sequence[str], exchange: str = "binance") -> int:
    """Makes the order books of those of `names` live that are collected on this market; gives how many."""
    able = Symbol.objects.filter(exchange=exchange, market=market, collected=True, name__in=names)
    switched: int = able.update(live=True)
    return switched


def known_markets(exchange: str = "binance") -> set[str]:
    """The markets of which the registry holds any symbol."""
    return {market for market in Market.values if Symbol.objects.filter(exchange=exchange, market=market).exists()}


def set_depth_limits(limits: Mapping[int, int | None]) -> None:
    """Stores the levels to ask for on each side, by the symbol's primary key (None: does not fit the budget)."""
    Symbol.objects.bulk_update([Symbol(pk=key, depth_limit=limit) for key, limit in limits.items()], ["depth_limit"])


def record_collection(outcomes: Sequence[CollectionOutcome]) -> None:
    """Writes how each symbol's minute went, in one statement; names that are not in the registry are left out."""
    if not outcomes:
        return
    columns = zip(
        *(
            (
                o.exchange,
                o.market,
                o.name,
                o.minute,
                o.bid_reach,
                o.ask_reach,
                o.bid_levels,
                o.ask_levels,
                o.error,
                o.at,
            )
            for o in outcomes
        ),
        strict=True,
    )
    with connection.cursor() as cursor:
        cursor.execute(RECORD, [list(column) for column in columns])
