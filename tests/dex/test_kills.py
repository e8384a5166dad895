"""Scanners that are killed, and scanners that meet: what is stored is the chain's state, once."""

import os
import random
import signal
import time
from contextlib import suppress

import pytest
from django.db import connection

from collector import scanner as scanner_module
from collector import scanner_recovery
from dex.models import SystemState
from dex.selectors import scanner_state
from tests.dex.conftest import assert_is_the_chains, catch_up, wait_for

pytestmark = [pytest.mark.usefixtures("clean"), pytest.mark.timeout(600)]
KILLS = 20


def begin(scanner):
    """The scanner in a process of its own; gives its pid. Our connection is closed first, for it must not be shared."""
    connection.close()
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.signal(signal.SIGTERM, lambda *_: scanner.stop.set())
        scanner.run()
    finally:
        os._exit(0)


def end(pid, number=signal.SIGKILL):
    os.kill(pid, number)
    return os.waitpid(pid, 0)[1]


def last_block():
    """Which block is stored; 0 before the first."""
    state = SystemState.objects.first()
    return state.last_processed_block or 0 if state is not None else 0


@pytest.fixture
def slow(monkeypatch):
    """Many small steps instead of few large ones: more moments to be killed in."""
    monkeypatch.setattr(scanner_module, "DEEP", 8)
    monkeypatch.setattr(scanner_module, "POLL", 0.01)
    monkeypatch.setattr(scanner_recovery, "FIRST_RANGE", 2)
    monkeypatch.setattr(scanner_recovery, "LONGEST_RANGE", 2)


@pytest.mark.usefixtures("slow")
def test_a_scanner_killed_twenty_times_ends_with_the_chains_state(chain, make_scanner):
    dice, halfway = random.Random(11), 0
    for number in range(1, 61):
        chain.create(user=number % 3)
        if number % 2:
            chain.cancel(number, user=number % 3)
    for turn in range(KILLS):
        before = last_block()
        chain.mine(10)  # some steps, of which it has to do the first before it is killed
        pid = begin(make_scanner())
        try:
            if turn % 5 == 4:
                chain.rpc("anvil_reorg", dice.randrange(1, 8), [])
            for _ in range(3):
                chain.create(user=turn % 3)
            wait_for(lambda before=before: last_block() != before)
            time.sleep(dice.uniform(0, 0.03))
        finally:
            end(pid)
        halfway += last_block() < chain.height()
    assert halfway >= KILLS // 4  # else nothing was interrupted
    catch_up(make_scanner())
    assert_is_the_chains(chain)


@pytest.mark.usefixtures("slow")
def test_of_two_scanners_one_works_and_the_other_takes_over(chain, make_scanner):
    first = begin(make_scanner())
    wait_for(lambda: SystemState.objects.exists())
    second = begin(make_scanner())
    try:
        for turn in range(6):
            chain.create(user=turn % 3)
            time.sleep(0.05)
        wait_for(lambda: scanner_state().last_processed_block == chain.height())
        assert_is_the_chains(chain)
        end(first)
        for turn in range(6):
            chain.create(user=turn % 3)
        wait_for(lambda: scanner_state().last_processed_block == chain.height())
        assert_is_the_chains(chain)
        assert os.waitstatus_to_exitcode(end(second, signal.SIGTERM)) == 0
        assert scanner_state().status == "stopped"
    finally:
        for pid in (first, second):
            with suppress(ProcessLookupError, ChildProcessError):
                end(pid)


def test_a_scanner_without_the_lease_writes_nothing(chain, make_scanner):
    """One that was silent while another took over: its lease is gone with its connection, its cursor is old."""
    sleepy = make_scanner()
    chain.create()
    catch_up(sleepy)
    connection.close()
    other = make_scanner()
    chain.create()
    catch_up(other)
    chain.create()
    sleepy.guarded_round()
    assert sleepy.cursor is None
    catch_up(sleepy)
    assert_is_the_chains(chain)
