"""Binance's words: what its answers and errors mean, and how its client meets the faults of the simulated exchange."""

import contextlib
import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.exchanges.base import Banned, Blocked, RateLimited, Refused, Unavailable, VenueError
from collector.exchanges.binance import parse, urls
from collector.exchanges.binance.rest import BinanceRest

NOW = datetime(2026, 3, 1, 12, 0, 7, tzinfo=UTC)


@pytest.fixture
def rest(exchange):
    return BinanceRest({"SPOT": exchange.url, "FUTURES": exchange.url})


def body(code, message):
    return json.dumps({"code": code, "msg": message}).encode()


@pytest.mark.parametrize(
    ("market", "limit", "weight"),
    [
        ("SPOT", 1, 5),
        ("SPOT", 100, 5),
        ("SPOT", 101, 25),
        ("SPOT", 500, 25),
        ("SPOT", 1000, 50),
        ("SPOT", 1001, 250),
        ("SPOT", 5000, 250),
        ("FUTURES", 50, 2),
        ("FUTURES", 100, 5),
        ("FUTURES", 500, 10),
        ("FUTURES", 1000, 20),
    ],
)
def test_weights_of_books_are_those_of_the_exchange(market, limit, weight):
    assert urls.book_weight(market, limit) == weight


def test_more_levels_than_offered_are_an_error():
    with pytest.raises(ValueError, match="at most 1000"):
        urls.book_weight("FUTURES", 1001)


# --- parsing ------------------------------------------------------------------------------------------------------


def test_a_spot_book_keeps_the_exchanges_strings():
    raw = parse.book(b'{"lastUpdateId":7,"bids":[["1.10","2.0"]],"asks":[["1.20","3"]],"new":{"x":[1]}}', NOW)
    assert (raw.bids, raw.asks) == ([("1.10", "2.0")], [("1.20", "3")])
    assert (raw.last_update_id, raw.event_time, raw.received_at) == (7, None, NOW)


def test_a_futures_book_has_its_time():
    raw = parse.book(b'{"lastUpdateId":7,"E":1772366400123,"T":1,"bids":[],"asks":[]}', NOW)
    assert raw.event_time == datetime(2026, 3, 1, 12, 0, 0, 123_000, UTC)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"lastUpdateId":7}',
        b'{"lastUpdateId":"7","bids":[],"asks":[]}',
        b'{"lastUpdateId":7,"bids":[["1"]],"asks":[]}',
        b'{"lastUpdateId":7,"bids":[[1,2]],"asks":[]}',
        b'{"lastUpdateId":7,"bids":[["1","2"',
        b'{"lastUpdateId":7,"bids":[],"asks":[],"E":99999999999999999}',
        b"<html>",
        b"\xff\xfe",
    ],
)
def test_what_is_no_book_is_unavailable(bad):
    with pytest.raises(Unavailable):
        parse.book(bad, NOW)


@given(st.binary(max_size=200))
def test_no_bytes_break_a_parser(data):
    for read in (lambda b: parse.book(b, NOW), parse.volumes, parse.server_time, lambda b: parse.listings("SPOT", b)):
        with contextlib.suppress(Unavailable):
            read(data)


@given(st.integers(300, 599), st.dictionaries(st.sampled_from(["Retry-After", "X-MBX-USED-WEIGHT-1M"]), st.text()))
def test_every_error_answer_means_something(status, headers):
    assert isinstance(parse.error(status, headers, b"<html>", NOW), VenueError)


def info(**changes):
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "stepSize": "0.00100000"},
    ]
    plain = {"symbol": "AUSDT", "status": "TRADING", "baseAsset": "A", "quoteAsset": "USDT", "filters": filters}
    return plain | changes


def listings(market, *symbols, limits=()):
    return parse.listings(market, json.dumps({"symbols": symbols, "rateLimits": limits}).encode())


def test_a_listing_has_its_steps_as_exact_decimals():
    (row,) = listings("SPOT", info(), limits=[]).symbols
    assert (row.market, row.name, row.base, row.quote, row.status) == ("SPOT", "AUSDT", "A", "USDT", "TRADING")
    assert (row.tick_size, row.lot_size) == (Decimal("0.01"), Decimal("0.001"))
    assert row.quote_volume is None


