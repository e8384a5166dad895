"""/ws?type=trades against a real web process: stored trades first, then what the feed publishes, from a size on."""

import json
import time

import pytest

from derivatives.broadcast import WANTED, TapeLiquidation, TapeMessage, TapeTrade, publish
from derivatives.consumers import first_frame, stored
from derivatives.events import Trade
from derivatives.hub import GONE_SECONDS, STALE_SECONDS, TapeTopic, view
from derivatives.services import store_trades
from markets.connections import broker_redis
from tests.sockets.conftest import SYMBOLS, wait_for
from tests.sockets.test_depth import close_code, opened, told_by, until

FIRST = SYMBOLS[0]


def trade(number, quantity="1.5"):
    return TapeTrade(number, 1_700_000_000_000 + number, "100.10", quantity, "buy")


def message(*numbers, status="connected", symbol=FIRST, forced=(), **options):
    trades = [trade(number, **options) for number in numbers]
    first, last = (numbers[0], numbers[-1]) if numbers else (None, None)
    return TapeMessage(symbol, "SPOT", status, int(time.time() * 1000), trades, list(forced), first, last)


def listening(site, query):
    client = opened(site, f"/ws?type=trades&{query}")
    first = told_by(client)
    assert (first["type"], first["symbol"], first["trades"]) == ("snapshot", FIRST, [])
    return client


def test_trades_come_as_they_are_published(site, empty_redis):
    with listening(site, f"symbol={FIRST.lower()}&market=spot") as client:
        wait_for(lambda: empty_redis.zscore(WANTED, f"SPOT:{FIRST}"))
        forced = TapeLiquidation(1, "long", "100.1", "2", "200.2")
        publish(broker_redis(), [message(1, 2, forced=[forced]), message(7, symbol=SYMBOLS[1])])
        heard = until(client, lambda it: it["type"] == "trades")
        assert heard["marketType"] == "SPOT"
        assert (heard["wsStatus"], heard["firstId"], heard["lastId"]) == ("connected", 1, 2)
        assert heard["trades"][0] == {
            "id": 1, "timestamp": 1_700_000_000_001, "price": "100.10", "quantity": "1.5", "side": "buy",
        }  # fmt: skip
        assert heard["liquidations"][0]["averagePrice"] == "100.1"


def test_small_trades_are_left_out_and_their_ids_still_told(site, empty_redis):
    with listening(site, f"symbol={FIRST}&market=SPOT&minNotional=1000") as client:
        wait_for(lambda: empty_redis.zscore(WANTED, f"SPOT:{FIRST}"))
        publish(broker_redis(), [message(1, 2)])
        heard = until(client, lambda it: it["type"] == "trades")
        assert (heard["trades"], heard["firstId"], heard["lastId"]) == ([], 1, 2)
        publish(broker_redis(), [message(3, quantity="10")])
        assert [it["id"] for it in until(client, lambda it: it.get("lastId") == 3)["trades"]] == [3]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("least", "shown", "ids"), [(0, [4, 5, 6, 7], (4, 7)), (1000, [4, 6], (None, 7)), (10_000, [], (None, 7))]
)
def test_the_snapshot_of_large_trades_says_up_to_where_all_are_known(least, shown, ids):
    """Else those that are made before the first message, and not stored yet, would be missing without a word."""
    now = int(time.time() * 1000)
    sizes = {4: "10", 5: "1", 6: "10", 7: "1"}
    store_trades(
        [Trade("SPOT", FIRST, n, now - 60_000 + n, now, "100.1", size, n, n, False) for n, size in sizes.items()]
    )
    found, told_ids = stored(FIRST, "SPOT", least)
    told = json.loads(first_frame(TapeTopic("SPOT", FIRST), found, told_ids).body)
    assert (told["type"], told["firstId"], told["lastId"]) == ("snapshot", *ids)
    assert [it["id"] for it in told["trades"]] == shown


@pytest.mark.django_db
@pytest.mark.parametrize("least", [0, 1000])
def test_without_trades_the_snapshot_has_no_ids(least):
    assert stored(FIRST, "SPOT", least) == ([], (None, None))


@pytest.mark.parametrize(
    ("query", "code", "close"),
    [
        ("", "missing_parameter", 4400),
        ("symbol=NOPE", "unknown_symbol", 4404),
        (f"symbol={FIRST}&market=MARS", "invalid_parameter", 4400),
        (f"symbol={FIRST}&minNotional=-1", "invalid_parameter", 4400),
        (f"symbol={FIRST}&minNotional=nan", "invalid_parameter", 4400),
        (f"symbol={FIRST}&minNotional=lots", "invalid_parameter", 4400),
    ],
)
def test_what_cannot_be_served_is_refused(site, query, code, close):
    with opened(site, f"/ws?type=trades&{query}") as client:
        closed, said = close_code(client)
    assert (closed, said[-1]["code"]) == (close, code)


class Writer:
    def __init__(self):
        self.said = []

    def put(self, key, frame):
        self.said.append(json.loads(frame.body))


def test_silence_of_the_feed_is_told():
    """By the hub's own clock: stale, then disconnected, and connected with the next word."""
    import asyncio

    async def play():
        topic, writer = TapeTopic("SPOT", FIRST), Writer()
        topic.join(writer, 0.0, view(message(), 0.0))
        began = time.monotonic()
        topic.heard(json.dumps(json.loads(view(message(1), 0.0).body)).encode(), began)
        for seconds in (1, STALE_SECONDS + 1, STALE_SECONDS + 2, GONE_SECONDS + 1):
            topic.tick(began + seconds)
        topic.heard(view(message(2), 0.0).body, began + 30)
        topic.lost(began + 31)
        return [it["wsStatus"] for it in writer.said[1:]]

    assert asyncio.run(play()) == ["connected", "stale", "disconnected", "connected", "disconnected"]
