"""Trades, mark prices and liquidations over the feed: with faults on, and after repair, each is stored exactly once."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from collector import futures_tasks
from collector.exchanges.binance.frames import parse_frame
from collector.exchanges.streams import AggregateTrade
from collector.feed import tape_keeping
from collector.feed.run import Feed
from collector.feed.tape import Basket, Tape, TapePlan
from collector.feed.tape_keeping import TapeKeeper, joined
from depth.services import replay, spool_state
from derivatives import services
from derivatives.events import IdRange
from derivatives.models import DepthUpdate, ForceOrder, MarkPrice, OpenInterest, Trade, TradeGap
from markets.models import Symbol
from simulator.market import liquidations_between, trades_between
from tests.collector.feeding import KEYS, NAMES, running, until

pytestmark = pytest.mark.django_db(transaction=True)
RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded"


@pytest.fixture
def tape(live, settings):
    settings.STREAM_KINDS = {"SPOT": {"depth", "aggTrade"}, "FUTURES": {"depth", "aggTrade", "markPrice", "forceOrder"}}
    settings.TRADE_SYMBOLS = "live"
    return live


def ms(moment):
    return round(moment.timestamp() * 1000)


def stored(market, symbol):
    rows = Trade.objects.filter(market_type=market, symbol=symbol).order_by("id")
    return {row.id: row for row in rows}


def gapless(market, symbol):
    """The stored trades of a series, proven to be all that the exchange made from the first to the last, and right."""
    rows = stored(market, symbol)
    ids = sorted(rows)
    first, last = rows[ids[0]], rows[ids[-1]]
    truth = trades_between(symbol, market.lower(), ms(first.trade_time), ms(last.trade_time) + 1)
    wanted = {it.id: it for it in truth if ids[0] <= it.id <= ids[-1]}
    assert set(wanted) == set(rows)
    for trade_id, it in wanted.items():
        row = rows[trade_id]
        assert (float(row.price), float(row.quantity)) == pytest.approx((float(it.price), float(it.quantity)))
        assert (ms(row.trade_time), row.buyer_is_maker) == (it.time, it.sell)
    return rows


def test_with_faults_every_trade_is_stored_once_after_repair(tape):
    with running(Feed()):
        until(lambda: all(len(stored(*key)) > 3 for key in KEYS))
        for fault in ("drop", "double", "reorder"):
            tape.fault(fault, stream="@aggTrade", probability=0.4)
        time.sleep(3)
        tape.fault("cut", path="/stream", count=3)
        time.sleep(2)
        tape.heal()
        until(lambda: TradeGap.objects.exists())
        seen = {key: max(stored(*key)) for key in KEYS}
        until(lambda: all(max(stored(*key)) > seen[key] for key in KEYS))
    futures_tasks.repair_trades()
    assert not TradeGap.objects.exclude(state="filled").exists()
    repaired = 0
    for key in KEYS:
        rows = gapless(*key)
        repaired += sum(row.event_time is None for row in rows.values())
    assert repaired > 0


def test_a_feed_that_was_away_fetches_what_it_missed(tape):
    with running(Feed()):
        until(lambda: all(stored(*key) for key in KEYS))
    before = {key: max(stored(*key)) for key in KEYS}
    time.sleep(2)
    with running(Feed()):
        until(lambda: all(max(stored(*key)) > before[key] for key in KEYS))
    futures_tasks.repair_trades()
    assert not TradeGap.objects.exclude(state="filled").exists()
    for key in KEYS:
        gapless(*key)


def test_liquidations_and_mark_prices_of_collected_contracts(tape):
    with running(Feed()) as feed:
        until(lambda: MarkPrice.objects.count() >= 3 * len(NAMES))
        began = min(MarkPrice.objects.values_list("event_time", flat=True))
        until(lambda: feed.tape.taken > 0 and datetime.now(UTC) - began > timedelta(seconds=8))
    assert set(MarkPrice.objects.values_list("symbol", flat=True)) == set(NAMES)
    assert all(Decimal(0) < row.mark_price and row.next_funding_time for row in MarkPrice.objects.all())
    for name in NAMES:
        truth = liquidations_between(name, ms(began) + 3000, ms(began) + 6000)
        times = {ms(row.trade_time) for row in ForceOrder.objects.filter(symbol=name)}
        assert {it.time for it in truth} <= times


def test_open_interest_is_asked_for_each_minute(tape):
    assert futures_tasks.collect_open_interest() == len(NAMES)
    rows = OpenInterest.objects.all()
    assert {row.symbol for row in rows} == set(NAMES)
    assert all(row.open_interest > 0 for row in rows)


def test_a_contract_that_is_refused_harms_no_other(tape):
    tape.fault("unknown_symbol", market="futures", symbol="ETHUSDT", path="/openInterest")
    assert futures_tasks.collect_open_interest() == len(NAMES) - 1


def test_nothing_is_asked_while_collection_is_off(tape):
    from collector.services import stop

    stop("test")
    assert futures_tasks.collect_open_interest() == 0


def test_trades_that_the_exchange_no_longer_has_are_lost(tape):
    """The simulated exchange gives futures' trades of 48 hours."""
    TradeGap.objects.create(market_type="FUTURES", symbol="BTCUSDT", first=1, last=5)
    futures_tasks.repair_trades()
    gap = TradeGap.objects.get()
    assert (gap.state, gap.missing) == ("lost", 5)
    assert gap.error


