"""The last day of collection as the status page tells it: every minute in one state, gaps with their causes."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from collector.status import MINUTE, Tally, states, summary

START = datetime(2026, 3, 1, 10, 3, tzinfo=UTC)
WHOLE, PARTIAL, EMPTY = Tally(4, 4, {}), Tally(4, 3, {"unavailable": 1}), Tally(4, 0, {"late": 2, "unread": 2})


def minute(n):
    return START + n * MINUTE


def day(tallies, length=30, began=START, stopped=(), away=()):
    found = {minute(n): tally for n, tally in tallies.items()}
    return summary(states(found, START, minute(length), began, stopped, away))


def test_a_whole_day_has_no_gaps():
    found = day(dict.fromkeys(range(30), WHOLE))
    assert (found.gaps, found.expected, found.stored) == ([], 120, 120)
    assert (found.unbroken_since, found.reaches_back) == (START, True)
    assert {bucket.state for bucket in found.buckets} == {"whole"}
    assert [bucket.start.minute for bucket in found.buckets] == [3, 10, 20, 30]


def test_gaps_are_told_by_state_and_cause_newest_first():
    tallies = dict.fromkeys(range(30), WHOLE) | {2: PARTIAL, 3: PARTIAL, 4: Tally(4, 1, {"refused": 3}), 9: EMPTY}
    for n in (15, 16, 20, 21):
        del tallies[n]
    found = day(tallies, stopped=[(minute(15) + timedelta(seconds=20), minute(16) + timedelta(seconds=1))])
    told = [(gap.start, gap.end, gap.state, gap.cause, gap.books) for gap in found.gaps]
    assert told == [
        (minute(20), minute(22), "missing", "outage", None),
        (minute(15), minute(17), "stopped", "stopped", None),
        (minute(9), minute(10), "missing", "overrun", 4),
        (minute(4), minute(5), "partial", "refused", 3),
        (minute(2), minute(4), "partial", "exchange away", 2),
    ]
    assert (found.partial_minutes, found.missing_minutes) == (3, 3)
    assert (found.unbroken_since, found.reaches_back) == (minute(22), False)


def test_what_was_away_is_the_cause_of_minutes_without_figures():
    tallies = dict.fromkeys([0, 1, 5, 9], WHOLE)
    away = [("redis away", [(minute(2), minute(4))]), ("platform down", [(minute(6), minute(9))])]
    told = [(gap.start, gap.end, gap.cause) for gap in day(tallies, length=10, away=away).gaps]
    assert told == [
        (minute(6), minute(9), "platform down"),
        (minute(4), minute(5), "outage"),
        (minute(2), minute(4), "redis away"),
    ]


def test_what_was_before_the_platform_is_no_gap():
    found = day(dict.fromkeys(range(20, 30), WHOLE), began=minute(20))
    assert found.gaps == []
    assert found.buckets[0].state == "before"
    assert found.unbroken_since == minute(20)
    assert not found.reaches_back


def test_an_empty_last_minute_breaks_the_stretch():
    assert day(dict.fromkeys(range(29), WHOLE)).unbroken_since is None


@given(
    st.dictionaries(st.integers(0, 59), st.sampled_from([WHOLE, PARTIAL, EMPTY, Tally(0, 0, {})])), st.integers(0, 60)
)
def test_every_minute_is_accounted_for_once(tallies, began):
    found = day(tallies, length=60, began=minute(began))
    minutes = states({minute(n): t for n, t in tallies.items()}, START, minute(60), minute(began), ())
    troubled = [one.minute for one in minutes if one.state in {"partial", "missing", "stopped"}]
    told = sorted(gap.start + n * MINUTE for gap in found.gaps for n in range((gap.end - gap.start) // MINUTE))
    assert told == troubled or len(found.gaps) == 50
    assert sum(bucket.stored for bucket in found.buckets) == found.stored <= found.expected
