"""Around every answer: what was asked to go wrong, for whom, how often and how long. Pure.

docs/simulator.md lists the kinds with their options."""

from collections.abc import Iterator
from random import Random
from typing import Literal

import msgspec

from simulator.listings import Market

Kind = Literal[
    "429", "418", "403", "451", "5xx", "timeout", "slow", "disconnect", "truncate", "malformed", "unknown_symbol",
    "crossed", "empty_side", "skew",
]  # fmt: skip
BOOK_KINDS = {"crossed", "empty_side"}
_ADDED = {"slow", *BOOK_KINDS}  # kinds that leave room for another one in the same answer


class Fault(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One thing that goes wrong. Without market, symbol or path it meets every request; `path` is the end of one.

    It meets a request with `probability`, at most `count` requests, for `seconds`. The rest belongs to single kinds.
    """

    kind: Kind
    id: int = 0
    market: Market | None = None
    symbol: str | None = None
    path: str | None = None
    probability: float = 1.0
    count: int | None = None
    seconds: float | None = None
    status: int = 503  # 5xx
    retry_after: int | msgspec.UnsetType | None = msgspec.UNSET  # 429 and 418; null: no header
    ban_seconds: float = 120.0  # 418
    delay: float = 5.0  # slow
    side: Literal["bid", "ask"] = "bid"  # empty_side
    offset_ms: int = 0  # skew
    ends_at: int | None = None
    banned_until: int = 0
    met: int = 0

    def matches(self, market: Market, path: str, symbol: str | None) -> bool:
        if self.kind in BOOK_KINDS and not path.endswith("/depth"):
            return False
        return (
            self.market in (None, market)
            and (self.symbol is None or self.symbol == symbol)
            and (self.path is None or path.endswith(self.path))
        )


class InvalidFault(ValueError):
    """A fault that cannot be; the message says why."""


def _checked(fault: Fault) -> Fault:
    if not 0.0 < fault.probability <= 1.0:
        raise InvalidFault("probability is above 0 and at most 1")
    if fault.count is not None and fault.count < 1:
        raise InvalidFault("count is at least 1")
    if any(value is not None and value <= 0 for value in (fault.seconds, fault.ban_seconds, fault.delay)):
        raise InvalidFault("seconds, ban_seconds and delay are above 0")
    if not 500 <= fault.status <= 599:
        raise InvalidFault("status is 500 to 599")
    if fault.kind == "unknown_symbol" and fault.symbol is None:
        raise InvalidFault("unknown_symbol needs a symbol")
    if fault.kind == "skew" and not fault.offset_ms:
        raise InvalidFault("skew needs an offset_ms other than 0")
    return fault


class Faults:
    """The active faults. `now` is the machine's time in ms, which no fault moves."""

    def __init__(self, seed: int = 7) -> None:
        self._random = Random(seed)
        self._active: dict[int, Fault] = {}
        self._next_id = 1

    def add(self, body: bytes, now: int) -> Fault:
        """A fault from JSON. Raises InvalidFault."""
        try:
            fault = _checked(msgspec.json.decode(body, type=Fault))
        except msgspec.DecodeError as error:
            raise InvalidFault(str(error)) from error
        fault.id, self._next_id = self._next_id, self._next_id + 1
        fault.met = 0
        fault.banned_until = now + int(fault.ban_seconds * 1000) if fault.kind == "418" else 0
        fault.ends_at = now + int(fault.seconds * 1000) if fault.seconds is not None else fault.banned_until or None
        self._active[fault.id] = fault
        return fault

    def active(self, now: int) -> list[Fault]:
        for fault in [one for one in self._active.values() if one.ends_at is not None and one.ends_at <= now]:
            del self._active[fault.id]
        return list(self._active.values())

    def clear(self, fault_id: int | None = None) -> int:
        """Ends one fault or all; how many there were."""
        gone = [one for one in self._active if fault_id in (None, one)]
        for one in gone:
            del self._active[one]
        return len(gone)

    def meet(self, market: Market, path: str, symbol: str | None, now: int) -> Iterator[Fault]:
        """The faults that this request meets, in the order of asking, up to one that decides its answer."""
        if not self._active:
            return
        for fault in self.active(now):
            if fault.kind == "skew" or not fault.matches(market, path, symbol):
                continue
            if fault.probability < 1.0 and self._random.random() >= fault.probability:
                continue
            fault.met += 1
            if fault.count is not None:
                fault.count -= 1
                if fault.count == 0:
                    del self._active[fault.id]
            yield fault
            if fault.kind not in _ADDED:
                return

    def skew(self, market: Market, now: int) -> int:
        """How far the market's clock is off (ms)."""
        if not self._active:
            return 0
        return sum(one.offset_ms for one in self.active(now) if one.kind == "skew" and one.market in (None, market))

    def hidden(self, market: Market, now: int) -> set[str]:
        """Symbols that the market no longer knows."""
        if not self._active:
            return set()
        kinds = (one for one in self.active(now) if one.kind == "unknown_symbol" and one.market in (None, market))
        return {one.symbol for one in kinds if one.symbol is not None and one.path is None}
