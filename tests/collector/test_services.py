"""Around the minute: start and stop, statistics, metrics, events, leases, refusals, heartbeats, retention, commands."""

import os
import time
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from redis import RedisError

from collector import heartbeat, lease, metrics, refusals, selectors, services
from collector.events import MOST_OF_A_TYPE, Event, Type, bounded, record
from collector.lease import Lease, State
from collector.models import CollectionMinute, RunChange, RunState, StreamEvent, SystemMetric
from markets.storage import storage_name
from tests.collector.feeding import until
from tests.collector.simulated import NAMES, run_minute
from tests.collector.test_limits import Away

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def minute_row(minute=NOON, **figures):
    plain = {"expected": 10, "stored": 10, "started_at": minute, "finished_at": minute + timedelta(seconds=4)}
    return CollectionMinute.objects.create(minute=minute, **(plain | figures))


# --- start and stop -----------------------------------------------------------------------------------------------


def test_start_and_stop_are_kept_with_who_and_when(db):
    assert selectors.run_state().running
    services.stop("key bot")
    services.stop("key other")
    assert not selectors.run_state().running
    services.start("admin")
    services.start("admin")
    assert selectors.run_state().changed_by == "admin"
    changes = list(RunChange.objects.order_by("at").values_list("running", "by"))
    assert changes == [(False, "key bot"), (True, "admin")]


# --- statistics and status ----------------------------------------------------------------------------------------


def test_statistics_before_and_after_the_first_minute(db):
    empty = selectors.statistics()
    assert (empty.total_requests, empty.success_rate, empty.last_collection_time, empty.last_cycle) == (
        0,
        100.0,
        None,
        None,
    )
    RunState.objects.update(total_requests=8, successful_requests=6, failed_requests=2)
    minute_row(stored=7, failed=2, overrun=1)
    minute_row(NOON + timedelta(minutes=1), stored=3)
    found = selectors.statistics()
    assert found.success_rate == 75.0
    assert found.last_collection_time == NOON + timedelta(minutes=1, seconds=4)
    assert (found.last_cycle.minute, found.last_cycle.seconds, found.last_cycle.partial) == (NOON, 4.0, True)


@pytest.mark.parametrize(
    ("seconds", "word"), [(0, "healthy"), (150, "healthy"), (151, "degraded"), (600, "degraded"), (601, "unhealthy")]
)
def test_status_is_the_age_of_the_newest_stored_minute(db, seconds, word):
    minute_row()
    minute_row(NOON + timedelta(seconds=seconds), stored=0) if seconds else None
    found = selectors.status(NOON + timedelta(seconds=seconds))
    assert (found.status, found.last_minute, found.lag_seconds) == (word, NOON, seconds)


def test_status_without_any_minute_and_when_stopped(db):
    assert selectors.status(NOON) == selectors.CollectorStatus("unhealthy", None, None, 0)
    services.stop("tester")
    assert selectors.status(NOON).status == "stopped"


def test_weight_is_what_the_budget_counts(registry):
    run_minute()
    use = selectors.weight("SPOT")
    assert (use.limit, use.blocked_until) == (6000, None)
    assert use.used >= 250 * len(NAMES) or time.time() % 60 < 5


def test_weight_without_redis_is_that_of_the_newest_minute(db, forgetful, monkeypatch):
    from collector import limits

    monkeypatch.setattr(limits, "broker_redis", Away)
    assert selectors.weight("FUTURES") == selectors.WeightUse(0, 2400, None)
    minute_row(weight_futures=70)
    assert selectors.weight("FUTURES") == selectors.WeightUse(70, 2400, None)


# --- metrics ------------------------------------------------------------------------------------------------------


def test_metrics_are_those_of_the_minute_that_is_over_once(db, empty_redis):
    minute_row(requests=12, successful_requests=11, failed_requests=1, weight_spot=250, rows=100, network_seconds=2.5)
    heartbeat.write("worker", {})
    now = NOON + timedelta(minutes=1, seconds=15)
    assert services.record_metrics(now) == len(metrics.FIGURES) + 4
    values = dict(SystemMetric.objects.filter(name__startswith="collector.").values_list("name", "value"))
    assert values["collector.requests"] == 12
    assert values["collector.requests.failed"] == 1
    assert values["collector.cycle.seconds"] == 4.0
    assert values["collector.cycle.network_seconds"] == 2.5
    assert values["collector.weight.spot"] == 250
    memory = SystemMetric.objects.get(name="process.memory_bytes")
    assert memory.metadata["process"] == "worker"
    assert memory.metadata["pid"] == os.getpid()
    assert memory.value > 1e6
    assert {row.time for row in SystemMetric.objects.all()} == {NOON}
    assert services.record_metrics(now) == 0


