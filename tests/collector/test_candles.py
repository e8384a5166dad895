"""Candles from the simulated exchange: history whole whatever happens, gaps found, holes known, the budget kept."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from candles import cache, selectors, services
from candles.candle import Kline, SeriesKey, milliseconds_of
from candles.models import Hole, MinuteCandle, RangeRequest, SeriesState
from candles.timeframes import MINUTE
from collector import backfill, candle_fetch, candle_tasks, refusals
from collector.candle_windows import Window, answered, cut, history_window, newest_window
from collector.exchanges.base import Klines, Unavailable
from collector.exchanges.binance import parse, urls
from collector.limits import Priority, budget
from collector.models import VenueLimit
from markets.models import Symbol
from tests.candles.factories import BTC, klines

COLUMNS = "exchange, market_type, symbol, timestamp, open_price, high_price, low_price, close_price, volume, trades"


@pytest.fixture
def history(registry, settings):
    """Two symbols whose history begins two days ago."""
    settings.START_DATE = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=2)
    Symbol.objects.exclude(name__in=["BTCUSDT", "ETHUSDT"]).update(collected=False)
    cache.forget(backfill.wanted_series())
    return registry


def everything(until):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {COLUMNS} FROM candles WHERE open_time < %s ORDER BY 1, 2, 3, 4", [until])
        return cursor.fetchall()


def told(exchange, key, start, end):
    """What the exchange itself tells, in its strings."""
    rows, position = [], start
    while position < end:
        query = f"symbol={key.symbol}&interval=1m&limit=1000&startTime={milliseconds_of(position)}"
        rows += exchange.get(f"/api/v3/klines?{query}")
        position += 1000 * MINUTE
    return [row for row in rows if row[0] < milliseconds_of(end)]


@pytest.fixture
def get(exchange):
    import urllib.request

    def read(address):
        with urllib.request.urlopen(exchange.url + address, timeout=10) as answer:
            return json.load(answer)

    exchange.get = read
    return exchange


def fill(seconds=60.0):
    """Newest and history until nothing is left; the budget of this test's minute is as large as it takes."""
    backfill.collect_newest()
    outcome = backfill.collect_history(seconds)
    assert outcome.done, outcome
    return outcome


def free_budget(exchange):
    """No limit on either side, so that a test need not wait for the next minute."""
    exchange.control("POST", "/limits", enforced=False)
    VenueLimit.objects.update(weight_per_minute=10_000_000)


def test_history_is_what_the_exchange_has_row_for_row(history, get, settings):
    free_budget(get)
    fill()
    until = datetime.now(UTC).replace(second=0, microsecond=0)
    for key in backfill.wanted_series():
        rows = told(get, key, settings.START_DATE, until)
        stored = MinuteCandle.objects.filter(symbol=key.symbol, open_time__lt=until).order_by("open_time")
        assert len(rows) == stored.count() == 2880
        for row, kept in zip(rows, stored, strict=True):
            assert (row[0], row[8]) == (kept.timestamp, kept.trades)
            texts = (kept.open_price, kept.high_price, kept.low_price, kept.close_price, kept.volume)
            assert list(map(str, texts)) == row[1:6]
            assert [str(kept.quote_volume), str(kept.taker_buy_volume)] == [row[7], row[9]]
        (state,) = selectors.states([key])
        assert (state.count, state.covered_from, state.first_open) == (2880, settings.START_DATE, settings.START_DATE)
        assert state.last_open == until - MINUTE
        assert state.is_realtime
        assert selectors.gaps(key, settings.START_DATE, until) == []
        assert selectors.progress(state, until).percent == 100
    assert backfill.collect_history(5).requests == 0


def test_futures_are_kept_by_choice_and_apart(history, get, settings):
    settings.CANDLE_MARKETS = ("SPOT", "FUTURES")
    free_budget(get)
    fill()
    until = datetime.now(UTC).replace(second=0, microsecond=0)
    assert [key.market for key in backfill.wanted_series()] == ["SPOT", "SPOT", "FUTURES", "FUTURES"]
    for key in backfill.wanted_series():
        (state,) = selectors.states([key])
        assert state.count in {2880, 2881}
        assert selectors.gaps(key, settings.START_DATE, until) == []
    prices = [selectors.newest(key, selectors.SPELLINGS["1D"], until).candle.open for key in backfill.wanted_series()]
    assert len(set(prices)) == 4


def test_the_newest_come_first_and_the_open_minute_with_them(history, get):
    free_budget(get)
    backfill.collect_newest()
    now = datetime.now(UTC)
    newest = selectors.candles(backfill.wanted_series()[0], selectors.SPELLINGS["1"], now)
    assert len(newest) == 1000
    assert newest[-1].open_time == now.replace(second=0, microsecond=0)
    assert [one.closed for one in newest[-2:]] == [True, False]


