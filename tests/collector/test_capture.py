"""What is captured and replayed gives the same books and the same minutes; what is torn, foreign or full says so."""

import csv
import gzip
import io
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from collector.exchanges import STREAMS
from collector.exchanges.streams import Kind
from collector.feed import clock as clock_module
from collector.feed import recorder as recorder_module
from collector.feed import recording
from collector.feed.books import BookRules
from collector.feed.recorder import Bounds, Recorder
from collector.feed.recording import Follow, Header, InvalidCapture, Reader
from collector.feed.replay import Played, Replay, Replayed
from collector.feed.run import Feed
from collector.models import StreamEvent
from depth.models import DepthSnapshot, OrderBookSecond, Snapshot
from tests.collector.feeding import KEYS, running, until
from tests.collector.simulated import ROOT
from tests.collector.test_handover import whole_minute

OVER = ("spot-1", True, "SPOT")
BOUNDS = Bounds(1 << 30, 48)
ADDRESSES = {"SPOT": "ws://nowhere", "FUTURES": "ws://nowhere"}


def stored():
    """All that was stored of books, whatever its order."""
    volumes = Snapshot.objects.values_list(
        "symbol", "market_type", "depth", "timestamp", "bid_volume", "ask_volume", "bid_volume_usd", "ask_volume_usd",
        "bid_complete", "ask_complete",
    )  # fmt: skip
    columns = [field.attname for field in DepthSnapshot._meta.concrete_fields]
    books = [tuple(map(repr, row)) for row in DepthSnapshot.objects.values_list(*columns)]
    return sorted(volumes), sorted(books)


def clear():
    for model in (Snapshot, DepthSnapshot, OrderBookSecond):
        model.objects.all().delete()


def sides(book):
    return [np.stack((side.prices, side.quantities)) for side in (book.frozen().bids, book.frozen().asks)]


@pytest.mark.timeout(300)
@pytest.mark.django_db(transaction=True)
def test_what_was_captured_with_faults_gives_the_same_books_and_minutes(live, listener, monkeypatch, tmp_path):
    """A minute begins twelve seconds after the start, by the feed's clock."""
    ahead = 48 - time.time() % 60
    clock = SimpleNamespace(time=lambda: time.time() + ahead, monotonic=time.monotonic)
    monkeypatch.setattr(clock_module, "time", clock)
    monkeypatch.setattr("collector.websocket.time", clock)
    for kind, share in (("drop", 0.02), ("double", 0.03), ("reorder", 0.02), ("corrupt", 0.02)):
        live.fault(kind, probability=share)
    folder = tmp_path / "capture"
    with running(Feed(capture=folder)) as feed:
        until(lambda: all(book.sync.synced for book in feed.books.followed.values()) and feed.books.followed)
        live.fault("cut", market="futures")
        time.sleep(3)
        live.heal()
        until(whole_minute, 90, "no minute is stored whole")
        live.fault("drop", probability=0.05)
        time.sleep(1.5)
    books = feed.books.followed
    resyncs = {key: book.sync.resyncs for key, book in books.items()}
    assert sum(resyncs.values()) > 3
    rows = stored()
    assert len(rows[0]) == len(rows[1]) * 10
    clear()
    out, csv_file = io.StringIO(), tmp_path / "minutes.csv"
    call_command("replay", folder, "--store", "--minutes", csv_file, "--books", tmp_path / "books", stdout=out)
    assert stored() == rows
    assert OrderBookSecond.objects.exists()
    told = list(csv.DictReader(csv_file.open()))
    assert {(row["market"], row["symbol"]) for row in told} == set(KEYS)
    assert sorted(float(row["bid_volume"]) for row in told) == pytest.approx(
        sorted(row[4] for row in rows[0]), rel=1e-6
    )
    for (market, symbol), live_book in books.items():
        book = live_book.sync.book
        lines = list(csv.reader((tmp_path / "books" / f"{market}-{symbol}-{book.sequence}.csv").open()))[1:]
        for side, (prices, quantities) in zip(("bid", "ask"), sides(book), strict=True):
            levels = [(float(price), float(quantity)) for name, price, quantity in lines if name == side]
            assert levels == list(zip(prices.tolist(), quantities.tolist(), strict=True))
        assert f"{market} {symbol}: " in out.getvalue()
        assert f"{resyncs[market, symbol]} resyncs" in out.getvalue()


