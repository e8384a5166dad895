"""The request budget: shared, corrected, halted, and kept without Redis."""

import json
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import RedisError

from collector import limits, processes
from collector.limits import Priority, WeightBudget, usage
from markets import connections
from tests.collector.simulated import ROOT, room

CEILING = 0.8


@pytest.fixture
def budget(empty_redis):
    past_the_edge()
    return WeightBudget("binance", "SPOT", 1000)


def past_the_edge():
    """A moment in the middle of a minute, where the exchange's count is surely of this one."""
    room(15)
    into = time.time() % 60
    if into < 1.2:
        time.sleep(1.2 - into)


class Away:
    """A Redis that is not there."""

    def __getattr__(self, name):
        def refuse(*arguments, **options):
            raise RedisError("away")

        return refuse


@pytest.fixture
def redis_away(monkeypatch):
    def take_away():
        monkeypatch.setattr(limits, "broker_redis", Away)

    def bring_back(*budgets):
        monkeypatch.setattr(limits, "broker_redis", connections.broker_redis)
        for one in budgets:
            one._redis_after = 0.0

    return take_away, bring_back


def used(market="SPOT"):
    return usage("binance", market, 0)[0]


def fill(budget, weight, priority=Priority.MINUTE):
    """Reserves until it is refused; gives the sum granted."""
    total = 0
    while budget.reserve(weight, priority).granted:
        total += weight
    return total


@given(weights=st.lists(st.integers(1, 250), max_size=60), processes=st.integers(1, 4))
def test_the_sum_never_passes_the_ceiling_and_nothing_that_fits_is_refused(weights, processes):
    connections.broker_redis().flushdb()
    sharing = [WeightBudget("binance", "SPOT", 1000) for _ in range(processes)]
    windows = {}
    for number, weight in enumerate(weights):
        leave = sharing[number % processes].reserve(weight)
        before = windows.get(leave.window, 0)
        assert leave.granted == (before + weight <= 1000 * CEILING)
        windows[leave.window] = before + weight * leave.granted


def test_several_processes_together_stay_within_it(empty_redis):
    script = textwrap.dedent(
        """
        import json, sys, time
        import django
        django.setup()
        from collector.limits import WeightBudget
        from concurrent.futures import ThreadPoolExecutor
        budget = WeightBudget("binance", "SPOT", 6000)
        until = time.time() + 4
        def ask(number):
            granted = {}
            while time.time() < until:
                weight = (5, 25, 50, 250)[number % 4]
                number += 7
                leave = budget.reserve(weight)
                if leave.granted:
                    granted[leave.window] = granted.get(leave.window, 0) + weight
            return granted
        with ThreadPoolExecutor(6) as pool:
            print(json.dumps(list(pool.map(ask, range(6)))))
        """
    )
    argv = [sys.executable, "-c", script]
    import os

    environ = os.environ | {"DJANGO_SETTINGS_MODULE": "tradingplatform.settings"}
    children = [subprocess.Popen(argv, cwd=ROOT, env=environ, stdout=subprocess.PIPE) for _ in range(4)]
    totals = {}
    for child in children:
        out, _ = child.communicate(timeout=100)
        assert child.returncode == 0
        for granted in json.loads(out):
            for window, weight in granted.items():
                totals[window] = totals.get(window, 0) + weight
    assert totals
    assert all(6000 * CEILING - 250 < total <= 6000 * CEILING for total in totals.values()), totals


def test_the_exchange_raises_the_count_and_never_lowers_it(budget):
    leave = budget.reserve(10)
    budget.correct(leave, 700)
    assert used() == 700
    budget.correct(leave, 300)
    assert used() == 700
    assert fill(budget, 50) == 100


def test_what_the_exchange_said_of_another_minute_is_not_counted(budget):
    leave = budget.reserve(10)
    earlier = limits.Reservation(True, leave.window - 1, False, None, 0)
    early = limits.Reservation(True, leave.window, True, None, 0)
    for of_another in (earlier, early):
        budget.correct(of_another, 700)
        assert used() == 10
    budget.correct(leave, None)
    assert used() == 10


def test_what_the_books_need_is_kept_for_them(budget):
    budget.announce(700)
    assert fill(budget, 10, Priority.RESYNC) == 90
    assert fill(budget, 10, Priority.BACKFILL) == 0
    assert fill(budget, 10) == 800 - 90
    assert not budget.reserve(10, Priority.RESYNC).granted


