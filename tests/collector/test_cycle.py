"""A minute's collection against the simulated exchange: what each fault leads to."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from collector import cycle, polling
from collector.cycle import MARGIN, MINUTE, Part, collect_minute, collect_part
from collector.lease import LIFETIME, Lease, State
from collector.metrics import record_metrics
from collector.models import CollectionMinute, RunState, StreamEvent
from collector.services import start, stop
from depth.models import DepthSnapshot, Snapshot
from markets.models import Symbol
from tests.collector.simulated import NAMES, room, run_minute

BOTH = 2 * len(NAMES)


@pytest.fixture
def quick(monkeypatch):
    """Shorter waits for an exchange that does not answer."""
    monkeypatch.setattr(polling, "LONGEST_WAIT", 3.0)
    monkeypatch.setattr(polling, "DOWN_PAUSE", (0.5, 1.0))


def events(kind):
    return list(StreamEvent.objects.filter(event_type=kind).order_by("time"))


def missing(row):
    return row.expected - row.stored


def test_a_minute_stores_every_book_with_its_limit_and_counts(registry, settings):
    row = run_minute()
    assert (row.expected, row.stored, row.failed, row.overrun, row.causes) == (BOTH, BOTH, 0, 0, {})
    assert row.rows == BOTH * len(settings.DEPTH_BANDS) == Snapshot.objects.count()
    assert (row.requests, row.successful_requests, row.failed_requests) == (BOTH, BOTH, 0)
    assert row.weight_spot == 250 * len(NAMES)
    assert row.weight_futures == 20 * len(NAMES)
    assert row.finished_at > row.started_at
    books = DepthSnapshot.objects.all()
    assert {book.time for book in books} == {row.minute}
    assert {(book.market_type, book.depth_limit) for book in books} == {("SPOT", 5000), ("FUTURES", 1000)}
    assert all(row.minute <= book.received_at < row.minute + MINUTE for book in books)
    assert all((book.event_time is None) == (book.market_type == "SPOT") for book in books)
    for symbol in Symbol.objects.filter(collected=True):
        assert (symbol.last_minute, symbol.failures, symbol.last_error) == (row.minute, 0, "")
        assert symbol.bid_levels > 0
        assert symbol.depth_limit == {"SPOT": 5000, "FUTURES": 1000}[symbol.market]
    state = RunState.objects.get()
    assert (state.total_requests, state.successful_requests, state.failed_requests) == (BOTH, BOTH, 0)
    assert not StreamEvent.objects.exists()


def test_repeating_a_minute_reads_nothing_again(registry):
    first = run_minute()
    asked = registry.asked("/depth")
    again = run_minute(seconds=1)
    if again.minute == first.minute:  # else the test took until the next minute, which is read rightly
        assert registry.asked("/depth") == asked == BOTH
        assert again.stored == BOTH


def test_stopped_collects_nothing_and_started_goes_on(registry):
    stop("tester")
    assert collect_minute(room(1), lambda part: None) == []
    assert not CollectionMinute.objects.exists()
    start("tester")
    assert run_minute().stored == BOTH


def test_the_last_seconds_of_a_minute_open_no_minute(registry):
    late = datetime.now(UTC).replace(second=58, microsecond=0)
    assert collect_minute(late, lambda part: None) == []
    assert not CollectionMinute.objects.exists()


def test_a_part_sent_before_the_stop_is_not_read(registry):
    parts = collect_minute(room(5), lambda part: None)
    stop("tester")
    assert [collect_part(part) for part in parts] == [cycle.PartResult()] * len(parts)
    assert registry.asked("/depth") == 0


def test_a_crossed_book_is_logged_and_not_stored_and_harms_no_other(registry):
    registry.fault("crossed", symbol="ETHUSDT", market="spot")
    row = run_minute()
    assert (row.stored, row.failed, row.causes) == (BOTH - 1, 1, {"rejected": 1})
    assert not DepthSnapshot.objects.filter(symbol="ETHUSDT", market_type="SPOT").exists()
    (event,) = events("BOOK_REJECTED")
    assert (event.symbol, event.market_type) == ("ETHUSDT", "SPOT")
    assert event.message.startswith("crossed: best bid")
    symbol = Symbol.objects.get(name="ETHUSDT", market="SPOT")
    assert symbol.failures == 1
    assert symbol.last_error.startswith("rejected: crossed")
    assert row.failed_requests == 1


def test_an_empty_side_is_rejected(registry):
    registry.fault("empty_side", symbol="BTCUSDT", market="futures", side="ask")
    assert run_minute().causes == {"rejected": 1}
    assert events("BOOK_REJECTED")[0].message == "the ask side is empty"


def test_a_refused_symbol_is_asked_once_and_waits_some_minutes(registry):
    registry.fault("unknown_symbol", symbol="SOLUSDT", market="spot")
    row = run_minute()
    assert (row.stored, row.failed, row.causes) == (BOTH - 1, 1, {"refused": 1})
    assert registry.asked("/depth") == BOTH, "a parameter that is refused is not tried again"
    (event,) = events("SYMBOL_REFUSED")
    assert event.symbol == "SOLUSDT"
    assert "-1121" in event.message
    # In the same minute it is left alone; the time until it is asked again has begun.
    part = Part("binance", "SPOT", ("SOLUSDT",), row.minute, 9)
    if datetime.now(UTC) < row.minute + MINUTE - MARGIN:
        assert collect_part(part).failed == 1
        assert registry.asked("/depth") == BOTH
    assert len(events("SYMBOL_REFUSED")) == 1


@pytest.mark.parametrize("kind", ["5xx", "truncate", "malformed", "disconnect"])
def test_what_may_be_tried_again_is(registry, kind):
    registry.fault(kind, market="spot", path="/depth", count=2)
    row = run_minute()
    if kind == "malformed":  # what it breaks may be a number alone: such a book is rejected
        assert row.stored + row.causes.get("rejected", 0) == BOTH
        assert row.failed_requests == 2
        return
    assert (row.stored, row.failed) == (BOTH, 0)
    if kind != "disconnect":  # a connection that ends without an answer is made anew at once, and counts as one
        assert row.failed_requests == 2
        assert row.requests == BOTH + 2


def test_a_symbol_that_never_answers_well_is_tried_three_times(registry):
    registry.fault("truncate", symbol="XRPUSDT", market="futures", path="/depth")
    row = run_minute()
    assert (row.stored, row.failed, row.causes) == (BOTH - 1, 1, {"unavailable": 1})
    assert row.failed_requests == 3
    (event,) = events("ERROR")
    assert event.symbol == "XRPUSDT"


def test_a_market_that_hangs_does_not_harm_the_other(registry, quick):
    registry.fault("timeout", market="futures", path="/depth")
    now = room(40)
    parts = collect_minute(now, lambda part: None)
    results = [collect_part(part) for part in parts]
    row = CollectionMinute.objects.get()
    assert row.stored == len(NAMES)
    assert all(result.resume_at for part, result in zip(parts, results, strict=True) if part.market == "FUTURES")
    registry.heal()
    time.sleep(1)
    for result in results:
        if result.rest:
            collect_part(result.rest)
    row.refresh_from_db()
    assert (row.stored, row.failed, row.overrun) == (BOTH, 0, 0), "the minute is finished when the market answers again"


def test_too_many_requests_stops_the_market_until_the_told_time_and_then_goes_on(registry):
    registry.fault("429", market="spot", path="/depth", count=1, retry_after=3)
    began = time.monotonic()
    row = run_minute()
    assert (row.stored, row.failed, row.overrun) == (BOTH, 0, 0)
    assert time.monotonic() - began >= 3
    assert registry.answers()["spot:429"] == 1, "nobody asks before the time is over"
    (event,) = events("RATE_LIMITED")
    assert event.market_type == "SPOT"


@pytest.mark.parametrize("market", ["SPOT", "FUTURES"])
def test_a_ban_stops_its_market_for_all_and_is_told_once(registry, market):
    registry.fault("418", market=market.lower(), ban_seconds=150)
    for _ in range(2):
        parts = collect_minute(room(10), lambda part: None)
        for part in parts:
            collect_part(part)
    row = CollectionMinute.objects.first()
    assert (row.stored, row.failed) == (len(NAMES), len(NAMES))
    assert set(row.causes) <= {"banned", "halted"}
    (event,) = events("BANNED")
    assert event.market_type == market
    until = datetime.fromisoformat(event.metadata["until"])
    assert timedelta(seconds=120) < until - event.time <= timedelta(seconds=151)
    asked = registry.answers()[f"{market.lower()}:418"]
    assert asked <= polling.READERS + 1, "what was on its way when the ban came, and nothing after"


def test_a_firewall_page_pauses_the_market(registry):
    registry.fault("403", market="spot", path="/depth", count=1)
    parts = collect_minute(room(5), lambda part: None)
    results = [collect_part(part) for part in parts if part.market == "SPOT"]
    assert all(result.resume_at or result.failed for result in results)
    assert registry.answers()["spot:403"] == 1
    (event,) = events("ERROR")
    assert "firewall" in event.message


def test_a_minute_that_overruns_is_cut_and_told(registry, monkeypatch, quick):
    """The deadline comes before the exchange answers: what was not read counts as overrun."""
    registry.fault("slow", market="spot", delay=40, path="/depth")
    now = room(12)
    minute = now.replace(second=0, microsecond=0)
    monkeypatch.setattr(cycle, "MINUTE", now + timedelta(seconds=8) - minute)  # the minute ends eight seconds from now
    parts = collect_minute(now, lambda part: None)
    began = time.monotonic()
    for part in sorted(parts, key=lambda part: part.market):  # futures first
        collect_part(part)
    assert time.monotonic() - began < 30
    row = CollectionMinute.objects.get()
    assert row.stored == len(NAMES)
    assert row.overrun > 0
    assert row.partial
    record_metrics(minute + timedelta(minutes=1, seconds=5))
    row.refresh_from_db()
    assert row.closed
    assert row.overrun == len(NAMES)
    assert set(row.causes) == {"overrun", "unread"}
    (event,) = events("MINUTE_PARTIAL")
    assert event.message.startswith(f"{len(NAMES)} of {BOTH} order books stored: overrun")
    record_metrics(minute + timedelta(minutes=1, seconds=6))
    assert len(events("MINUTE_PARTIAL")) == 1


def test_an_answer_that_comes_after_its_minute_is_dropped(registry):
    """A part of a minute that is over stores nothing, whatever it reads."""
    from collector.asking import budget_of
    from collector.batches import Batch
    from collector.polling import Poll, Target
    from collector.venues import venue

    minute = room(3).replace(second=0, microsecond=0) - MINUTE
    CollectionMinute.objects.create(minute=minute, expected=1, started_at=minute)
    batch = Batch("binance", "SPOT", minute)
    now = datetime.now(UTC)
    poll = Poll(
        venue("binance"),
        budget_of(venue("binance"), "SPOT"),
        [Target("BTCUSDT", 100, 5)],
        now + timedelta(seconds=5),
        now + timedelta(seconds=6),
    )
    for reading in filter(None, poll.readings()):
        batch.add(reading)
    batch.flush()
    row = CollectionMinute.objects.get()
    assert (row.stored, row.overrun, row.causes) == (0, 1, {"late": 1})
    assert not DepthSnapshot.objects.exists()


def test_a_part_of_another_process_is_left_to_it_and_taken_up_when_that_died(registry):
    parts = collect_minute(room(20), lambda part: None)
    part = parts[0]
    key = f"{part.exchange}:{part.market}:{part.minute:%Y%m%dT%H%M}:{part.index}"
    other = Lease(key)
    other._token = "elsewhere:1"
    assert other.take() is State.OURS
    before = datetime.now(UTC)
    result = collect_part(part)
    assert result.stored == 0
    assert before <= result.resume_at - timedelta(seconds=LIFETIME) <= datetime.now(UTC)
    other.release()
    assert collect_part(part).stored == len(part.names)
    assert collect_part(part) == cycle.PartResult(), "delivered again, it is known to be done"


def test_the_rest_of_a_minute_is_read_after_a_restart(registry):
    """Half of the books are stored, the process dies; the next one reads the other half and the counts are right."""
    parts = collect_minute(room(20), lambda part: None)
    half = Part("binance", "SPOT", parts[0].names[:2], parts[0].minute, 50)
    assert collect_part(half).stored == 2
    row = run_minute(seconds=0)
    assert row.stored == BOTH
    assert row.requests == BOTH


def test_a_skewed_clock_is_measured_and_told_once(registry):
    registry.fault("skew", offset_ms=7000)
    run_minute()
    assert 6000 < registry_offset("SPOT") < 8000
    assert {event.market_type for event in events("CLOCK_SKEW")} == {"SPOT", "FUTURES"}
    count = len(events("CLOCK_SKEW"))
    run_minute()
    assert len(events("CLOCK_SKEW")) == count


def registry_offset(market):
    from collector.models import VenueLimit

    return VenueLimit.objects.get(market=market).clock_offset_ms


def test_symbols_beyond_the_budget_are_left_out_and_named(registry, empty_redis):
    """A limit of 30 a minute leaves 21 for books: 4 of spot's smallest."""
    from collector.models import VenueLimit

    room(10)
    registry.control("DELETE", "/limits")
    empty_redis.flushdb()
    VenueLimit.objects.filter(market="SPOT").update(weight_per_minute=30)
    row = run_minute()
    assert (row.stored, row.overrun, row.causes) == (BOTH - 2, 2, {"budget": 2})
    assert row.weight_spot <= 24
    left_out = Symbol.objects.filter(market="SPOT", collected=True, depth_limit=None)
    assert left_out.count() == 2
    assert "spot:429" not in registry.answers()


