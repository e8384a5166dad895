"""When a reading fires: only when it is proven, once, and not again before it has come back and cooled down."""

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.rules import (
    MEANINGS,
    Bound,
    Direction,
    Kind,
    Memory,
    Reading,
    Threshold,
    Verdict,
    decide,
    diff_bound,
    sentence,
    z_score,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ABOVE = Threshold(Direction.ABOVE, 100, hysteresis=10, cooldown=timedelta(minutes=15))
EITHER = Threshold(Direction.EITHER, 50, hysteresis=10, cooldown=timedelta(minutes=15))
BELOW = Threshold(Direction.BELOW, 10, hysteresis=10, cooldown=timedelta(minutes=15))


def told(value, minutes=0, bound=Bound.EXACT, key=""):
    return Reading("BTCUSDT SPOT", value, NOON + timedelta(minutes=minutes), bound, key)


def verdicts(threshold, *readings):
    memory, said = Memory(), []
    for reading in readings:
        verdict, memory = decide(threshold, memory, reading)
        said.append(verdict.value)
    return said


def test_it_fires_once_until_the_value_has_come_back():
    assert verdicts(ABOVE, told(101), told(150, 1), told(95, 2), told(150, 3), told(90, 4), told(101, 20)) == [
        *("fired", "quiet", "quiet", "quiet", "resolved", "fired"),
    ]


def test_it_waits_for_the_cooldown_after_it_came_back():
    assert verdicts(ABOVE, told(101), told(50, 1), told(101, 14.9), told(101, 15)) == [
        *("fired", "resolved", "quiet", "fired"),
    ]


@pytest.mark.parametrize(("value", "fires"), [(51, True), (-51, True), (50, False), (-50, False), (0, False)])
def test_either_way(value, fires):
    assert verdicts(EITHER, told(value)) == ["fired" if fires else "quiet"]


def test_either_way_comes_back_from_both():
    assert verdicts(EITHER, told(60), told(-60, 20), told(-44, 21)) == ["fired", "quiet", "resolved"]
    assert verdicts(BELOW, told(9), told(10.5, 1), told(11, 2)) == ["fired", "quiet", "resolved"]


@pytest.mark.parametrize(
    ("threshold", "value", "bound", "fires"),
    [
        (ABOVE, 101, Bound.AT_LEAST, True),
        (ABOVE, 101, Bound.AT_MOST, False),  # it may be 5
        (BELOW, 9, Bound.AT_MOST, True),
        (BELOW, 9, Bound.AT_LEAST, False),
        (EITHER, 60, Bound.AT_LEAST, True),
        (EITHER, -60, Bound.AT_LEAST, False),
        (EITHER, -60, Bound.AT_MOST, True),
        (EITHER, 60, Bound.AT_MOST, False),
        (ABOVE, 1e9, Bound.UNKNOWN, False),
        (ABOVE, None, Bound.EXACT, False),
        (ABOVE, math.nan, Bound.EXACT, False),
        (ABOVE, math.inf, Bound.EXACT, False),
    ],
)
def test_what_is_not_known_whole_fires_only_on_what_it_proves(threshold, value, bound, fires):
    assert verdicts(threshold, told(value, bound=bound)) == ["fired" if fires else "quiet"]


def test_a_lower_bound_does_not_resolve_but_lapses_after_the_cooldown():
    low = [told(5, minutes, Bound.AT_LEAST) for minutes in (1, 14, 15)]
    assert verdicts(ABOVE, told(101, 0, Bound.AT_LEAST), *low, told(101, 16, Bound.AT_LEAST)) == [
        *("fired", "quiet", "quiet", "quiet", "fired"),
    ]


def test_an_event_never_fires_twice():
    assert verdicts(ABOVE, told(101, 0, key="a"), told(101, 30, key="a"), told(102, 31, key="b")) == [
        *("fired", "quiet", "fired"),
    ]


@given(
    st.lists(st.tuples(st.floats(-300, 300), st.sampled_from(list(Bound)), st.integers(1, 10)), max_size=60),
    st.sampled_from([ABOVE, EITHER, BELOW]),
)
def test_whatever_comes_two_firings_are_a_cooldown_apart_and_proven(steps, threshold):
    memory, minute, fired = Memory(), 0, []
    for value, bound, step in steps:
        minute += step
        verdict, memory = decide(threshold, memory, told(value, minute, bound))
        if verdict is Verdict.FIRED:
            fired.append(minute)
            assert bound is not Bound.UNKNOWN
            assert {"above": value > 100, "below": value < 10, "either": abs(value) > 50}[threshold.direction.value]
    assert all(later - earlier >= 15 for earlier, later in pairwise(fired))


def test_more_bids_can_only_raise_a_diff():
    assert [diff_bound(*sides) for sides in ((True, True), (False, True), (True, False), (False, False))] == [
        *(Bound.EXACT, Bound.AT_LEAST, Bound.AT_MOST, Bound.UNKNOWN),
    ]


@given(st.lists(st.floats(-100, 100), min_size=20, max_size=50), st.floats(-100, 100))
def test_z_score(values, newest):
    deviation = pstdev(values)
    score = z_score(values, newest)
    if deviation > 1e-6:
        assert score == pytest.approx((newest - fmean(values)) / deviation, rel=1e-6, abs=1e-6)
    assert z_score(values[:19], newest) is None
    assert z_score([3.0] * 30, newest) is None


def test_a_sentence_says_how_true_it_is():
    reading = Reading("BTCUSDT FUTURES", 1_234_567.0, NOON, Bound.AT_LEAST)
    text = sentence(Kind.LIQUIDATIONS, Threshold(Direction.ABOVE, 1_000_000), reading)
    assert text == "BTCUSDT FUTURES: liquidations over a window at least 1,234,567 USD, above 1,000,000"


def test_every_kind_has_a_meaning():
    assert set(MEANINGS) == set(Kind)