KILL = """
import os, sys, signal, threading, time, django
django.setup()
from django.conf import settings
from django.db import connection
from datetime import datetime
settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = sys.argv[1]
settings.START_DATE = datetime.fromisoformat(sys.argv[2])
settings.VENUE_URLS = {"binance": {m: {"rest": sys.argv[3], "ws": ""} for m in ("SPOT", "FUTURES")}}
from collector import backfill, candle_fetch
candle_fetch.IN_FLIGHT = 2
print("ready", flush=True)
backfill.collect_newest()
backfill.collect_history(60)
"""


@pytest.mark.django_db(transaction=True)
def test_killed_anywhere_and_begun_again_nothing_is_missing_or_twice(exchange, settings, transactional_db):
    from collector.services import sync_registry
    from tests.candles.conftest import empty

    sync_registry()
    empty()
    settings.START_DATE = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=4)
    free_budget(exchange)
    arguments = [connection.settings_dict["NAME"], settings.START_DATE.isoformat(), exchange.url]
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "tradingplatform.settings"}
    counts = [0]
    for more in (1, 6000, 12_000):
        running = subprocess.Popen([sys.executable, "-c", KILL, *arguments], env=environ, stdout=subprocess.PIPE)
        assert running.stdout.readline() == b"ready\n"
        until = time.monotonic() + 90
        while MinuteCandle.objects.count() < counts[-1] + more:
            assert time.monotonic() < until, "it does not go on"
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        running.wait()
        running.stdout.close()
        counts.append(MinuteCandle.objects.count())
        assert sum(SeriesState.objects.values_list("count", flat=True)) == counts[-1]
    until = datetime.now(UTC).replace(second=0, microsecond=0)
    fill()
    resumed = everything(until)
    assert counts[-1] < len(resumed)
    empty()
    fill()
    assert len(resumed) == len(backfill.wanted_series()) * (until - settings.START_DATE) // MINUTE
    assert everything(until) == resumed
    empty()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "5xx", "probability": 0.3},
        {"kind": "truncate", "probability": 0.3},
        {"kind": "malformed", "probability": 0.3},
        {"kind": "disconnect", "probability": 0.3},
    ],
    ids=lambda fault: fault["kind"],
)
def test_faults_on_the_way_cost_time_and_no_candle(history, get, settings, fault):
    free_budget(get)
    get.fault(**fault, path="/klines")
    for _ in range(8):
        backfill.collect_newest()
        outcome = backfill.collect_history(20)
        if outcome.done and not outcome.failed:
            break
    get.heal()
    backfill.collect_newest()
    backfill.collect_history(20)
    until = datetime.now(UTC).replace(second=0, microsecond=0)
    assert len(everything(until)) >= 2 * 2880
    assert not Hole.objects.exists()
    for key in backfill.wanted_series():
        assert selectors.gaps(key, settings.START_DATE, until) == []


@pytest.mark.parametrize(("kind", "cause"), [("429", "rate_limited"), ("418", "banned")])
def test_a_halt_is_obeyed(history, get, kind, cause):
    free_budget(get)
    get.fault(kind, path="/klines", **({"retry_after": 30} if kind == "429" else {"ban_seconds": 30}))
    outcome = backfill.collect_newest()
    assert outcome.stopped == cause
    assert outcome.resume_at > datetime.now(UTC) + timedelta(seconds=20)
    asked = get.asked("/klines")
    assert asked <= candle_fetch.READERS
    assert backfill.collect_history(5).stopped == "halted"
    assert get.asked("/klines") == asked


def test_a_refused_symbol_waits_and_harms_no_other(history, get):
    free_budget(get)
    get.fault("unknown_symbol", symbol="ETHUSDT", path="/klines")
    outcome = backfill.collect_newest()
    assert [key.symbol for key in outcome.failed] == ["ETHUSDT"]
    assert "Invalid symbol" in SeriesState.objects.get(symbol="ETHUSDT").last_error
    assert MinuteCandle.objects.filter(symbol="BTCUSDT").count() == 999
    assert refusals.waiting("candles:binance", "SPOT", ["ETHUSDT", "BTCUSDT"]) == {"ETHUSDT"}
    assert not refusals.waiting("binance", "SPOT", ["ETHUSDT"])
    before = get.asked("/klines")
    backfill.collect_history(10)
    assert get.asked("/klines") > before
    assert SeriesState.objects.get(symbol="ETHUSDT").count == 0


