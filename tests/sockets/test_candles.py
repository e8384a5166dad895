"""/ws/chart-data and /ws?type=candles against a real web process: candles, indicators, refusals, repairs, silence."""

import contextlib
import json
import time
from datetime import UTC, datetime, timedelta
from math import isnan

import pytest
import requests
from msgspec.structs import replace

from candles.broadcast import publish
from candles.candle import SeriesKey, aggregate, candle_of
from candles.indicators import compute, parse
from candles.live import bar_of
from candles.running import series_of
from candles.timeframes import read_timeframe
from markets.connections import broker_redis
from tests.candles.factories import MINUTE, klines
from tests.sockets.conftest import SYMBOLS, running
from tests.sockets.fill_candles import COUNT, NAMES, begin
from tests.sockets.test_depth import close_code, opened, told_by, until
from tests.web_process import run_python

LABELS = "sma:5,ema:12,rsi,macd,bollinger,stochastic"
WELCOME = {"type": "welcome", "message": "Connected to ChartGenius WebSocket"}


@pytest.fixture(scope="module")
def start(environment):
    begun = begin()
    run_python(environment, "-m", "tests.sockets.fill_candles", begun.isoformat())
    return begun


@pytest.fixture
def minutes(start, empty_redis):
    """Those that are stored, and sixty that are still to come."""
    return klines(start, COUNT + 60)


def key(name):
    return SeriesKey("binance", "SPOT", name)


def say(name, kline, closed=False, **changes):
    publish(broker_redis(), [(key(name), replace(kline, **changes), closed)])


def subscribe(client, **asked):
    client.send(json.dumps({"action": "subscribe", **asked}))


def price(client, wanted=lambda data: True):
    return until(client, lambda message: message["type"] == "price_update" and wanted(message["data"]))


def indicators(client, count):
    return {
        message["indicator"]: message["data"]
        for message in (until(client, lambda message: message["type"] == "indicator_update") for _ in range(count))
    }


def assert_indicators(told, candles):
    series = series_of([bar_of(candle) for candle in candles])
    for label, lines in compute(series, parse(LABELS)).items():
        value = told[label]["value"]
        for name, values in lines.items():
            found = value[name] if name else value
            if isnan(values[-1]):
                assert found is None, label
            else:
                assert found == pytest.approx(values[-1], rel=1e-9, abs=1e-9), label


def test_the_protocol_of_the_documents(site, minutes):
    """A subscription as they write it, with nothing but symbol and timeframe."""
    name = NAMES[0]
    with opened(site, "/ws/chart-data") as client:
        assert told_by(client) == WELCOME
        client.send(json.dumps({"action": "subscribe", "symbol": name, "timeframe": "1h"}))
        subscribed = told_by(client)
        assert subscribed["type"] == "subscribed"
        assert (subscribed["symbol"], subscribed["timeframe"]) == (name, "1h")
        first = told_by(client)
        assert (first["type"], first["symbol"], first["timeframe"]) == ("price_update", name, "1h")
        told = indicators(client, 5)
        assert set(told) == {"sma", "ema", "bollinger", "rsi", "macd"} == set(subscribed["indicators"])
        assert set(told["macd"]["value"]) == {"macd", "signal", "histogram"}


