"""Pointed by variables alone at a server that speaks Binance, the platform stores a first minute that is exact."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.depth.test_volumes import BANDS, RECORDED, exact
from tests.platform.exchange import FixedBooks
from tests.platform.running import Platform

SHORT, LONG = "ETHUSDT", "BTCUSDT"
BIDS = [("100.00", "1.5"), ("99.90", "2"), ("99.50", "0.25"), ("95.00", "10"), ("70.00", "3")]
ASKS = [("100.10", "1"), ("100.2001", "4"), ("101.1010", "2"), ("130.13", "7"), ("200", "1")]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@dataclass
class Told:
    """What the platform tells of a symbol after its first minute, and the book of which it had read `limit` levels."""

    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    limit: int
    rows: list[dict[str, Any]]
    spot: dict[str, Any]
    chart: dict[str, Any]


def recorded_books():
    rows = [line.split(",") for line in RECORDED.read_text().splitlines() if line[:1].isdigit()]
    first = [row for row in rows if row[2] == rows[0][2]]
    return tuple([(row[4], row[5]) for row in first if row[3] == side] for side in "01")


@pytest.fixture(scope="module")
def first_minute(tmp_path_factory):
    """{symbol: Told} of one platform."""
    books = {SHORT: (BIDS, ASKS)} | ({LONG: recorded_books()} if RECORDED.exists() else {})
    closed = "http://127.0.0.1:9"
    with FixedBooks(books) as exchange:
        variables = {"BINANCE_SPOT_REST_URL": exchange.url, "BINANCE_FUTURES_REST_URL": closed}
        folder = tmp_path_factory.mktemp("first") / "data"
        with Platform("run", folder, SYMBOLS=",".join(books), **variables) as platform:
            return {
                symbol: Told(*book, *asked_of(platform, symbol, exchange.asked[symbol]))
                for symbol, book in books.items()
            }


def asked_of(platform, symbol, limits):
    path = f"/api/v1/snapshots?symbol={symbol}&marketType=SPOT"
    rows = platform.wait("the first stored minute", path, lambda body: body.get("count"))["data"]
    spot = platform.wait("its book", f"/api/v1/binance/spot?symbol={symbol}", lambda body: body.get("depthVolumes"))
    path = f"/api/v1/chart-data?symbol={symbol}&marketType=SPOT&depth=0.5&type=bid"
    chart = platform.wait("its chart", path, lambda body: body.get("count"))
    return limits[0], rows, spot, chart


def assert_is_exact(told):
    bids, asks = told.bids[: told.limit], told.asks[: told.limit]
    first = [row for row in told.rows if row["timestamp"] == told.rows[0]["timestamp"]]
    assert [row["depth"] for row in first] == [float(band) for band in BANDS]
    truth = zip(
        exact(bids, BANDS, -1, len(bids) < told.limit), exact(asks, BANDS, 1, len(asks) < told.limit), strict=True
    )
    for row, current, (bid, ask) in zip(first, told.spot["depthVolumes"], truth, strict=True):
        found = (row["bidVolume"], row["bidVolumeUsd"], row["askVolume"], row["askVolumeUsd"])
        also = (current["bidVolume"], current["totalBidValue"], current["askVolume"], current["totalAskValue"])
        expected = pytest.approx([float(value) for value in (*bid[:2], *ask[:2])], rel=1e-6)
        assert list(found) == expected, row
        assert list(also) == expected, current
        assert (row["bidComplete"], row["askComplete"]) == (bid[2], ask[2]), row
        assert (current["bidComplete"], current["askComplete"]) == (bid[2], ask[2]), current
    assert told.spot["bestBid"] == {"price": float(bids[0][0]), "volume": float(bids[0][1])}
    assert (told.spot["source"], told.spot["wsStatus"]) == ("rest", "off")
    assert told.chart["data"][0]["value"] == pytest.approx(first[2]["bidVolumeUsd"])


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded 5000-level book is not beside this checkout")
def test_the_recorded_book_of_5000_levels(first_minute):
    assert_is_exact(first_minute[LONG])


def test_a_short_book_with_levels_on_the_bounds(first_minute):
    assert_is_exact(first_minute[SHORT])
