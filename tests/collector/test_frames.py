"""Binance's socket frames: recorded ones of both markets, and what cannot be one."""

import contextlib
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.exchanges import STREAMS
from collector.exchanges.binance.frames import parse_frame
from collector.exchanges.streams import (
    AggregateTrade,
    Answer,
    BestPrices,
    CandleUpdate,
    DepthUpdate,
    Kind,
    Liquidation,
    MarkPrice,
    Shutdown,
    Taken,
    Unreadable,
)
from depth.book import DepthDiff

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded"
recorded = pytest.mark.skipif(not RECORDED.exists(), reason="the recordings are not beside this checkout")


def combined(stream, data):
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":"), ensure_ascii=False).encode()


def only(market, frame):
    (message,) = parse_frame(market, frame).messages
    return message


def lines(name):
    for line in (RECORDED / name).read_bytes().splitlines():
        if line:
            yield line.partition(b" ")[2]


SPOT_DEPTH = {
    "e": "depthUpdate", "E": 1672515782136, "s": "BNBBTC", "U": 157, "u": 160,
    "b": [["0.0024", "10"]], "a": [["0.0026", "0.000"]],
}  # fmt: skip
FUTURES_DEPTH = {
    "e": "depthUpdate", "E": 1790526538985, "T": 1790526538981, "s": "BTCUSDT", "ps": "BTCUSDT", "U": 245, "u": 966,
    "pu": 147, "b": [["1000.00", "139.491"]], "a": [["84969.60", "0.204"], ["84973.90", "0.279"]], "st": 1,
}  # fmt: skip
KLINE = {
    "e": "kline", "E": 1672515782136, "s": "BNBBTC", "new": {"x": [1]},
    "k": {
        "t": 1672515780000, "T": 1672515839999, "s": "BNBBTC", "i": "1m", "f": 100, "L": 200, "o": "0.0010",
        "c": "0.0020", "h": "0.0025", "l": "0.0015", "v": "1000", "n": 100, "x": False, "q": "1.0000", "V": "500",
        "Q": "0.500", "B": "123456",
    },
}  # fmt: skip


def test_a_spot_diff_leads_from_the_state_before_its_first_id():
    expected = DepthDiff("BNBBTC", "SPOT", 156, 160, 1672515782136, [(0.0024, 10.0)], [(0.0026, 0.0)], True)
    assert only("SPOT", combined("bnbbtc@depth@100ms", SPOT_DEPTH)) == expected
    assert only("SPOT", json.dumps(SPOT_DEPTH).encode()) == expected
    assert only("SPOT", json.dumps({"data": SPOT_DEPTH, "stream": "bnbbtc@depth"}, indent=2)) == expected


def test_a_futures_diff_leads_from_the_id_that_it_names():
    message = only("FUTURES", combined("btcusdt@depth@100ms", FUTURES_DEPTH))
    assert (message.prev_sequence, message.sequence) == (147, 966)
    assert message.asks == [(84969.6, 0.204), (84973.9, 0.279)]


@pytest.mark.parametrize(
    ("market", "change"),
    [
        ("SPOT", {"b": [["NaN", "1"]]}),
        ("SPOT", {"b": [["inf", "1"]]}),
        ("SPOT", {"b": [["1", "-0.1"]]}),
        ("SPOT", {"a": [["-1", "1"]]}),
        ("SPOT", {"a": [["0", "1"]]}),
        ("SPOT", {"a": [["1", "Infinity"]]}),
        ("SPOT", {"a": [["1", "nan"]]}),
        ("SPOT", {"a": [["1"]]}),
        ("SPOT", {"a": [["1", None]]}),
        ("SPOT", {"a": None}),
        ("SPOT", {"u": "many"}),
        ("SPOT", {"u": 156}),
        ("SPOT", {"u": -5, "U": -6}),
        ("SPOT", {"E": 10**15}),
        ("SPOT", {"s": ""}),
        ("FUTURES", {}),  # a futures frame must say what it leads from
        ("FUTURES", {"pu": 160}),
        ("FUTURES", {"pu": None}),
    ],
)
def test_what_is_no_diff_is_refused_and_its_stream_told(market, change):
    with pytest.raises(Unreadable) as refused:
        parse_frame(market, combined("bnbbtc@depth@100ms", {**SPOT_DEPTH, **change}))
    assert refused.value.stream == "bnbbtc@depth@100ms"


