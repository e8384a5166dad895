"""Between the last 24 hours and the hub on the simulated data's way: what REST tells of them, as streams."""

from typing import Any

import msgspec

from simulator.answers import Context, ticker_24hr
from simulator.beats import Beat
from simulator.exchange import Exchange
from simulator.listings import Listing, Market
from simulator.parameters import Parameters

# The stream's letter for each of REST's names; those that a market does not tell are left out.
_LETTERS = {
    "priceChange": "p", "priceChangePercent": "P", "weightedAvgPrice": "w", "prevClosePrice": "x", "lastPrice": "c",
    "lastQty": "Q", "bidPrice": "b", "bidQty": "B", "askPrice": "a", "askQty": "A", "openPrice": "o", "highPrice": "h",
    "lowPrice": "l", "volume": "v", "quoteVolume": "q", "openTime": "O", "closeTime": "C", "firstId": "F",
    "lastId": "L", "count": "n",
}  # fmt: skip
_MINI = ("c", "o", "h", "l", "v", "q")


class TickerSource:
    """The last 24 hours of one symbol, one object a message, or of all whose figures changed, one array a message."""

    def __init__(self, exchange: Exchange, market: Market, listings: list[Listing], beat: Beat, *,
                 mini: bool, every: bool) -> None:  # fmt: skip
        self._exchange, self._market, self._listings, self._beat = exchange, market, listings, beat
        self._mini, self._every = mini, every
        self._told: dict[str, Any] = {}

    def due(self, now: int) -> list[bytes]:
        found = []
        for moment in self._beat.since(now):
            trading = [one for one in self._listings if not one.closed_at or moment < one.closed_at]
            bodies = [self._body(one, moment, now) for one in trading]
            if self._every:
                changed = [body for body in bodies if self._changed(body)]
                found += [msgspec.json.encode(changed)] if changed else []
            else:
                found += [msgspec.json.encode(body) for body in bodies]
        return found

    def _body(self, listing: Listing, moment: int, now: int) -> dict[str, Any]:
        context = Context(self._exchange, self._market, moment, Parameters(self._market, {}), [])
        figures = ticker_24hr(context, listing)
        letters = {letter: figures[name] for name, letter in _LETTERS.items() if name in figures}
        head = {"e": "24hrMiniTicker" if self._mini else "24hrTicker", "E": now, "s": listing.symbol}
        return head | ({letter: letters[letter] for letter in _MINI} if self._mini else letters)

    def _changed(self, body: dict[str, Any]) -> bool:
        figures = tuple(body[letter] for letter in _MINI)
        changed = self._told.get(body["s"]) != figures
        self._told[body["s"]] = figures
        return changed
