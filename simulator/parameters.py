"""Between a request and its answer: a query's parameters, read as strictly as the exchange reads them."""

import re
from collections.abc import Mapping

import msgspec

from simulator import errors
from simulator.listings import Market

SYMBOL = "^[A-Z0-9-_.]{1,20}$"
SYMBOLS = '^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$'
NUMBER = "^[0-9]{1,20}$"
_SYMBOL, _SYMBOLS, _NUMBER = (re.compile(text.replace("9-_", r"9\-_")) for text in (SYMBOL, SYMBOLS, NUMBER))


class Parameters:
    """One request's parameters. Every method raises ApiError where the exchange would refuse."""

    def __init__(self, market: Market, sent: Mapping[str, str]) -> None:
        self.market = market
        self.sent = sent

    def only(self, *names: str) -> None:
        """Spot refuses parameters that it does not know; futures ignores them."""
        known = sum(name in names for name in self.sent)
        if self.market == "spot" and known < len(self.sent):
            raise errors.unread(known, len(self.sent))

    def text(self, name: str) -> str | None:
        value = self.sent.get(name)
        if value == "" and self.market == "spot":
            raise errors.empty(name)
        return value or None

    def symbol(self) -> str | None:
        """Names on spot have a fixed alphabet; on futures any name may be asked for."""
        value = self.text("symbol")
        if value is not None and self.market == "spot" and not _SYMBOL.match(value):
            raise errors.illegal("symbol", SYMBOL)
        return value

    def required_symbol(self) -> str:
        value = self.symbol()
        if value is None:
            raise errors.missing("symbol")
        return value

    def symbols(self) -> list[str] | None:
        """`symbols=["BTCUSDT","ETHUSDT"]`, on spot."""
        value = self.text("symbols")
        if value is None:
            return None
        if self.sent.get("symbol"):
            raise errors.bad_combination()
        if not _SYMBOLS.match(value):
            raise errors.illegal("symbols", SYMBOLS)
        return list(dict.fromkeys(msgspec.json.decode(value, type=list[str])))

    def number(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not _NUMBER.match(value):
            raise errors.illegal(name, NUMBER)
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """Above the most spot gives the most, and futures refuses."""
        value = self.number("limit")
        if value is None:
            return default
        if value == 0 or (value > most and self.market == "futures"):
            raise errors.not_valid("limit")
        return min(value, most)


def loose_number(sent: Mapping[str, str], name: str, default: int) -> int:
    """For a request's weight, which is charged before its parameters are checked."""
    value = sent.get(name, "")
    return int(value) if _NUMBER.match(value) else default
