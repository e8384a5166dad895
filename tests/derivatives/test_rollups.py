"""Hours and days of futures events are what the stored events make them: whenever they were rolled up, whatever came
late."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from derivatives import rollups, services
from derivatives.events import ForcedOrder, IdRange, Interest, Mark, Trade
from derivatives.history import bucket_of, flow, interest, liquidated, marks
from derivatives.models import ForceOrder, MarkPrice, OpenInterest, TradeGap, UnrolledHour
from derivatives.models import Trade as TradeRow
from derivatives.series import RELATIONS, ROLLUPS
from markets.storage import storage_name
from tests.rolled_steps import play

# Four days ago at midnight: inside every lifetime, and closed.
DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=4)
END = DAY + timedelta(days=3)
NOW = DAY + timedelta(days=3, hours=2)
MS = int(DAY.timestamp() * 1000)
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def empty():
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE agg_trades, force_orders, mark_prices, open_interest, derivatives_unrolled")
        cursor.execute("TRUNCATE agg_trade_gaps")
        if not rollups.is_continuous():
            cursor.execute("TRUNCATE " + ", ".join(RELATIONS))
            return
        for name in RELATIONS:
            cursor.execute("CALL refresh_continuous_aggregate(%s, NULL, NULL, force => true)", [name])


@pytest.fixture
def nothing_stored(transactional_db):
    empty()
    yield
    empty()


def trade(trade_id, symbol="BTCUSDT", quantity="1", sold=False):
    """Trades of a series are half an hour apart."""
    at = MS + trade_id * 1_800_000
    return Trade("SPOT", symbol, trade_id, at, None, "10.5", quantity, trade_id * 3, trade_id * 3 + 1, sold)


def forced(at, symbol="BTCUSDT", side="SELL", quantity="1"):
    price = "100.25"
    return ForcedOrder(symbol, side, "LIMIT", "IOC", "FILLED", price, price, quantity, quantity, quantity, at, at)


IDS = st.integers(0, 3 * 48 - 1)
TIMES = st.integers(0, 3 * 24 * 3600 - 1).map(lambda second: MS + second * 1000)
NAMES = st.sampled_from(SYMBOLS)
AMOUNTS = st.decimals("0.00000001", "1000000", places=8).map(lambda number: f"{number:f}")
TRADES = st.builds(trade, IDS, NAMES, AMOUNTS, st.booleans())
FORCED = st.builds(forced, TIMES, NAMES, st.sampled_from(["BUY", "SELL"]), AMOUNTS)
RATES = st.sampled_from(["0.0001", "-0.00025", None])
MARKS = st.builds(Mark, NAMES, TIMES, AMOUNTS, AMOUNTS, AMOUNTS, RATES, st.just(MS))
INTEREST = st.builds(Interest, NAMES, TIMES, AMOUNTS)
STORE = {
    Trade: services.store_trades,
    ForcedOrder: services.store_forced_orders,
    Mark: services.store_marks,
    Interest: services.store_interest,
}
EVENTS = st.lists(st.one_of(TRADES, FORCED, MARKS, INTEREST), min_size=1, max_size=40)
STEPS = st.lists(st.one_of(EVENTS, st.sampled_from([0, 26, 53])), min_size=2, max_size=7)


def store(events):
    for kind, write in STORE.items():
        chosen = [event for event in events if isinstance(event, kind)]
        if chosen:
            write(chosen)


def grouped(rows, time, interval):
    found = defaultdict(list)
    for row in sorted(rows, key=lambda row: getattr(row, time)):
        found[bucket_of(getattr(row, time), interval)].append(row)
    return sorted(found.items())


def check_trades(symbol, interval):
    told, cvd = [], Decimal(0)
    for bucket, rows in grouped(TradeRow.objects.filter(symbol=symbol), "trade_time", interval):
        bought = [row for row in rows if not row.buyer_is_maker]
        volume, buys = sum(row.quantity for row in rows), sum((row.quantity for row in bought), Decimal(0))
        cvd += buys - (volume - buys)
        quote = sum(row.quantity * row.price for row in bought)
        fills = sum(row.last_trade_id - row.first_trade_id + 1 for row in rows)
        told.append((bucket, len(rows), fills, volume, volume * Decimal("10.5"), buys, quote, cvd))
    assert [
        (it.time, it.count, it.fills, it.volume, it.quote_volume, it.buy_volume, it.buy_quote_volume, it.cvd)
        for it in flow("SPOT", symbol, DAY, END, interval, NOW)
    ] == told


def check_liquidations(symbol, interval):
    told = []
    chosen = ForceOrder.objects.filter(symbol=symbol) if symbol else ForceOrder.objects.all()
    for bucket, rows in grouped(chosen, "trade_time", interval):
        longs, shorts = ([row.notional for row in rows if row.position == side] for side in ("long", "short"))
        told.append((bucket, len(longs), sum(longs), len(shorts), sum(shorts), max(row.notional for row in rows)))
    assert [
        (it.time, it.long_count, it.long_notional, it.short_count, it.short_notional, it.largest)
        for it in liquidated(symbol, DAY, END, interval, NOW)
    ] == told


def check_samples(symbol, interval):
    told = [
        (
            *(bucket, len(rows), rows[0].mark_price, max(row.mark_price for row in rows)),
            *(min(row.mark_price for row in rows), rows[-1].mark_price, rows[-1].index_price, rows[-1].funding_rate),
        )
        for bucket, rows in grouped(MarkPrice.objects.filter(symbol=symbol), "event_time", interval)
    ]
    assert [
        (it.time, it.samples, it.mark_open, it.mark_high, it.mark_low, it.mark_close, it.index_close, it.funding_rate)
        for it in marks(symbol, DAY, END, interval, NOW)
    ] == told
    told = [
        (
            *(bucket, len(rows), rows[0].open_interest, max(row.open_interest for row in rows)),
            *(min(row.open_interest for row in rows), rows[-1].open_interest, rows[0].notional, rows[-1].notional),
        )
        for bucket, rows in grouped(OpenInterest.objects.filter(symbol=symbol), "time", interval)
    ]
    assert [
        (it.time, it.samples, it.open, it.high, it.low, it.close, it.notional_open, it.notional_close)
        for it in interest(symbol, DAY, END, interval, NOW)
    ] == told


def check():
    for interval in ("1h", "1d"):
        for symbol in SYMBOLS:
            check_trades(symbol, interval)
            check_liquidations(symbol, interval)
            check_samples(symbol, interval)
        check_liquidations("", interval)


@given(STEPS)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_equal_to_aggregation_from_scratch_after_every_step(nothing_stored, steps):
    """Batches in any order, repeated and late ones among them, and roll-ups at any time between."""
    empty()
    play(steps, DAY, store, rollups.roll_up, check)
    assert not UnrolledHour.objects.exists()


def test_an_hour_is_complete_when_no_id_is_missing_in_it_or_around_it(nothing_stored):
    services.store_trades([trade(i) for i in range(1, 12) if i != 5])
    told = flow("SPOT", "BTCUSDT", DAY + timedelta(hours=1), DAY + timedelta(hours=9), "1h", NOW)
    # Ids 2,3 | 4,(5) | 6,7 | 8,9 | 10,11 and nothing after.
    assert [(it.count, it.missing, it.complete) for it in told] == [
        *((2, 0, True), (1, 1, False), (2, 0, False), (2, 0, True), (2, 0, False)),
    ]
    for first in range(4):  # wherever one begins to ask
        part = flow("SPOT", "BTCUSDT", DAY + timedelta(hours=1 + first), DAY + timedelta(hours=9), "1h", NOW)
        assert [(it.missing, it.complete) for it in part] == [(it.missing, it.complete) for it in told[first:]]
    services.store_trades([trade(5), trade(12)])
    for _ in range(2):
        told = flow("SPOT", "BTCUSDT", DAY + timedelta(hours=1), DAY + timedelta(hours=5), "1h", NOW)
        assert [(it.count, it.missing, it.complete) for it in told] == [(2, 0, True)] * 5
        rollups.roll_up(NOW)
    [first, *_] = flow("SPOT", "BTCUSDT", DAY, DAY + timedelta(hours=5), "1h", NOW)
    assert (first.count, first.complete) == (1, False), "nothing is known of what was before the first"


def test_samples_tell_whether_a_bucket_is_whole(nothing_stored):
    services.store_interest([Interest("BTCUSDT", MS + i * 60_000, "5") for i in range(60 + 30)])
    first, second = interest("BTCUSDT", DAY, DAY + timedelta(hours=2), "1h", NOW)
    assert (first.samples, first.complete, second.samples, second.complete) == (60, True, 30, False)
    *_, open_one = interest("BTCUSDT", DAY, DAY + timedelta(hours=2), "1h", DAY + timedelta(minutes=90))
    assert (open_one.complete, open_one.closed) == (True, False)


def test_what_was_made_outlives_its_events(nothing_stored):
    services.store_trades([trade(i) for i in range(1, 12)])
    services.store_forced_orders([forced(MS)])
    later = DAY + timedelta(days=30)
    if storage_name() == "timescaledb":
        pytest.skip("TimescaleDB drops whole chunks by its own policy")
    services.retain(later)
    assert (TradeRow.objects.count(), ForceOrder.objects.count()) == (0, 1)
    assert sum(it.count for it in flow("SPOT", "BTCUSDT", DAY, END, "1d", later)) == 11
    # One that comes after all is past keeping, and does not make a whole hour into itself.
    services.store_trades([trade(3)])
    for _ in range(2):
        assert sum(it.count for it in flow("SPOT", "BTCUSDT", DAY, END, "1h", later)) == 11
        rollups.roll_up(later)


LATE = """
    INSERT INTO agg_trades (market_type, symbol, trade_time, id, price, quantity, first_trade_id, last_trade_id,
                            buyer_is_maker)
    SELECT market_type, symbol, trade_time, 77, price, quantity, 1, 1, buyer_is_maker FROM agg_trades WHERE id = 1