def test_only_perpetual_futures_are_listed():
    kinds = ("PERPETUAL", "CURRENT_QUARTER", "TRADIFI_PERPETUAL", "", None)
    found = listings("FUTURES", *(info(symbol=f"S{n}", contractType=kind) for n, kind in enumerate(kinds)))
    assert [row.name for row in found.symbols] == ["S0"]


@pytest.mark.parametrize(
    "broken",
    [
        {"filters": []},
        {"baseAsset": None},
        {"symbol": "X" * 41},
        {"filters": [{"filterType": "PRICE_FILTER", "tickSize": "NaN"}, {"filterType": "LOT_SIZE", "stepSize": "1"}]},
        {"filters": [{"filterType": "PRICE_FILTER", "tickSize": "x"}, {"filterType": "LOT_SIZE", "stepSize": "1"}]},
    ],
)
def test_a_symbol_that_cannot_be_read_is_left_out_for_the_others_sake(broken):
    assert [row.name for row in listings("SPOT", info(**({"symbol": "BAD"} | broken)), info()).symbols] == ["AUSDT"]


def test_a_listing_without_symbols_is_none():
    with pytest.raises(Unavailable):
        listings("SPOT")


def test_the_request_limit_is_the_weight_of_one_minute():
    others = [
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 50},
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "DAY", "intervalNum": 1, "limit": 9},
    ]
    mine = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 1234}
    assert listings("SPOT", info(), limits=[*others, mine]).weight_per_minute == 1234
    assert listings("SPOT", info(), limits=others).weight_per_minute is None


def test_volumes_leave_out_what_is_no_number():
    rows = [{"symbol": n, "quoteVolume": v} for n, v in (("A", "5.5"), ("B", "nan"), ("C", "-1"), ("D", "x"))]
    assert parse.volumes(json.dumps(rows).encode()) == {"A": 5.5}


# --- what errors mean ---------------------------------------------------------------------------------------------


def test_retry_after_tells_the_end_of_a_pause():
    error = parse.error(429, {"Retry-After": "17"}, body(-1003, "Too much"), NOW)
    assert isinstance(error, RateLimited)
    assert error.until == NOW + timedelta(seconds=17)


def test_without_it_the_pause_has_no_end_of_its_own():
    error = parse.error(429, {}, body(-1003, "Too much"), NOW)
    assert isinstance(error, RateLimited)
    assert error.until is None


def test_a_bans_end_stands_in_the_message():
    until = NOW + timedelta(minutes=9)
    message = f"Way too many requests; IP(1.2.3.4) banned until {int(until.timestamp() * 1000)}. Please use..."
    error = parse.error(418, {}, body(-1003, message), NOW)
    assert isinstance(error, Banned)
    assert error.until == until


def test_the_later_end_counts_and_no_end_is_believed_beyond_three_days():
    message = f"banned until {int((NOW + timedelta(seconds=5)).timestamp() * 1000)}"
    assert parse.error(418, {"Retry-After": "60"}, body(-1003, message), NOW).until == NOW + timedelta(seconds=60)
    assert parse.error(418, {}, body(-1003, "banned until 9999999999999"), NOW).until == NOW + timedelta(days=3)


def test_a_ban_without_an_end_lasts_the_shortest_that_the_exchange_gives():
    assert parse.error(418, {}, b"", NOW).until == NOW + timedelta(minutes=2)


@pytest.mark.parametrize(("status", "seconds"), [(403, 30), (451, 300)])
def test_firewall_and_country_pause(status, seconds):
    error = parse.error(status, {}, b"<html>no</html>", NOW)
    assert isinstance(error, Blocked)
    assert error.until == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(("status", "code"), [(400, -1121), (400, -1102), (400, -4021), (404, None)])
def test_a_wrong_request_is_refused(status, code):
    error = parse.error(status, {}, b"" if code is None else body(code, "no"), NOW)
    assert isinstance(error, Refused)
    assert error.code == code


@pytest.mark.parametrize(("status", "code"), [(500, -1000), (503, -1008), (400, -1008), (502, None), (301, None)])
def test_what_may_pass_is_unavailable(status, code):
    assert isinstance(parse.error(status, {}, b"" if code is None else body(code, "no"), NOW), Unavailable)