def test_metrics_without_redis_lack_the_processes_alone(db, monkeypatch):
    monkeypatch.setattr(heartbeat, "broker_redis", Away)
    minute_row()
    assert services.record_metrics(NOON + timedelta(minutes=1)) == len(metrics.FIGURES) + 2


def test_a_minute_that_nobody_finished_is_closed_as_partial_once(db, empty_redis):
    row = minute_row(stored=6, failed=1, causes={"rejected": 1})
    for seconds in (15, 30, 75):
        services.record_metrics(NOON + timedelta(minutes=1, seconds=seconds))
    row.refresh_from_db()
    assert (row.overrun, row.causes, row.closed) == (3, {"rejected": 1, "unread": 3}, True)
    event = StreamEvent.objects.get(event_type="MINUTE_PARTIAL")
    assert event.message == "6 of 10 order books stored: rejected 1, unread 3"
    assert event.metadata == {"minute": NOON.isoformat(), "causes": {"rejected": 1, "unread": 3}}


def test_the_running_minute_stays_open(db, empty_redis):
    row = minute_row(stored=6)
    services.record_metrics(NOON + timedelta(seconds=59))
    row.refresh_from_db()
    assert not row.closed


# --- events -------------------------------------------------------------------------------------------------------


def test_events_of_one_batch_are_bounded_by_type_and_market(db):
    storm = [Event(Type.ERROR, "x", f"S{number}", "SPOT") for number in range(500)]
    record([*storm, Event(Type.ERROR, "y", market="FUTURES"), Event(Type.CLOCK_SKEW, "z")])
    assert StreamEvent.objects.count() == MOST_OF_A_TYPE + 3
    last = StreamEvent.objects.get(message__startswith="and ")
    assert last.metadata == {"count": 500 - MOST_OF_A_TYPE}
    assert bounded([]) == []


def test_an_event_takes_any_text(db):
    record([Event(Type.ERROR, "a\x00b" * 1000)])
    assert StreamEvent.objects.get().message.startswith("abab")


# --- leases -------------------------------------------------------------------------------------------------------


def another(key):
    other = Lease(key)
    other._token = "elsewhere:1"
    return other


def test_one_holder_at_a_time_until_it_gives_back(empty_redis):
    mine, other = Lease("part"), another("part")
    assert mine.take() is State.OURS
    assert other.take() is State.BUSY
    other.release()
    assert other.take() is State.BUSY
    mine.release()
    assert other.take() is State.OURS


def test_what_is_finished_is_done_for_all(empty_redis):
    mine = Lease("part")
    mine.take()
    mine.finish()
    assert another("part").take() is State.DONE


def test_a_holder_that_died_loses_it_soon_and_one_that_lives_does_not(empty_redis, monkeypatch):
    mine, other = Lease("part"), another("part")
    mine.take()
    empty_redis.pexpire("lease:part", 8000)
    monkeypatch.setattr(lease, "RENEWAL", 600.0)
    mine.renew()  # it is not time to
    assert empty_redis.pttl("lease:part") <= 8000
    monkeypatch.setattr(lease, "RENEWAL", 0.0)
    mine.renew()
    assert empty_redis.pttl("lease:part") > 8000
    assert other.take() is State.BUSY
    monkeypatch.setattr(lease, "LIFETIME", 0.4)
    mine.renew()
    until(lambda: other.take() is State.OURS)
    mine.renew()
    assert empty_redis.get("lease:part") == b"elsewhere:1"


def test_without_redis_the_part_is_read_all_the_same(monkeypatch):
    monkeypatch.setattr(lease, "broker_redis", Away)
    mine = Lease("part")
    assert mine.take() is State.OURS
    mine._renewed = 0
    mine.renew()
    mine.finish()
    mine.release()


# --- refusals -----------------------------------------------------------------------------------------------------


