"""Ten recorded minutes of each market through parser and live book: equal to a naive book, and to the exchange's own
best prices wherever the book says that it knows them."""

import gzip
import json
from bisect import bisect_right
from decimal import Decimal
from pathlib import Path

import pytest

from collector.exchanges.binance.frames import parse_frame
from depth.book import OrderBook, snapshot_from_levels
from depth.sync import BookSync
from tradingplatform.env import DEFAULT_BANDS

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded"
pytestmark = pytest.mark.skipif(not RECORDED.exists(), reason="the recordings are not beside this checkout")
BANDS = tuple(map(Decimal, DEFAULT_BANDS.split(",")))
LIMIT = 1000


class Naive:
    """The exchange's published rules, word by word, on two dicts."""

    def __init__(self, futures):
        self.futures = futures
        self.buffer, self.sides, self.id = [], None, None

    def take(self, data):
        if self.sides is None:
            self.buffer.append(data)
            return
        if data["u"] <= self.id:
            return
        assert (data["pu"] == self.id if self.futures else data["U"] == self.id + 1) or self.first
        self.first = False
        self.id = data["u"]
        for side, changes in zip(self.sides, (data["b"], data["a"]), strict=True):
            for price, quantity in changes:
                if Decimal(quantity):
                    side[price] = quantity
                else:
                    side.pop(price, None)

    def load(self, snapshot):
        self.sides = (dict(snapshot["bids"]), dict(snapshot["asks"]))
        self.id, self.first = snapshot["lastUpdateId"], True
        for data in self.buffer:
            self.take(data)

    def levels(self):
        bids, asks = ([(float(p), float(q)) for p, q in side.items()] for side in self.sides)
        return sorted(bids, reverse=True), sorted(asks)


def recorded(names):
    for name in names:
        with gzip.open(RECORDED / name) as file:
            for line in file:
                received, _, frame = line.strip().partition(b" ")
                yield int(received) / 1e9, frame


@pytest.mark.parametrize(
    ("market", "names", "diffs"),
    [
        ("SPOT", ["spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"], 6495),
        ("FUTURES", ["usdm_btcusdt_20240808.gz"], 6551),
    ],
)
def test_recorded_minutes(market, names, diffs):
    sync, naive = BookSync("BTCUSDT", market), Naive(market == "FUTURES")
    tickers, tops = {}, []
    count = 0
    for received_at, frame in recorded(names):
        if b'"lastUpdateId"' in frame[:20]:
            body = json.loads(frame)
            naive.load(body)
            sync.snapshot(snapshot_from_levels(body["bids"], body["asks"], LIMIT, body["lastUpdateId"], body.get("E")))
            assert sync.synced
        elif b"@depth" in frame[:40]:
            (diff,) = parse_frame(market, frame).messages
            assert sync.offer(diff, received_at).events == () or not sync.synced
            naive.take(json.loads(frame)["data"])
            count += 1
            if sync.synced:
                tops.append((sync.book.sequence, sync.book.best_bid, sync.book.best_ask))
            if count % 1000 == 0:
                assert sync.book.top(10_000) == naive.levels()
        elif b"@bookTicker" in frame[:40]:
            (ticker,) = parse_frame(market, frame).messages
            tickers[ticker.sequence] = (float(ticker.bid_price), float(ticker.ask_price))
    assert count == diffs
    assert sync.resyncs == 0
    assert sync.book.sequence == naive.id
    assert sync.book.top(10_000) == naive.levels()
    assert len(tops) > 0.8 * diffs  # the price walks out of what 1000 levels told, and back
    told = sorted(tickers)
    for sequence, *best in tops:
        if sequence >= told[0]:
            assert tickers[told[bisect_right(told, sequence) - 1]] == tuple(best)


def five_thousand():
    """Two snapshots of 5000 levels a side, as (bids, asks) texts."""
    path = RECORDED / "spot_btcusdt_5000_levels_2025-04-14.csv"
    lines = [line.split(",") for line in path.read_text().splitlines() if line and not line.startswith("#")]
    books = {}
    for row in lines[1:]:
        books.setdefault(int(row[2]), ([], []))[int(row[3])].append((row[4], row[5]))
    return sorted(books.items())


@pytest.mark.parametrize("limit", [100, 1000, 4999])
def test_flags_of_a_part_of_the_recorded_book_tell_where_it_is_all(limit):
    for sequence, (bids, asks) in five_thousand():
        book, whole = OrderBook(), OrderBook()
        book.load(snapshot_from_levels(bids[:limit], asks[:limit], limit, sequence))
        whole.load(snapshot_from_levels(bids, asks, 5000, sequence))
        seen = set()
        for part, full in zip(book.measure(BANDS), whole.measure(BANDS), strict=True):
            for name in ("bid", "ask"):
                volume, complete = getattr(part, f"{name}_volume"), getattr(part, f"{name}_complete")
                truth = getattr(full, f"{name}_volume")
                assert volume == pytest.approx(truth, rel=1e-12) if complete else volume <= truth * (1 + 1e-12)
                assert not complete or getattr(full, f"{name}_complete")
                seen.add(complete)
        assert False in seen
        assert (True in seen) is (limit >= 1000)


def test_deepening_the_recorded_book_makes_it_the_deep_one():
    for sequence, (bids, asks) in five_thousand():
        book, deep = OrderBook(), OrderBook()
        book.load(snapshot_from_levels(bids[:1000], asks[:1000], 1000, sequence))
        snapshot = snapshot_from_levels(bids, asks, 5000, sequence)
        deep.load(snapshot)
        merged = book.merged(snapshot, ())
        assert merged.top(10_000) == deep.top(10_000)
        assert merged.measure(BANDS) == deep.measure(BANDS)
        assert merged.reach() == deep.reach()
