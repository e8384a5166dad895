"""What is stored at closes is what its candles make it: at once, after repairs, and after history grew."""

import json
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import connection

from candles import derived, services
from candles.analysis import WANTED
from candles.closes import lifetime, values_of
from candles.derived import LEAD, REQUESTS, derive, derive_one, due
from candles.indicators import compute, parse
from candles.models import DerivedState, IndicatorValue, MinuteCandle, SeriesState, StoredAnalysis
from candles.technical import analysis, closed, indicators, series_of
from candles.timeframes import TIMEFRAMES, read_timeframe
from tests.candles.factories import BTC, ETH, MINUTE, kline
from tests.pages.candle_market import minute_at

ONE, FIVE, HOUR = (read_timeframe(name) for name in ("1", "5", "1H"))


@pytest.fixture
def top():
    return datetime.now(UTC).replace(second=0, microsecond=0)


def walk(start, count):
    return [minute_at(start + n * MINUTE) for n in range(count)]


def store(key, start, count):
    services.store_klines([(key, walk(start, count))])


def stored(timeframe=ONE):
    rows = IndicatorValue.objects.filter(symbol="BTCUSDT", timeframe=timeframe.name)
    return {(at, name): value for at, name, value in rows.values_list("timestamp", "indicator_name", "value")}


def anew(timeframe, now):
    """As the API computes them for the newest candles, in the table's shape."""
    made = indicators(BTC, timeframe, REQUESTS, now, limit=1000)
    count = int(made.candles.closed.sum())
    cut = slice(None, None if count == len(made.candles) else -1)
    lines = {
        label: {name: values[cut][-count:] for name, values in one.items() if not name.startswith("ahead")}
        for label, one in made.lines.items()
    }
    return {(at, name): value for at, name, value in values_of(lines, made.candles.cut(cut).series(timeframe), 0)}


def same(found, wanted):
    """Every value to 1e-9; of sums that have no zero of their own, every step."""
    assert found.keys() == wanted.keys()
    first = min(at for at, _ in found)
    for name in {name for _, name in found}:
        moments = sorted(at for at, other in found if other == name)
        one, other = (np.array([numbers(values[at, name]) for at in moments]) for values in (found, wanted))
        if name == "obv":
            one, other = one - found[first, "obv"]["value"], other - wanted[first, "obv"]["value"]
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-7, err_msg=name)


def numbers(value):
    return [math.nan if value[line] is None else value[line] for line in sorted(value)]


@pytest.mark.parametrize("timeframe", [ONE, FIVE], ids=["1", "5"])
def test_values_are_what_they_are_when_computed_anew(db, empty_redis, top, timeframe):
    store(BTC, top - 800 * MINUTE, 800)
    values, _ = derive_one(BTC, timeframe, top)
    found = stored(timeframe)
    assert values == len(found) > 100
    same(found, anew(timeframe, top))
    assert set(found[max(at for at, _ in found), "macd:12:26:9"]) == {"macd", "signal", "histogram"}
    assert set(found[max(at for at, _ in found), "ichimoku"]) == {"tenkan", "kijun", "senkou_a", "senkou_b"}
    if timeframe is ONE:
        assert {name for at, name in found if at == top - 3 * MINUTE} == {request.label for request in REQUESTS}
    warm_up = [name for at, name in found if at == timeframe.open_of(top - 799 * MINUTE)]
    assert set(warm_up) <= {"volume", "obv"}


def test_repeating_it_changes_nothing(db, empty_redis, top):
    store(BTC, top - 700 * MINUTE, 700)
    assert derive(top).places == len(TIMEFRAMES)
    before, analyses = stored(), list(StoredAnalysis.objects.values())
    assert due() == []
    assert derive_one(BTC, ONE, top) == (0, 0)
    assert (stored(), list(StoredAnalysis.objects.values())) == (before, analyses)
    assert derive(top).places == 0


def test_each_close_adds_its_values_to_those_that_are_there(db, empty_redis, top):
    store(BTC, top - 700 * MINUTE, 695)
    derive(top)
    created = dict(IndicatorValue.objects.filter(timeframe="1").values_list("timestamp", "created_at"))
    store(BTC, top - 5 * MINUTE, 5)
    assert {place.timeframe.name for place in due()} >= {"1", "3", "5"}
    assert derive_one(BTC, ONE, top)[0] == 5 * len(REQUESTS)
    same(stored(), anew(ONE, top))
    later = dict(IndicatorValue.objects.filter(timeframe="1").values_list("timestamp", "created_at"))
    assert {at: later[at] for at in created} == created