@pytest.mark.parametrize("key", ["e", "E", "s", "U", "u", "b", "a"])
def test_a_diff_that_lacks_something_is_refused(key):
    data = {name: value for name, value in SPOT_DEPTH.items() if name != key}
    if key == "e":  # the stream's name tells it as well
        assert parse_frame("SPOT", combined("bnbbtc@depth", data)).messages
    else:
        with pytest.raises(Unreadable):
            parse_frame("SPOT", combined("bnbbtc@depth", data))


@given(st.integers(1, len(combined("bnbbtc@depth", SPOT_DEPTH)) - 1))
def test_a_cut_frame_is_refused(length):
    with pytest.raises(Unreadable):
        parse_frame("SPOT", combined("bnbbtc@depth", SPOT_DEPTH)[:length])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_unreadable(data):
    for market in ("SPOT", "FUTURES"):
        try:
            parse_frame(market, data)
        except Unreadable:
            continue


@given(st.integers(0, len(combined("bnbbtc@depth", SPOT_DEPTH)) - 1), st.binary(min_size=1, max_size=3))
def test_a_frame_with_foreign_bytes_in_it_is_read_or_refused(at, noise):
    frame = combined("bnbbtc@depth", SPOT_DEPTH)
    with contextlib.suppress(Unreadable):
        parse_frame("SPOT", frame[:at] + noise + frame[at:])


def test_candles_keep_the_exchanges_text():
    assert only("SPOT", combined("bnbbtc@kline_1m", KLINE)) == CandleUpdate(
        "BNBBTC", "SPOT", "1m", 1672515780000, 1672515839999, "0.0010", "0.0025", "0.0015", "0.0020", "1000", "1.0000",
        100, "500", "0.500", False, 1672515782136,
    )  # fmt: skip


@pytest.mark.parametrize("value", ["", "NaN", "1e5", "-1", "1,5", " 1", "1 ", "0x1", "1.", "1\n", None, "١"])
def test_text_that_is_no_plain_number_is_refused(value):
    with pytest.raises(Unreadable):
        parse_frame("SPOT", combined("bnbbtc@kline_1m", {**KLINE, "k": {**KLINE["k"], "o": value}}))


def mark_price(**changes):
    return {
        "e": "markPriceUpdate", "E": 1562305380000, "s": "BTCUSDT", "p": "11794.15", "ap": "11794.15",
        "i": "11784.62659091", "P": "11784.25641265", "r": "-0.00038167", "T": 1562306400000, "st": 1, **changes,
    }  # fmt: skip


def test_mark_prices_of_all_symbols_leave_out_the_other_margin():
    frame = combined(
        "!markPrice@arr@1s", [mark_price(), mark_price(s="BTCUSD_PERP", st=2), mark_price(s="X", r="", T=0)]
    )
    first, second = parse_frame("FUTURES", frame).messages
    assert first == MarkPrice(
        "BTCUSDT",
        "FUTURES",
        "11794.15",
        "11784.62659091",
        "11784.25641265",
        "-0.00038167",
        1562306400000,
        1562305380000,
    )
    assert (second.symbol, second.funding_rate, second.next_funding_time) == ("X", None, None)
    alone = parse_frame("FUTURES", json.dumps([mark_price()]))
    assert (alone.stream, list(alone.messages)) == (None, [first])


ORDER = {
    "s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.190", "p": "82338.30", "ap": "82651.90",
    "X": "FILLED", "l": "0.155", "z": "0.190", "T": 1791565602120,
}  # fmt: skip


@pytest.mark.parametrize(
    ("inside", "beside", "kept"),
    [
        ({"ps": "BTCUSDT", "st": 1}, {}, True),
        ({}, {"ps": "BTCUSDT", "st": 1}, True),
        ({}, {}, True),
        ({"st": 2}, {}, False),
        ({}, {"st": 2}, False),
    ],
)
def test_liquidations_tell_their_margin_in_either_place(inside, beside, kept):
    frame = combined("!forceOrder@arr", {"e": "forceOrder", "E": 1791565603055, "o": {**ORDER, **inside}, **beside})
    expected = Liquidation(
        "BTCUSDT", "FUTURES", "SELL", "LIMIT", "IOC", "FILLED", "82338.30", "82651.90", "0.190", "0.155", "0.190",
        1791565602120, 1791565603055,
    )  # fmt: skip
    assert list(parse_frame("FUTURES", frame).messages) == ([expected] if kept else [])