def test_halted_symbols_are_not_polled_and_stay_chosen(registry):
    Symbol.objects.filter(name="XRPUSDT").update(status="BREAK")
    row = run_minute()
    assert row.expected == row.stored == BOTH - 2
    assert Symbol.objects.get(name="XRPUSDT", market="SPOT").collected


def test_an_empty_registry_is_read_before_the_first_minute(exchange, db):
    assert run_minute().stored == BOTH


def test_without_the_exchange_nothing_is_expected(exchange, db, settings):
    settings.VENUE_URLS = {"binance": {m: {"rest": "http://127.0.0.1:9", "ws": ""} for m in ("SPOT", "FUTURES")}}
    assert collect_minute(room(5), lambda part: None) == []
    assert not CollectionMinute.objects.exists()


def test_changing_what_is_collected_counts_from_the_next_minute(registry):
    from markets.services import set_collected

    run_minute()
    limits = dict(Symbol.objects.filter(collected=True, market="SPOT").values_list("name", "depth_limit"))
    set_collected(["DOGEUSDT"], True)
    parts = collect_minute(room(1) + MINUTE, lambda part: None)
    assert sum("DOGEUSDT" in part.names for part in parts) == 2
    after = dict(Symbol.objects.filter(collected=True, market="SPOT").values_list("name", "depth_limit"))
    assert {name: after[name] for name in limits} == limits
    assert after["DOGEUSDT"] is not None