def test_live_frames_of_today_are_stored_field_by_field(db):
    file = RECORDED / "usdm_frames.jsonl"
    if not file.exists():
        pytest.skip("the recordings are not here")
    tape = Tape()
    tape.follow(
        TapePlan(
            {("FUTURES", "BTCUSDT"): None, ("FUTURES", "ETHUSDT"): None},
            frozenset({"BTCUSDT", "DOGEUSDT", "牛来USDT"}),
            (),
        )
    )
    frames = [line.split(" ", 1)[1] for line in file.read_text().splitlines()]
    for frame in frames:
        for message in parse_frame("FUTURES", frame).messages:
            if type(message) in tape.messages:
                tape.take(message, 0.0, True)
    keeper = TapeKeeper(tape, pytest.fail)
    while keeper.store():
        pass
    told = [json.loads(frame)["data"] for frame in frames]
    trades = {it["a"]: it for it in told if it["e"] == "aggTrade"}
    assert set(Trade.objects.values_list("id", flat=True)) == set(trades)
    for row in Trade.objects.all():
        it = trades[row.id]
        assert (row.price, row.quantity) == (Decimal(it["p"]), Decimal(it["q"]))
        assert (row.first_trade_id, row.last_trade_id, row.buyer_is_maker) == (it["f"], it["l"], it["m"])
        assert (ms(row.trade_time), ms(row.event_time)) == (it["T"], it["E"])
    orders = {it["o"]["s"]: it["o"] for it in told if it["e"] == "forceOrder"}
    assert ForceOrder.objects.count() == len(orders) == 3
    for row in ForceOrder.objects.all():
        it = orders[row.symbol]
        assert row.notional == Decimal(it["z"]) * Decimal(it["ap"])
        assert (row.side, row.position, row.order_type, row.status) == (it["S"], "long", it["o"], it["X"])
        assert (row.quantity, row.last_filled_quantity) == (Decimal(it["q"]), Decimal(it["l"]))
    marks = {it["E"]: it for it in told if it["e"] == "markPriceUpdate"}
    assert MarkPrice.objects.count() == len(marks)
    for row in MarkPrice.objects.all():
        it = marks[ms(row.event_time)]
        assert (row.mark_price, row.index_price) == (Decimal(it["p"]), Decimal(it["i"]))
        assert (row.funding_rate, ms(row.next_funding_time)) == (Decimal(it["r"]), it["T"])


def test_a_full_basket_drops_the_newest_and_says_so():
    basket = Basket(2)
    assert [basket.put(i) for i in range(3)] == [True, True, False]
    assert (basket.take(), basket.dropped) == ([0, 1], 1)