"""


def test_a_writer_that_comes_while_an_hour_is_made_is_not_forgotten(nothing_stored, monkeypatch):
    if rollups.is_continuous():
        pytest.skip("a refresh is TimescaleDB's own")
    services.store_trades([trade(1)])
    steps = rollups._steps

    def interrupted(rollup):
        """The hour is made, its mark not away yet, when somebody else stores a trade of it."""
        yield from steps(rollup)
        other = connection.copy()
        with other.cursor() as cursor:
            cursor.execute(LATE)
        other.close()

    monkeypatch.setattr(rollups, "_steps", interrupted)
    rollups.roll_up(NOW)
    assert UnrolledHour.objects.filter(source="agg_trades", taken=False).exists()
    assert [it.count for it in flow("SPOT", "BTCUSDT", DAY, END, "1h", NOW)] == [2]
    monkeypatch.undo()
    rollups.roll_up(NOW)
    assert not UnrolledHour.objects.exists()
    assert [it.count for it in flow("SPOT", "BTCUSDT", DAY, END, "1h", NOW)] == [2]


def test_marks_stay_one_a_series_and_hour(nothing_stored):
    for i in range(5):
        services.store_trades([trade(i), trade(i, "ETHUSDT")])
    assert UnrolledHour.objects.filter(source="agg_trades").count() == 6
    assert {rollup.source for rollup in ROLLUPS} >= set(UnrolledHour.objects.values_list("source", flat=True))


def test_holes_of_which_nobody_knows_are_found_in_closed_hours(nothing_stored):
    """Two trades an hour: 5 and 8 to 10 are missing (a whole hour among them), 3 is known to be lost."""
    services.store_trades([trade(i) for i in (1, 2, 4, 6, 7, 11, 12)])
    services.store_gaps([IdRange("SPOT", "BTCUSDT", 3, 3)])
    services.settle(services.open_gaps(9)[0], [], NOW, "gone")
    now = DAY + timedelta(hours=9)
    assert services.find_holes(now) == 0, "hours that were not rolled up tell nothing"
    rollups.roll_up(DAY + timedelta(hours=2))
    services.store_trades([trade(i) for i in (20, 21)])
    assert services.find_holes(now) == 0, "what is stored of an hour that was not rolled up is not missing"
    TradeRow.objects.filter(id__gte=20).delete()
    UnrolledHour.objects.filter(hour__gte=DAY + timedelta(hours=9)).delete()
    rollups.roll_up(now)
    assert services.find_holes(now) == 2
    assert [(gap.first, gap.last) for gap in services.open_gaps(9)] == [(5, 5), (8, 10)]
    assert services.find_holes(now) == 0
    services.store_trades([trade(i) for i in (5, 8, 9, 10)])
    rollups.roll_up(now)
    TradeGap.objects.filter(state="open").update(state="filled")
    assert services.find_holes(now) == 0
