"""Pointed by variables alone at a server that speaks Binance, the platform stores a first minute that is exact."""

from pathlib import Path

import pytest

from tests.depth.test_volumes import BANDS, RECORDED, exact
from tests.platform.exchange import OneBook
from tests.platform.running import Platform

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def assert_first_minute_is_exact(bids, asks, folder: Path):
    closed = "http://127.0.0.1:9"
    with OneBook(bids, asks) as exchange:
        addresses = {"BINANCE_SPOT_REST_URL": exchange.url, "BINANCE_FUTURES_REST_URL": closed}
        with Platform("run", folder, SYMBOLS="BTCUSDT", **addresses) as platform:
            path = "/api/v1/snapshots?symbol=BTCUSDT&marketType=SPOT"
            rows = platform.wait("the first stored minute", path, lambda body: body.get("count"))["data"]
            spot = platform.get("/api/v1/binance/spot?symbol=BTCUSDT")[1]
            chart = platform.get("/api/v1/chart-data?symbol=BTCUSDT&marketType=SPOT&depth=0.5&type=bid")[1]
    limit = exchange.asked[0]
    first = [row for row in rows if row["timestamp"] == rows[0]["timestamp"]]
    assert [row["depth"] for row in first] == [float(band) for band in BANDS]
    bids, asks = bids[:limit], asks[:limit]
    truth = zip(exact(bids, BANDS, -1, len(bids) < limit), exact(asks, BANDS, 1, len(asks) < limit), strict=True)
    for row, current, (bid, ask) in zip(first, spot["depthVolumes"], truth, strict=True):
        found = (row["bidVolume"], row["bidVolumeUsd"], row["askVolume"], row["askVolumeUsd"])
        also = (current["bidVolume"], current["totalBidValue"], current["askVolume"], current["totalAskValue"])
        expected = pytest.approx([float(value) for value in (*bid[:2], *ask[:2])], rel=1e-6)
        assert list(found) == expected, row
        assert list(also) == expected, current
        assert (row["bidComplete"], row["askComplete"]) == (bid[2], ask[2]), row
        assert (current["bidComplete"], current["askComplete"]) == (bid[2], ask[2]), current
    assert spot["bestBid"] == {"price": float(bids[0][0]), "volume": float(bids[0][1])}
    assert (spot["source"], spot["wsStatus"]) == ("rest", "off")
    assert chart["data"][0]["value"] == pytest.approx(first[2]["bidVolumeUsd"])


def recorded_books():
    rows = [line.split(",") for line in RECORDED.read_text().splitlines() if line[:1].isdigit()]
    first = [row for row in rows if row[2] == rows[0][2]]
    return ([(row[4], row[5]) for row in first if row[3] == side] for side in "01")


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded 5000-level book is not beside this checkout")
def test_the_recorded_book_of_5000_levels(tmp_path):
    assert_first_minute_is_exact(*recorded_books(), tmp_path / "data")


def test_a_short_book_with_levels_on_the_bounds(tmp_path):
    bids = [("100.00", "1.5"), ("99.90", "2"), ("99.50", "0.25"), ("95.00", "10"), ("70.00", "3")]
    asks = [("100.10", "1"), ("100.2001", "4"), ("101.1010", "2"), ("130.13", "7"), ("200", "1")]
    assert_first_minute_is_exact(bids, asks, tmp_path / "data")