# --- the form ----------------------------------------------------------------------------------------------------


@given(st.floats(min_value=1e9, max_value=4e9), st.binary(max_size=60))
def test_what_came_is_read_as_it_was(moment, data):
    seconds = round(moment * 2**22) / 2**22  # as a clock of that time gives them
    line = recording.parsed(recording.frame_line(seconds, data).removesuffix(b"\n"))
    assert recording.seconds_of(line.ns) == seconds
    assert line.data == data


def record(folder, lines, bounds=BOUNDS, wall=1_800_000_000.0, every=1.0):
    """A recording of these frames, one at each of `every` seconds."""
    told = []
    recorder = Recorder(folder, "binance", bounds, told.append)
    recorder.begin()
    for number, data in enumerate(lines):
        recorder.tick(wall + number * every, float(number))
        recorder.step(wall + number * every, float(number))
        recorder.follow({("SPOT", "BTCUSDT"): (number // 10, 5000)}, True)
        recorder.frame(OVER, wall + number * every, data)
    recorder.end()
    return recorder, told


def frames(paths):
    return [line.data for path in paths if path.stat().st_size for line in Reader(path) if line.kind == ""]


def test_files_are_by_the_hour_and_each_says_what_was_followed(tmp_path):
    lines = [b'{"n":%d}' % number for number in range(40)]
    record(tmp_path, lines, every=600.0)
    files = recording.files_of([tmp_path])
    assert len(files) == 40 * 600 // 3600 + 1
    assert frames(files) == lines
    heads = [recording.header(path) for path in files]
    assert [head.part for head in heads] == list(range(1, len(files) + 1))
    assert len({head.session for head in heads}) == 1
    state = Follow([], False)
    for path, head in zip(files, heads, strict=True):
        assert (head.books, head.running) == (state.books, state.running)
        for line in Reader(path):
            state = recording.told(line) if line.kind == "follow" else state


def test_a_torn_file_is_read_up_to_its_tear(tmp_path):
    lines = [b'{"n":%d,"x":"%s"}' % (number, os.urandom(40).hex().encode()) for number in range(30)]
    record(tmp_path, lines)
    (path,) = recording.files_of([tmp_path])
    whole = path.read_bytes()
    for size in range(len(whole) - 1, 300, -97):
        path.write_bytes(whole[:size])
        reader = Reader(path)
        read = [line.data for line in reader if line.kind == ""]
        assert read == lines[: len(read)]
        assert len(read) >= len(lines) * size // len(whole) - 2
        assert reader.torn or gzip.decompress(whole[:size])
    path.write_bytes(whole[:1500] + bytes(500))  # as some file systems leave a file after a crash
    reader = Reader(path)
    assert len([line for line in reader if line.kind == ""]) > 3
    assert reader.torn


def test_the_oldest_files_make_room(tmp_path):
    lines = [os.urandom(2000).hex().encode() for _ in range(100)]
    record(tmp_path, lines, Bounds(80_000, 48), every=60.0)
    files = recording.files_of([tmp_path])
    assert sum(path.stat().st_size for path in files) <= 80_000
    left = frames(files)
    assert left == lines[-len(left) :]
    assert len(left) > 15


def test_old_hours_go(tmp_path):
    record(tmp_path, [b"{}"] * 3, every=3600.0)
    files = recording.files_of([tmp_path])
    for path in files:
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    record(tmp_path, [b"{}"], Bounds(1 << 30, 1), wall=1_800_100_000.0)
    assert not any(path.exists() for path in files)


def test_a_disk_that_fails_ends_the_recording_and_not_the_feed(tmp_path, monkeypatch):
    def full(lines):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder_module.recording, "block", full)
    recorder, told = record(tmp_path, [b"{}"] * 5)
    assert told == ["the recording has ended: [Errno 28] No space left on device"]
    assert recorder.failed


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("what nobody thought of")])
def test_nothing_follows_what_could_not_be_written(tmp_path, monkeypatch, error):
    """Room that is there again is of no use: a recording with a hole that it does not know of is worse than none."""
    recorder = Recorder(tmp_path, "binance", BOUNDS, print)
    write, tries = recorder._write, []

    def once(*arguments):
        tries.append(arguments)
        if len(tries) == 2:
            raise error
        write(*arguments)

    monkeypatch.setattr(recorder, "_write", once)
    for number in range(5):
        recorder.tick(1_800_000_000.0 + 2 * number, 2.0 * number)
    recorder.begin()
    recorder.end()
    (path,) = recording.files_of([tmp_path])
    assert len([line for line in Reader(path) if line.kind == "t"]) == 1
    assert recorder.failed
    assert recorder.dropped == 3


