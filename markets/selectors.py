"""The only way out of the registry: what is listed, what is collected, and one symbol by name and market."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

from django.db.models import Q

from markets.errors import NotCollected, UnknownSymbol
from markets.listings import TRADING
from markets.models import Symbol


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """One symbol name. Tick, lot and status are those of SPOT where it is listed there; `collected` and `live`
    are true when they are on any market; `markets` are those that list it, SPOT first."""

    symbol: str
    base: str
    quote: str
    markets: list[str]
    tick_size: Decimal
    lot_size: Decimal
    status: str
    collected: bool
    live: bool


def registry(search: str = "", collected: bool | None = None) -> list[RegistryEntry]:
    """Symbols by name whose name or base holds `search` (any case); all, or those (not) collected. One query."""
    if "\x00" in search:  # the one character that no text of the database can hold
        return []
    found = Symbol.objects.filter(Q(name__icontains=search) | Q(base__icontains=search)) if search else Symbol.objects
    rows = found.order_by("name", "-market", "exchange")
    entries = (_entry(group) for _, group in groupby(rows, key=lambda row: row.name))
    return [entry for entry in entries if collected is None or entry.collected == collected]


def _entry(group: Iterable[Symbol]) -> RegistryEntry:
    rows = list(group)
    first = rows[0]
    return RegistryEntry(
        symbol=first.name,
        base=first.base,
        quote=first.quote,
        markets=list(dict.fromkeys(row.market for row in rows)),
        tick_size=first.tick_size,
        lot_size=first.lot_size,
        status=first.status,
        collected=any(row.collected for row in rows),
        live=any(row.live for row in rows),
    )


def collected_symbols(market: str, exchange: str = "binance") -> list[Symbol]:
    """The symbols that are polled on a market (collected, and trading now), largest 24 h volume first."""
    chosen = Symbol.objects.filter(exchange=exchange, market=market, collected=True, status=TRADING)
    return list(chosen.order_by("-quote_volume", "name"))


def collected_pairs(wanted: Iterable[tuple[str, str]], exchange: str = "binance") -> dict[tuple[str, str], Symbol]:
    """The collected symbol of each pair (base, quote), on SPOT where it is there; pairs without one are left out."""
    asked = set(wanted)
    rows = Symbol.objects.filter(exchange=exchange, collected=True, base__in={base for base, _ in asked})
    return {(row.base, row.quote): row for row in rows.order_by("market", "-name") if (row.base, row.quote) in asked}


def find(name: str, market: str, exchange: str = "binance") -> Symbol:
    """The collected symbol of this exact name on this market, whether it trades at the moment or not.

    Raises UnknownSymbol when no market lists the name, NotCollected when it is not collected on this one."""
    rows: list[Symbol] = [] if "\x00" in name else list(Symbol.objects.filter(exchange=exchange, name=name))
    if not rows:
        raise UnknownSymbol(name)
    for row in rows:
        if row.market == market and row.collected:
            return row
    raise NotCollected(name, market)