def test_live_books_are_not_deepened_with_what_the_minutes_books_may_need(budget):
    assert fill(budget, 10, Priority.DEEPENING) == 70
    budget.announce(200)
    assert fill(budget, 10, Priority.DEEPENING) == 500
    assert fill(budget, 10, Priority.RESYNC) == 20


def test_when_the_books_are_read_the_rest_is_for_others_in_their_order(budget):
    budget.announce(300)
    for _ in range(30):
        assert budget.reserve(10).granted
    assert fill(budget, 10, Priority.BACKFILL) == 740 - 300
    assert fill(budget, 10, Priority.OPEN_INTEREST) == 20
    assert fill(budget, 10, Priority.REPAIR) == 20
    assert fill(budget, 1, Priority.RESYNC) == 19
    assert fill(budget, 1) == 1


def test_a_refusal_tells_when_to_ask_again(budget):
    leave = budget.reserve(100_000)
    assert not leave.granted
    assert leave.halted_until is None
    end = (time.time() // 60 + 1) * 60
    assert end < leave.retry_at < end + 1


def test_minutes_are_those_of_the_exchanges_clock(budget):
    budget.offset_ms = 25_000
    leave = budget.reserve(10)
    assert leave.window == int((time.time() + 25) // 60)
    assert (budget.reserve(10_000).retry_at + 25) % 60 < 1


def test_a_halt_holds_for_every_process_and_is_told_once(budget):
    other = WeightBudget("binance", "SPOT", 1000)
    until = datetime.now(UTC) + timedelta(seconds=60)
    assert budget.halt(until) == (pytest.approx(until, abs=timedelta(milliseconds=2)), True)
    assert other.halt(until - timedelta(seconds=30))[1] is False
    leave = other.reserve(1)
    assert not leave.granted
    assert leave.halted_until == pytest.approx(until.timestamp(), abs=0.01)
    assert leave.retry_at == leave.halted_until
    assert WeightBudget("binance", "FUTURES", 1000).reserve(1).granted
    assert usage("binance", "SPOT", 0)[1] == pytest.approx(until, abs=timedelta(milliseconds=2))


def test_a_halt_without_an_end_lasts_until_the_next_minute(budget):
    until, _ = budget.halt(None)
    assert 0 < until.timestamp() - (time.time() // 60 + 1) * 60 <= 1.01


def test_a_halt_is_over_at_its_end(budget):
    end = datetime.now(UTC) + timedelta(seconds=3)
    budget.halt(end)
    assert not budget.reserve(1).granted
    time.sleep(max(0.0, end.timestamp() - time.time()) + 0.05)
    assert budget.reserve(1).granted
    assert budget.halt(datetime.now(UTC) + timedelta(seconds=0.2))[1] is True


def test_a_halt_and_the_count_outlive_a_crash_of_redis(servers, budget):
    budget.reserve(123)
    budget.halt(datetime.now(UTC) + timedelta(seconds=300))
    time.sleep(1.2)  # what a crash may cost at most
    servers.redis.kill()
    assert not budget.reserve(1).granted, "the process itself remembers"
    servers.redis.start()
    again = WeightBudget("binance", "SPOT", 1000)
    assert not again.reserve(1).granted
    assert used() == 123


def test_without_redis_each_process_keeps_to_its_share(budget, monkeypatch, redis_away):
    take_away, _ = redis_away
    sharing = [budget, *(WeightBudget("binance", "SPOT", 1000) for _ in range(3))]
    for number, one in enumerate(sharing):
        monkeypatch.setattr(processes, "identity", lambda number=number: f"here:{number}")
        assert one.reserve(20).granted
    for one in sharing:  # each has now heard of the four
        assert one.reserve(1).granted
    take_away()
    granted = [fill(one, 1) for one in sharing]
    assert all(170 < share <= 200 for share in granted), granted
    assert 84 + sum(granted) <= 1000 * CEILING


def test_what_was_used_without_redis_is_counted_when_it_is_back(budget, redis_away):
    take_away, bring_back = redis_away
    budget.reserve(10)
    take_away()
    assert budget.reserve(30).granted
    bring_back(budget)
    assert budget.reserve(5).granted
    assert used() == 45


def test_a_halt_that_came_without_redis_holds_when_it_is_back(budget, redis_away):
    take_away, bring_back = redis_away
    take_away()
    assert budget.halt(datetime.now(UTC) + timedelta(seconds=30))[1] is True
    bring_back(budget)
    assert not budget.reserve(1).granted


def test_usage_says_when_redis_is_away(redis_away):
    redis_away[0]()
    with pytest.raises(RedisError):
        usage("binance", "SPOT", 0)
