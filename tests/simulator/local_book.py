"""A local book as the exchange's documentation tells clients to keep it: the tests' own, plain and strict."""

from typing import Any
from urllib.parse import quote

from simulator import books
from simulator.market import book_at, market_of
from simulator.prices import STEP
from tests.simulator.conftest import Server, Socket

DEPTH = {"spot": "/api/v3/depth", "futures": "/fapi/v1/depth"}
ADDRESS = {"spot": "/ws", "futures": "/public/ws"}


class Gap(Exception):
    """A diff that does not follow the one before it."""


class LocalBook:
    """Prices as texts, as they came; both sides as the exchange's rules leave them after each diff."""

    def __init__(self, market: str, snapshot: dict[str, Any]) -> None:
        self.market = market
        self.last = snapshot["lastUpdateId"]
        self.started = False
        self.sides = {side: dict(snapshot[side]) for side in ("bids", "asks")}

    def apply(self, diff: dict[str, Any]) -> bool:
        """Whether it was newer than the book. Raises Gap."""
        if self.market == "spot":
            if diff["u"] <= self.last:
                return False
            follows = diff["U"] <= self.last + 1 if not self.started else diff["U"] == self.last + 1
        elif not self.started:
            if diff["u"] < self.last:
                return False
            follows = diff["U"] <= self.last <= diff["u"]
        else:
            follows = diff["pu"] == self.last
        if not follows:
            raise Gap(f"{diff['U']} to {diff['u']} after {self.last}")
        self.started = True
        for side, key in (("bids", "b"), ("asks", "a")):
            for price, quantity in diff[key]:
                if float(quantity) == 0:
                    self.sides[side].pop(price, None)
                else:
                    self.sides[side][price] = quantity
        self.last = diff["u"]
        return True

    def numbers(self) -> tuple[dict[float, float], dict[float, float]]:
        bids, asks = ({float(p): float(q) for p, q in self.sides[side].items()} for side in ("bids", "asks"))
        return bids, asks


def follow(server: Server, market: str, symbol: str, stream: str, limit: int, diffs: int) -> LocalBook:
    """A book from a socket and a snapshot, after so many diffs that were applied."""
    path = f"{ADDRESS[market]}/{quote(symbol.lower())}@{stream}"
    with server.socket(path) as socket:
        buffered = socket.take(2)
        while True:
            snapshot = server.get(DEPTH[market], symbol=symbol, limit=limit).json()
            if snapshot["lastUpdateId"] >= buffered[0]["U"]:
                break
        book = LocalBook(market, snapshot)
        applied = sum(book.apply(diff) for diff in buffered)
        while applied < diffs:
            applied += book.apply(socket.receive())
    return book


def time_of(symbol: str, market: str, update_id: int) -> int:
    """When (ms) the simulated book had this id."""
    listing = market_of().listing(symbol, market)  # type: ignore[arg-type]
    zero, one = books.update_id(listing, 0), books.update_id(listing, 1)
    step, rest = divmod(update_id - zero, one - zero)
    assert rest == 0
    return step * STEP


def truth(symbol: str, market: str, update_id: int) -> tuple[dict[float, float], dict[float, float]]:
    """The simulated market's whole book at an id."""
    bids, asks = book_at(symbol, market, time_of(symbol, market, update_id), 10**7)  # type: ignore[arg-type]
    return dict(bids.tolist()), dict(asks.tolist())


__all__ = ["ADDRESS", "DEPTH", "Gap", "LocalBook", "Socket", "follow", "time_of", "truth"]
