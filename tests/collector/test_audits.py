"""Live books are compared with the exchange's: what is equal is stored, what is wrong is an incident and made anew."""

import io
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.urls import reverse

from collector import audits, services
from collector.feed import books as books_module
from collector.feed import followed
from collector.feed.figures import reports
from collector.feed.run import Feed
from collector.models import BookAudit, StreamEvent, VenueLimit
from depth.audit import DISTANCES
from tests.collector.feeding import KEYS, running, until, wrong_states

LIVE = pytest.mark.django_db(transaction=True)


@pytest.fixture
def often(live, monkeypatch):
    """Snapshots follow one another, and the budget has room for them."""
    monkeypatch.setattr(followed, "REFRESH_EVERY", 1.0)
    monkeypatch.setattr(followed, "DEEPEN_AFTER", 1.0)
    for market in ("spot", "futures"):
        live.control("POST", "/limits", market=market, weight=10**6, enforced=False)
    VenueLimit.objects.update(weight_per_minute=10**6)
    return live


def spoil(book, spoiled):
    """Makes the book wrong at half of its first levels, as no message would; in the thread of frames, and only while
    no snapshot is on its way or due soon, for it would find that before the one that is asked for. Messages mend what
    is near the best price within seconds."""
    at_rest = not book.fetching and not book.sync.merging and book.sync.synced
    if spoiled or not at_rest or book._refresh_at < time.monotonic() + 200:
        return
    quantities = book.sync.book._bids.quantities
    for at in range(len(quantities) - 300, len(quantities) - 20, 2):
        quantities[at] *= 1.5
    spoiled.append(book.sync.book.sequence)


def after(listener, key, sequence):
    """What was published as right of a book since it was at `sequence`."""
    return [body for body in listener.synced(*key) if body["lastUpdateId"] > sequence]


@LIVE
def test_each_book_is_compared_and_again_when_somebody_asks(often, listener):
    with running(Feed()) as feed:
        until(lambda: BookAudit.objects.count() == len(KEYS), what="not every book was compared")
        until(lambda: all(book.audited for report in reports() for book in report.books))
        out = io.StringIO()
        call_command("audit_books", "--symbol", "ethusdt", "--seconds", "90", stdout=out)
        assert {book.sync.resyncs for book in feed.books.followed.values()} == {0}
    for row in BookAudit.objects.all():
        assert row.compared == row.equal > 500
        assert row.share == 100
        assert row.differences == []
        assert [distance for distance, _, _ in row.by_distance] == [str(distance) for distance in DISTANCES]
        assert all(of == equal <= row.compared for _, of, equal in row.by_distance)
    told = list(BookAudit.objects.filter(cause="asked").values_list("market_type", "symbol"))
    assert sorted(told) == [("FUTURES", "ETHUSDT"), ("SPOT", "ETHUSDT")]
    assert BookAudit.objects.filter(cause="hourly").count() == len(KEYS)
    assert "SPOT ETHUSDT: " in out.getvalue()
    assert not StreamEvent.objects.filter(event_type="AUDIT_FAILED").exists()


@LIVE
def test_a_wrong_book_is_found_told_and_made_anew(often, listener, monkeypatch):
    key = ("SPOT", "BTCUSDT")
    with running(Feed()) as feed:
        until(lambda: BookAudit.objects.count() == len(KEYS))
        for name in ("REFRESH_EVERY", "DEEPEN_AFTER", "RENEW_AFTER"):
            monkeypatch.setattr(followed, name, 600.0)
        book, spoiled = feed.books.followed[key], []
        until(lambda: feed.engine.inbox.call(lambda: spoil(book, spoiled)) or spoiled)
        sync = book.sync
        with pytest.raises(CommandError, match="1 of 1 books were not the exchange's"):
            call_command(
                "audit_books", "--symbol", "BTCUSDT", "--market", "SPOT", "--seconds", "90", stdout=io.StringIO()
            )
        assert sync.corrections == 1
        mended = sync.book.sequence
        until(lambda: after(listener, key, mended)[2:])
    row = BookAudit.objects.get(market_type="SPOT", symbol="BTCUSDT", cause="asked")
    assert 0 < row.compared - row.equal <= 140
    assert 0 < len(row.differences) <= 40  # of the first hundred levels
    for side, _, held, told in row.differences:
        assert side == "bid"
        assert held == pytest.approx(told * 1.5)
    event = StreamEvent.objects.get(event_type="AUDIT_FAILED")
    assert (event.market_type, event.symbol) == key
    assert event.metadata["equal"] == row.equal
    assert not wrong_states(after(listener, key, mended))