def test_the_budget_of_order_books_is_left_alone(history, get, empty_redis):
    VenueLimit.objects.filter(market="SPOT").update(weight_per_minute=1000)
    limits = budget("binance", "SPOT", 6000)
    left = 60 - time.time() % 60
    if left < 20:
        time.sleep(left + 0.1)
    empty_redis.flushdb()  # what the registry's reading used, and what others did in this minute
    get.control("DELETE", "/limits")
    limits.announce(735)
    outcome = backfill.collect_history(8)
    assert (outcome.stopped, outcome.done) == ("budget", False)
    assert outcome.requests == 2  # 740 less 735 leaves room for two
    assert limits.reserve(735, Priority.MINUTE).granted


def test_gaps_are_found_and_filled_and_holes_are_known(history, get, settings):
    free_budget(get)
    fill()
    key, start = backfill.wanted_series()[0], settings.START_DATE + timedelta(hours=5)
    MinuteCandle.objects.filter(symbol=key.symbol, open_time__gte=start, open_time__lt=start + 30 * MINUTE).delete()
    (gap,) = selectors.gaps(key, settings.START_DATE, settings.START_DATE + timedelta(days=1))
    assert (gap.start, gap.minutes) == (start, 30)
    assert backfill.repair(20).added == 30
    assert backfill.missing_windows(key, datetime.now(UTC)) == []
    assert not Hole.objects.exists()


def test_what_the_exchange_lacks_is_noted_and_asked_for_again_later(db, empty_redis, settings):
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=3)
    rows = klines(start, 120)
    del rows[50:70]
    answer = services.KlineAnswer(BTC, start, start + timedelta(hours=2), rows)
    services.store_answers([answer])
    hole = Hole.objects.get()
    assert (hole.start, hole.end, hole.checks) == (start + 50 * MINUTE, start + 70 * MINUTE, 1)
    assert selectors.gaps(BTC, start, start + timedelta(hours=2)) == []
    now = datetime.now(UTC)
    assert backfill.missing_windows(BTC, now) == []
    (window,) = backfill.missing_windows(BTC, now + timedelta(minutes=11))
    assert (window.start, window.end) == (hole.start, hole.end)
    late = klines(start, 120)[60:65]
    services.store_answers([services.KlineAnswer(BTC, hole.start, hole.end, late)])
    assert [(h.start, h.end, h.checks) for h in Hole.objects.order_by("start")] == [
        (start + 50 * MINUTE, start + 60 * MINUTE, 2),
        (start + 65 * MINUTE, start + 70 * MINUTE, 2),
    ]


def test_a_refused_row_stays_a_gap(db, empty_redis, caplog):
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=3)
    rows = klines(start, 60)
    rows[7] = msgspec.structs.replace(rows[7], volume="-1")
    stored = services.store_answers([services.KlineAnswer(BTC, start, start + timedelta(hours=1), rows)])
    assert (stored.added, stored.refused) == (59, 1)
    assert "refused" in caplog.text
    assert [gap.start for gap in selectors.gaps(BTC, start, start + timedelta(hours=1))] == [start + 7 * MINUTE]
    assert not Hole.objects.exists()


def test_a_range_that_somebody_asks_for_is_fetched_again(history, get, settings):
    free_budget(get)
    fill()
    key, start = backfill.wanted_series()[0], settings.START_DATE + timedelta(hours=1)
    MinuteCandle.objects.filter(symbol=key.symbol, open_time=start).update(close_price="1", low_price="1")
    request = services.request_range(key, start, start + timedelta(days=1), "somebody")
    assert backfill.fetch_requested().changed == 1
    request.refresh_from_db()
    assert (request.changed, request.done_until) == (1, request.end)
    assert request.finished_at is not None
    assert MinuteCandle.objects.get(symbol=key.symbol, open_time=start).close_price != 1
    assert not RangeRequest.objects.filter(finished_at=None).exists()


def test_a_symbol_that_was_listed_lately_is_done_with_its_first_minute(history, get, settings):
    free_budget(get)
    settings.START_DATE = datetime(2010, 1, 1, tzinfo=UTC)
    key = backfill.wanted_series()[0]
    backfill.collect_newest()
    run = backfill.collect_history(1, [key])
    assert run.requests > 1
    (state,) = selectors.states([key])
    first = get.get(f"/api/v3/klines?symbol={key.symbol}&interval=1m&limit=1&startTime=0")[0][0]
    assert milliseconds_of(state.available_from) == first
    assert selectors.progress(state, datetime.now(UTC)).total > 100_000


def test_nothing_is_fetched_while_collection_is_off(history, get):
    from collector.services import start, stop

    stop("a test")
    candle_tasks.collect_newest()
    assert get.asked("/klines") == 0
    start("a test")
    candle_tasks.collect_newest()
    assert get.asked("/klines") == 2
    candle_tasks.collect_history()  # what the books need is not known yet
    assert get.asked("/klines") == 2
    budget("binance", "SPOT", 6000).announce(1000)
    candle_tasks.collect_history()
    assert SeriesState.objects.filter(available_from__isnull=False).count() == 2