def test_what_could_not_be_written_is_counted_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module, "MOST_WAITING", -1)
    recorder = Recorder(tmp_path, "binance", BOUNDS, print)
    recorder.begin()
    recorder.tick(1_800_000_000.0, 0.0)
    recorder.tick(1_800_000_002.0, 2.0)
    monkeypatch.undo()
    recorder.tick(1_800_000_004.0, 4.0)
    recorder.end()
    assert recorder.dropped == 1
    (path,) = recording.files_of([tmp_path])
    assert [line.kind for line in Reader(path)][:3] == ["capture", "dropped", "follow"]


# --- what is no recording ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"no gzip", "no recording"),
        (gzip.compress(b"1723161256000000000 {}\n"), "no recording"),
        (gzip.compress(b"hello\n"), "no line of a recording"),
        (gzip.compress(recording.told_line("capture", Header("binance", "x", 1, 0.0, [], True, 99))), "of format 99"),
        (gzip.compress(b"#capture {}\n"), "cannot be read"),
    ],
    ids=["empty", "text", "no header", "no line", "another format", "a broken header"],  # bytes would hold the time
)
def test_what_is_no_recording_is_refused(tmp_path, content, why):
    (tmp_path / f"x{recording.SUFFIX}").write_bytes(content)
    with pytest.raises(InvalidCapture, match=why):
        recording.files_of([tmp_path])
    with pytest.raises(CommandError, match=why):
        call_command("replay", tmp_path)


def test_a_folder_without_recordings_and_a_missing_one_are_named(tmp_path):
    with pytest.raises(CommandError, match="no recording"):
        call_command("replay", tmp_path)
    with pytest.raises(CommandError, match="does not exist"):
        call_command("replay", tmp_path / "nothing")


def written(folder, *lines):
    """A recording that begins well and then holds these lines."""
    head = recording.told_line("capture", Header("binance", "x", 1, 0.0, [], True))
    (folder / f"x{recording.SUFFIX}").write_bytes(recording.block([head, *lines]))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (recording.told_line("follow", Follow([("SPOT", "../../BTC", 1, 1)], True)), "a book of '../../BTC'"),
        (recording.told_line("follow", Follow([("../SPOT", "BTCUSDT", 1, 1)], True)), "on '../SPOT'"),
        (b"#c spot-1 ../SPOT 1\n", "no market of binance"),
        (b"#s 1800000000000000000 soon\n", "#s cannot be read"),
        (b"#t 99999999999999999999999999999 1.0\n", "#t cannot be read"),
        (b"#dropped many\n", "#dropped cannot be read"),
        (b"#nothing {}\n", "#nothing cannot be read"),
    ],
    ids=["a path", "a path for a market", "another market", "no number", "no time", "no count", "an unknown word"],
)
def test_what_no_feed_writes_ends_a_replay_and_leaves_no_file(tmp_path, line, why):
    folder, out = tmp_path / "capture", tmp_path / "books"
    folder.mkdir()
    written(folder, line)
    with pytest.raises(CommandError, match=why):
        call_command("replay", folder, "--books", out)
    assert list(tmp_path.rglob("*.csv")) == []


