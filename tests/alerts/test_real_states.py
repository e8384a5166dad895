"""Rules on what the running parts really come to, with the simulated exchange and servers that are killed: each fires
when it should and only once, and reaches a webhook receiver, a mailbox and the log, though the receiver is down."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.db import connection

from alerts import emergency
from alerts.deliveries import BACK_OFF, deliver_due
from alerts.models import Delivery, Firing, Rule
from alerts.rules import MEANINGS, Bound, Direction, Kind, Reading
from alerts.services import consider, evaluate
from collector import futures_tasks, links
from collector.alerting import consider_system
from collector.cycle import collect_minute
from collector.feed import run as feeding
from collector.feed.run import Feed
from collector.watch import Watch
from depth import intake
from depth.moments import figures, newest_minute, past_shares, prices
from depth.services import accept, kind, spool_state
from tests.alerts.receivers import mailbox, webhooks
from tests.collector.conftest import exchange, forgetful, live, registry, simulator  # noqa: F401 - fixtures
from tests.collector.feeding import running, until
from tests.collector.simulated import run_minute
from tests.sockets.conftest import wait_for
from tradingplatform.past import BLOCK_MINUTES, Series, store_block

pytestmark = pytest.mark.django_db(transaction=True)
PIECES = kind("tests.alerts.pieces", bytes, len)


@pytest.fixture
def told(settings, tmp_path) -> Iterator[SimpleNamespace]:
    """Where alerts arrive. The webhook's receiver is down at first."""
    settings.ALERT_LOG = tmp_path / "alert.log"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with webhooks() as hook, mailbox() as box:
        settings.EMAILS, settings.EMAIL_HOST, settings.EMAIL_PORT = True, "127.0.0.1", box.port
        hook.status = 503
        yield SimpleNamespace(hook=hook, box=box, log=settings.ALERT_LOG)


def watch(told, what: Kind, **options) -> Rule:
    places = {"email": "desk@example.com", "webhook_url": told.hook.url, "webhook_secret": "s"}
    rule = Rule(name=f"{what} rule", kind=what.value, **{"cooldown_minutes": 0, **places, **options})
    rule.full_clean()
    rule.save()
    return rule


def lines(told) -> list[str]:
    return told.log.read_text().splitlines() if told.log.exists() else []


def arrives_everywhere_once(told, firing: Firing) -> None:
    """The log and the mailbox at once, the webhook when its receiver is up again; nothing twice."""
    mails, posts, before = len(told.box.got), len(told.hook.got), len(lines(told))
    told.hook.status = 503
    now = datetime.now(UTC) + timedelta(seconds=1)
    first = deliver_due(now)
    assert (first.delivered, first.failed, first.given_up) == (2, 1, 0)
    told.hook.status = 200
    assert deliver_due(now + BACK_OFF[0]).delivered == 1
    assert deliver_due(now + timedelta(days=1)).delivered == 0
    assert (len(told.box.got), len(told.hook.got), len(lines(told))) == (mails + 1, posts + 1, before + 1)
    assert told.box.got[-1]["Subject"].startswith(f"[{firing.rule_name}] {firing.message}"[:150])
    body = json.loads(told.hook.got[-1][1])
    assert (body["id"], body["kind"], body["message"]) == (firing.pk, firing.kind, firing.message)
    assert lines(told)[-1].endswith(firing.message)


def now() -> datetime:
    return datetime.now(UTC)


def fires_once(look, *, times: int = 2) -> Firing:
    """`look` until it fires, and not again by looking once more."""
    until(lambda: look() > 0, 30, "nothing fired")
    assert [look() for _ in range(times)] == [0] * times
    return Firing.objects.get()


def comes_back(look) -> None:
    """The same thing is over: the alert says so, and nothing fires."""

    def over():
        assert look() == 0
        return Firing.objects.get().resolved_at is not None

    until(over, 40, "it does not come back")


def system() -> int:
    return consider_system(now())