def test_what_comes_beside_the_streams():
    assert only("SPOT", '{"result":null,"id":1}') == Answer(1, None)
    assert only("SPOT", '{"error":{"code":2,"msg":"Invalid request"},"id":3}') == Answer(3, "2: Invalid request")
    assert only("FUTURES", '{"code":2,"msg":"Invalid request"}') == Answer(None, "2: Invalid request")
    assert only("SPOT", '{"e":"serverShutdown","E":1770123456789}') == Shutdown(1770123456789)
    wrapped = combined("btcusdt@depth", {"e": "serverShutdown", "E": 1770123456789})
    assert only("SPOT", wrapped) == Shutdown(1770123456789)
    for text in ("{}", "[]x", "[1]", '{"e":"somethingNew","E":1}', '{"stream":"a@b","data":{"e":"unknown"}}', "null"):
        with pytest.raises(Unreadable):
            parse_frame("SPOT", text)


@recorded
def test_recorded_frames_of_todays_futures():
    kinds = [type(only("FUTURES", line)) for line in lines("usdm_frames.jsonl")]
    assert kinds == [
        BestPrices, DepthDiff, AggregateTrade, MarkPrice, DepthDiff, CandleUpdate, AggregateTrade, AggregateTrade,
        CandleUpdate, MarkPrice, Liquidation, Liquidation, Liquidation,
    ]  # fmt: skip
    first, second = (only("FUTURES", line) for line in lines("usdm_frames.jsonl") if b"depthUpdate" in line)
    assert second.prev_sequence == first.sequence
    assert [only("FUTURES", line).closed for line in lines("usdm_frames.jsonl") if b"kline" in line] == [False, True]
    assert only("FUTURES", list(lines("usdm_frames.jsonl"))[10]).symbol == "牛来USDT"


@recorded
def test_recorded_liquidations_keep_every_figure():
    for line in lines("usdm_forceorder.jsonl"):
        raw, told = json.loads(line)["data"], only("FUTURES", line)
        order = raw["o"]
        assert (told.symbol, told.side, told.event_time) == (order["s"], order["S"], raw["E"])
        assert (told.price, told.average_price) == (order["p"], order["ap"])
        assert (told.quantity, told.filled_quantity, told.trade_time) == (order["q"], order["z"], order["T"])


# --- names and addresses ------------------------------------------------------------------------------------------

streams = STREAMS["binance"]({"SPOT": "wss://spot:9443", "FUTURES": "wss://futures"})


@pytest.mark.parametrize(
    ("market", "kind", "name", "url"),
    [
        ("SPOT", Kind.DEPTH, "btcusdt@depth@100ms", "wss://spot:9443/stream"),
        ("SPOT", Kind.CANDLES, "btcusdt@kline_1m", "wss://spot:9443/stream"),
        ("SPOT", Kind.TRADES, "btcusdt@aggTrade", "wss://spot:9443/stream"),
        ("FUTURES", Kind.DEPTH, "btcusdt@depth@100ms", "wss://futures/public/stream"),
        ("FUTURES", Kind.BEST_PRICES, "btcusdt@bookTicker", "wss://futures/public/stream"),
        ("FUTURES", Kind.CANDLES, "btcusdt@kline_1m", "wss://futures/market/stream"),
        ("FUTURES", Kind.TRADES, "btcusdt@aggTrade", "wss://futures/market/stream"),
        ("FUTURES", Kind.MARK_PRICE, "btcusdt@markPrice@1s", "wss://futures/market/stream"),
        ("FUTURES", Kind.LIQUIDATIONS, "btcusdt@forceOrder", "wss://futures/market/stream"),
    ],
)
def test_streams_have_names_and_the_address_that_serves_them(market, kind, name, url):
    assert streams.stream(market, kind, "BTCUSDT") == name
    assert streams.url(market, kind) == url
    assert streams.symbol_of(name) == "BTCUSDT"


