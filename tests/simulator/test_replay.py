"""Recorded books: every form of file, and that nothing of them is changed on the way."""

import csv
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.replay import InvalidRecording, ReplayedBook, load, retimed
from tests.simulator.local_book import ADDRESS, DEPTH, LocalBook

RECORDED = Path(__file__).parents[3] / "shared" / "recorded"
recorded = pytest.mark.skipif(not RECORDED.is_dir(), reason="the folder of recordings is not there")
SECOND = 1_000_000_000

SNAPSHOT = {
    "lastUpdateId": 100,
    "bids": [["10.00", "1.0"], ["9.50", "2.500"]],
    "asks": [["10.10", "1.50"], ["11.00", "3"]],
}
EVENTS = [
    (1, {"e": "depthUpdate", "s": "BTCUSDT", "U": 90, "u": 99, "b": [["9.90", "7"]], "a": []}),
    (
        3,
        {
            "e": "depthUpdate",
            "s": "BTCUSDT",
            "U": 99,
            "u": 103,
            "b": [["10.00", "0.00"], ["9.80", "4"]],
            "a": [["10.10", "9"]],
        },
    ),
    (4, {"e": "depthUpdate", "s": "BTCUSDT", "U": 104, "u": 110, "b": [], "a": [["10.05", "1"], ["55.5", "0"]]}),
]


def stream(events: list[tuple[int, dict[str, Any]]], snapshot: dict[str, Any]) -> str:
    """A recording whose snapshot was received at second 2."""
    lines = [(at, json.dumps({"stream": "btcusdt@depth@100ms", "data": event})) for at, event in events]
    lines.append((2, json.dumps(snapshot, separators=(",", ":"))))
    lines.append((1, json.dumps({"stream": "btcusdt@trade", "data": {"e": "trade", "b": 1, "a": 2}})))
    return "".join(f"{at * SECOND} {line}\n" for at, line in sorted(lines))


@pytest.fixture
def spot_stream(tmp_path: Path) -> Path:
    path = tmp_path / "spot.gz"
    path.write_bytes(gzip.compress(stream(EVENTS, SNAPSHOT).encode()))
    return path


def test_changes_come_when_their_time_has_come(spot_stream: Path) -> None:
    recording = load([spot_stream])
    assert (recording.market, recording.symbol, recording.update_id, len(recording.changes)) == (
        "spot",
        "BTCUSDT",
        100,
        2,
    )
    book = ReplayedBook(recording, start=50_000)
    bids, asks = [("10.00", "1.0"), ("9.50", "2.500")], [("10.10", "1.50"), ("11.00", "3")]
    assert book.at(50_000, 100) == book.at(50_999, 100) == (100, bids, asks)
    bids, asks = [("9.80", "4"), ("9.50", "2.500")], [("10.10", "9"), ("11.00", "3")]
    assert book.at(51_000, 100) == (103, bids, asks)
    assert book.at(99_000, 100) == (110, bids, [("10.05", "1"), *asks])
    assert book.at(99_000, 1) == (110, bids[:1], [("10.05", "1")])


def test_speed_moves_time_or_holds_it(spot_stream: Path) -> None:
    recording = load([spot_stream])
    assert ReplayedBook(recording, 0, speed=10).at(100, 5)[0] == 103
    assert ReplayedBook(recording, 0, speed=0).at(10**12, 5)[0] == 100


def test_the_market_is_told_by_the_content_and_can_be_overridden(tmp_path: Path) -> None:
    future = [(at, {**event, "pu": event["U"] - 1, "T": 1}) for at, event in EVENTS]
    path = tmp_path / "futures.txt"
    path.write_text(stream(future, {**SNAPSHOT, "E": 5, "T": 4}))
    assert load([path]).market == "futures"
    assert load([path], market="spot").market == "spot"
    rest = tmp_path / "depth.json"
    rest.write_text(json.dumps({**SNAPSHOT, "E": 5, "T": 4}, indent=1))
    assert load([rest]).market == "futures"
    rest.write_text(json.dumps(SNAPSHOT))
    assert (load([rest]).market, load([rest]).bids) == ("spot", (("10.00", "1.0"), ("9.50", "2.500")))


