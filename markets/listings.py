"""A venue's word about one symbol, on its way into the registry; and which assets stand for a currency (pure)."""

from dataclasses import dataclass
from decimal import Decimal

TRADING = "TRADING"
DELISTED = "DELISTED"

# Bases that follow a currency: their books say nothing about demand, so `top:N` leaves them out.
# fmt: off
STABLE_BASES = frozenset(
    (
        "USDT", "USDC", "FDUSD", "TUSD", "BUSD", "DAI", "USDP", "USD1", "USDE", "XUSD", "BFUSD", "RLUSD", "USDD",
        "USDS", "PYUSD", "GUSD", "SUSD", "USTC", "UST", "PAX", "EUR", "EURI", "AEUR", "GBP", "AUD", "TRY", "BRL",
        "JPY", "USD", "EURT", "USDSB", "USDQ", "USDY"
    )
)
# fmt: on


@dataclass(frozen=True, slots=True)
class SymbolListing:
    """One symbol on one market as the exchange lists it. `status` is the exchange's own word; `quote_volume` is of
    the last 24 h in the quote asset, None when it is not known."""

    market: str
    name: str
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    status: str
    quote_volume: float | None = None
