"""Leases of symbols among feeds, with a real Redis: each symbol has one feed at most, whatever happens to feeds."""

import random
import threading
import time
from collections import Counter

import pytest

from collector import processes
from collector.feed import leases as module
from collector.feed.fence import FencedRedis, LeaseLost
from collector.feed.leases import LEASES, SHARDS, WHOLE_MARKET, Leases, Shard
from markets import connections

NAMES = frozenset(f"S{number}USDT" for number in range(40))
ALL = NAMES | {WHOLE_MARKET}


class Clock:
    """The process's clock, that a test moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    moved = Clock()
    monkeypatch.setattr(module, "monotonic", moved)
    return moved


@pytest.fixture
def make(empty_redis, clock):
    def made(index=1, count=2):
        feed = Leases(Shard(index, count), lambda symbols: feed.heard.append(set(symbols)), lambda: None)
        feed.heard = []
        feed.want(NAMES)
        return feed

    return made


def expire(redis, feed):
    """The feed was not heard of for its lifetime."""
    redis.delete(module._holder_key(feed._id))


def steps(clock, *feeds, seconds=module.ABSENT_AFTER + 2):
    for _ in range(int(seconds)):
        clock.now += 1
        for feed in feeds:
            feed.step()


def publishable(feed):
    guard = feed.guard()
    return set(guard.symbols) if guard else set()


def writes(redis, feed):
    """Whether the fence lets this feed through."""
    try:
        FencedRedis(redis, feed.guard().fence).delete("nothing")
    except LeaseLost:
        return False
    return True


def test_each_symbol_has_one_feed(make, clock):
    one, two = make(1), make(2)
    one.step()  # alone at first: the other may only be slower to start
    assert publishable(one) < ALL
    steps(clock, one, two)
    assert publishable(one) | publishable(two) == ALL
    assert not publishable(one) & publishable(two)
    assert {one.holds(name) for name in publishable(two)} == {False}
    assert one.heard == [publishable(one)]


def test_one_that_is_alone_takes_all(make, clock):
    feed = make(1, 1)
    feed.step()
    assert publishable(feed) == ALL


def test_who_is_absent_is_replaced_by_all_others(make, clock, empty_redis):
    feeds = [make(index, 3) for index in (1, 2, 3)]
    steps(clock, *feeds)
    before = [publishable(feed) for feed in feeds]
    expire(empty_redis, feeds[0])
    steps(clock, *feeds[1:])
    after = [publishable(feed) for feed in feeds[1:]]
    assert after[0] | after[1] == ALL
    assert not after[0] & after[1]
    assert before[1] < after[0]
    assert before[2] < after[1]  # nothing but what was orphaned moves, and each takes a share of it


def test_a_feed_that_was_paused_is_kept_out_and_comes_back(make, clock, empty_redis):
    one, two = make(1), make(2)
    steps(clock, one, two)
    guard = one.guard()
    expire(empty_redis, one)
    steps(clock, two)
    assert publishable(two) == ALL
    assert one.guard() is None  # by its own clock
    with pytest.raises(LeaseLost):  # and by Redis, if it has looked at the clock before
        FencedRedis(empty_redis, guard.fence).delete("nothing")
    one.step()
    assert publishable(one) == set()
    assert not any(one.may_store(name) for name in NAMES)
    two.step()
    assert two.leaving == {name for name in ALL if Shard(1, 2).holds(name)}
    assert publishable(two) == ALL  # until it has stopped
    assert not any(two.holds(name) for name in two.leaving)
    one.step()
    assert publishable(one) == set()
    two.let_go(two.leaving)
    two.step()
    one.step()
    assert publishable(one) | publishable(two) == ALL
    assert not publishable(one) & publishable(two)
    assert one.heard[-1] == publishable(one)  # numbers go on after the other's


def test_a_lease_that_is_not_renewed_ends_before_another_can_have_it(make, clock):
    feed = make(1, 1)
    feed.step()
    clock.now += module.LIFETIME - module.MARGIN - 0.01
    assert feed.guard() is not None
    clock.now += 0.02
    assert feed.guard() is None
    assert feed.holds("S1USDT")  # its books go on
    assert not feed.may_store("S1USDT")
    feed.step()
    assert feed.guard() is not None


def test_leave_is_of_one_moment(make, clock, monkeypatch):
    """The thread of leases begins anew while the publisher asks: nothing old may pass the new fence."""
    feed = make(1, 1)
    feed.step()
    before = feed.guard()

    def meanwhile():
        feed._id = feed._fresh_id()
        return clock.now

    monkeypatch.setattr(module, "monotonic", meanwhile)
    assert feed.guard() == before


def test_while_redis_is_away_minutes_are_kept_and_nothing_is_published(make, clock, settings, monkeypatch):
    feed = make(1, 1)
    feed.step()
    feed._ended.wait = lambda seconds: True
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:9/0")
    connections.broker_redis.cache_clear()
    try:
        feed.begin()
        until = time.monotonic() + 60
        while not feed.away and time.monotonic() < until:
            time.sleep(0.01)
        clock.now += 60
        assert feed.guard() is None
        assert feed.may_store("S1USDT")
    finally:
        feed._ended.set()
        feed._woken.set()
        feed._thread.join()
        monkeypatch.undo()
        connections.broker_redis.cache_clear()


def test_a_redis_that_forgot_everything_is_told_again(make, clock, empty_redis):
    one, two = make(1), make(2)
    steps(clock, one, two)
    before = [publishable(feed) for feed in (one, two)]
    empty_redis.flushdb()
    assert not writes(empty_redis, one)
    one.step()
    two.step()
    assert [publishable(feed) for feed in (one, two)] == before
    assert writes(empty_redis, one)
    assert one.heard[-1] == before[0]


def test_after_an_absence_of_redis_nobody_takes_what_is_anothers(make, clock, empty_redis):
    """Both were cut off for a minute: the first one back waits for the other."""
    one, two = make(1), make(2)
    steps(clock, one, two)
    before = publishable(one)
    empty_redis.flushdb()
    one.away = two.away = True
    clock.now += 60
    one.step()
    assert publishable(one) == before
    two.step()
    assert publishable(one) | publishable(two) == ALL


def test_a_second_feed_for_one_shard_waits_and_takes_its_place(make, clock, empty_redis):
    first, second = make(1, 1), make(1, 1)
    steps(clock, first, second)
    assert (first.standby, second.standby) == (False, True)
    assert publishable(second) == set()
    first.end()
    second.step()
    assert publishable(second) == ALL
    assert not second.standby


def test_a_dead_process_of_this_machine_is_replaced_at_once(make, clock, empty_redis):
    dead, feed = make(1, 1), make(1, 1)
    dead._name = f"{processes.host()}:{2**22 + 1}:1.0"
    dead.step()
    feed.step()
    feed.step()
    assert publishable(feed) == ALL
    assert not writes(empty_redis, dead)


def test_a_process_elsewhere_is_not_known_to_be_dead():
    assert not module._is_dead(f"{processes.host()}x:{2**22 + 1}:1.0")


def test_the_end_leaves_nothing_behind(make, clock, empty_redis):
    feed = make(1, 1)
    feed.begin()
    until = time.monotonic() + 60
    while publishable(feed) != ALL:
        assert time.monotonic() < until
        time.sleep(0.01)
    feed.end()
    assert publishable(feed) == set()
    assert empty_redis.hgetall(SHARDS) == {}
    assert empty_redis.keys("feed:holder:*") == []
    other = make(1, 1)
    other.step()
    assert publishable(other) == ALL


# As the fence, and who has the lease of each symbol in that same moment.
ASK = f"""
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
return redis.call('HMGET', '{LEASES}', unpack(ARGV))
"""


def test_no_symbol_is_ever_published_by_two(empty_redis, monkeypatch):
    """Four feeds at work, paused at random for longer than their leases last: whatever passes the fence is of whoever
    has the lease at that moment."""
    for name, seconds in (("LIFETIME", 0.3), ("MARGIN", 0.1), ("ABSENT_AFTER", 0.1)):
        monkeypatch.setattr(module, name, seconds)
    wrong, count = [], Counter()
    end = time.monotonic() + 3
    patience = end + 60  # for what a slow machine has not come to by then

    def at_work():
        now = time.monotonic()
        return now < end or (now < patience and not (count["fenced"] and count["through"] > 100))

    def publish(guard, symbols):
        found = empty_redis.eval(ASK, 1, guard.fence, *symbols)
        count["fenced" if found is None else "through"] += 1
        own = guard.fence.removeprefix("feed:holder:").encode()
        wrong.extend(symbol for symbol, holder in zip(symbols, found or (), strict=False) if holder != own)

    def work(index):
        chance = random.Random(index)
        feed = Leases(Shard(index, 4), lambda symbols: None, lambda: None)
        feed.want(NAMES)
        while at_work():
            feed.step()
            feed.let_go(feed.leaving)
            for _ in range(5):
                guard = feed.guard()
                if guard is not None and guard.symbols:
                    symbols = chance.sample(sorted(guard.symbols), min(3, len(guard.symbols)))
                    if chance.random() < 0.02:
                        time.sleep(0.5)  # between looking and writing
                    publish(guard, symbols)
            time.sleep(0.02)

    threads = [threading.Thread(target=work, args=(index,)) for index in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert count["fenced"] > 0
    assert count["through"] > 100
