"""Events are stored exactly, once, however often they come."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from derivatives import services
from derivatives.events import DepthUpdate, IdRange, Interest, Mark, Trade
from derivatives.models import LIFETIMES, ForceOrder, MarkPrice, OpenInterest, TradeGap
from derivatives.models import DepthUpdate as DepthRow
from derivatives.models import Trade as Row
from derivatives.selectors import newest_ids, stored_ids, trades
from markets.storage import storage_name
from tests.derivatives.test_events import forced

pytestmark = pytest.mark.django_db
AT = 1_790_526_538_883


def trade(trade_id, at=AT, **changes):
    told = {"event_time": at + 150, "price": "84551.10", "quantity": "0.00000001", "buyer_is_maker": False}
    told |= {"first_trade_id": 7, "last_trade_id": 9, "market": "FUTURES", "symbol": "BTCUSDT"}
    return Trade(id=trade_id, trade_time=at, **{**told, **changes})


def moment(ms):
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def test_a_trade_is_stored_exactly_and_once():
    assert services.store_trades([trade(2), trade(1), trade(2)]) == 2
    assert services.store_trades([trade(1), trade(3, event_time=None)]) == 1
    row = Row.objects.get(id=1)
    assert (row.price, row.quantity) == (Decimal("84551.10"), Decimal("0.00000001"))
    assert (row.trade_time, row.event_time) == (moment(AT), moment(AT + 150))
    assert (row.first_trade_id, row.last_trade_id, row.buyer_is_maker) == (7, 9, False)
    assert Row.objects.get(id=3).event_time is None


def test_markets_do_not_mix():
    services.store_trades([trade(1), trade(1, market="SPOT")])
    assert Row.objects.count() == 2
    assert newest_ids([("SPOT", "BTCUSDT"), ("FUTURES", "ETHUSDT")], moment(AT - 1)) == {("SPOT", "BTCUSDT"): 1}


def test_marks_and_liquidations_and_interest():
    mark = Mark("BTCUSDT", AT, "84551.10762319", "84590.87304348", "84559.1", "0.00000801", AT + 1000)
    bare = Mark("XYZUSDT", AT, "1", "1", "1", None, None)
    assert services.store_marks([mark, mark, bare]) == 2
    assert MarkPrice.objects.get(symbol="XYZUSDT").funding_rate is None
    assert MarkPrice.objects.get(symbol="BTCUSDT").funding_rate == Decimal("0.00000801")
    assert services.store_forced_orders([forced(), forced(event_time=AT)]) == 1
    row = ForceOrder.objects.get()
    assert (row.position, row.side, row.notional) == ("long", "SELL", Decimal("111.21312000"))
    assert services.store_interest([Interest("BTCUSDT", AT + 3000, "90123.456"), Interest("ETHUSDT", AT, "5")]) == 2
    assert OpenInterest.objects.get(symbol="BTCUSDT").notional == Decimal("90123.456") * Decimal("84551.10762319")
    assert OpenInterest.objects.get(symbol="ETHUSDT").notional is None


def test_payloads_are_kept_where_they_are_given():
    services.store_trades([trade(1, payload='{"e":"aggTrade","p":"84551.10"}'), trade(2)])
    assert dict(Row.objects.values_list("id", "payload")) == {1: {"e": "aggTrade", "p": "84551.10"}, 2: None}
    diff = DepthUpdate("FUTURES", "BTCUSDT", AT, 5, 9, 4, '{"U":5,"u":9,"pu":4,"b":[["1.10","0"]]}')
    spot = DepthUpdate("SPOT", "BTCUSDT", AT, 5, 9, None, "{}")
    assert services.store_depth_updates([diff, diff, spot]) == 2
    row = DepthRow.objects.get(market_type="FUTURES")
    assert (row.first_update_id, row.final_update_id, row.previous_update_id) == (5, 9, 4)
    assert (row.event_time, row.payload["b"]) == (moment(AT), [["1.10", "0"]])


def test_a_gap_is_written_down_once_and_settled_by_what_is_stored():
    assert services.store_gaps([IdRange("SPOT", "BTCUSDT", 5, 8)]) == 1
    services.store_gaps([IdRange("SPOT", "BTCUSDT", 5, 8)])
    services.store_gaps([IdRange("SPOT", "BTCUSDT", 5, 7)])
    gap = TradeGap.objects.get()
    now = moment(AT)
    assert services.settle(gap, [5, 6, 8], now, "gone") == 1
    assert (gap.state, gap.missing, gap.error) == ("lost", 1, "gone")
    assert services.settle(gap, [5, 6, 7, 8], now) == 0
    assert gap.state == "filled"
    services.store_trades([trade(6, market="SPOT")])
    assert stored_ids(gap, now - timedelta(days=1), now + timedelta(days=1)) == [6]


def test_a_gap_that_goes_on_is_open_again():
    services.store_gaps([IdRange("SPOT", "BTCUSDT", 5, 8), IdRange("SPOT", "BTCUSDT", 5, 7)])
    services.settle(TradeGap.objects.get(), range(5, 9), moment(AT))
    services.store_gaps([IdRange("SPOT", "BTCUSDT", 5, 8)])
    assert TradeGap.objects.get().state == "filled"
    services.store_gaps([IdRange("SPOT", "BTCUSDT", 5, 20)])
    gap = TradeGap.objects.get()
    assert (gap.last, gap.state, gap.settled_at) == (20, "open", None)


def test_trades_page_by_page():
    services.store_trades([trade(i, AT + i // 3, buyer_is_maker=i % 2 == 0, quantity=str(i)) for i in range(1, 11)])
    seen, after = [], None
    while page := trades("FUTURES", "BTCUSDT", 3, after=after):
        seen += [row.id for row in page]
        after = (page[-1].trade_time, page[-1].id)
    assert seen == list(range(10, 0, -1))
    assert [row.id for row in trades("FUTURES", "BTCUSDT", 9, taker_side="sell", least_quantity=Decimal(5))] == [
        10,
        8,
        6,
    ]


def test_rows_go_after_their_lifetime():
    if storage_name() == "timescaledb":
        pytest.skip("TimescaleDB drops whole chunks by its own policy")
    services.store_trades([trade(1)])
    midnight = moment(AT).replace(hour=0, minute=0, second=0, microsecond=0)
    gone = midnight + timedelta(days=1) + LIFETIMES["agg_trades"][1]  # whole days go
    assert services.retain(gone - timedelta(seconds=1)) == 0
    assert services.retain(gone + timedelta(seconds=1)) == 1


def test_all_that_is_past_goes_however_much_of_however_many_series(monkeypatch):
    if storage_name() == "timescaledb":
        pytest.skip("TimescaleDB drops whole chunks by its own policy")
    monkeypatch.setattr(services, "MOST_DELETED", 2)
    series = [(market, symbol) for market in ("FUTURES", "SPOT") for symbol in ("AUSDT", "BUSDT", "CUSDT")]
    young = AT + 40 * 86_400_000
    for market, symbol in series:
        told = [trade(i, AT + i, market=market, symbol=symbol) for i in range(3)]
        services.store_trades([*told, trade(9, young, market=market, symbol=symbol)])
        services.store_depth_updates([DepthUpdate(market, symbol, AT + i, i, i, None, "{}") for i in range(3)])
    for symbol in ("AUSDT", "BUSDT"):
        services.store_marks([Mark(symbol, at, "1", "1", "1", None, None) for at in (AT, AT + 1, AT + 2, young)])
    assert services.retain(moment(young)) == 6 * 3 + 6 * 3 + 2 * 3
    assert (Row.objects.count(), MarkPrice.objects.count(), DepthRow.objects.count()) == (6, 2, 0)
