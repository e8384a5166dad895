"""Mark prices and liquidations: what the sockets tell is what REST and the functions behind tell."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.contract_sources import ForceOrderSource
from simulator.liquidations import minute_liquidations
from simulator.listings import Listing
from simulator.market import liquidations_between, market_of, trades_between
from simulator.prices import MINUTE
from tests.simulator.conftest import Server

MARKET = market_of()
FUTURES = [one for one in MARKET.of("futures") if not one.closed_at]
RECORDED = Path(__file__).parents[3] / "shared" / "recorded"


def shape(value: Any) -> Any:
    """The names of an object's fields and the kinds of its values."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return type(value)


@given(st.sampled_from(FUTURES), st.integers(29_600_000, 29_990_000))
@settings(max_examples=150, deadline=None)
def test_liquidations_are_at_most_one_a_second_and_fit_the_market(listing: Listing, number: int) -> None:
    found = minute_liquidations(listing, MARKET.seed, number)
    assert len({one.time // 1000 for one in found}) == len(found)
    for one in found:
        assert number * MINUTE <= one.time < (number + 1) * MINUTE
        assert one.average == MARKET.last_price(listing, one.time)
        assert (one.price <= one.average) if one.sell else (one.price >= one.average)
        assert 1 <= one.last_lots <= one.lots


def test_liquidations_hit_both_sides_and_large_contracts_more() -> None:
    start = 29_700_000 * MINUTE
    largest = liquidations_between("BTCUSDT", start, start + 120 * MINUTE)
    smallest = liquidations_between(FUTURES[-10].symbol, start, start + 120 * MINUTE)
    sides = Counter(one.sell for one in largest)
    assert len(largest) > 2 * len(smallest)
    assert min(sides.values()) > len(largest) // 8
    part = liquidations_between("BTCUSDT", start + 90_500, start + 500_123)
    assert part == [one for one in largest if start + 90_500 <= one.time < start + 500_123]


def test_all_liquidations_of_an_hour_are_told_once_each_with_both_placements() -> None:
    start = 29_700_100 * MINUTE
    listings = [MARKET.listing(symbol, "futures") for symbol in ("BTCUSDT", "ETHUSDT", "1000SHIBUSDT")]
    source = ForceOrderSource(MARKET, listings, start)
    bodies = [json.loads(data) for now in range(start, start + 60 * MINUTE + 1, 50) for data in source.due(now)]
    expected = [one for listing in listings for one in liquidations_between(listing.symbol, start, start + 60 * MINUTE)]
    assert len(bodies) == len(expected) > 100
    told = {(body["o"]["s"], body["o"]["T"], body["o"]["S"], float(body["o"]["ap"]), float(body["o"]["z"]))
            for body in bodies}  # fmt: skip
    assert told == {
        (one.symbol, one.time, "SELL" if one.sell else "BUY", one.average_price, one.quantity) for one in expected
    }
    assert all(0 < body["E"] - body["o"]["T"] <= 1000 for body in bodies)
    inside = sum("ps" in body["o"] and "st" in body["o"] and "ps" not in body for body in bodies)
    beside = sum("ps" in body and "st" in body and "ps" not in body["o"] for body in bodies)
    assert inside + beside == len(bodies)
    assert min(inside, beside) > 0


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the folder of recordings is not there")
def test_every_message_has_the_fields_of_the_recorded_ones(server: Server) -> None:
    lines = (RECORDED / "usdm_frames.jsonl").read_text().splitlines()
    recorded = [json.loads(line.partition(" ")[2]) for line in lines]
    shapes = {one["data"]["e"]: shape(one["data"]) for one in recorded}
    names = ("aggTrade", "markPrice@1s", "kline_1m")
    seen: dict[str, Any] = {}
    for route, streams in (("market", names), ("public", ("depth@100ms", "bookTicker"))):
        path = "/".join(f"btcusdt@{name}" for name in streams)
        with server.socket(f"/{route}/stream?streams={path}") as socket:
            wanted = len(seen) + len(streams)
            while len(seen) < wanted:
                data = socket.receive()["data"]
                seen[data["e"]] = data
    for kind, data in seen.items():
        assert shape(data) == shapes[kind], kind
    source, now = ForceOrderSource(MARKET, FUTURES, 29_700_100 * MINUTE), 29_700_100 * MINUTE
    orders = [json.loads(data) for second in range(180) for data in source.due(now + second * 1000)]
    assert shapes["forceOrder"] in [shape(one) for one in orders]


def test_mark_prices_are_those_of_rest_and_of_the_functions(server: Server) -> None:
    with server.socket("/market/stream?streams=btcusdt@markPrice@1s/ethusdt@markPrice") as socket:
        one = socket.until(lambda body: body["stream"] == "ethusdt@markPrice")["data"]
        fast = [socket.receive()["data"] for _ in range(2)]
    assert one["E"] % 3000 < 1500
    assert 500 < fast[1]["E"] - fast[0]["E"] < 2000 or fast[0]["s"] != fast[1]["s"]
    premium = MARKET.premium(MARKET.listing("ETHUSDT", "futures"), one["E"] // 1000 * 1000)
    assert (float(one["p"]), float(one["i"])) == (round(premium.mark_price, 8), round(premium.index_price, 8))
    rest = server.get("/fapi/v1/premiumIndex", symbol="ETHUSDT").json()
    assert (rest["lastFundingRate"], rest["nextFundingTime"]) == (one["r"], one["T"])
    assert float(rest["markPrice"]) == pytest.approx(float(one["p"]), rel=0.01)


def test_all_mark_prices_come_as_an_array_with_both_kinds_of_margin(server: Server) -> None:
    with server.socket("/market/ws/!markPrice@arr@1s") as socket:
        told = socket.receive()
    usd = {one["s"] for one in told if one["st"] == 1}
    assert usd == {one["symbol"] for one in server.get("/fapi/v1/premiumIndex").json()}
    assert {one["s"] for one in told if one["st"] == 2} == {"BTCUSD_PERP", "ETHUSD_PERP"}
    assert next(one["r"] for one in told if one["s"] == "BTCUSDT_270326") == ""


def test_liquidations_of_all_contracts_come_as_objects(server: Server) -> None:
    with server.socket("/market/ws/!forceOrder@arr", timeout=60) as socket:
        body = socket.receive()
    assert body["e"] == "forceOrder"
    order = body["o"]
    [expected] = liquidations_between(order["s"], order["T"], order["T"] + 1)
    assert (float(order["ap"]), float(order["z"])) == (expected.average_price, expected.quantity)
    trades = trades_between(order["s"], "futures", order["T"] - 30_000, order["T"] + 1)
    assert float(order["ap"]) in {one.price for one in trades}
