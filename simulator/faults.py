"""Around every answer and message: what was asked to go wrong, for whom, how often and how long. Pure.

docs/simulator.md lists the kinds with their options."""

from collections.abc import Iterator
from random import Random
from typing import Literal

import msgspec

from simulator.listings import Market

Kind = Literal[
    "429", "418", "403", "451", "5xx", "timeout", "slow", "disconnect", "truncate", "malformed", "unknown_symbol",
    "crossed", "empty_side", "skew", "late_snapshot",
    "drop", "double", "reorder", "corrupt", "stall", "refuse", "cut", "shutdown",
]  # fmt: skip
BOOK_KINDS = {"crossed", "empty_side", "late_snapshot"}
MESSAGE_KINDS = {"drop", "double", "reorder", "corrupt", "stall"}  # of sockets, met by each message
AT_ONCE = {"cut", "shutdown"}  # of sockets: done when they are asked for
SOCKET_KINDS = {*MESSAGE_KINDS, *AT_ONCE, "refuse"}
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
    age_ms: int = 2000  # late_snapshot
    stream: str | None = None  # of messages and connections: a stream's name, or how it ends
    connection: int | None = None
    how: Literal["close", "abort", "hang", "json", "types"] | None = None  # cut, refuse, corrupt
    ends_at: int | None = None
    banned_until: int = 0
    met: int = 0

    def matches(self, market: Market, path: str, symbol: str | None) -> bool:
        """Whether a REST request meets it."""
        if self.kind in SOCKET_KINDS or (self.kind in BOOK_KINDS and not path.endswith("/depth")):
            return False
        return self._here(market, path) and (self.symbol is None or self.symbol == symbol)

    def _here(self, market: Market, path: str) -> bool:
        return self.market in (None, market) and (self.path is None or path.endswith(self.path))

    def whole(self) -> bool:
        """Whether it meets connections as such, whatever streams they carry."""
        return self.stream is None and self.symbol is None

    def always(self) -> bool:
        """Whether it meets everything on the connections that it is meant for."""
        return self.whole() and self.probability == 1.0 and self.count is None

    def on_connection(self, market: Market, path: str, number: int) -> bool:
        return self._here(market, path) and self.connection in (None, number)

    def on_stream(self, name: str, symbol: str) -> bool:
        return (self.stream is None or name.endswith(self.stream)) and self.symbol in (None, symbol)


_HOW: dict[str, tuple[str | None, ...]] = {
    "cut": (None, "abort", "close"),
    "refuse": (None, "abort", "hang"),
    "corrupt": (None, "json", "types"),
}


class InvalidFault(ValueError):
    """A fault that cannot be; the message says why."""


def _checked(fault: Fault) -> Fault:
    if not 0.0 < fault.probability <= 1.0:
        raise InvalidFault("probability is above 0 and at most 1")
    if fault.count is not None and fault.count < 1:
        raise InvalidFault("count is at least 1")
    if any(value is not None and value <= 0 for value in (fault.seconds, fault.ban_seconds, fault.delay, fault.age_ms)):
        raise InvalidFault("seconds, ban_seconds, delay and age_ms are above 0")
    if fault.how not in _HOW.get(fault.kind, (None,)):
        raise InvalidFault(f"how is one of {_HOW[fault.kind]}" if fault.kind in _HOW else f"{fault.kind} has no how")
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
        if fault.kind not in AT_ONCE:
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
            if not self.meets(fault):
                continue
            yield fault
            if fault.kind not in _ADDED:
                return

    def meets(self, fault: Fault) -> bool:
        """Draws whether one of those whom a fault is meant for meets it, and counts the one that does."""
        if fault.probability < 1.0 and self._random.random() >= fault.probability:
            return False
        fault.met += 1
        if fault.count is not None:
            fault.count -= 1
            if fault.count == 0:
                self._active.pop(fault.id, None)
        return True

    def of(self, kinds: set[str], now: int) -> list[Fault]:
        """The active ones of these kinds."""
        return [one for one in self.active(now) if one.kind in kinds] if self._active else []

    def choose(self, among: int) -> int:
        """A number below `among`, by the seed."""
        return self._random.randrange(among)

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