def test_a_csv_holds_numbered_snapshots(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    rows = ["# a report", "TimestampOfReceive,TimestampOfRequest,LastUpdateId,IsAsk,Price,Quantity"]
    rows += ["5,4,77,0,10.00,1.0", "5,4,77,1,10.10,2.0", "9,8,88,0,20.00,1.0", "9,8,88,1,20.10,2.0"]
    path.write_text("\n".join(rows) + "\n")
    first, second = load([path]), load([path], snapshot=2)
    assert (first.update_id, first.bids, first.asks) == (77, (("10.00", "1.0"),), (("10.10", "2.0"),))
    assert (second.update_id, second.market) == (88, "spot")
    with pytest.raises(InvalidRecording, match="no number 3"):
        load([path], snapshot=3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b'{"bids":[]}',
        b"5 {broken depthUpdate\n",
        b"\x1f\x8bnot gzip",
        b'7 {"stream":"x","data":{}}\n',
        b"\xff\xfe",
    ],
)
def test_files_without_a_book_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InvalidRecording):
        load([path])


def test_a_replayed_book_takes_one_symbol_of_one_market_over(spot_stream: Path, start: Any) -> None:
    with start("--replay", str(spot_stream), "--replay-speed", "0") as server:
        body = server.get("/api/v3/depth", symbol="BTCUSDT").json()
        assert body == SNAPSHOT
        assert server.get("/api/v3/depth", symbol="BTCUSDT", limit=1).json()["asks"] == [["10.10", "1.50"]]
        best = server.get("/api/v3/ticker/bookTicker", symbol="BTCUSDT").json()
        assert (best["bidPrice"], best["askQty"]) == ("10.00", "1.50")
        assert len(server.get("/api/v3/depth", symbol="ETHUSDT", limit=7).json()["bids"]) == 7
        assert len(server.get("/fapi/v1/depth", symbol="BTCUSDT", limit=5).json()["bids"]) == 5
        server.fault(kind="crossed", count=1)
        assert server.get("/api/v3/depth", symbol="BTCUSDT").json()["bids"][0] == ["10.10", "1.50"]
    with start("--replay", str(spot_stream), "--replay-market", "futures", "--replay-speed", "1000") as server:
        time.sleep(0.05)
        body = server.get("/fapi/v1/depth", symbol="BTCUSDT").json()
        assert (body["lastUpdateId"], body["bids"][0]) == (110, ["9.80", "4"])
        assert abs(body["E"] - time.time() * 1000) < 20_000


def _csv_sides() -> tuple[list[list[str]], list[list[str]]]:
    path = RECORDED / "spot_btcusdt_5000_levels_2025-04-14.csv"
    with path.open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))[:10_000]
    sides = [[[row["Price"], row["Quantity"]] for row in rows if row["IsAsk"] == flag] for flag in ("0", "1")]
    return sides[0], sides[1]


@recorded
def test_the_recorded_5000_levels_are_served_as_they_were_written(start: Any) -> None:
    bids, asks = _csv_sides()
    with start("--replay", str(RECORDED / "spot_btcusdt_5000_levels_2025-04-14.csv")) as server:
        body = server.get("/api/v3/depth", symbol="BTCUSDT", limit=5000).json()
    assert body["lastUpdateId"] == 66711751276
    assert body["bids"] == bids
    assert body["asks"] == asks
    assert len(bids) == len(asks) == 5000


def _oracle(path: Path) -> Iterator[tuple[int, dict[str, dict[str, str]]]]:
    """The recorded book after each event, kept in the plainest way: by the text of the price."""
    book: dict[str, dict[str, str]] = {}
    last = 0
    with gzip.open(path, "rt") as file:
        messages = [
            json.loads(line.partition(" ")[2]) for line in file if "lastUpdateId" in line or "depthUpdate" in line
        ]
    snapshot = next(one for one in messages if "lastUpdateId" in one)
    book, last = {side: dict(snapshot[side]) for side in ("bids", "asks")}, snapshot["lastUpdateId"]
    for event in (one["data"] for one in messages if "data" in one and one["data"]["u"] > last):
        for side, key in (("bids", "b"), ("asks", "a")):
            for price, quantity in event[key]:
                if float(quantity):
                    book[side][price] = quantity
                else:
                    book[side].pop(price, None)
        yield event["u"], book