def test_streams_of_all_symbols():
    assert streams.stream("FUTURES", Kind.LIQUIDATIONS, None) == "!forceOrder@arr"
    assert streams.stream("FUTURES", Kind.MARK_PRICE, None) == "!markPrice@arr@1s"
    assert streams.symbol_of("!forceOrder@arr") is None
    with pytest.raises(ValueError, match="all symbols"):
        streams.stream("FUTURES", Kind.DEPTH, None)


def test_spot_knows_no_liquidations():
    assert Kind.LIQUIDATIONS not in streams.kinds["SPOT"]
    for ask in (
        lambda: streams.stream("SPOT", Kind.LIQUIDATIONS, "BTCUSDT"),
        lambda: streams.url("SPOT", Kind.MARK_PRICE),
    ):
        with pytest.raises(ValueError, match="SPOT has no"):
            ask()


def test_requests():
    assert json.loads(streams.subscribe(["a@depth", "牛来usdt@kline_1m"], 7)) == {
        "method": "SUBSCRIBE", "params": ["a@depth", "牛来usdt@kline_1m"], "id": 7,
    }  # fmt: skip
    assert json.loads(streams.unsubscribe(["a@depth"], 8))["method"] == "UNSUBSCRIBE"


# --- the exchange's own words ---------------------------------------------------------------------------------------


@recorded
@pytest.mark.parametrize("file", ["usdm_frames.jsonl", "usdm_forceorder.jsonl"])
def test_recorded_events_with_their_payloads_are_the_same_events(file):
    """Unknown fields (`nq`, `ap`, `ps`) are in the payload, and nothing else is changed by keeping it."""
    kinds = [Kind.TRADES, Kind.MARK_PRICE, Kind.LIQUIDATIONS]
    keeping = STREAMS["binance"]({}, Taken(payloads=kinds, depth=[("FUTURES", "BTCUSDT")]))
    kept = 0
    for line in lines(file):
        plain, whole = streams.parse("FUTURES", line), keeping.parse("FUTURES", line)
        told = [message for message in whole.messages if not isinstance(message, DepthUpdate)]
        for one, other in zip(plain.messages, told, strict=True):
            if isinstance(one, AggregateTrade | MarkPrice | Liquidation):
                assert json.loads(other.payload) == json.loads(line)["data"]
                other = msgspec.structs.replace(other, payload=None)
                kept += 1
            assert one == other
    assert kept > 0


def test_only_chosen_payloads_and_diffs_are_kept():
    keeping = STREAMS["binance"]({}, Taken(payloads=[Kind.MARK_PRICE], depth=[("FUTURES", "BTCUSDT")]))
    diff = (
        '{"stream":"%s@depth@100ms","data":{"e":"depthUpdate","E":5,"s":"%s","U":8,"u":9,"pu":7,"b":[["1.10","0"]],'
        '"a":[],"new":1}}'
    )
    chosen = keeping.parse("FUTURES", diff % ("btcusdt", "BTCUSDT")).messages
    assert [type(message) for message in chosen] == [DepthDiff, DepthUpdate]
    raw = chosen[1]
    assert (raw.first_update_id, raw.final_update_id, raw.previous_update_id, raw.event_time) == (8, 9, 7, 5)
    assert (json.loads(raw.payload)["new"], json.loads(raw.payload)["b"]) == (1, [["1.10", "0"]])
    assert [type(one) for one in keeping.parse("FUTURES", diff % ("ethusdt", "ETHUSDT")).messages] == [DepthDiff]
    mark = (
        '{"e":"markPriceUpdate","E":5,"s":"%s","p":"1.5","ap":"1.5","P":"1","i":"1","r":"0.01","T":9,"st":%d,"new":[]}'
    )
    every = ",".join([mark % ("BTCUSDT", 1), mark % ("BTCUSD_PERP", 2), mark % ("ETHUSDT", 1)])
    told = keeping.parse("FUTURES", f'{{"stream":"!markPrice@arr@1s","data":[{every}]}}').messages
    assert [(one.symbol, json.loads(one.payload)["s"]) for one in told] == [("BTCUSDT",) * 2, ("ETHUSDT",) * 2]


def test_mark_prices_each_second_or_third():
    slow = STREAMS["binance"]({}, Taken(mark_price_seconds=3))
    assert slow.stream("FUTURES", Kind.MARK_PRICE, None) == "!markPrice@arr"
    assert slow.stream("FUTURES", Kind.MARK_PRICE, "BTCUSDT") == "btcusdt@markPrice"
