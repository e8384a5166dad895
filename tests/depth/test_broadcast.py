"""States of live books: their shape, how they stand in Redis, and how they reach whoever listens."""

import json
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from depth.broadcast import (
    BOOK_LEVELS,
    SEQUENCES,
    STATE_LIFETIME,
    TOP_LEVELS,
    WANTED,
    WANTED_SECONDS,
    LiveBook,
    ToldBook,
    WsStatus,
    band_number,
    book_key,
    channel,
    keep_books,
    last_sequences,
    outside_body,
    pack_side,
    publish,
    publish_status,
    state_body,
    state_key,
    state_message,
    unpack_side,
    want,
    wanted,
)
from depth.volumes import measure, reach_percent
from tests.depth.factories import book

NOW = 1_772_366_407_250
BANDS = (Decimal("0.5"), Decimal(5))


def told(market="SPOT", symbol="BTCUSDT", mid=100.0, read_at=NOW - 40, **shape):
    made = book(mid=mid, **shape)
    sides = (made.bids, made.asks)
    bids, asks = (list(zip(side.prices.tolist(), side.quantities.tolist(), strict=True)) for side in sides)
    return ToldBook(
        symbol=symbol,
        market=market,
        read_at=read_at,
        best_bid=bids[0][0],
        best_ask=asks[0][0],
        bids=bids,
        asks=asks,
        bid_levels=len(bids),
        ask_levels=len(asks),
        bid_reach=reach_percent(made.bids),
        ask_reach=reach_percent(made.asks),
        source="stream",
        bands=measure(made, BANDS),
    )


def test_a_state_is_the_books_body_with_its_kind_and_number():
    body = state_body(told(market="FUTURES"), WsStatus.CONNECTED, NOW, 7)
    head = {"type": "update", "marketType": "FUTURES", "symbol": "BTCUSDT", "seq": 7}
    assert dict(list(body.items())[:4]) == head
    assert (body["ageMs"], body["timestamp"], body["publishedAt"]) == (40, NOW - 40, NOW)
    assert (body["wsStatus"], body["source"]) == ("connected", "stream")
    assert (len(body["bids"]), len(body["asks"])) == (TOP_LEVELS, TOP_LEVELS)
    assert body["bestBid"] == body["bids"][0]
    assert [row["depth"] for row in body["depthVolumes"]] == [0.5, 5]
    assert [row["bidComplete"] for row in body["diffs"]] == [True, False]
    assert body["coverage"]["bidLevels"] == 50


def test_an_age_is_never_below_nothing():
    assert state_body(told(read_at=NOW + 500), "connected", NOW, 1)["ageMs"] == 0


def test_the_spread_is_that_of_the_decimals():
    made = told()
    exact = ToldBook(**{name: getattr(made, name) for name in ToldBook.__slots__} | {"best_bid": 0.1, "best_ask": 0.3})
    assert state_body(exact, "connected", NOW, 1)["spread"] == 0.2


@pytest.mark.parametrize(("band", "number"), [("5", 5), ("5.00", 5), ("0.25", 0.25)])
def test_bands_carry_no_needless_zeros(band, number):
    assert json.dumps(band_number(Decimal(band))) == json.dumps(number)


def test_a_state_is_kept_and_heard_as_the_same_text(empty_redis):
    listener = empty_redis.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(channel("SPOT", "BTCUSDT"))
    listener.get_message(timeout=1)
    states = [state_message(told(market=market), "connected", NOW, 3) for market in ("SPOT", "FUTURES")]
    publish(empty_redis, states)
    heard = listener.get_message(timeout=1)
    assert heard["data"] == empty_redis.get(state_key("SPOT", "BTCUSDT")) == states[0].body
    assert msgspec.json.decode(heard["data"])["seq"] == 3
    assert 0 < empty_redis.ttl(state_key("FUTURES", "BTCUSDT")) <= STATE_LIFETIME
    publish_status(empty_redis, "SPOT", "BTCUSDT", WsStatus.DISCONNECTED)
    status = msgspec.json.decode(listener.get_message(timeout=1)["data"])
    assert (status["type"], status["wsStatus"]) == ("status", "disconnected")
    listener.close()


def test_numbers_go_on_after_a_restart(empty_redis):
    assert last_sequences(empty_redis) == {}
    publish(empty_redis, [state_message(told(), "connected", NOW, seq) for seq in (41, 42)])
    publish(empty_redis, [])
    assert last_sequences(empty_redis) == {("SPOT", "BTCUSDT"): 42}
    assert empty_redis.ttl(SEQUENCES) == -1


def test_what_nobody_asked_for_lately_is_not_wanted(empty_redis):
    now = NOW / 1000
    want(empty_redis, "SPOT", "ETHUSDT", now - WANTED_SECONDS - 1)
    want(empty_redis, "SPOT", "BTCUSDT", now - 100)
    want(empty_redis, "FUTURES", "BTCUSDT", now)
    assert wanted(empty_redis, now) == [("FUTURES", "BTCUSDT"), ("SPOT", "BTCUSDT")]
    assert empty_redis.zcard(WANTED) == 2
    want(empty_redis, "SPOT", "BTCUSDT", now + 60)
    assert wanted(empty_redis, now + 120) == [("SPOT", "BTCUSDT"), ("FUTURES", "BTCUSDT")]


def test_deep_levels_come_back_as_they_were(empty_redis):
    made = book(levels=1200, step=0.01)
    sides = [pack_side(side.prices, side.quantities) for side in (made.bids, made.asks)]
    keep_books(empty_redis, [LiveBook("BTCUSDT", "SPOT", "connected", NOW, NOW, 99, *sides)])
    found = msgspec.msgpack.decode(empty_redis.get(book_key("SPOT", "BTCUSDT")), type=LiveBook)
    whole = unpack_side(found.bids, 5000)
    assert len(whole) == BOOK_LEVELS
    assert whole == list(zip(made.bids.prices.tolist(), made.bids.quantities.tolist(), strict=True))[:BOOK_LEVELS]
    assert unpack_side(found.asks, 3) == [(price, 1.0) for price in made.asks.prices[:3].tolist()]
    assert unpack_side(pack_side(np.array([1.0]), np.array([2.0])), 5) == [(1.0, 2.0)]


def test_other_programs_read_the_top_levels_of_a_market():
    body = outside_body(told(market="FUTURES"), 12)
    assert (body["symbol"], body["market"], body["last_update_id"]) == ("BTCUSDT", "FUTURES", 12)
    assert (len(body["bids"]), body["bids"][0]) == (TOP_LEVELS, [told().best_bid, 1.0])