# --- live books and connections --------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    """A feed that loses patience, and reports, soon."""
    monkeypatch.setattr(links, "SILENT_AFTER", 3.0)
    monkeypatch.setattr(links, "LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(feeding, "REPORT_EVERY", 0.3)


def connected(feed) -> bool:
    books = list(feed.books.followed.items())
    return len(books) == 6 and all(book.status == "connected" for book in feed.reporter.make(time.time()).books)


def test_a_live_book_that_falls_out_of_sync(live, quick, told):  # noqa: F811
    watch(told, Kind.BOOK_OUT_OF_SYNC, threshold=2.0, symbol="ETHUSDT", market="SPOT")
    with running(Feed()) as feed:
        until(lambda: connected(feed), 40)
        assert system() == 0
        live.fault("stall", stream="ethusdt@depth@100ms", market="spot")
        firing = fires_once(system)
        live.heal()
        comes_back(system)
    assert (firing.subject, firing.bound) == ("ETHUSDT SPOT", "exact")
    assert firing.value > 2.0
    assert firing.details["status"] == "stale"
    arrives_everywhere_once(told, firing)


def test_a_connection_that_fails_five_times_in_a_row(live, quick, told):  # noqa: F811
    watch(told, Kind.RECONNECTS)
    with running(Feed()) as feed:
        until(lambda: connected(feed), 40)
        assert system() == 0
        live.fault("refuse", market="spot")
        live.fault("cut", market="spot")
        firing = fires_once(system)
        live.heal()
        comes_back(system)
    assert firing.value >= 5
    assert (firing.threshold, firing.details["market"]) == (4, "SPOT")
    arrives_everywhere_once(told, firing)


# --- books of the simulated market -----------------------------------------------------------------------------------


@pytest.fixture
def books(registry):  # noqa: F811
    """Half an hour of two series' books, and the newest minute as collection reads it from the exchange."""
    kept = [Series("BTCUSDT", "SPOT", 1000), Series("BTCUSDT", "FUTURES", 1000)]
    top = now().replace(second=0, microsecond=0)
    for back in range(BLOCK_MINUTES, 31, BLOCK_MINUTES):
        store_block(top - timedelta(minutes=back), kept)
    row = run_minute()
    assert (row.stored, row.failed) == (12, 0)
    return newest_minute(now())


def look_at_books() -> int:
    return evaluate(now())


def test_spread_price_diff_and_its_own_past(books, told):
    """Each limit stands just on this side of what the book really says, then just beyond it."""
    key, band = ("BTCUSDT", "SPOT"), Decimal("0.1")
    price, told_diff = prices(books, timedelta(minutes=1))[key], figures(books, band)[key]
    assert told_diff.bid_complete
    assert told_diff.ask_complete
    spread = (price.best_ask - price.best_bid) / price.mid * 100
    before = prices(books - timedelta(minutes=20), timedelta(minutes=5))[key]
    move = (price.mid / before.mid - 1) * 100
    past = past_shares(books, band, timedelta(minutes=30))[key]
    mean = sum(past) / len(past)
    score = (told_diff.share - mean) / (sum((share - mean) ** 2 for share in past) / len(past)) ** 0.5
    cases = {
        Kind.SPREAD: (spread, {}),
        Kind.PRICE_MOVE: (move, {"window_minutes": 20}),
        Kind.DEPTH_DIFF: (told_diff.share, {"band": band}),
        Kind.DEPTH_DIFF_ZSCORE: (score, {"band": band, "window_minutes": 30}),
    }
    for what, (value, options) in cases.items():
        Firing.objects.all().delete()
        place = {"symbol": "BTCUSDT", "market": "SPOT", **options}
        rule = watch(told, what, **place, threshold=abs(value) * 1.001)
        assert look_at_books() == 0, what
        rule.delete()
        rule = watch(told, what, **place, threshold=abs(value) * 0.999)
        assert look_at_books() == 1, what
        assert look_at_books() == 0, what
        firing = Firing.objects.get()
        assert firing.value == pytest.approx(value, rel=1e-4)
        assert (firing.subject, firing.bound) == ("BTCUSDT SPOT", "exact")
        arrives_everywhere_once(told, firing)
        rule.delete()


def test_a_band_that_the_book_does_not_reach_fires_on_what_is_proven_alone(books, told):
    band = Decimal(15)
    told_diff = figures(books, band)["BTCUSDT", "SPOT"]
    assert not (told_diff.bid_complete and told_diff.ask_complete)
    watch(told, Kind.DEPTH_DIFF, symbol="BTCUSDT", market="SPOT", band=band, threshold=0.0001)
    watch(told, Kind.DEPTH_DIFF_ZSCORE, symbol="BTCUSDT", market="SPOT", band=band, window_minutes=30, threshold=0.001)
    proven = {
        (False, True): told_diff.share > 0,  # more bids can only raise it
        (True, False): told_diff.share < 0,
        (False, False): False,
    }[told_diff.bid_complete, told_diff.ask_complete]
    assert look_at_books() == int(proven)


def test_a_minute_that_lacks_a_book(registry, told):  # noqa: F811
    watch(told, Kind.MINUTE_MISSED)
    registry.fault("unknown_symbol", symbol="ETHUSDT", market="futures", path="/depth")
    row = run_minute()
    assert row.stored == row.expected - 1
    assert system() == 0  # the minute is not over
    from collector.metrics import record_metrics

    record_metrics(row.minute + timedelta(minutes=1, seconds=15))
    firing = fires_once(system)
    assert (firing.value, firing.details["stored"]) == (1, 11)
    arrives_everywhere_once(told, firing)


def test_an_exchange_that_refuses_us(live, told):  # noqa: F811
    watch(told, Kind.EXCHANGE_BAN)
    assert futures_tasks.collect_open_interest() == 3
    assert system() == 0
    live.fault("418", market="futures", ban_seconds=4, count=1)
    futures_tasks.collect_open_interest()
    firing = fires_once(system)
    assert 0 < firing.value <= 6
    assert (firing.subject, firing.details["market"]) == ("binance FUTURES", "FUTURES")
    comes_back(system)
    arrives_everywhere_once(told, firing)


# --- servers that are away -------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch, settings, tmp_path, own_spool):
    monkeypatch.setattr(intake, "BACK_OFF", (0.02, 0.02, 0.02))
    settings.SPOOL_DIR = tmp_path / "spool"
    settings.SPOOL_LIMIT = 100_000
    intake.spool.cache_clear()


def prepared(told, *rules: tuple[Kind, dict]) -> Watch:
    """The rules, copied for when nobody can be asked; the webhook's receiver is up."""
    for what, options in rules:
        watch(told, what, **options)
    told.hook.status = 200
    emergency.remember()
    return Watch(told.log.with_name("watch.json"))


def bodies(told) -> list[dict]:
    return [json.loads(body) for _, body in told.hook.got]


def test_redis_away(registry, servers, told, impatient):  # noqa: F811
    eye = prepared(told, (Kind.REDIS_AWAY, {}))
    began = time.time()
    eye.look(began)
    servers.redis.kill()
    for seconds in (2, 9, 12.5, 14, 30):
        eye.look(began + seconds)
    wait_for(lambda: len(told.hook.got) == len(told.box.got) == len(lines(told)) == 1)
    assert bodies(told)[0]["message"] == "redis: redis away 10.5 seconds, above 10"
    servers.redis.start()
    eye.look(began + 40)
    assert fires_once(system).value == pytest.approx(38, abs=0.5)
    assert not Delivery.objects.exists(), "it was told while it lasted"


def test_the_database_away_and_the_spool_that_fills(registry, servers, told, impatient):  # noqa: F811
    with connection.cursor() as cursor:  # the servers of the tests forget the last moment when they are killed
        cursor.execute(f"ALTER DATABASE {connection.ops.quote_name(connection.settings_dict['NAME'])} "
                       "SET synchronous_commit = on")  # fmt: skip
    connection.close()
    eye = prepared(told, (Kind.DATABASE_AWAY, {}), (Kind.SPOOL_FILLING, {}))
    collect_minute(now(), lambda part: None)
    began = time.time()
    eye.look(began)
    servers.postgres.kill()
    eye.look(began + 2)
    assert not told.hook.got
    while spool_state().bytes < 60_000:
        accept(PIECES, bytes(20_000))
    eye.look(began + 4)
    wait_for(lambda: len(told.hook.got) == len(lines(told)) == 1)
    assert (bodies(told)[0]["kind"], bodies(told)[0]["subject"]) == ("spool_filling", "spool")
    assert 50 < bodies(told)[0]["value"] <= 100
    eye.look(began + 13)
    wait_for(lambda: len(told.hook.got) == len(told.box.got) == len(lines(told)) == 2)
    assert bodies(told)[1]["message"] == "database: database away 11 seconds, above 10"
    again = Watch(told.log.with_name("watch.json"))  # the worker was started again: it knows, and tells it no more
    again.resume(began + 15)
    again.look(began + 20)
    servers.postgres.start()
    connection.close()
    again.look(began + 30)
    assert system() == 1
    found = {firing.kind: firing for firing in Firing.objects.all()}
    assert set(found) == {"database_away", "spool_filling"}
    assert found["spool_filling"].value == pytest.approx(bodies(told)[0]["value"])
    assert [system(), system()] == [0, 0]
    assert Firing.objects.get(kind="spool_filling").resolved_at is not None, "the spool is empty again"
    assert not Delivery.objects.exists()
    assert len(told.hook.got) == 2


# --- every kind ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", list(Kind))
def test_every_kind_arrives_everywhere_once(told, what):
    meaning = MEANINGS[what]
    options = {"band": {"band": Decimal(5)}, "window": {"window_minutes": 60}}
    settings_of = {name: value for need in meaning.needs for name, value in options[need].items()}
    rule = watch(told, what, **settings_of)
    limit = float(rule.threshold)
    beyond = limit - 1 if meaning.direction is Direction.BELOW else limit + 1
    key = "one" if what in {Kind.LARGE_LIQUIDATION, Kind.MINUTE_MISSED} else ""
    readings = [Reading("BTCUSDT FUTURES" if meaning.symbols else "system", beyond, now(), Bound.EXACT, key)]
    assert [consider(what, readings), consider(what, readings)] == [1, 0]
    arrives_everywhere_once(told, Firing.objects.get())