@recorded
@pytest.mark.parametrize(
    ("name", "market", "depth"),
    [("spot_btcusdt_20240808.gz", "spot", "/api/v3/depth"), ("usdm_btcusdt_20240808.gz", "futures", "/fapi/v1/depth")],
)
def test_real_recordings_are_replayed_change_by_change(name: str, market: str, depth: str, start: Any) -> None:
    recording = load([RECORDED / name])
    assert (recording.market, len(recording.bids)) == (market, 1000)
    assert len(recording.changes) > 3000
    book = ReplayedBook(recording, start=0)
    following = [*recording.changes[1:], None]
    for number, ((_, expected), change, after) in enumerate(
        zip(_oracle(RECORDED / name), recording.changes, following, strict=True), start=1
    ):
        moment = int(change.offset) + 1
        several = after is not None and after.offset <= moment  # more changes within the same millisecond
        if after is not None and (number % 40 or several):
            continue
        _, bids, asks = book.at(moment, 100_000)
        assert dict(bids) == expected["bids"]
        assert dict(asks) == expected["asks"]
        assert float(bids[0][0]) < float(asks[0][0])
    assert book.update_id == recording.changes[-1].update_id
    with start("--replay", str(RECORDED / name)) as server:
        first = server.get(depth, symbol="BTCUSDT", limit=1000).json()
        time.sleep(1.2)
        second = server.get(depth, symbol="BTCUSDT", limit=1000).json()
    assert recording.update_id <= first["lastUpdateId"] < second["lastUpdateId"]
    assert first["bids"] != second["bids"]


@recorded
def test_recordings_that_follow_one_another_are_one() -> None:
    names = ("spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz")
    both, first = load([RECORDED / name for name in names]), load([RECORDED / names[0]])
    assert len(both.changes) == len(first.changes) + 3044
    with pytest.raises(InvalidRecording, match="no snapshot"):
        load([RECORDED / names[1]])


def test_messages_of_a_recording_are_played_as_they_were_written(spot_stream: Path, start: Any) -> None:
    arguments = ("--replay-start", "subscriber", "--replay-times", "recorded", "--replay-speed", "20")
    with start("--replay", str(spot_stream), *arguments) as server:
        assert server.streams()["replay"]["begun"] is False
        assert server.get("/api/v3/depth", symbol="BTCUSDT").json()["lastUpdateId"] == 100
        with server.socket("/ws/btcusdt@depth@100ms") as socket:
            assert socket.take(3) == [event for _, event in EVENTS]
            assert server.get("/api/v3/depth", symbol="BTCUSDT").json()["lastUpdateId"] == 110
            assert server.streams()["replay"] == {
                "symbol": "BTCUSDT", "market": "spot", "begun": True, "ended": True, "elapsedMs": 2000,
                "lengthMs": 2000, "lastUpdateId": 110,
            }  # fmt: skip
            assert socket.silent(0.2)
            server.fault(kind="late_snapshot")
            assert server.get("/api/v3/depth", symbol="BTCUSDT").json() == SNAPSHOT


def test_times_in_messages_are_moved_to_now() -> None:
    data = b'{"e":"depthUpdate","E":5000,"T":4990,"s":"X","U":1,"b":[["1","2"]],"o":{"T":7}}'
    assert retimed(data, 9000) == data.replace(b"5000", b"9000").replace(b"4990", b"8990")
    assert retimed(b'{"u":5,"s":"X"}', 9000) == b'{"u":5,"s":"X"}'


@recorded
@pytest.mark.parametrize(
    ("names", "market", "stream"),
    [
        (("spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"), "spot", "depth@100ms"),
        (("usdm_btcusdt_20240808.gz",), "futures", "depth@100ms"),
    ],
)
def test_a_book_kept_from_a_played_recording_ends_as_the_recorded_one(
    names: tuple[str, ...], market: str, stream: str, start: Any
) -> None:
    last = load([RECORDED / name for name in names]).changes[-1].update_id
    files = [argument for name in names for argument in ("--replay", str(RECORDED / name))]
    with start(*files, "--replay-start", "subscriber", "--replay-speed", "500") as server:
        book = LocalBook(market, server.get(DEPTH[market], symbol="BTCUSDT", limit=1000).json())
        with server.socket(f"{ADDRESS[market]}/btcusdt@{stream}", timeout=60) as socket:
            diffs = [socket.receive()]
            played = server.streams()["replay"]
            while diffs[-1]["u"] < last:
                diffs.append(socket.receive())
                if len(diffs) % 500 == 0:
                    played = server.streams()["replay"]
        assert sum(book.apply(diff) for diff in diffs) > 3000
        final = server.get(DEPTH[market], symbol="BTCUSDT", limit=1000).json()
    assert played["begun"]
    assert book.last == final["lastUpdateId"]
    for side in ("bids", "asks"):
        nearest = sorted(book.sides[side], key=float, reverse=side == "bids")[:1000]
        assert [[price, book.sides[side][price]] for price in nearest] == final[side]