@pytest.mark.parametrize("spelling", ["1", "5", "15m", "1H"])
def test_every_state_is_what_the_minutes_make_it(site, minutes, spelling):
    """At once on subscribing, with each price, at each close: candle and indicators as from scratch."""
    name, timeframe = NAMES[["1", "5", "15m", "1H"].index(spelling)], read_timeframe(spelling)
    with opened(site, "/ws/chart-data") as client:
        told_by(client)
        subscribe(client, symbol=name, timeframe=spelling, indicators=LABELS)
        told_by(client)
        known = [candle_of(kline) for kline in minutes[:COUNT]]
        settled = known[-1].open_time + MINUTE
        first = price(client)["data"]
        assert first["timestamp"] == aggregate(known, timeframe, settled, settled)[-1].open_time.timestamp() * 1000
        assert_indicators(indicators(client, 6), aggregate(known, timeframe, settled, settled))
        for number in range(COUNT, COUNT + 20):
            kline, now = minutes[number], settled
            say(name, kline, trades=1)
            candle = replace(candle_of(kline, closed=False), trades=1)
            wanted = aggregate([*known, candle], timeframe, settled, now)
            told = price(client)
            assert told["timeframe"] == spelling
            assert_data(told["data"], wanted[-1], closed=False)
            assert_indicators(indicators(client, 6), wanted)
            known.append(candle_of(kline))
            settled += MINUTE
            wanted = aggregate(known, timeframe, settled, settled)
            say(name, kline, closed=True)
            told = price(client)["data"]
            assert_data(told, wanted[-1], closed=wanted[-1].closed)
            assert_indicators(indicators(client, 6), wanted)


def assert_data(told, candle, closed):
    assert told["timestamp"] == candle.open_time.timestamp() * 1000
    for name in ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume"):
        assert told[name] == pytest.approx(float(getattr(candle, name)), rel=1e-12)
    assert (told["trades"], told["closed"], told["live"]) == (candle.trades, closed, True)


def test_what_is_told_is_what_the_api_answers(site, minutes, start):
    name = NAMES[4]
    with opened(site, "/ws/chart-data") as client:
        told_by(client)
        subscribe(client, symbol=name, timeframe="4H", indicators=["rsi:5", "atr:5", "obv", "ichimoku:2:3:4:2"])
        told = price(client)["data"]
        values = indicators(client, 4)
    address = f"{site.http}/api/v1"
    (candle,) = requests.get(f"{address}/candles?symbol={name}&timeframe=4H&limit=1", timeout=30).json()["candles"]
    assert {field: told[field] for field in candle} == candle
    asked = "rsi:5,atr:5,obv,ichimoku:2:3:4:2"
    answer = requests.get(f"{address}/indicators?symbol={name}&timeframe=4H&indicators={asked}", timeout=30).json()
    lines = answer["indicators"]
    assert values["rsi:5"]["value"] == pytest.approx(lines["rsi:5"][-1], rel=1e-9) if lines["rsi:5"][-1] else True
    step = lines["obv"][-1] - lines["obv"][-2]
    assert values["obv"]["value"] - values["obv"]["previous"] == pytest.approx(step, rel=1e-9)
    cloud = values["ichimoku:2:3:4:2"]
    assert cloud["value"]["tenkan"] == lines["ichimoku:2:3:4:2"]["tenkan"][-1]
    assert cloud["ahead"]["ahead_a"] == lines["ichimoku:2:3:4:2"]["ahead_a"]


def test_flat_candles_at_once_and_on_every_change(site, minutes):
    name = NAMES[5]
    with (
        opened(site, f"/ws?symbol={name}&timeframe=5&type=candles") as client,
        opened(site, f"/ws?symbol={name.lower()}&timeframe=5m") as other,
    ):
        first = told_by(client)
        fields = {"type", "symbol", "timeframe", "open", "high", "low", "close", "volume", "timestamp", "closed"}
        assert fields <= set(first)
        assert (first["symbol"], first["timeframe"], told_by(other)["timeframe"]) == (name, "5", "5m")
        say(name, minutes[COUNT], trades=1, close=minutes[COUNT].high)
        assert told_by(client)["close"] == told_by(other)["close"] == float(minutes[COUNT].high)


def test_a_repaired_minute_is_told_of(site, minutes, start, environment):
    """In every candle that holds it, also in one that had closed."""
    name = NAMES[6]
    with opened(site, f"/ws?symbol={name}&timeframe=1D") as client, opened(site, f"/ws?symbol={name}") as other:
        assert told_by(client)["high"] < 999
        told_by(other)
        run_python(environment, "-m", "tests.sockets.fill_candles", start.isoformat(), name, "1")
        assert until(client, lambda message: message["high"] == 999)["timeframe"] == "1D"
        assert until(other, lambda message: message["close"] == 998.5)["closed"] is True


