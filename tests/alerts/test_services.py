"""Rules over stored minutes: each kind fires when it should, once, for the right symbols, and says how true it is."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from alerts.models import Firing, Rule
from alerts.rules import Bound, Kind, Reading
from alerts.services import consider, evaluate, retain
from depth.services import SnapshotRow, store_books, store_rows
from depth.volumes import BandVolumes
from tests.api.conftest import add_symbol
from tests.depth.factories import collected

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FIVE = Decimal(5)


@pytest.fixture(autouse=True)
def _registry(db):
    for name, market in (("BTCUSDT", "SPOT"), ("BTCUSDT", "FUTURES"), ("ETHUSDT", "SPOT")):
        add_symbol(name, market)
    add_symbol("DOGEUSDT", "SPOT", is_collected=False)


def rule(kind, **options):
    made = Rule(name=options.pop("name", kind), kind=kind, **options)
    made.full_clean()
    made.save()
    return made


def book(minutes=0, symbol="BTCUSDT", market="SPOT", mid=100.0):
    """A book whose top is there; its bands come from `bands`."""
    store_books([collected(NOON + timedelta(minutes=minutes), symbol, market, mid=mid)])


def band(minutes, bid, ask, symbol="ETHUSDT", bid_complete=True, ask_complete=True):
    """One row, and a book in another series, so that the minute is there."""
    volumes = BandVolumes(FIVE, bid, ask, bid * 100, ask * 100, bid_complete, ask_complete)
    store_rows([SnapshotRow(symbol, "SPOT", NOON + timedelta(minutes=minutes), volumes)])
    book(minutes)


def look(minutes=0):
    return evaluate(NOON + timedelta(minutes=minutes, seconds=20))


def test_a_diff_beyond_its_bound_fires_once_and_resolves():
    rule(Kind.DEPTH_DIFF, band=FIVE, symbol="ETHUSDT", threshold=50, cooldown_minutes=0)
    band(0, 90, 10)
    assert look() == 1
    assert look() == 0
    told = Firing.objects.get()
    assert (told.subject, told.value, told.bound, told.details["bid"]) == ("ETHUSDT SPOT", 80, "exact", 90)
    assert told.message == "ETHUSDT SPOT: diff of a band 80 % of both sides, beyond +/-50"
    band(1, 60, 40)
    assert look(1) == 0
    assert Firing.objects.get().resolved_at == NOON + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("bid_complete", "ask_complete", "bound"),
    [(False, True, "at_least"), (True, False, None), (False, False, None)],
)
def test_an_incomplete_diff_fires_only_on_what_it_proves(bid_complete, ask_complete, bound):
    rule(Kind.DEPTH_DIFF, band=FIVE, symbol="ETHUSDT", threshold=50)
    band(0, 90, 10, bid_complete=bid_complete, ask_complete=ask_complete)
    assert look() == (1 if bound else 0)
    if bound:
        assert "at least 80" in Firing.objects.get().message


def test_a_diff_against_its_own_past():
    rule(Kind.DEPTH_DIFF_ZSCORE, band=FIVE, symbol="ETHUSDT", window_minutes=60, threshold=4)
    for minute in range(30):
        band(minute, 50 + minute % 3, 50)
    assert look(29) == 0
    band(30, 80, 50)
    assert look(30) == 1
    assert Firing.objects.get().details["minutes"] == 30


def test_a_spread_and_a_price_move_of_every_collected_symbol():
    rule(Kind.SPREAD, threshold=0.15)
    rule(Kind.PRICE_MOVE, window_minutes=10, threshold=5)
    book(0, mid=100)
    book(0, "BTCUSDT", "FUTURES", mid=100)
    book(0, "DOGEUSDT", mid=100)
    assert look() == 2  # two spreads of 0.2 %; no price ten minutes before
    assert {f.subject for f in Firing.objects.all()} == {"BTCUSDT SPOT", "BTCUSDT FUTURES"}
    book(10, mid=106)
    book(10, "BTCUSDT", "FUTURES", mid=104)
    book(10, "DOGEUSDT", mid=200)
    assert look(10) == 1
    told = Firing.objects.filter(kind=Kind.PRICE_MOVE).get()
    assert told.value == pytest.approx(6)
    assert (told.symbol, told.market) == ("BTCUSDT", "SPOT")


def test_old_minutes_are_not_looked_at_again():
    rule(Kind.SPREAD, threshold=0.15)
    book(0)
    assert look(6) == 0


def test_a_disabled_rule_is_silent():
    rule(Kind.SPREAD, threshold=0.15, enabled=False)
    book(0)
    assert look() == 0


def test_given_readings_and_their_memory_over_a_restart():
    made = rule(Kind.SPOOL_FILLING, cooldown_minutes=0)
    reading = Reading("spool", 80.0, NOON)
    assert consider(Kind.SPOOL_FILLING, [reading]) == 1
    assert consider(Kind.SPOOL_FILLING, [Reading("spool", 90.0, NOON + timedelta(minutes=1))]) == 0
    assert made.memories.get().active
    assert consider(Kind.REDIS_AWAY, [reading]) == 0


@pytest.mark.parametrize(
    ("options", "fired"),
    [
        ({"symbol": "ETHUSDT", "market": "SPOT"}, ["ETHUSDT SPOT"]),
        ({"symbol": "ETHUSDT"}, ["ETHUSDT FUTURES", "ETHUSDT SPOT"]),
        ({"market": "SPOT"}, ["BTCUSDT SPOT", "ETHUSDT SPOT"]),
        ({}, ["BTCUSDT SPOT", "ETHUSDT FUTURES", "ETHUSDT SPOT"]),
    ],
)
def test_given_readings_are_judged_by_the_rules_that_watch_them(options, fired):
    rule(Kind.BOOK_OUT_OF_SYNC, **options)
    keys = [("BTCUSDT", "SPOT"), ("ETHUSDT", "SPOT"), ("ETHUSDT", "FUTURES")]
    readings = [
        Reading(f"{symbol} {market}", 99.0, NOON, details={"symbol": symbol, "market": market})
        for symbol, market in keys
    ]
    assert consider(Kind.BOOK_OUT_OF_SYNC, readings) == len(fired)
    assert sorted(Firing.objects.values_list("subject", flat=True)) == fired


def test_a_flood_is_told_as_one_more():
    rule(Kind.SPREAD)
    readings = [Reading(f"S{i} SPOT", 9.0, NOON, Bound.EXACT) for i in range(50)]
    assert consider(Kind.SPREAD, readings) == 50
    assert Firing.objects.count() == 21
    assert (
        Firing.objects.filter(details__count=30).get().message.startswith("spread: 30 more at the same time: S20 SPOT")
    )


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"kind": Kind.DEPTH_DIFF}, "band"),
        ({"kind": Kind.PRICE_MOVE}, "window_minutes"),
        ({"kind": Kind.SPREAD, "band": 5}, "band"),
        ({"kind": Kind.SPREAD, "side": "long"}, "side"),
        ({"kind": Kind.SPOOL_FILLING, "symbol": "BTCUSDT"}, "symbol"),
        ({"kind": Kind.SPREAD, "webhook_url": "ftp://x"}, "webhook_url"),
        ({"kind": Kind.SPREAD, "webhook_url": "javascript:alert(1)"}, "webhook_url"),
        ({"kind": Kind.SPREAD, "hysteresis": 101}, "hysteresis"),
        ({"kind": "nothing"}, "kind"),
        ({"kind": Kind.SPREAD, "threshold": float("nan")}, "threshold"),
        ({"kind": Kind.SPREAD, "symbol": "NOPEUSDT"}, "symbol"),
        ({"kind": Kind.SPREAD, "email": "nobody"}, "email"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, field):
    with pytest.raises(ValidationError) as error:
        rule(**{"name": "x", **options})
    assert field in error.value.message_dict


def test_alerts_go_after_their_lifetime():
    rule(Kind.SPREAD)
    consider(Kind.SPREAD, [Reading("A SPOT", 9.0, NOON)])
    assert retain(NOON + timedelta(days=89)) == 0
    assert retain(NOON + timedelta(days=91)) > 0
    assert not Firing.objects.exists()


def liquidation(minutes, notional, symbol="BTCUSDT", side="SELL"):
    from derivatives.services import store_forced_orders
    from tests.derivatives.test_events import forced

    at = int((NOON + timedelta(minutes=minutes)).timestamp() * 1000)
    store_forced_orders(
        [
            forced(
                symbol=symbol, side=side, trade_time=at, event_time=at, filled_quantity=str(notional), average_price="1"
            )
        ]
    )


def test_liquidations_add_up_to_at_least_their_sum():
    rule(Kind.LIQUIDATIONS, window_minutes=10, threshold=1000, side="long")
    book(0)
    liquidation(-5, 600)
    liquidation(-4, 900, side="BUY")
    liquidation(-20, 5000)
    assert look() == 0
    liquidation(0, 500)
    assert look() == 1
    told = Firing.objects.get()
    assert (told.subject, told.value, told.bound, told.details["count"]) == ("BTCUSDT FUTURES", 1100, "at_least", 2)
    assert "at least 1,100 USD" in told.message


def test_a_single_large_liquidation_is_told_once():
    rule(Kind.LARGE_LIQUIDATION, threshold=1000, cooldown_minutes=0)
    book(0)
    liquidation(-1, 2000)
    liquidation(-1, 2000, symbol="DOGEUSDT")  # not collected
    assert [look(), look()] == [1, 0]
    liquidation(0, 3000, side="BUY")
    assert look() == 1
    assert Firing.objects.first().details["liquidated"] == "short"


def test_open_interest_that_changes_and_funding_beyond_a_bound():
    from derivatives.events import Interest, Mark
    from derivatives.services import store_interest, store_marks

    rule(Kind.OPEN_INTEREST_CHANGE, window_minutes=60, threshold=10)
    rule(Kind.FUNDING, threshold=0.1)
    book(0)
    now = int(NOON.timestamp() * 1000)
    store_interest([Interest("BTCUSDT", now - 3_600_000, "100"), Interest("BTCUSDT", now, "85")])
    store_marks([Mark("BTCUSDT", now, "1", "1", "1", "-0.0015", None)])
    assert look() == 2
    assert Firing.objects.get(kind=Kind.OPEN_INTEREST_CHANGE).value == pytest.approx(-15)
    assert Firing.objects.get(kind=Kind.FUNDING).value == pytest.approx(-0.15)


def test_a_live_book_out_of_sync_and_a_connection_that_does_not_come_back(empty_redis):
    import time

    import msgspec

    from collector.alerting import consider_system
    from collector.feed.figures import REPORTS, BookReport, ConnectionReport, Report

    rule(Kind.BOOK_OUT_OF_SYNC, threshold=30)
    rule(Kind.RECONNECTS, threshold=4)
    now = time.time()
    books = [
        BookReport("BTCUSDT", "SPOT", status, now - 60, 60.0, 10, 10, 1.0, 1.0, 1) for status in ("stale", "connected")
    ]
    books[1].symbol = "ETHUSDT"
    links = [ConnectionReport("a", "SPOT", "disconnected", now - 60, 2, 2, 0.0, 5, 50.0, failures=5)]
    figures = dict.fromkeys(Report.__struct_fields__, 0) | {"at": now, "books": books, "connections": links, "tape": []}
    empty_redis.hset(REPORTS, "1/1", msgspec.msgpack.encode(figures))
    assert consider_system(datetime.fromtimestamp(now, UTC)) == 2
    assert {f.subject for f in Firing.objects.all()} == {"BTCUSDT SPOT", "connection a"}
