"""The platform at one moment: what its records and processes say, and since when."""

from datetime import timedelta

import pytest

from api import status as page
from collector.events import Event, Type, record
from collector.heartbeat import write
from collector.models import CollectionMinute, PastLoad, RunState
from collector.services import stop
from collector.status import MINUTE
from markets.models import Symbol


@pytest.fixture(autouse=True)
def _forget():
    page._seen.clear()


@pytest.fixture
def minutes(books, now):
    """Twenty minutes of collection up to the running one: one missing, one partial."""
    current = now.replace(second=0, microsecond=0)
    for ago in range(20):
        if ago != 12:
            CollectionMinute.objects.create(
                minute=current - ago * MINUTE,
                expected=4,
                stored=3 if ago == 5 else 4,
                failed=1 if ago == 5 else 0,
                causes={"unavailable": 1} if ago == 5 else {},
                started_at=current - ago * MINUTE,
                finished_at=current - ago * MINUTE + timedelta(seconds=2),
            )
    return current


def told(client):
    answer = client.get("/api/v1/status")
    assert answer.status_code == 200
    return answer.json()


def parts(body):
    return {part["name"]: part for part in body["components"]}


def ms(moment):
    return int(moment.timestamp() * 1000)


def test_collection_is_healthy_since_its_last_empty_minute(client, minutes, empty_redis):
    body = told(client)
    collector = parts(body)["collector"]
    assert (collector["status"], collector["level"]) == ("healthy", "green")
    assert (collector["since"], collector["sinceExact"]) == (ms(minutes - 11 * MINUTE), True)
    assert (body["coverage"]["partialMinutes"], body["coverage"]["missingMinutes"]) == (1, 1)
    assert [(gap["state"], gap["cause"], gap["books"]) for gap in body["gaps"]] == [
        ("partial", "exchange away", 1),
        ("missing", "outage", None),
    ]
    assert body["collection"]["lastCycle"]["stored"] == 4
    assert body["storage"]["bytes"] > 1_000_000


def test_a_collector_that_is_late_is_so_since_its_grace_ended(client, minutes, empty_redis):
    CollectionMinute.objects.filter(minute__gt=minutes - 4 * MINUTE).delete()
    collector = parts(told(client))["collector"]
    assert (collector["status"], collector["level"]) == ("degraded", "amber")
    assert collector["since"] == ms(minutes - 4 * MINUTE + timedelta(seconds=150))


def test_a_stopped_collector_says_since_when(client, minutes, empty_redis):
    stop("tester")
    body = told(client)
    collector = parts(body)["collector"]
    changed = ms(RunState.objects.get().changed_at)
    assert (collector["status"], collector["level"], collector["since"]) == ("stopped", "amber", changed)
    assert body["collection"]["changedBy"] == "tester"


def test_processes_are_those_that_show_signs_of_life(client, minutes, empty_redis):
    assert told(client)["processes"] == []
    write("worker", {})
    body = told(client)
    [worker] = body["processes"]
    assert worker["name"] == "worker"
    assert worker["memoryBytes"] > 1_000_000
    assert parts(body)["worker"]["processes"] == 1


def test_a_change_is_exact_only_when_it_was_seen(now):
    first = page.observe("worker", "unhealthy", now)
    assert (first.since, first.exact) == (now, False)
    page.observe("worker", "unhealthy", now + timedelta(seconds=10))
    seen = page.observe("worker", "healthy", now + timedelta(seconds=15))
    assert (seen.since, seen.exact) == (now + timedelta(seconds=15), True)
    later = page.observe("worker", "unhealthy", now + timedelta(hours=1))
    assert (later.since, later.exact) == (now + timedelta(hours=1), False)


def test_failures_and_events_are_listed(client, minutes, empty_redis, now):
    Symbol.objects.filter(name="SOLUSDT").update(failures=3, last_error="timed out", last_error_at=now)
    record([Event(Type.ERROR, f"event {n}", "SOLUSDT", "SPOT", time=now - n * MINUTE) for n in range(3)])
    body = told(client)
    assert [(one["symbol"], one["minutes"], one["error"]) for one in body["failing"]] == [("SOLUSDT", 3, "timed out")]
    assert [event["message"] for event in body["events"]] == ["event 0", "event 1", "event 2"]


def test_the_past_is_told_while_it_is_loaded(client, minutes, empty_redis, now):
    assert told(client)["past"] is None
    PastLoad.objects.create(until=now, done=30, total=120)
    assert told(client)["past"] == {"until": ms(now), "done": 30, "total": 120, "finishedAt": None}


def test_redis_away_is_red_and_the_rest_is_told(client, minutes, servers):
    servers.redis.kill()
    body = told(client)
    found = parts(body)
    assert (found["redis"]["status"], found["redis"]["level"]) == ("unhealthy", "red")
    assert not found["redis"]["sinceExact"]
    assert found["worker"]["status"] == "unknown"
    assert found["database"]["status"] == "healthy"
    assert body["processes"] == []


@pytest.mark.parametrize("more", [0, 40])
def test_the_number_of_queries_does_not_grow(minutes, empty_redis, now, more, django_assert_max_num_queries):
    record([Event(Type.ERROR, f"event {n}", time=now) for n in range(more)])
    Symbol.objects.update(failures=1)
    with django_assert_max_num_queries(28):
        page.platform(now)