def test_the_command_shows_its_progress_and_refuses_strangers(history, get, capsys):
    free_budget(get)
    call_command("backfill_candles", "--symbol", "btcusdt")
    out = capsys.readouterr().out
    assert "100 %" in out
    assert "1 series" in out
    assert not MinuteCandle.objects.filter(symbol="ETHUSDT").exists()
    for arguments, message in (
        (["--symbol", "NOPE"], "not collected there: NOPE"),
        (["--from", "soon"], "must be a date"),
    ):
        with pytest.raises(CommandError, match=message):
            call_command("backfill_candles", *arguments)


# --- pure --------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 5, 5, 12, 0, 30, tzinfo=UTC)
NOON = NOW.replace(second=0)


def state(**fields):
    return SeriesState(exchange="binance", market_type="SPOT", symbol="BTCUSDT", wanted_from=NOON, **fields)


def test_windows_widen_what_is_known():
    row = state()
    newest = newest_window(row, NOW, 1000)
    assert (newest.start, newest.end, newest.limit, newest.live) == (NOON - 999 * MINUTE, NOON, 1000, True)
    row.covered_from, row.covered_until = NOON - 100 * MINUTE, NOON - 50 * MINUTE
    behind = newest_window(row, NOW, 1000)
    assert (behind.start, behind.end, behind.live) == (NOON - 52 * MINUTE, NOON, True)
    far = newest_window(row, NOW + timedelta(days=5), 1000)
    assert (far.start, far.limit, far.live) == (NOON - 52 * MINUTE, 999, False)
    row.covered_until = NOON
    assert newest_window(row, NOW, 1000) is None
    assert history_window(row, NOW, 1000).probe
    row.available_from = NOON - 150 * MINUTE
    older = history_window(row, NOW, 1000)
    assert (older.start, older.end, older.limit) == (NOON - 150 * MINUTE, NOON - 100 * MINUTE, 50)
    row.covered_from = row.available_from
    assert history_window(row, NOW, 1000) is None


def test_a_range_is_cut_into_requests():
    windows = cut(BTC, NOON, NOON + 2500 * MINUTE, 1000, 7)
    assert [(window.limit, window.ticket) for window in windows] == [(1000, 7), (1000, 7), (500, 7)]
    assert windows[-1].end == NOON + 2500 * MINUTE
    assert cut(BTC, NOON, NOON, 1000) == []


def test_only_minutes_that_are_over_count_and_young_ones_may_be_on_their_way():
    window = Window(BTC, NOON - 10 * MINUTE, NOON, live=True)
    rows = klines(NOON - 10 * MINUTE, 11)
    whole = answered(window, Klines(rows), NOW)
    assert (len(whole.klines), whole.end) == (10, NOON)
    late = answered(window, Klines(rows[:9]), NOW)
    assert late.end == NOON - MINUTE
    lacking = answered(window, Klines(rows[:3]), NOW)
    assert lacking.end == NOON - 3 * MINUTE
    assert answered(Window(BTC, NOON - MINUTE, NOON), Klines([]), NOW) is None
    assert answered(window, Klines(rows, unreadable=1), NOW).whole is False


def test_what_is_before_the_first_candle_of_a_young_symbol_is_no_hole():
    window = newest_window(state(), NOW, 1000)
    young = answered(window, Klines(klines(NOON - 20 * MINUTE, 20)), NOW)
    assert (young.start, young.end) == (NOON - 20 * MINUTE, NOON)


def test_rows_that_cannot_be_read_are_left_out_and_counted(caplog):
    good = b'[1769904000000,"9.982","9.990","9.974","9.987","24464.35",1769904059999,"1",7,"2","3","0"]'
    read = parse.klines(b"[%s,[1,2],%s]" % (good, good.replace(b'"9.982"', b"9.982")))
    assert (len(read.rows), read.unreadable) == (1, 2)
    assert isinstance(read.rows[0], Kline)
    assert "refused" in caplog.text
    for body in (b"{}", b"[", b'{"code":0}', b"null"):
        with pytest.raises(Unavailable):
            parse.klines(body)


def test_weights_are_the_exchanges():
    assert [urls.klines_weight("SPOT", limit) for limit in (1, 1000)] == [2, 2]
    assert [urls.klines_weight("FUTURES", limit) for limit in (1, 99, 100, 499, 500, 1000, 1001)] == [
        1,
        1,
        2,
        2,
        5,
        5,
        10,
    ]


def test_a_series_is_a_symbol_on_a_market():
    assert SeriesKey("binance", "FUTURES", "BTCUSDT") < SeriesKey("binance", "SPOT", "AAVEUSDT")
