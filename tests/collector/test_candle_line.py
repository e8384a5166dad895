"""One series between its stream and polls: what is new is told once, what is missing is asked for, in any order."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from candles.candle import MINUTE_MS
from collector.feed.candle_line import AGAIN, BEGINNING, SILENT, CandleLine
from tests.candles.factories import BTC, klines

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTES = klines(START, 8)
OPENS = [kline.open_time for kline in MINUTES]


def told_open(kline, trades):
    return replace(kline, trades=trades, close=kline.high)


def test_open_minutes_only_grow_and_closed_ones_are_told_once():
    line = CandleLine(BTC, 0.0)
    assert line.streamed(told_open(MINUTES[0], 1), False, 1.0).open == told_open(MINUTES[0], 1)
    assert line.streamed(told_open(MINUTES[0], 5), False, 1.1).open.trades == 5
    assert line.streamed(told_open(MINUTES[0], 3), False, 1.2).open is None  # disorder
    assert line.streamed(MINUTES[0], True, 2.0).closed == (MINUTES[0],)
    assert line.streamed(MINUTES[0], True, 2.0).closed == ()  # over a second connection
    assert line.streamed(told_open(MINUTES[0], 9), False, 2.1).open is None
    corrected = replace(MINUTES[0], trades=77)
    assert line.streamed(corrected, True, 2.2).closed == (corrected,)
    assert line.next_close == OPENS[1]


def test_a_stream_that_speaks_is_not_asked_beside():
    line = CandleLine(BTC, 0.0)
    for n in range(4):
        line.streamed(told_open(MINUTES[n], 1), False, 60.0 * n + 1)
        assert not line.wants_poll(60.0 * n + 2, OPENS[n] + 2000)
        line.streamed(MINUTES[n], True, 60.0 * n + 60)
        assert not line.wants_poll(60.0 * n + 60.5, OPENS[n] + 60_500)


def test_a_minute_that_does_not_close_is_asked_for():
    line = CandleLine(BTC, 0.0)
    line.streamed(told_open(MINUTES[0], 1), False, 1.0)
    line.streamed(told_open(MINUTES[1], 1), False, 61.0)
    assert not line.wants_poll(61.5, OPENS[1] + 1500)
    assert line.wants_poll(63.0, OPENS[1] + 3000)
    assert line.poll(63.0, OPENS[1] + 3000, 0.5) == (OPENS[0], 3)
    assert not line.wants_poll(63.1, OPENS[1] + 3100)
    learned = line.polled(MINUTES[:2], OPENS[1] + 3000, 63.2)
    assert learned.closed == [MINUTES[0]]
    assert learned.open == MINUTES[1]
    assert not line.wants_poll(63.1 + AGAIN, OPENS[1] + 5100)


def test_a_lost_connection_is_replaced_by_questions_until_it_speaks():
    line = CandleLine(BTC, 0.0)
    line.streamed(told_open(MINUTES[0], 1), False, 1.0)
    line.lost(2.0)
    asked = 0
    for step in range(100):
        now = 2.0 + step * 0.1
        if line.wants_poll(now, OPENS[0] + int(now * 1000)):
            line.poll(now, OPENS[0] + int(now * 1000), 0.5)
            line.polled([told_open(MINUTES[0], 2 + step)], OPENS[0] + int(now * 1000), now)
            asked += 1
    assert asked == 20
    line.streamed(told_open(MINUTES[0], 500), False, 12.0)
    assert not line.wants_poll(13.0, OPENS[0] + 13_000)


def test_a_silent_stream_is_looked_after_and_distrusted_only_when_it_keeps_something_back():
    line = CandleLine(BTC, 0.0)
    assert not line.wants_poll(BEGINNING - 0.1, OPENS[0])
    line.streamed(told_open(MINUTES[0], 4), False, 1.0)
    late = 1.0 + SILENT + 0.1
    assert line.wants_poll(late, OPENS[0] + 12_000)
    line.poll(late, OPENS[0] + 12_000, 0.5)
    assert line.polled([told_open(MINUTES[0], 4)], OPENS[0] + 12_000, late).open is not None  # heard of again
    assert not line.wants_poll(late + 3, OPENS[0] + 15_000)
    later = late + SILENT + 0.1
    line.poll(later, OPENS[0] + 24_000, 0.5)
    line.polled([told_open(MINUTES[0], 9)], OPENS[0] + 24_000, later)
    assert line.wants_poll(later + AGAIN, OPENS[0] + 26_000)
    line.streamed(told_open(MINUTES[0], 10), False, later + 3)
    assert not line.wants_poll(later + 4, OPENS[0] + 28_000)


def test_failures_make_pauses_and_old_minutes_are_given_up():
    line = CandleLine(BTC, 0.0)
    line.streamed(told_open(MINUTES[0], 1), False, 1.0)
    line.lost(1.0)
    line.poll(2.0, OPENS[0] + 2000, 0.5)
    line.failed(2.0)
    assert not line.wants_poll(2.9, OPENS[0] + 2900)
    assert line.wants_poll(3.1, OPENS[0] + 3100)
    line.poll(600.0, OPENS[0] + 600_000, 0.5)
    line.polled([], OPENS[0] + 600_000, 600.0)
    assert line.next_close == OPENS[0] + 7 * MINUTE_MS


@settings(max_examples=200, deadline=None)
@given(st.permutations(range(8)), st.sets(st.integers(0, 7)), st.lists(st.integers(0, 7), max_size=6))
def test_in_any_order_with_losses_and_doubles_every_minute_comes_once_after_a_poll(order, lost, doubled):
    line, told = CandleLine(BTC, 0.0), []
    line.streamed(told_open(MINUTES[0], 0), False, 0.0)
    for n in [*order, *doubled]:
        if n not in lost:
            told += line.streamed(MINUTES[n], True, 1.0).closed
    clock = OPENS[7] + MINUTE_MS + 5000
    while line.wants_poll(1000.0, clock):
        start, count = line.poll(1000.0, clock, 0.5)
        rows = [kline for kline in MINUTES if start <= kline.open_time < start + count * MINUTE_MS]
        told += line.polled(rows, clock, 1000.0).closed
        line._poll_at = 0.0
    assert sorted(kline.open_time for kline in told) == OPENS