def test_a_repaired_candle_is_in_what_is_stored(db, empty_redis, top):
    store(BTC, top - 700 * MINUTE, 700)
    derive(top)
    repaired = top - 60 * MINUTE
    services.store_klines([(BTC, [kline(repaired, price="70000", close="71000", volume="9")])])
    assert {place.timeframe.name for place in due()} >= {"1", "3", "5"}
    before = stored()
    derive(top)
    found = stored()
    same(found, anew(ONE, top))
    assert found[repaired, "volume"] == {"value": 9}
    assert all(found[at, name] == value for (at, name), value in before.items() if at < repaired)
    assert found[top - MINUTE, "ema:100"] != before[top - MINUTE, "ema:100"]
    assert due() == []


def test_history_that_comes_later_and_holes_that_are_filled(db, empty_redis, top):
    store(BTC, top - 300 * MINUTE, 100)
    store(BTC, top - 150 * MINUTE, 150)
    derive(top)
    same(stored(), anew(ONE, top))
    store(BTC, top - 200 * MINUTE, 50)
    derive(top)
    same(stored(), anew(ONE, top))
    store(BTC, top - 900 * MINUTE, 600)
    derive(top)
    found = stored()
    same(found, anew(ONE, top))
    assert (top - 900 * MINUTE, "volume") in found
    assert found[top - 300 * MINUTE, "sma:200"]["value"] is not None


def test_what_is_too_far_back_to_matter_makes_nothing_stale(db, empty_redis, top):
    days = lifetime(ONE) // timedelta(minutes=1)
    store(BTC, top - (days + LEAD + 200) * MINUTE, days + LEAD + 200)
    derive_one(BTC, ONE, top)
    row = DerivedState.objects.get(timeframe="1")
    assert row.reads_from == top - (days + LEAD) * MINUTE
    store(BTC, row.reads_from - 20 * MINUTE, 10)  # nothing new
    services.store_klines([(BTC, [kline(row.reads_from - 5 * MINUTE, price="1")])])
    row.refresh_from_db()
    assert row.stale_from is None
    services.store_klines([(BTC, [kline(row.reads_from + MINUTE, price="1")])])
    row.refresh_from_db()
    assert row.stale_from == row.reads_from + MINUTE


def test_what_is_past_its_lifetime_goes(db, empty_redis, top):
    store(BTC, top - 1600 * MINUTE, 1600)
    derive_one(BTC, ONE, top)
    assert min(at for at, _ in stored()) == top - timedelta(days=1)
    store(BTC, top, 30)
    derive_one(BTC, ONE, top + 30 * MINUTE)
    found = stored()
    assert (min(at for at, _ in found), max(at for at, _ in found)) == (top - 1410 * MINUTE, top + 29 * MINUTE)
    obv = [found[top + n * MINUTE, "obv"]["value"] for n in range(-100, 30)]
    series = series_of(closed(BTC, ONE, top + 30 * MINUTE, 1000), ONE)
    wanted = compute(series, parse("obv"))["obv"][""][-130:]
    assert [one - obv[0] for one in obv] == pytest.approx((wanted - wanted[0]).tolist(), abs=1e-6)


def test_analyses_are_stored_at_their_closes_and_made_again(db, empty_redis, top):
    grid = top - timedelta(minutes=top.minute % 15)
    store(BTC, grid - 700 * MINUTE, 690)
    derive(grid)
    assert StoredAnalysis.objects.filter(timeframe="5").count() == 1
    store(BTC, grid - 10 * MINUTE, 10)
    derive(grid)
    ends = [row.timestamp + MINUTE for row in StoredAnalysis.objects.filter(timeframe="1").order_by("timestamp")]
    assert ends == [grid - 10 * MINUTE, grid - 5 * MINUTE, grid]
    row = StoredAnalysis.objects.get(timeframe="5", timestamp=grid - 5 * MINUTE)
    told = analysis(BTC, FIVE, grid)
    assert (row.trend, row.strength, row.candles) == (told.analysis.trend, told.analysis.strength, told.candles)
    assert row.fibonacci_levels == pytest.approx(told.analysis.fibonacci)
    assert [one["price"] for one in row.support_levels] == [level.price for level in told.analysis.support]
    assert [one["reason"] for one in row.signals] == [signal.reason for signal in told.analysis.signals]
    services.store_klines([(BTC, [kline(grid - 30 * MINUTE, price="99000", high="99500")])])
    derive(grid)
    again = StoredAnalysis.objects.get(timeframe="5", timestamp=grid - 5 * MINUTE)
    assert again.fibonacci_levels != row.fibonacci_levels
    assert again.fibonacci_levels == pytest.approx(analysis(BTC, FIVE, grid).analysis.fibonacci)
    assert again.candles <= WANTED


