"""Every form of a moment means the same moment, and nothing else is one."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.times import EPOCH, LAST, epoch_ms, epoch_seconds, iso, parse_moment

SECONDS = st.integers(0, 10**11 - 1)
ZONES = st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))
MOMENTS = st.integers(10**8, 9 * 10**10).flatmap(lambda s: ZONES.map(lambda zone: datetime.fromtimestamp(s, zone)))


@given(SECONDS)
def test_seconds(seconds):
    assert parse_moment(seconds) == parse_moment(str(seconds)) == parse_moment(f" {seconds}.0 ")
    assert epoch_seconds(parse_moment(seconds)) == seconds


@given(st.integers(10**11, epoch_ms(LAST) - 1))
def test_milliseconds(number):
    assert epoch_ms(parse_moment(number)) == epoch_ms(parse_moment(str(number))) == number


@given(MOMENTS)
def test_iso_8601_in_any_zone(moment):
    assert parse_moment(moment.isoformat()) == parse_moment(moment.isoformat(" ")) == moment
    assert parse_moment(moment.isoformat().replace("+", " ")) == moment
    assert parse_moment(iso(moment)) == moment
    assert iso(moment).endswith("Z")


@given(st.one_of(st.text(), st.integers(), st.floats(), st.datetimes().map(str)))
def test_anything_else_is_refused(value):
    try:
        moment = parse_moment(value)
    except ValueError:
        return
    assert EPOCH <= moment < LAST
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    "value", ["", " ", "-1", -0.001, "nan", float("nan"), float("inf"), "1e9", "1_000", "٣", 10**400]
)
def test_absurdities(value):
    with pytest.raises(ValueError):
        parse_moment(value)


def test_a_moment_without_a_zone_is_utc():
    assert parse_moment("2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)
    assert (
        parse_moment("2026-01-31T01:02") == parse_moment("2026-01-31 01:02") == datetime(2026, 1, 31, 1, 2, tzinfo=UTC)
    )
