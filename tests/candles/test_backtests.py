"""Backtests over stored history: the same as over the candles at hand, stored with the stretch that they rest on."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from candles import backtests, export, services
from candles.analysis import RULES
from candles.backtest import HORIZONS, backtest
from candles.models import RuleOutcome
from candles.technical import closed, outcomes, series_of
from candles.timeframes import TIMEFRAMES, read_timeframe
from tests.candles.factories import BTC, ETH, MINUTE
from tests.pages.candle_market import minute_at

FIVE, HOUR = read_timeframe("5"), read_timeframe("1H")


@pytest.fixture
def top(db, empty_redis):
    """Four days of BTCUSDT up to this minute; ten minutes are missing."""
    moment = datetime.now(UTC).replace(second=0, microsecond=0)
    rows = [minute_at(moment - n * MINUTE) for n in range(4 * 1440, 0, -1)]
    services.store_klines([(BTC, rows[:1000] + rows[1010:])])
    return moment


def test_stretches_that_are_joined_say_what_one_series_says(top, monkeypatch):
    monkeypatch.setattr(export, "STRETCH", 100)
    tested = backtests.run(BTC, FIVE, top)
    candles = closed(BTC, FIVE, top, 5000)
    series = series_of(candles, FIVE)
    assert tested.outcomes == backtest(series)
    assert (tested.candles, tested.missing) == (len(candles), series.missing)
    assert (tested.first, tested.last) == (candles[0].open_time, candles[-1].open_time)
    assert tested.incomplete == sum(not one.complete for one in candles)
    assert tested.missing + tested.incomplete >= 1
    assert sum(one.count for one in tested.outcomes) > 50


def test_a_part_and_other_horizons(top):
    start, end = top - timedelta(days=2), top - timedelta(days=1)
    tested = backtests.run(BTC, FIVE, top, start, end, [3], RULES[:2])
    assert [(one.rule, one.after) for one in tested.outcomes] == [(RULES[0].name, 3), (RULES[1].name, 3)]
    assert start <= tested.first
    assert tested.last <= end
    assert tested.candles <= 289
    assert backtests.run(ETH, FIVE, top) is None
    assert backtests.run(BTC, FIVE, top, top + timedelta(days=1)) is None


def test_the_newest_candles_count_where_there_are_too_many(top, monkeypatch):
    monkeypatch.setattr(backtests, "MOST_TESTED", 100)
    tested = backtests.run(BTC, FIVE, top)
    assert (tested.candles, tested.last) == (100, closed(BTC, FIVE, top, 1)[0].open_time)


def test_results_are_stored_and_told_while_they_are_long_and_young_enough(top):
    tested = backtests.run(BTC, FIVE, top)
    backtests.keep(BTC, FIVE, tested)
    backtests.keep(BTC, FIVE, tested)
    assert RuleOutcome.objects.count() == len(RULES) * len(HORIZONS)
    RuleOutcome.objects.filter(rule="ema_cross", after=5).update(count=987)

    def told(**options):
        found = outcomes(BTC, FIVE, top, **options)
        return {(one.rule, one.after): one.count for one in found.outcomes}["ema_cross", 5]

    assert told(count=tested.candles) == 987
    assert told(count=tested.candles + 1) != 987  # more candles are at hand than were tested
    RuleOutcome.objects.update(computed_at=top - timedelta(days=4))
    assert told(count=tested.candles) != 987


def test_each_result_is_made_anew_once_a_day(top):
    assert len(backtests.due(top)) == len(TIMEFRAMES)
    assert backtests.refresh(top, 0.0) <= 1
    backtests.refresh(top)
    stored = RuleOutcome.objects.values("timeframe").distinct().count()
    assert stored >= 11  # of a week and a month none has closed perhaps
    assert {timeframe.name for _, timeframe in backtests.due(top)} <= {"1W", "1M"}
    RuleOutcome.objects.filter(timeframe="1H").update(computed_at=top - timedelta(days=2))
    assert HOUR in [timeframe for _, timeframe in backtests.due(top)]


def test_the_command_prints_and_stores(top, capsys):
    call_command("backtest", "--symbol", "btcusdt", "--timeframe", "5m", "--timeframe", "1H")
    out = capsys.readouterr().out
    assert "BTCUSDT SPOT, 5: " in out
    assert "2 results stored" in out
    row = RuleOutcome.objects.get(timeframe="5", rule="macd_cross", after=10)
    line = next(line.split() for line in out.splitlines() if line.startswith("macd_cross") and line.split()[1] == "10")
    assert line[2:5] == [f"{row.count:,}", f"{row.hit_rate * 100:.1f}%", f"{row.base_rate * 100:.1f}%"]
    RuleOutcome.objects.all().delete()
    call_command("backtest", "--timeframe", "5", "--from", f"{top - timedelta(days=1):%Y-%m-%dT%H:%M}", "--after", "7")
    out = capsys.readouterr().out
    assert "not stored" in out
    assert "      7" in out
    assert not RuleOutcome.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--symbol", "NOPE"], "no candles of: NOPE"),
        (["--market", "FUTURES"], "no candles are stored"),
        (["--timeframe", "7"], "--timeframe must be one of"),
        (["--after", "0"], "from 1 to 1000"),
        (["--after", "x"], "from 1 to 1000"),
        (["--from", "soon"], "must be a moment"),
    ],
)
def test_the_command_names_what_it_cannot_do(top, arguments, message):
    with pytest.raises(CommandError, match=message):
        call_command("backtest", *arguments)