def test_a_series_without_candles_waits_for_nothing(db, empty_redis, top):
    SeriesState.objects.create(exchange="binance", market_type="SPOT", symbol="ETHUSDT")
    assert due() == []
    assert derive_one(ETH, ONE, top) == (0, 0)
    assert derive_one(BTC, ONE, top) == (0, 0)


def test_what_waits_longest_comes_first_and_the_time_is_kept(db, empty_redis, top):
    store(BTC, top - 100 * MINUTE, 100)
    store(ETH, top - 100 * MINUTE, 90)
    done = derive(top, 0.0)
    assert (done.places, done.left) == (0, 2 * len(TIMEFRAMES))
    derive(top)
    DerivedState.objects.filter(symbol="ETHUSDT").update(updated_at=top - timedelta(hours=1))
    store(BTC, top, 1)
    store(ETH, top, 1)
    assert due()[0].key == ETH


def test_one_that_cannot_be_made_keeps_no_other_waiting(db, empty_redis, top, monkeypatch):
    for key in (BTC, ETH):
        store(key, top - 30 * MINUTE, 30)

    def broken(key, timeframe, now):
        if key == BTC:
            raise ValueError("what nobody thought of")
        return derive_one(key, timeframe, now)

    monkeypatch.setattr(derived, "derive_one", broken)
    done = derive(top)
    assert (done.places, done.left) == (len(TIMEFRAMES), len(TIMEFRAMES))
    assert {place.key for place in due()} == {BTC}


def test_only_one_process_is_at_it(transactional_db, empty_redis, top, monkeypatch):
    from tests.candles.conftest import empty

    store(BTC, top - 100 * MINUTE, 100)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [derived.LOCK])
        assert derive(top).places == 0
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [derived.LOCK])
    finally:
        other.close()
    assert derive(top).places == len(TIMEFRAMES)
    empty()


@pytest.mark.django_db(transaction=True)
def test_minutes_wait_while_their_series_is_computed(empty_redis, top):
    """A repair that comes while values are computed is in them, or noted: it is never between."""
    from threading import Thread

    from tests.candles.conftest import empty

    store(BTC, top - 100 * MINUTE, 100)
    derive(top)
    errors = []

    def repair():
        try:
            for n in range(30):
                services.store_klines([(BTC, [kline(top - (n % 9 + 1) * MINUTE, price=f"{60_000 + n}")])])
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    thread = Thread(target=repair)
    thread.start()
    while thread.is_alive():
        derive_one(BTC, ONE, top)
    thread.join()
    derive(top)
    assert errors == []
    same(stored(), anew(ONE, top))
    empty()


def test_the_tables_have_the_shapes_that_were_asked_for(db):
    wanted = {
        "indicators": {"symbol", "timeframe", "indicator_name", "timestamp", "value", "created_at"},
        "analysis": {
            *("symbol", "timeframe", "timestamp", "trend", "strength", "signals", "support_levels"),
            *("resistance_levels", "fibonacci_levels", "created_at"),
        },
    }
    with connection.cursor() as cursor:
        for table, columns in wanted.items():
            cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_name = %s", [table])
            assert columns <= {row[0] for row in cursor.fetchall()}


def test_values_are_json_that_sql_can_read(db, empty_redis, top):
    store(BTC, top - 100 * MINUTE, 100)
    derive_one(BTC, ONE, top)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (value ->> 'value')::float8, value FROM indicators "
            "WHERE indicator_name = 'rsi:14' AND timestamp = %s",
            [top - MINUTE],
        )
        number, text = cursor.fetchone()
    assert 0 <= number <= 100
    assert json.loads(text) == {"value": number}
    assert MinuteCandle.objects.count() == 100
