"""Timeframes: spellings, and borders across the ends of weeks, months and years."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candles.timeframes import SPELLINGS, TIMEFRAMES, read_timeframe

MOMENTS = st.integers(1_483_228_800, 2_524_608_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        *((name, name) for name in ("1", "3", "5", "15", "30", "45", "1H", "2H", "3H", "4H", "1D", "1W", "1M")),
        *(("1m", "1"), ("5m", "5"), ("45m", "45"), ("1h", "1H"), ("4h", "4H"), ("1d", "1D"), ("1w", "1W")),
    ],
)
def test_every_spelling(spelling, name):
    assert read_timeframe(spelling).name == name


@pytest.mark.parametrize("spelling", ["", "0", "2", "60", "1mo", "M", "5M", "3M", "1y", "-1", "1 ", "٣", "1Mm", "5H"])
def test_others_are_refused_with_the_list(spelling):
    with pytest.raises(ValueError, match="15 30 45 1H"):
        read_timeframe(spelling)


def test_the_minute_and_the_month_differ_by_their_letter():
    assert (SPELLINGS["1m"].minutes, SPELLINGS["1M"].minutes) == (1, 0)


def test_weeks_begin_on_monday_and_months_with_the_calendar():
    moment = datetime(2026, 1, 1, 0, 30, tzinfo=UTC)  # a Thursday
    assert read_timeframe("1W").open_of(moment) == datetime(2025, 12, 29, tzinfo=UTC)
    assert read_timeframe("1M").open_of(moment) == datetime(2026, 1, 1, tzinfo=UTC)
    assert read_timeframe("1M").shift(datetime(2026, 1, 1, tzinfo=UTC), -1) == datetime(2025, 12, 1, tzinfo=UTC)
    assert read_timeframe("1M").end_of(datetime(2028, 2, 1, tzinfo=UTC)) == datetime(2028, 3, 1, tzinfo=UTC)
    assert read_timeframe("45").open_of(moment) == datetime(2026, 1, 1, tzinfo=UTC)


@given(MOMENTS, st.sampled_from(TIMEFRAMES))
def test_a_moment_is_in_its_candle_and_borders_lie_on_smaller_ones(moment, timeframe):
    opening = timeframe.open_of(moment)
    assert opening <= moment < timeframe.end_of(opening)
    assert timeframe.open_of(opening) == opening
    assert timeframe.open_of(timeframe.end_of(opening) - timedelta(microseconds=1)) == opening
    assert timeframe.open_of(timeframe.end_of(opening)) == timeframe.end_of(opening)
    for inner in TIMEFRAMES:
        if inner.minutes and timeframe.minutes and timeframe.minutes % inner.minutes == 0:
            assert inner.open_of(opening) == opening


@given(MOMENTS, st.sampled_from(TIMEFRAMES), st.integers(-400, 400))
def test_shifting_there_and_back(moment, timeframe, count):
    opening = timeframe.open_of(moment)
    there = timeframe.shift(opening, count)
    assert timeframe.shift(there, -count) == opening
    assert timeframe.count(min(opening, there), max(opening, there)) == abs(count) + 1
