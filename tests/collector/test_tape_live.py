"""Live trades from the exchange through the feed and Redis: told only of what is watched, whole and in order."""

import time

import msgspec
import pytest

from collector.feed.run import Feed
from derivatives.broadcast import WANTED, WANTED_SECONDS, TapeMessage, channel, member, wanted
from derivatives.models import ForceOrder, Trade
from markets.connections import broker_redis
from simulator.market import liquidations_between
from tests.collector.feeding import Subscriber, running, until
from tests.collector.test_tape import tape  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db(transaction=True)
BTC, ETH = ("FUTURES", "BTCUSDT"), ("SPOT", "ETHUSDT")


class Heard(Subscriber):
    """Every message of some series."""

    def __init__(self, *keys):
        super().__init__(*(channel(*key) for key in keys))

    def of(self, key):
        told = [msgspec.convert(body, TapeMessage) for _, where, body in list(self.messages) if where == channel(*key)]
        return [it for it in told if (it.market_type, it.symbol) == key]

    def trades(self, key):
        return [trade for it in self.of(key) for trade in it.trades]


@pytest.fixture
def heard(tape):  # noqa: F811
    listening = Heard(BTC, ETH)
    yield listening
    listening.stop()


def watched(*keys):
    """Marks them once more, as those do who watch."""
    broker_redis().zadd(WANTED, {member(*key): time.time() for key in keys})
    return True


def liquidation_in(exchange, seconds):
    """Moves the exchange's clock so that somebody is liquidated then."""
    now = int(time.time() * 1000)
    first = liquidations_between("BTCUSDT", now + 60_000, now + 7_200_000)[0]
    exchange.fault("skew", offset_ms=first.time - now - seconds * 1000)


def test_what_is_watched_is_told_whole_and_in_order(tape, heard):  # noqa: F811
    liquidation_in(tape, 12)
    with running(Feed()):
        until(lambda: watched(BTC) and len(heard.trades(BTC)) > 10 and any(it.liquidations for it in heard.of(BTC)))
    assert not heard.of(ETH)
    told = heard.trades(BTC)
    ids = [trade.id for trade in told]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    rows = {row.id: row for row in Trade.objects.filter(market_type="FUTURES", symbol="BTCUSDT")}
    for trade in told:
        row = rows[trade.id]
        assert (trade.price, trade.quantity) == (f"{row.price:f}", f"{row.quantity:f}")
        assert (trade.side == "sell") == row.buyer_is_maker
        assert trade.timestamp == round(row.trade_time.timestamp() * 1000)
    for it in heard.of(BTC):
        assert (it.first_id, it.last_id) == ((it.trades[0].id, it.trades[-1].id) if it.trades else (None, None))
    stored = {f"{row.notional:f}" for row in ForceOrder.objects.filter(symbol="BTCUSDT")}
    assert {one.notional for it in heard.of(BTC) for one in it.liquidations} <= stored


def test_a_connection_that_is_down_is_told_and_one_that_is_back(tape, heard):  # noqa: F811
    with running(Feed()):
        until(lambda: watched(ETH) and heard.trades(ETH))
        tape.fault("refuse", market="spot")
        tape.fault("cut", market="spot")
        until(lambda: watched(ETH) and heard.of(ETH)[-1].ws_status == "disconnected")
        before = len(heard.trades(ETH))
        tape.heal()
        until(lambda: watched(ETH) and len(heard.trades(ETH)) > before and heard.of(ETH)[-1].ws_status == "connected")


def test_marks_of_those_who_left_go(empty_redis):
    now = time.time()
    empty_redis.zadd(WANTED, {"SPOT:BTCUSDT": now - WANTED_SECONDS - 1, "FUTURES:BTCUSDT": now})
    assert wanted(empty_redis, now) == {BTC}
    assert empty_redis.zcard(WANTED) == 1