def test_only_collected_symbols_are_followed(tape):
    Symbol.objects.filter(name="ETHUSDT").update(collected=False)
    from collector.feed.leases import Shard
    from collector.feed.tape_wanted import tape_to_follow
    from collector.venues import venue

    plan = tape_to_follow(venue("binance"), Shard(), [], True)
    assert {name for _, name in plan.trades} == {"BTCUSDT", "SOLUSDT"} == plan.contracts
    assert tape_to_follow(venue("binance"), Shard(), [], False).trades == {}


def test_raw_diffs_and_payloads_are_kept_where_they_are_wanted(tape, settings):
    settings.DEPTH_UPDATES = {("SPOT", "BTCUSDT"), ("FUTURES", "ETHUSDT"), ("FUTURES", "NOPEUSDT")}
    settings.EVENT_PAYLOADS = {"aggTrade", "markPrice", "forceOrder"}
    settings.STREAM_KINDS = {"SPOT": {"aggTrade"}, "FUTURES": {"aggTrade", "markPrice", "forceOrder"}}
    settings.MARK_PRICE_SECONDS = 3

    def stored():
        series = set(DepthUpdate.objects.values_list("market_type", "symbol"))
        return (
            len(series) == 2
            and Trade.objects.exists()
            and MarkPrice.objects.count() > 3
            and ForceOrder.objects.exists()
        )

    with running(Feed()) as feed:
        until(stored)
        reports = {one.kind: one for one in feed._tape_keeper.reports()}
    assert set(reports) == {"gaps", "liquidations", "trades", "marks", "depth"}
    assert min(reports[kind].stored for kind in ("depth", "trades", "marks", "liquidations")) > 0
    assert not any(report.dropped for report in reports.values())
    assert set(DepthUpdate.objects.values_list("market_type", "symbol")) == {
        ("SPOT", "BTCUSDT"),
        ("FUTURES", "ETHUSDT"),
    }
    for row in DepthUpdate.objects.all():
        told = row.payload
        assert (told["s"], told["U"], told["u"]) == (row.symbol, row.first_update_id, row.final_update_id)
        assert told.get("pu") == row.previous_update_id
        assert ms(row.event_time) == told["E"]
    for row in Trade.objects.all():
        assert (row.payload["a"], Decimal(row.payload["p"])) == (row.id, row.price)
    for row in MarkPrice.objects.all():
        assert (row.payload["s"], row.payload["E"]) == (row.symbol, ms(row.event_time))
    for row in ForceOrder.objects.all():
        assert (row.payload["o"]["s"], row.payload["o"]["z"]) == (row.symbol, f"{row.filled_quantity:f}")
    times = sorted(set(MarkPrice.objects.filter(symbol="BTCUSDT").values_list("event_time", flat=True)))
    assert all(after - before > timedelta(seconds=2) for before, after in pairwise(times))


def test_what_gathers_behind_a_slow_database_waits_on_disk(tape):
    """The queue is bounded; beyond half of it batches go to the spool, and from there to the database, each once."""
    part = Tape()
    part.trades = Basket(200)
    keeper = TapeKeeper(part, pytest.fail)
    held = threading.Event()
    store = services.store_trades

    def slow(trades):
        held.wait(100)
        return store(trades)

    object.__setattr__(tape_keeping.TRADES, "store", slow)
    part.follow(TapePlan({("SPOT", "BTCUSDT"): None}, frozenset(), ()))
    keeper.begin()
    try:
        for i in range(1, 1001):
            part.take(aggregate(i), 0.0, True)
            until(lambda: part.trades.room() > 0.2)
        assert spool_state().batches > 0
        assert part.trades.dropped == 0
    finally:
        held.set()
        keeper.end()
        object.__setattr__(tape_keeping.TRADES, "store", store)
    replay()
    assert sorted(Trade.objects.values_list("id", flat=True)) == [*range(1, 1001)]


def aggregate(trade_id):
    at = 1_790_526_538_883 + trade_id
    return AggregateTrade("BTCUSDT", "SPOT", trade_id, "84551.10", "0.1", trade_id, trade_id, at, False, at + 5)


def test_ranges_that_touch_are_one():
    found = joined(IdRange("SPOT", "BTCUSDT", first, last) for first, last in ((7, 9), (1, 3), (4, 4), (8, 12)))
    assert [(one.first, one.last) for one in found] == [(1, 4), (7, 12)]
