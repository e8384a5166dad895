"""What each program does with a file of depth frames: run by the measurement of books, in the peers' own environment.

Prints one JSON line: the seconds that it took one core to decode, check for gaps, apply, and sum all bands at every
message, and the last sums. Written as one would with that program's own book; the rest is the same for all."""

import json
import sys
from itertools import zip_longest
from pathlib import Path
from time import process_time

BANDS = (0.1, 0.25, 0.5, 1, 1.5, 3, 5, 8, 15, 30)


def sums(levels, sign):
    """(volume, value) within each band, in one pass over levels that come best first."""
    found, volume, value, bounds = [], 0.0, 0.0, None
    for price, quantity in levels:
        if bounds is None:
            # A hair wider, for a level on the bound is inside; floats alone would drop some.
            bounds = [price * (1 - sign * (band / 100 + 1e-12)) for band in BANDS]
        while (price - bounds[len(found)]) * sign < 0:
            found.append((volume, value))
            if len(found) == len(bounds):
                return found
        volume += quantity
        value += price * quantity
    return found + [(volume, value)] * (len(BANDS) - len(found))


class PythonBinance:
    def __init__(self, bids, asks):
        from binance.ws.depthcache import DepthCache

        self.book = DepthCache("BTCUSDT")
        self.apply(bids, asks)

    def apply(self, bids, asks):
        for bid in bids:
            self.book.add_bid(bid)
        for ask in asks:
            self.book.add_ask(ask)

    def sides(self):
        return self.book.get_bids(), self.book.get_asks()


class Ccxt:
    def __init__(self, bids, asks):
        from ccxt.async_support.base.ws.order_book import OrderBook

        self.book = OrderBook({"bids": numbers(bids), "asks": numbers(asks)})

    def apply(self, bids, asks):
        for side, levels in ((self.book["bids"], bids), (self.book["asks"], asks)):
            for level in numbers(levels):
                side.storeArray(level)

    def sides(self):
        return self.book["bids"], self.book["asks"]


class Cryptofeed:
    """Its book is the package order-book; floats here, where it has Decimals, which would be slower."""

    def __init__(self, bids, asks):
        from order_book import OrderBook

        self.book = OrderBook()
        self.apply(bids, asks)

    def apply(self, bids, asks):
        for side, levels in ((self.book.bids, bids), (self.book.asks, asks)):
            for price, quantity in numbers(levels):
                if quantity:
                    side[price] = quantity
                elif price in side:
                    del side[price]

    def sides(self):
        return self.book.bids.to_list(), self.book.asks.to_list()


def numbers(levels):
    return [[float(price), float(quantity)] for price, quantity in levels]


PROGRAMS = {"python-binance": PythonBinance, "ccxt": Ccxt, "cryptofeed": Cryptofeed}


def main(name, path):
    first, *frames = Path(path).read_bytes().splitlines()
    snapshot = json.loads(first)
    book, last = PROGRAMS[name](snapshot["bids"], snapshot["asks"]), snapshot["lastUpdateId"]
    start = process_time()
    for frame in frames:
        data = json.loads(frame)["data"]
        if data["u"] <= last:
            continue
        if data.get("pu", data["U"] - 1) > last:
            raise SystemExit("a gap")
        last = data["u"]
        book.apply(data["b"], data["a"])
        told = [sums(side, sign) for side, sign in zip(book.sides(), (1, -1), strict=True)]
    seconds = process_time() - start
    rows = [[*bid, *ask] for bid, ask in zip_longest(*told)]
    print(json.dumps({"seconds": seconds, "sums": rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])