def test_an_exchange_that_is_not_known_is_named(tmp_path):
    head = recording.told_line("capture", Header("nasdaq", "x", 1, 0.0, [], True))
    (tmp_path / f"x{recording.SUFFIX}").write_bytes(recording.block([head]))
    with pytest.raises(CommandError, match="'nasdaq', an exchange that is not known"):
        call_command("replay", tmp_path)


def test_minutes_that_cannot_be_handed_on_end_a_replay():
    """The engine goes on whatever a part does; a replay that lost a minute must not end as if it had not."""
    keeping = Replayed("binance", Played(), [broken], False)
    with pytest.raises(OSError, match="No space left"):
        keeping.minute(["a book"])
    assert isinstance(keeping.error, OSError)
    replay = Replay("binance", STREAMS["binance"](ADDRESSES), BookRules((), 1, 1, 1), [broken])
    replay._keeping.error = keeping.error
    with pytest.raises(OSError, match="No space left"):
        replay._line(recording.parsed(b"#t 1800000000000000000 1.0"))


def broken(books):
    raise OSError(28, "No space left on device")


@pytest.mark.django_db(transaction=True)
def test_a_folder_that_takes_nothing_costs_the_recording_and_not_the_feed(live, listener, tmp_path):
    (tmp_path / "capture").touch()
    with running(Feed(capture=tmp_path / "capture")) as feed:
        until(lambda: all(listener.synced(*key) for key in KEYS))
        assert feed.recorder is None
    assert StreamEvent.objects.filter(event_type="ERROR", message__startswith="nothing is recorded: ").count() == 1


# --- the command -------------------------------------------------------------------------------------------------


@pytest.mark.timeout(400)
@pytest.mark.django_db(transaction=True)
def test_the_command_records_until_it_is_told_to_end_and_a_kill_costs_a_second(live, tmp_path, settings):
    from tests.collector.test_shards import environment

    environ = environment(live) | {"SPOT_STREAMS": "depth,aggTrade", "FUTURES_STREAMS": "depth,markPrice"}
    argv = [sys.executable, "manage.py", "capture", "--folder", str(tmp_path), "--symbol", "btcusdt"]
    for end, code in ((signal.SIGTERM, 0), (signal.SIGKILL, -9)):
        before = set(tmp_path.iterdir())
        process = subprocess.Popen(argv, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            until(lambda before=before: len(frames(set(tmp_path.glob("*.gz")) - before)) > 25, 90)
            process.send_signal(end)
            assert process.wait(60) == code, process.stderr.read()
        finally:
            process.kill()
    settings.STREAM_KINDS = {"SPOT": {Kind.DEPTH}, "FUTURES": {Kind.DEPTH}}
    out = io.StringIO()
    call_command("replay", tmp_path, stdout=out)
    assert "in 2 files" in out.getvalue()
    for market in ("SPOT", "FUTURES"):
        assert f"{market} BTCUSDT: synced, at" in out.getvalue()
    data = b"".join(frames(recording.files_of([tmp_path])))
    assert b"btcusdt@aggTrade" in data
    assert b"!markPrice@arr" in data


@pytest.mark.parametrize("hours", ["0", "-1", "nan"])
def test_hours_that_would_remove_everything_are_refused(tmp_path, hours):
    with pytest.raises(CommandError, match="--hours must be above 0"):
        call_command("capture", "--folder", tmp_path, "--hours", hours)


@pytest.mark.django_db
def test_symbols_that_are_not_collected_are_refused(registry, tmp_path):
    with pytest.raises(CommandError, match="not collected there: NOSUCHUSDT"):
        call_command("capture", "--folder", tmp_path, "--symbol", "nosuchusdt")