def test_subscriptions_come_change_and_go(site, minutes):
    one, two = NAMES[7], NAMES[8]
    with opened(site, "/ws/chart-data") as client:
        told_by(client)
        for name in (one, two):
            subscribe(client, symbol=name, timeframe=5, indicators=[])
            assert told_by(client)["indicators"] == []
            assert price(client)["symbol"] == name
        subscribe(client, symbol=one, timeframe=5, indicators="rsi")
        assert told_by(client)["indicators"] == ["rsi"]
        price(client)
        assert told_by(client)["indicator"] == "rsi"
        say(two, minutes[COUNT])
        assert told_by(client)["symbol"] == two
        client.send(json.dumps({"action": "unsubscribe", "symbol": two, "timeframe": "5"}))
        assert told_by(client)["type"] == "unsubscribed"
        say(two, minutes[COUNT], trades=900)
        say(one, minutes[COUNT], trades=901)
        assert price(client)["symbol"] == one
        client.send(json.dumps({"action": "unsubscribe", "symbol": two, "timeframe": "5"}))
        assert until(client, lambda message: message["type"] == "error")["code"] == "not_subscribed"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "missing_parameter"),
        ({"symbol": 5}, "missing_parameter"),
        ({"symbol": "NOPE"}, "unknown_symbol"),
        ({"symbol": "\x00"}, "unknown_symbol"),
        ({"symbol": "IDLEUSDT"}, "not_collected"),
        ({"symbol": SYMBOLS[0], "marketType": "FUTURES"}, "not_collected"),
        ({"symbol": SYMBOLS[0], "marketType": ["SPOT"]}, "invalid_parameter"),
        ({"symbol": SYMBOLS[0], "timeframe": "7"}, "invalid_parameter"),
        ({"symbol": SYMBOLS[0], "timeframe": {"a": 1}}, "invalid_parameter"),
        ({"symbol": SYMBOLS[0], "indicators": "nonsense"}, "invalid_parameter"),
        ({"symbol": SYMBOLS[0], "indicators": {"rsi": 14}}, "invalid_parameter"),
        ({"symbol": SYMBOLS[0], "indicators": ",".join(f"sma:{n}" for n in range(1, 40))}, "invalid_parameter"),
        ({"action": "order", "symbol": SYMBOLS[0]}, "unknown_action"),
    ],
)
def test_a_bad_subscription_is_answered_and_the_socket_stays_open(site, minutes, asked, code):
    with opened(site, "/ws/chart-data") as client:
        told_by(client)
        client.send(json.dumps({"action": "subscribe", **asked}))
        assert told_by(client)["code"] == code
        subscribe(client, symbol=NAMES[0])
        assert told_by(client)["timeframe"] == "1"


@pytest.mark.parametrize(
    ("query", "close", "code"),
    [
        ("", 4400, "missing_parameter"),
        ("symbol=NOPE", 4404, "unknown_symbol"),
        ("symbol=IDLEUSDT&type=candles", 4404, "not_collected"),
        (f"symbol={SYMBOLS[0]}&timeframe=7", 4400, "invalid_parameter"),
        (f"symbol={SYMBOLS[0]}&market=margin", 4400, "invalid_parameter"),
    ],
)
def test_what_a_flat_socket_cannot_serve_is_said_and_closed(site, minutes, query, close, code):
    with opened(site, f"/ws?{query}") as client:
        closed, said = close_code(client)
    assert (closed, [message["code"] for message in said]) == (close, [code])