@LIVE
def test_one_an_hour_is_stored_of_a_book_that_is_right(often, listener, monkeypatch):
    """Comparisons follow one another; what is stored of them is bounded."""
    monkeypatch.setattr(books_module, "KEEP_AUDIT_AFTER", 2.5)
    with running(Feed()) as feed:
        until(lambda: BookAudit.objects.filter(symbol="BTCUSDT", market_type="SPOT").count() >= 2)
        until(lambda: feed.desk.asked > 3 * len(KEYS))
    times = BookAudit.objects.filter(symbol="BTCUSDT", market_type="SPOT").values_list("time", flat=True)
    assert max(times) - min(times) >= timedelta(seconds=2.5) * (len(times) - 1)
    assert set(BookAudit.objects.values_list("cause", flat=True)) == {"hourly"}


@pytest.mark.django_db
def test_without_live_books_nobody_is_asked(empty_redis):
    with pytest.raises(CommandError, match="no book is live"):
        call_command("audit_books")


def test_wishes_go_to_who_has_the_symbol_once(empty_redis):
    audits.ask_for([("SPOT", "BTCUSDT"), ("FUTURES", "ETHUSDT")])
    assert audits.take_asked(lambda symbol: symbol == "ETHUSDT") == [("FUTURES", "ETHUSDT")]
    assert audits.take_asked(lambda symbol: symbol == "ETHUSDT") == []
    assert audits.take_asked(lambda symbol: True) == [("SPOT", "BTCUSDT")]


def made(when, symbol="BTCUSDT", equal=90):
    facts = {"compared": 100, "equal": equal, "unsettled": 3, "sequence": 7, "cause": "hourly"}
    return BookAudit.objects.create(time=when, market_type="SPOT", symbol=symbol, **facts)


@pytest.mark.django_db
def test_audits_are_kept_for_sixty_days():
    now = datetime.now(UTC)
    old, new = made(now - timedelta(days=61)), made(now - timedelta(days=59))
    services.retain(now)
    assert list(BookAudit.objects.values_list("pk", flat=True)) == [new.pk] != [old.pk]


@pytest.mark.django_db
def test_the_admin_shows_them_and_asks_for_more(client, empty_redis):
    rows = [made(datetime.now(UTC), name) for name in ("BTCUSDT", "ETHUSDT")]
    client.force_login(get_user_model().objects.create_superuser("root", password="x"))
    address = reverse("admin:collector_bookaudit_changelist")
    page = client.get(address)
    assert page.status_code == 200
    assert b"90 %" in page.content
    chosen = {"action": "compare_again", "_selected_action": [row.pk for row in rows]}
    page = client.post(address, chosen, follow=True)
    assert b"2 books are compared" in page.content
    assert empty_redis.smembers(audits.ASKED) == {b"SPOT:BTCUSDT", b"SPOT:ETHUSDT"}


@pytest.mark.django_db
def test_who_may_only_look_asks_for_none(client, empty_redis):
    row = made(datetime.now(UTC))
    looker = get_user_model().objects.create_user("looker", password="x", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_bookaudit"))
    client.force_login(looker)
    address = reverse("admin:collector_bookaudit_changelist")
    assert b"compare_again" not in client.get(address).content
    client.post(address, {"action": "compare_again", "_selected_action": [row.pk]})
    assert not empty_redis.exists(audits.ASKED)
