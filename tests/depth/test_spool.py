"""The spool: what is synced survives everything, in its order, and the rest of a crash harms nothing."""

import errno
import multiprocessing
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth import spool as spooling
from depth.breaker import Breaker
from depth.spool import Record, Spool, SpoolFull, Unusable, frame, unframe

MEGABYTE = 1024 * 1024


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool", MEGABYTE)


def record(number, size=10):
    return Record(f"{number:032x}", "test", bytes([number % 256]) * size)


def drained(spool):
    found = []
    spool.replay(found.append)
    return [int(one.id, 16) for one in found]


# --- framing ------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_a_frame_gives_back_its_payload(payload):
    assert unframe(frame(payload)) == payload


@given(st.binary(max_size=100), st.data())
def test_no_truncation_extension_or_flipped_bit_passes(payload, data):
    whole = frame(payload)
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert unframe(whole[:cut]) is None
    assert unframe(whole + data.draw(st.binary(min_size=1, max_size=5))) is None
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8
    assert unframe(bytes(flipped)) is None


@given(counts=st.integers(0, 6), cut=st.integers(0, 60))
def test_a_crash_in_the_middle_of_a_write_loses_no_record_before_it(tmp_path_factory, counts, cut):
    """Whatever part of a file had reached the disk: the records before are all there, the torn one is not."""
    spool = Spool(tmp_path_factory.mktemp("spool") / "s", MEGABYTE)
    for number in range(counts):
        spool.append(record(number))
    spool.folder.mkdir(exist_ok=True)
    (spool.folder / f"{0:020d}-{'f' * 32}.part").write_bytes(frame(b"x" * 60)[:cut])
    assert drained(spool) == list(range(counts))
    assert spool.empty()


def test_a_file_that_was_damaged_on_disk_is_set_aside_and_the_others_are_given_back(spool):
    for number in range(3):
        spool.append(record(number))
    victim = sorted(spool.folder.glob("*.batch"))[1]
    victim.write_bytes(victim.read_bytes()[:-1])
    assert drained(spool) == [0, 2]
    assert (spool.empty(), spool.state().aside) == (True, 1)
    assert drained(spool) == []


# --- keeping and giving back --------------------------------------------------------------------------------------


def test_records_come_back_whole_and_in_order_by_another_process_object(spool):
    sent = [Record(f"{n:032x}", f"kind {n}", os.urandom(n)) for n in range(20)]
    for one in sent:
        spool.append(one)
    found = []
    assert Spool(spool.folder, 1).replay(found.append) == 20
    assert found == sent
    assert spool.empty()


def test_what_fails_stays_with_all_behind_it(spool):
    for number in range(4):
        spool.append(record(number))

    def apply(one):
        if one.id == record(2).id:
            raise ConnectionError("away")

    with pytest.raises(ConnectionError):
        spool.replay(apply)
    assert drained(spool) == [2, 3]


def test_what_can_never_be_stored_keeps_nobody_waiting(spool):
    for number in range(3):
        spool.append(record(number))

    def apply(one):
        if one.id == record(0).id:
            raise Unusable("nonsense")

    assert spool.replay(apply) == 2
    assert (spool.state().batches, spool.state().aside) == (0, 1)


def test_only_one_gives_back_at_a_time(spool):
    spool.append(record(1))
    inner = []
    spool.replay(lambda one: inner.append(Spool(spool.folder, 1).replay(lambda _: pytest.fail("twice"))))
    assert inner == [0]
    assert spool.empty()


def write_many(folder, first):
    spool = Spool(folder, 50 * MEGABYTE)
    for number in range(first, first + 50):
        spool.append(record(number))


def test_processes_write_beside_each_other(spool):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(spool.folder, first)) for first in (0, 1000, 2000)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = drained(spool)
    assert sorted(found) == [first + n for first in (0, 1000, 2000) for n in range(50)]
    for first in (0, 1000, 2000):
        own = [number for number in found if first <= number < first + 50]
        assert own == sorted(own)


def test_every_record_is_synced_before_it_has_its_name(spool, monkeypatch):
    done = []
    real = os.fsync

    def fsync(handle):
        name = Path(f"/proc/self/fd/{handle}").readlink().name
        done.append((name, len(list(spool.folder.glob("*.batch")))))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    spool.append(record(1))
    (file, named_before), (folder, named_after) = done
    assert (file.endswith(".part"), named_before) == (True, 0)
    assert (folder, named_after) == (spool.folder.name, 1)


# --- the bound ----------------------------------------------------------------------------------------------------


def test_a_full_spool_keeps_what_it_has_and_has_room_for_notes(tmp_path):
    spool = Spool(tmp_path, 5000)
    for number in range(4):
        spool.append(record(number, 1000))
    with pytest.raises(SpoolFull, match="of 5000 bytes are taken"):
        spool.append(record(4, 1000))
    spool.append(record(99, 200), note=True)
    assert drained(spool) == [0, 1, 2, 3, 99]


def test_notes_have_a_bound_too(tmp_path):
    spool = Spool(tmp_path, 5000)
    most = (5000 + spool.reserve) // spool_size(tmp_path / "one", 1000)
    for number in range(most):
        spool.append(record(number, 1000), note=True)
    with pytest.raises(SpoolFull):
        spool.append(record(most, 1000), note=True)


def spool_size(folder, size):
    one = Spool(folder, MEGABYTE)
    one.append(record(0, size))
    return one.state().bytes


def test_a_full_disk_is_a_full_spool_and_leaves_no_rest(spool, monkeypatch):
    spool.append(record(1))

    def refuse(path, data):
        path.write_bytes(data[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spooling, "_write_synced", refuse)
    with pytest.raises(SpoolFull, match="No space left"):
        spool.append(record(2))
    assert not list(spool.folder.glob("*.part"))
    assert drained(spool) == [1]


def test_state(spool):
    assert (spool.state().batches, spool.state().oldest, spool.empty()) == (0, None, True)
    spool.append(record(1))
    spool.append(record(2))
    state = spool.state()
    assert (state.batches, state.limit, state.full) == (2, MEGABYTE, False)
    assert state.bytes == sum(path.stat().st_size for path in spool.folder.glob("*.batch"))
    assert state.oldest is not None
    assert spool.identity() == Spool(spool.folder, 1).identity()


# --- the breaker --------------------------------------------------------------------------------------------------


def test_a_breaker_lets_one_probe_through_in_each_pause_until_one_works():
    now = [100.0]
    breaker = Breaker(3.0, lambda: now[0])
    assert breaker.allows()
    assert breaker.allows()
    breaker.failed()
    assert (breaker.open, breaker.allows()) == (True, False)
    now[0] += 3
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.failed()
    now[0] += 2.9
    assert not breaker.allows()
    now[0] += 0.1
    assert breaker.allows()
    breaker.worked()
    assert not breaker.open
    assert all(breaker.allows() for _ in range(3))