def test_no_more_subscriptions_than_allowed(site, minutes):
    hours = [f"{n}{unit}" for n in (1, 2, 3, 4) for unit in "hH"]
    spellings = [
        *hours,
        *(f"{n}{unit}" for n in (1, 3, 5, 15, 30, 45) for unit in ("", "m")),
        "1D",
        "1d",
        "1W",
        "1w",
        "1M",
    ]
    with opened(site, "/ws/chart-data") as client:
        told_by(client)
        codes = []
        for name in NAMES[:3]:
            for spelling in spellings:
                if len(codes) == 51:
                    break
                subscribe(client, symbol=name, timeframe=spelling, indicators=[])
                answer = until(client, lambda message: message["type"] in {"subscribed", "error"})
                codes.append(answer.get("code"))
    assert codes == [None] * 50 + ["too_many_subscriptions"]


def test_silence_is_told_as_not_live(site, minutes):
    """Nothing was heard of the minute for longer than it may be: the candle says so."""
    name = NAMES[9]
    from candles.cache import OpenMinute, keep_open

    now = datetime.now(UTC)
    (minute,) = klines(now.replace(second=0, microsecond=0), 1)
    keep_open([(key(name), OpenMinute(int((now - timedelta(seconds=18)).timestamp() * 1000), minute))])
    with opened(site, f"/ws?symbol={name}") as client:
        first = told_by(client)
        assert (first["live"], first["timestamp"]) == (True, minute.open_time)
        assert until(client, lambda message: not message["live"])["close"] == first["close"]
        say(name, minute, trades=500)
        assert told_by(client)["live"] is True


def test_redis_goes_away_and_comes_back(site, minutes, servers):
    """Meanwhile the candle says that it is not live; new clients have it from the store."""
    name, kline = NAMES[2], minutes[COUNT]
    with opened(site, f"/ws?symbol={name}") as client:
        told_by(client)
        say(name, kline, trades=1)
        assert until(client, lambda message: message["trades"] == 1)["live"] is True
        servers.redis.kill()
        assert until(client, lambda message: not message["live"])["trades"] == 1
        with opened(site, f"/ws?symbol={NAMES[1]}") as other:
            assert told_by(other)["live"] is False
        servers.redis.start()
        end, trades, heard = time.monotonic() + 60, 2, None
        while heard is None:
            assert time.monotonic() < end
            say(name, kline, trades=trades)
            trades += 1
            with contextlib.suppress(TimeoutError):
                heard = until(client, lambda message: message["live"], 0.5)
        assert heard["close"] == float(kline.close)


def test_many_clients_get_every_price_in_order(site, minutes):
    """Sixty clients of three series: none hears of another's, old after new, or what nobody said."""
    names = NAMES[:3]
    with contextlib.ExitStack() as stack:
        clients = [(name, stack.enter_context(opened(site, "/ws/chart-data"))) for name in names for _ in range(20)]
        for name, client in clients:
            told_by(client)
            subscribe(client, symbol=name, timeframe="15", indicators="rsi:5")
        for name, client in clients:
            assert price(client)["symbol"] == name
        for trades in range(1, 21):
            for name in names:
                say(name, minutes[COUNT], trades=trades)
            time.sleep(0.02)
        for name, client in clients:
            last, seen = 0, set()
            while last < 20:
                message = price(client)
                assert message["symbol"] == name
                base = seen.pop() if seen else message["data"]["trades"] - 1
                seen.add(base)
                number = message["data"]["trades"] - base
                assert last < number <= 20
                last = number


def test_without_the_database_clients_are_told_to_come_again(environment, empty_redis):
    with running(environment, DATABASE_URL="postgres://nobody@127.0.0.1:1/none") as site:
        with opened(site, f"/ws?symbol={NAMES[0]}") as client:
            code, said = close_code(client)
        assert (code, said[-1]["code"]) == (1013, "unavailable")
        with opened(site, "/ws/chart-data") as client:
            assert told_by(client) == WELCOME
            subscribe(client, symbol=NAMES[0])
            assert told_by(client)["code"] == "unavailable"
            client.send('{"type":"ping"}')
            assert told_by(client) == {"type": "pong"}
