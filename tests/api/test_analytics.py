"""What the kept rows add up to, what is missing of them, and why."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.gaps import MINUTE, gaps, minutes, subtract
from collector.absences import AWAY, KNOWN_CAUSES, MEANINGS, absences
from collector.models import CollectionMinute, Outage, RunChange
from depth.services import store_books
from tests.depth.factories import collected

NOON = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
PERIODS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), max_size=8)


def at(minute):
    return NOON + minute * MINUTE


def spans(pairs):
    return sorted((at(start), at(start + length)) for start, length in pairs)


def covered(periods):
    return {minute for minute in range(-5, 90) if any(start <= at(minute) < end for start, end in periods)}


def disjoint(periods):
    return subtract([(at(0), at(90))], subtract([(at(0), at(90))], periods))


@given(PERIODS, PERIODS)
def test_subtracting_is_what_sets_do(first, second):
    left = subtract(disjoint(spans(first)), spans(second))
    assert covered(left) == covered(spans(first)) - covered(spans(second))
    assert all(start < end for start, end in left)
    assert minutes(left) == len(covered(left))


@given(PERIODS.filter(bool), PERIODS, PERIODS)
def test_gaps_and_what_is_stored_are_everything_once(stored, working, stopped):
    held = disjoint(spans(stored))
    found = gaps(held, at(80), disjoint(spans(working)), disjoint(spans(stopped)))
    told = [minute for gap in found for minute in covered([(gap.start, gap.end)])]
    assert len(told) == len(set(told))
    assert set(told) == {m for m in range(90) if held[0][0] <= at(m) < at(80)} - covered(held)
    for gap in found:
        inside = covered([(gap.start, gap.end)])
        if gap.cause != "not collected":
            assert not inside & covered(spans(working))
            assert (gap.cause == "stopped") == (inside <= covered(spans(stopped)))


def test_causes():
    stored = [(at(0), at(10)), (at(20), at(30)), (at(60), at(70))]
    working = [(at(0), at(15)), (at(20), at(30)), (at(50), at(70))]
    stopped = [(at(33) + timedelta(seconds=5), at(39) + timedelta(seconds=30))]
    found = [(gap.start, gap.end, gap.cause) for gap in gaps(stored, at(70), working, stopped)]
    assert found == [
        (at(10), at(15), "not collected"),
        (at(15), at(20), "outage"),
        (at(30), at(33), "outage"),
        (at(33), at(40), "stopped"),
        (at(40), at(50), "outage"),
        (at(50), at(60), "not collected"),
    ]


def test_a_stop_goes_before_known_causes_and_those_before_not_knowing():
    stored = [(at(0), at(10)), (at(60), at(70))]
    working = [(at(0), at(20)), (at(55), at(70))]
    stopped = [(at(25), at(30))]
    known = [
        ("exchange away", [(at(15), at(27))]),
        ("redis away", [(at(18), at(22)), (at(35) + timedelta(seconds=50), at(37) + timedelta(seconds=1))]),
        ("overrun", [(at(10), at(11)), (at(57), at(99))]),
    ]
    found = [(gap.start, gap.end, gap.cause) for gap in gaps(stored, at(70), working, stopped, known)]
    assert found == [
        (at(10), at(11), "overrun"),
        (at(11), at(15), "not collected"),
        (at(15), at(25), "exchange away"),
        (at(25), at(30), "stopped"),
        (at(30), at(35), "outage"),
        (at(35), at(38), "redis away"),
        (at(38), at(55), "outage"),
        (at(55), at(57), "not collected"),
        (at(57), at(60), "overrun"),
    ]


def test_what_the_collector_knows_of_missing_minutes(db):
    def minute(number, stored, **causes):
        CollectionMinute.objects.create(
            minute=at(number), started_at=at(number), expected=10, stored=stored, causes=causes, closed=True
        )

    minute(0, 10)
    minute(1, 0, banned=6, overrun=4)
    minute(2, 5, unavailable=5)
    minute(3, 9, unread=1)
    minute(5, 0, unstored=10)
    minute(9, 4, rejected=1, refused=5)
    Outage.objects.create(cause="platform", start=at(20), end=at(30))
    Outage.objects.create(cause="redis", start=at(25), end=at(26))
    Outage.objects.create(cause="redis", start=at(-9), end=at(-8))
    found = {cause: periods for cause, periods in absences(at(0)) if periods}
    assert found == {
        "exchange away": [(at(1), at(3))],
        "refused": [(at(9), at(10))],
        "platform down": [(at(20), at(30))],
        "redis away": [(at(25), at(26))],
        "database away": [(at(5), at(6))],
        "overrun": [(at(3), at(4))],
    }
    assert tuple(cause for cause, _ in absences(at(0))) == KNOWN_CAUSES
    assert set(KNOWN_CAUSES) == {*MEANINGS.values(), *AWAY.values()}


def history(client, **query):
    days = {"from": "2026-09-30", "to": "2026-10-03"}
    return client.get("/api/v1/analytics/history", {"symbol": "BTCUSDT", "depth": "1", **days, **query})


def test_hours_and_days(client, registry):
    read = [(0, 1), (30, 3), (60, 8)]
    store_books([collected(at(minute), quantity=quantity, levels=3) for minute, quantity in read])
    body = history(client).json()
    assert (body["success"], body["interval"], len(body["data"])) == (True, "1h", 2)
    first, second = body["data"]
    assert (first["bucket"], first["count"]) == ("2026-10-01T12:00:00Z", 2)
    assert (first["avgBidVolume"], first["minBidVolume"], first["maxBidVolume"]) == (6, 3, 9)
    assert first["avgAskVolumeUsd"] == pytest.approx(6 * 100.2, rel=1e-3)
    assert first["minAskVolumeUsd"] < first["avgAskVolumeUsd"] < first["maxAskVolumeUsd"]
    assert (first["bidComplete"], first["askComplete"]) == (False, False)
    assert (second["bucket"], second["maxAskVolume"]) == ("2026-10-01T13:00:00Z", 24)
    [day] = history(client, interval="1d").json()["data"]
    assert (day["bucket"], day["count"], day["avgBidVolume"]) == ("2026-10-01T00:00:00Z", 3, 12)


def test_a_bucket_is_complete_when_every_minute_is(client, registry):
    store_books([collected(at(0), whole=True), collected(at(1), whole=True)])
    assert history(client).json()["data"][0]["bidComplete"] is True


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"interval": "1m"}, "interval"),
        ({"depth": "4"}, "depth"),
        ({"from": "2026-10-04"}, "from"),
        ({"from": "2020-01-01"}, "from"),
        ({"type": "bid"}, "type"),
    ],
)
def test_history_refuses(client, registry, query, field):
    answer = history(client, **query)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def stats(client):
    return client.get("/api/v1/analytics/stats?symbol=BTCUSDT&type=spot").json()["stats"]


def test_nothing_stored(client, registry):
    assert stats(client) == {
        "totalSnapshots": 0,
        "oldestSnapshot": None,
        "newestSnapshot": None,
        "dataAvailableDays": 0,
        "expectedMinutes": 0,
        "missingMinutes": 0,
        "gaps": [],
    }


def test_a_day_with_a_stop_and_an_outage(client, registry, now, settings):
    this = now.replace(second=0, microsecond=0)
    ages = [age for age in range(1, 61) if not (10 <= age < 20 or 40 <= age < 45 or age == 50)]
    store_books([collected(this - age * MINUTE, levels=3) for age in ages])
    worked = [age for age in range(1, 61) if not (10 <= age < 20 or 40 <= age < 45)]
    CollectionMinute.objects.bulk_create(
        CollectionMinute(minute=this - age * MINUTE, stored=1, started_at=this) for age in worked
    )
    RunChange.objects.create(at=this - 19.5 * MINUTE, running=False, by="somebody")
    RunChange.objects.create(at=this - 9.5 * MINUTE, running=True, by="somebody")
    found = stats(client)
    assert found["totalSnapshots"] == 44 * len(settings.DEPTH_BANDS)
    assert (found["expectedMinutes"], found["missingMinutes"], found["dataAvailableDays"]) == (60, 16, 0)
    assert [(gap["cause"], gap["from"], gap["to"]) for gap in found["gaps"]] == [
        ("not collected", _iso(this, 50), _iso(this, 49)),
        ("outage", _iso(this, 44), _iso(this, 39)),
        ("stopped", _iso(this, 19), _iso(this, 9)),
    ]


def _iso(this, age):
    return (this - age * MINUTE).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_queries_are_few(client, registry, django_assert_num_queries):
    with django_assert_num_queries(4):
        history(client)
    store_books([collected(at(0))])
    with django_assert_num_queries(7):
        stats(client)
