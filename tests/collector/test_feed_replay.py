"""Real recordings through the running feed end in the book that the exchange's rules make of them, level by level."""

import gzip
import json
from pathlib import Path

import pytest

from collector.feed.run import Feed
from tests.collector.feeding import MARKETS, running, until
from tests.collector.simulated import Simulator

RECORDED = Path(__file__).parents[3] / "shared" / "recorded"
FILES = {
    "SPOT": ("spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"),
    "FUTURES": ("usdm_btcusdt_20240808.gz",),
}
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture(params=MARKETS)
def replay(request, tmp_path, settings, forgetful, empty_redis, transactional_db):
    """A simulated exchange that plays a market's recording to its first listener; gives (market, simulator, files)."""
    files = [RECORDED / name for name in FILES[request.param]]
    if not all(file.exists() for file in files):
        pytest.skip(f"{RECORDED} is not here")
    arguments = [argument for file in files for argument in ("--replay", str(file))]
    playing = Simulator(tmp_path, *arguments, "--replay-start", "subscriber", "--replay-speed", "150")
    socket = playing.url.replace("http", "ws")
    settings.VENUE_URLS = {"binance": {market: {"rest": playing.url, "ws": socket} for market in MARKETS}}
    settings.SYMBOLS = settings.LIVE_SYMBOLS = "BTCUSDT"
    settings.STREAM_KINDS = {market: {"depth"} for market in MARKETS}
    yield request.param, playing, files
    playing.stop()


def naive(files):
    """The last book of a recording, as plain as it can be: the snapshot, then every later diff."""
    sides, sequence, early = None, 0, []
    for body in bodies(files):
        if "lastUpdateId" in body and sides is None:
            sides = {key: dict(numbers(body[name])) for key, name in (("b", "bids"), ("a", "asks"))}
            sequence = body["lastUpdateId"]
            for diff in early:
                sequence = _apply(sides, diff, sequence)
        elif "@depth" in body.get("stream", "") and sides is None:
            early.append(body["data"])
        elif "@depth" in body.get("stream", ""):
            sequence = _apply(sides, body["data"], sequence)
    return sides, sequence


def bodies(files):
    for file in files:
        with gzip.open(file, "rt") as lines:
            for line in lines:
                yield json.loads(line.partition(" ")[2])


def numbers(levels):
    return ((float(price), float(quantity)) for price, quantity in levels)


def _apply(sides, diff, sequence):
    if diff["u"] <= sequence:
        return sequence
    for key in ("b", "a"):
        for price, quantity in diff[key]:
            if float(quantity):
                sides[key][float(price)] = float(quantity)
            else:
                sides[key].pop(float(price), None)
    return diff["u"]


def test_a_recording_ends_level_equal(replay):
    from collector.services import sync_registry

    market, playing, files = replay
    sides, sequence = naive(files)
    sync_registry()
    with running(Feed()) as feed:
        until(lambda: playing.control("GET", "/streams")["replay"]["ended"], 100)
        followed = feed.books.followed[market, "BTCUSDT"]
        until(lambda: followed.sync.synced and followed.sync.book.sequence == sequence)
        held, resyncs = followed.sync.book.frozen(), followed.sync.resyncs
    assert resyncs == 0
    compared = 0
    for side, true, sign in ((held.bids, sides["b"], -1), (held.asks, sides["a"], 1)):

        def known(levels, edge=side.known_to, sign=sign):
            return {price: quantity for price, quantity in levels if price * sign <= edge * sign}

        mine = known(zip(side.prices.tolist(), side.quantities.tolist(), strict=True))
        compared += len(mine)
        assert mine == known(true.items())
    assert compared > 500  # the price moves towards one edge and away from the other
