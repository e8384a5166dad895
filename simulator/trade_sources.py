"""Between the trades and the hub on the simulated data's way: aggregated trades and candles as streams."""

import numpy as np

from simulator import encode
from simulator.beats import Beat, quoted
from simulator.candles import Candle, number_at, opens_at, trade_ids
from simulator.listings import Listing
from simulator.market import SimulatedMarket
from simulator.prices import STEP, STEPS
from simulator.trades import Trades, minute_trades

_MOST_CLOSED = 5


class AggTradeSource:
    """Every aggregated trade once, as soon as it is known."""

    def __init__(self, market: SimulatedMarket, listing: Listing, now: int) -> None:
        self.listing = listing
        self._market, self._beat = market, Beat(STEP, now)
        self._last = now // STEP

    def due(self, now: int) -> list[bytes]:
        moments = self._beat.since(now)
        if not moments:
            return []
        step = self.listing.trades_until(moments[-1]) // STEP
        first = self._last + 1 if len(moments) > 1 or step - self._last < STEPS else step
        self._last = step
        found: list[bytes] = []
        for number in range(first // STEPS, step // STEPS + 1):
            trades = minute_trades(self.listing, self._market.seed, number)
            begin, end = np.searchsorted(trades.steps, (first, step + 1))
            found += self._messages(trades.part(int(begin), int(end)), now)
        return found

    def _messages(self, trades: Trades, now: int) -> list[bytes]:
        symbol = quoted(self.listing.symbol)
        found = []
        for one in encode.agg_trades(self.listing, trades):
            texts = (one["p"].encode(), one["q"].encode())
            ids = (one["f"], one["l"], one["T"], b"true" if one["m"] else b"false")
            if self.listing.market == "spot":
                found.append(
                    b'{"e":"aggTrade","E":%d,"s":%b,"a":%d,"p":"%b","q":"%b","f":%d,"l":%d,"T":%d,"m":%b,"M":true}'
                    % (now, symbol, one["a"], *texts, *ids)
                )
            else:
                found.append(
                    b'{"e":"aggTrade","E":%d,"a":%d,"s":%b,"p":"%b","q":"%b","nq":"%b","f":%d,"l":%d,"T":%d,"m":%b,'
                    b'"st":1}' % (now, one["a"], symbol, *texts, texts[1], *ids)
                )
        return found


class KlineSource:
    """The open candle when it changed, at most once in a period; each candle once more when it has closed."""

    def __init__(self, market: SimulatedMarket, listing: Listing, interval: str, period: int, now: int) -> None:
        self.listing, self.interval = listing, interval
        self._market, self._beat = market, Beat(period, now)
        self._number = number_at(interval, now)
        self._told: Candle | None = None

    def due(self, now: int) -> list[bytes]:
        moments, number = self._beat.since(now), number_at(self.interval, now)
        if self.listing.closed_at and now >= self.listing.closed_at:
            return []
        found = []
        for closed in range(max(self._number, number - _MOST_CLOSED), number):
            begin, end = opens_at(self.interval, closed), opens_at(self.interval, closed + 1)
            [whole] = self._candles(begin, end)
            found.append(self._message(whole, now, end - 1, closed=True))
        self._number = number
        if moments:
            [candle] = self._candles(opens_at(self.interval, number), now)
            if candle != self._told:
                self._told = candle
                found.append(self._message(candle, now, now, closed=False))
        return found

    def _candles(self, begin: int, now: int) -> list[Candle]:
        return self._market.candles(self.listing, self.interval, now, 1, begin, begin)

    def _message(self, candle: Candle, now: int, known: int, *, closed: bool) -> bytes:
        first, last = trade_ids(self.listing, self._market.seed, candle.open_time, known)
        symbol, row = quoted(self.listing.symbol), encode.kline(self.listing, candle)
        names = ("o", "h", "l", "c", "v", "q", "V", "Q")
        texts = dict(zip(names, (*row[1:6], row[7], row[9], row[10]), strict=True))
        o, h, low, c, v, q, taker, taker_quote = (texts[name].encode() for name in names)
        return (
            b'{"e":"kline","E":%d,"s":%b,"k":{"t":%d,"T":%d,"s":%b,"i":"%b","f":%d,"L":%d,"o":"%b","c":"%b","h":"%b",'
            b'"l":"%b","v":"%b","n":%d,"x":%b,"q":"%b","V":"%b","Q":"%b","B":"0"}}'
            % (now, symbol, candle.open_time, candle.close_time, symbol, self.interval.encode(), first, last, o, c, h,
               low, v, candle.trades, b"true" if closed else b"false", q, taker, taker_quote)
        )  # fmt: skip