def test_a_refused_symbol_waits_twice_as_long_each_time(empty_redis):
    waits = []
    for _ in range(8):
        waits.append(refusals.note("binance", "SPOT", "XUSDT"))
        left = empty_redis.ttl("refused:until:binance:SPOT:XUSDT")
        assert waits[-1] * 60 - 12 <= left <= waits[-1] * 60 - 10
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    assert refusals.waiting("binance", "SPOT", ["XUSDT", "YUSDT"]) == {"XUSDT"}
    assert refusals.waiting("binance", "FUTURES", ["XUSDT"]) == set()
    assert refusals.waiting("binance", "SPOT", []) == set()


def test_without_redis_nobody_waits(monkeypatch):
    monkeypatch.setattr(refusals, "broker_redis", Away)
    assert refusals.note("binance", "SPOT", "XUSDT") == 1
    assert refusals.waiting("binance", "SPOT", ["XUSDT"]) == set()


# --- signs of life ------------------------------------------------------------------------------------------------


def test_a_process_shows_that_it_lives_and_works(empty_redis):
    heartbeat.write("worker", {})
    heartbeat.task_done(os.getpid())
    (found,) = selectors.processes()
    assert (found.name, found.pid) == ("worker", os.getpid())
    assert found.memory_bytes > 1e6
    assert abs((found.at - datetime.now(UTC)).total_seconds()) < 5
    assert abs((found.last_task_at - datetime.now(UTC)).total_seconds()) < 5
    assert 0 < empty_redis.ttl(f"process:worker:{found.host}:{found.pid}") <= 30


def test_the_thread_writes_by_itself(empty_redis):
    heartbeat.beat("scanner")
    heartbeat.beat("scanner")
    until(selectors.processes)
    heartbeat.end("scanner")
    assert [found.name for found in selectors.processes()] == ["scanner"]


def test_health_of_a_process_kind(empty_redis):
    now = datetime.now(UTC)
    assert selectors.process_status("beat", now)["status"] == "unhealthy"
    heartbeat.write("beat", {})
    heartbeat.task_done(os.getpid())
    assert selectors.process_status("beat", now)["status"] == "healthy"
    assert selectors.process_status("beat", now)["processes"] == 1
    late = now + timedelta(minutes=10)
    assert selectors.process_status("beat", late)["status"] == "degraded"


def test_health_without_redis_says_so(monkeypatch):
    monkeypatch.setattr(heartbeat, "broker_redis", Away)
    with pytest.raises(RedisError):
        selectors.process_status("beat", NOON)


# --- retention ----------------------------------------------------------------------------------------------------


def test_what_is_past_its_lifetime_goes(db):
    old = NOON - timedelta(days=61)
    minute_row(old)
    minute_row(NOON - timedelta(days=59))
    for time_of, kind in ((old, Type.ERROR), (NOON - timedelta(days=13), Type.BANNED)):
        record([Event(kind, "x", time=time_of)])
    SystemMetric.objects.create(time=old, name="a", value=1)
    SystemMetric.objects.create(time=NOON - timedelta(days=59), name="b", value=1)
    deleted = services.retain(NOON)
    assert CollectionMinute.objects.count() == 1
    if storage_name() == "postgresql":  # TimescaleDB drops whole chunks by itself
        assert deleted == 3
        assert StreamEvent.objects.get().event_type == "BANNED"
        assert SystemMetric.objects.get().name == "b"


# --- commands -----------------------------------------------------------------------------------------------------


def test_commands_print_what_they_did(exchange, db):
    out = StringIO()
    call_command("sync_symbols", stdout=out)
    assert "binance SPOT: " in out.getvalue()
    run_minute()
    heartbeat.write("worker", {})
    out = StringIO()
    call_command("collector_status", stdout=out)
    told = out.getvalue()
    both = 2 * len(NAMES)
    assert f"collector  healthy, {both} symbols" in told
    assert f"requests   {both} (0 failed, 100.0 % good)" in told
    assert f"{both} of {both} in " in told
    assert "process    worker" in told


def test_the_status_command_without_redis(db, monkeypatch, forgetful):
    monkeypatch.setattr(heartbeat, "broker_redis", Away)
    out = StringIO()
    call_command("collector_status", stdout=out)
    assert "Redis is away" in out.getvalue()