def test_the_used_weight_comes_with_errors_too():
    assert parse.error(400, {"X-MBX-USED-WEIGHT-1M": "55"}, b"", NOW).used_weight == 55
    assert parse.used_weight({"X-MBX-USED-WEIGHT-1M": "many"}) is None


# --- over the wire ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("market", "limit"), [("SPOT", 5000), ("FUTURES", 1000)])
def test_a_book_over_the_wire(rest, market, limit):
    answer = rest.fetch_book(market, "BTCUSDT", limit, 5)
    assert len(answer.value.bids) == len(answer.value.asks) == limit
    assert answer.used_weight >= rest.book_weight(market, limit)
    assert abs((answer.value.received_at - datetime.now(UTC)).total_seconds()) < 2


def test_connections_are_kept(rest):
    rest.fetch_book("SPOT", "BTCUSDT", 100, 5)
    session = rest._session("SPOT")
    for _ in range(3):
        rest.fetch_book("SPOT", "BTCUSDT", 100, 5)
    (pool,) = session.adapters["http://"].poolmanager.pools._container.values()
    assert pool.num_connections == 1
    assert rest._session("SPOT") is session


def test_each_thread_has_its_own_session(rest):
    found = [rest._session("SPOT")]
    thread = threading.Thread(target=lambda: found.append(rest._session("SPOT")))
    thread.start()
    thread.join()
    assert found[0] is not found[1]


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("429", {"retry_after": 9}, RateLimited),
        ("418", {"ban_seconds": 60}, Banned),
        ("403", {}, Blocked),
        ("451", {}, Blocked),
        ("5xx", {"status": 502}, Unavailable),
        ("timeout", {}, Unavailable),
        ("slow", {"delay": 40}, Unavailable),
        ("truncate", {}, Unavailable),
        ("disconnect", {}, Unavailable),
        ("unknown_symbol", {"symbol": "BTCUSDT"}, Refused),
    ],
)
@pytest.mark.parametrize("market", ["SPOT", "FUTURES"])
def test_each_fault_over_the_wire(exchange, rest, kind, options, expected, market):
    exchange.fault(kind, **options)
    began = time.monotonic()
    with pytest.raises(expected):
        rest.fetch_book(market, "BTCUSDT", 100, 1.0 if kind in {"timeout", "slow"} else 20.0)
    assert time.monotonic() - began < 20


def test_the_end_of_a_ban_over_the_wire(exchange, rest):
    """Spot tells it by Retry-After, futures in the message alone."""
    exchange.fault("418", ban_seconds=90)
    for market in ("SPOT", "FUTURES"):
        with pytest.raises(Banned) as found:
            rest.fetch_book(market, "BTCUSDT", 100, 20)
        assert 60 < (found.value.until - datetime.now(UTC)).total_seconds() <= 91


def test_the_clock_over_the_wire(exchange, rest):
    assert abs(rest.fetch_clock_offset("SPOT", 20).value) < 5000
    exchange.fault("skew", offset_ms=-60_000)
    assert abs(rest.fetch_clock_offset("FUTURES", 20).value + 60_000) < 5000


def test_nobody_there_is_unavailable():
    with pytest.raises(Unavailable):
        BinanceRest({"SPOT": "http://127.0.0.1:9"}).fetch_book("SPOT", "BTCUSDT", 100, 1)


def test_an_answer_that_trickles_ends_in_time():
    """Each byte comes well within a read's time-out; the whole would take a minute."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, args=(listener,), daemon=True)
        thread.start()
        rest = BinanceRest({"SPOT": f"http://127.0.0.1:{listener.getsockname()[1]}"})
        began = time.monotonic()
        with pytest.raises(Unavailable):
            rest.fetch_book("SPOT", "BTCUSDT", 100, 1.0)
        assert time.monotonic() - began < 20


def trickle(listener):
    connection, _ = listener.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            for _ in range(600):
                connection.sendall(b" ")
                time.sleep(0.1)
        except OSError:
            pass


def test_a_connection_that_the_other_side_closed_is_made_anew(exchange, rest):
    rest.fetch_book("SPOT", "BTCUSDT", 100, 20)
    exchange.fault("disconnect", count=1)
    assert rest.fetch_book("SPOT", "BTCUSDT", 100, 20).value.bids
