"""The admin: who may do what, what changes, what is shown."""

from datetime import timedelta

import numpy as np
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.utils import timezone

from api.keys import InvalidKey, verify
from api.models import ApiKey
from collector.models import CollectionMinute, RunChange, RunState, StreamEvent, SystemMetric
from collector.storage import TABLES
from depth.services import CollectedBook, store_books
from depth.volumes import Book, Side
from markets.models import Symbol

pytestmark = pytest.mark.django_db
COLLECTOR = "/admin/collector/runstate/"


@pytest.fixture
def admin(client):
    client.force_login(get_user_model().objects.create_superuser("root", "", "a-long-password"))
    return client


@pytest.fixture
def viewer(client):
    """Staff who may look at the collector and the symbols, and nothing else."""
    user = get_user_model().objects.create_user("viewer", password="x", is_staff=True)
    for code in ("view_runstate", "view_symbol"):
        user.user_permissions.add(Permission.objects.get(codename=code))
    client.force_login(user)
    return client


def add(name, market="SPOT", **facts):
    defaults = {"base": name.removesuffix("USDT"), "quote": "USDT", "tick_size": "0.01", "lot_size": "0.001"}
    return Symbol.objects.create(name=name, market=market, **{"status": "TRADING", **defaults, **facts})


def choose(client, action, rows, **more):
    data = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    return client.post("/admin/markets/symbol/", data, follow=True)


def test_symbols_tell_minute_reach_errors_and_lead_to_the_chart(admin):
    now = timezone.now()
    add(
        "BTCUSDT",
        collected=True,
        last_minute=now - timedelta(minutes=20),
        bid_reach=0.31,
        bid_levels=1000,
        ask_levels=200,
        depth_limit=1000,
        failures=3,
        last_error="timed out <b>",
    )
    page = admin.get("/admin/markets/symbol/").content.decode()
    assert "20 min ago" in page
    assert "0.31%" in page
    assert "whole" in page
    assert "timed out &lt;b&gt;" in page
    assert 'href="/charts/?symbol=BTCUSDT&amp;market=SPOT"' in page


def test_books_are_made_live_row_by_row_and_only_where_they_are_collected(admin):
    rows = [add("BTCUSDT", collected=True), add("BTCUSDT", "FUTURES", collected=True), add("NEWUSDT")]
    other = add("ETHUSDT", collected=True)
    for action, live in (("live_on", rows[:2]), ("live_off", [])):
        page = choose(admin, action, rows).content.decode()
        assert list(Symbol.objects.filter(live=True)) == live
        assert "for 2 books" in page
        assert ("only collected symbols" in page) == bool(live)
    other.refresh_from_db()
    assert not other.live
    assert LogEntry.objects.filter(change_message__contains="Live order book").count() == 6


def test_symbol_list_stays_at_a_few_queries(admin, django_assert_max_num_queries):
    for number in range(60):
        add(f"A{number}USDT")
    with django_assert_max_num_queries(12):
        admin.get("/admin/markets/symbol/")


@pytest.mark.parametrize(
    ("condition", "names"), [("late", ["OLDUSDT"]), ("failing", ["BADUSDT"]), ("partial", ["NEARUSDT"])]
)
def test_conditions_filter(admin, condition, names):
    now = timezone.now()
    add("OLDUSDT", collected=True, last_minute=now - timedelta(hours=1), bid_reach=5, ask_reach=5)
    add("BADUSDT", failures=2)
    add("NEARUSDT", collected=True, last_minute=now, bid_reach=0.2, ask_reach=5)
    answer = admin.get(f"/admin/markets/symbol/?condition={condition}")
    assert [row.name for row in answer.context["cl"].result_list] == names


def test_switching_collection_asks_first_and_takes_both_markets(admin):
    spot, futures, other = add("BTCUSDT"), add("BTCUSDT", "FUTURES"), add("ETHUSDT")
    asked = choose(admin, "switch_on", [spot])
    assert b"Collect these symbols?" in asked.content
    assert not Symbol.objects.filter(collected=True).exists()
    done = choose(admin, "switch_on", [spot], confirmed="yes")
    assert b"Collection switched on for 1 symbols" in done.content
    assert set(Symbol.objects.filter(collected=True)) == {spot, futures}
    choose(admin, "switch_off", [spot, other], confirmed="yes")
    assert not Symbol.objects.filter(collected=True).exists()


def test_what_cannot_be_collected_changes_nothing(admin):
    fine, halted = add("BTCUSDT"), add("DEADUSDT", status="BREAK")
    answer = choose(admin, "switch_on", [fine, halted], confirmed="yes")
    assert b"Nothing was changed" in answer.content
    assert not Symbol.objects.filter(collected=True).exists()


def test_all_of_a_filtered_list_in_one_go(admin):
    rows = [add(f"A{number:03}USDT") for number in range(120)]
    across = {"select_across": "1"}
    asked = choose(admin, "switch_on", rows[:100], **across)
    assert asked.content.count(b"_selected_action") == 1
    choose(admin, "switch_on", rows[:1], confirmed="yes", **across)
    assert Symbol.objects.filter(collected=True).count() == 120


def test_viewers_cannot_switch(viewer):
    row = add("BTCUSDT")
    choose(viewer, "switch_on", [row], confirmed="yes")
    assert not Symbol.objects.filter(collected=True).exists()
    assert viewer.get(COLLECTOR).status_code == 200
    assert b"Stop" not in viewer.get(COLLECTOR).content
    assert viewer.post(f"{COLLECTOR}stop/").status_code == 403
    assert viewer.post(f"{COLLECTOR}start/").status_code == 403
    assert not RunChange.objects.exists()


@pytest.mark.parametrize("page", ["", "events/", "metrics/", "stop/"])
def test_strangers_are_led_to_the_login(client, page):
    answer = client.get(f"{COLLECTOR}{page}")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


def test_staff_without_the_right_see_nothing(client):
    client.force_login(get_user_model().objects.create_user("clerk", password="x", is_staff=True))
    assert [client.get(f"{COLLECTOR}{page}").status_code for page in ("", "events/", "metrics/")] == [403, 403, 403]


def test_stopping_asks_and_is_written_down_and_starting_takes_one_press(admin):
    assert b"Stop collecting?" in admin.get(f"{COLLECTOR}stop/").content
    assert admin.get(f"{COLLECTOR}start/").status_code == 405
    stopped = admin.post(f"{COLLECTOR}stop/", follow=True).content
    assert b"Collection is off" in stopped
    assert RunState.objects.get().running is False
    assert RunChange.objects.get().by == "root"
    assert b"Collection is on" in admin.post(f"{COLLECTOR}start/", follow=True).content
    assert RunState.objects.get().running is True


def test_switching_needs_the_csrf_token(admin):
    admin.handler.enforce_csrf_checks = True
    assert admin.post(f"{COLLECTOR}stop/").status_code == 403
    assert not RunState.objects.filter(running=False).exists()


def test_the_collectors_page_tells_minutes_weight_and_schedule(admin):
    minute = timezone.now().replace(second=0, microsecond=0)
    facts = {"expected": 60, "stored": 57, "failed": 3, "weight_spot": 2405, "rows": 570}
    CollectionMinute.objects.create(
        minute=minute, started_at=minute, finished_at=minute + timedelta(seconds=4.2), **facts
    )
    page = admin.get(COLLECTOR).content.decode()
    for text in ("partial", "2405", "4.2", "every minute", "every hour at :17", "collector.collect_minute", "6000"):
        assert text in page


def test_events_are_filtered_and_paged(admin):
    now = timezone.now()
    StreamEvent.objects.bulk_create(
        StreamEvent(
            time=now - timedelta(seconds=number),
            symbol="BTCUSDT" if number % 2 else "",
            event_type="ERROR" if number % 2 else "RATE_LIMITED",
            message=f"event {number}",
            metadata={"status": 429, "retry": {"after": 12}},
        )
        for number in range(250)
    )
    whole = admin.get(f"{COLLECTOR}events/")
    assert len(whole.context["rows"]) == 100
    assert whole.context["next"] == 2
    assert b"retry after" in whole.content
    assert b"{&#x27;" not in whole.content
    last = admin.get(f"{COLLECTOR}events/?page=3")
    assert len(last.context["rows"]) == 50
    assert last.context["next"] == 0
    errors = admin.get(f"{COLLECTOR}events/?type=ERROR&symbol=btcusdt&since=1h")
    assert {row["event"].event_type for row in errors.context["rows"]} == {"ERROR"}
    assert b'/charts/?symbol=BTCUSDT"' in errors.content


@pytest.mark.parametrize("query", ["page=x", "page=-1", "page=99999999999", "type=%00", "symbol=%00", "since=never"])
def test_odd_parameters_are_no_errors(admin, query):
    assert admin.get(f"{COLLECTOR}events/?{query}").status_code == 200
    assert admin.get(f"{COLLECTOR}metrics/?name=x&{query}").status_code == 200


def test_metrics_show_the_newest_and_one_figures_history(admin):
    now = timezone.now()
    for ago in range(3):
        at = now - timedelta(minutes=ago)
        SystemMetric.objects.create(time=at, name="cpu", value=ago + 0.5, metadata={"process": "worker"})
    newest = admin.get(f"{COLLECTOR}metrics/").context["figures"]
    assert [(row["metric"].name, row["metric"].value) for row in newest] == [("cpu", 0.5)]
    history = admin.get(f"{COLLECTOR}metrics/?name=cpu").context["rows"]
    assert [row["metric"].value for row in history] == [0.5, 1.5, 2.5]
    assert history[-1]["share"] == 100


def test_a_key_is_shown_once_and_works_until_it_is_revoked(admin):
    form = {"name": "bot", "scopes": ["snapshots:write"], "expires_at": "2099-01-31T12:00"}
    shown = admin.post("/admin/api/apikey/add/", form)
    assert "no-store" in shown["Cache-Control"]
    key = shown.context["key"]
    assert key.encode() in shown.content
    row = ApiKey.objects.get()
    assert verify(key, timezone.now()).scopes == ["snapshots:write"]
    assert row.expires_at.isoformat() == "2099-01-31T12:00:00+00:00"
    for address in ("/admin/api/apikey/", f"/admin/api/apikey/{row.pk}/change/"):
        page = admin.get(address).content.decode()
        assert key.split(".")[1] not in page
        assert row.key_hash not in page
    revoke = {"action": "revoke", "_selected_action": [row.pk]}
    assert b"Revoke these keys?" in admin.post("/admin/api/apikey/", revoke).content
    admin.post("/admin/api/apikey/", revoke | {"confirmed": "yes"})
    with pytest.raises(InvalidKey):
        verify(key, timezone.now())


def test_lists_write_times_in_order_with_their_zone(admin):
    key = ApiKey.objects.create(name="reader", prefix="abcd1234", key_hash="0" * 64, scopes=[])
    page = admin.get("/admin/api/apikey/").content.decode()
    assert f"{key.created_at:%Y-%m-%d %H:%M:%S} UTC" in page
    assert ".m.</td>" not in page


def test_a_taken_name_is_said_in_the_form(admin):
    ApiKey.objects.create(name="bot", prefix="a", key_hash="b")
    answer = admin.post("/admin/api/apikey/add/", {"name": "bot"})
    assert b"already exists" in answer.content
    assert ApiKey.objects.count() == 1


def test_pages_and_admin_lead_to_each_other(admin):
    assert b'href="/admin/"' in admin.get("/charts/").content
    index = admin.get("/admin/").content
    for address in (b"/charts/", b"/admin/collector/runstate/events/", b"/admin/markets/symbol/", b"/api/v1/docs"):
        assert b'href="' + address + b'"' in index


STORAGE = "/admin/collector/runstate/storage/"


def book(now, minutes_ago, levels=80):
    at = now - timedelta(minutes=minutes_ago)
    side = Side(np.linspace(99.9, 98.0, levels), np.ones(levels), False)
    return CollectedBook(
        "BTCUSDT", "SPOT", at, Book(side, Side(200 - side.prices, side.quantities, False)), 1, None, 80, "rest"
    )


def test_storage_tells_sizes_coverage_spool_and_failures(admin, own_spool, empty_redis):
    now = timezone.now()
    store_books([book(now, minutes) for minutes in (1, 2, 3, 6)])
    add("BADUSDT", collected=True, failures=7, last_error="timed out <b>")
    page = admin.get(STORAGE)
    text = page.content.decode()
    assert {row["table"].name for row in page.context["tables"]} >= {"snapshots", "depth_snapshots", "snapshots_agg_1h"}
    [series] = page.context["series"]
    assert (series["series"].minutes, series["series"].expected, series["missing"]) == (4, 6, "2")
    assert series["late"]
    assert "66.67%" in text
    assert "timed out &lt;b&gt;" in text
    assert "Every collected symbol is read" not in text
    assert page.context["spool"].batches == 0
    assert str(own_spool) in text
    assert "collector.collect_minute" in text
    assert "pg_stat_statements" in text or "Slow queries" in text
    assert page.context["totals"]["coverage"] == "66.67"


def test_storage_is_read_anew_and_ordered_as_asked(admin, own_spool, empty_redis):
    assert "Nothing has been stored yet" in admin.get(STORAGE).content.decode()
    store_books([book(timezone.now(), 1)])
    assert len(admin.get(STORAGE + "?series=symbol").context["series"]) == 1
    assert admin.get(STORAGE + "?series=%00").context["series_order"] == "coverage"


def test_storage_is_for_those_who_may_look_and_is_linked(admin, client, own_spool, empty_redis):
    assert STORAGE in admin.get("/admin/").content.decode()
    assert STORAGE in admin.get("/status/").content.decode()
    plain = get_user_model().objects.create_user("plain", password="x", is_staff=True)
    client.force_login(plain)
    assert client.get(STORAGE).status_code == 403
    assert STORAGE not in client.get("/status/").content.decode()
    client.logout()
    assert STORAGE not in client.get("/status/").content.decode()
    assert client.get(STORAGE).status_code == 302


def test_storage_stays_at_some_queries(admin, own_spool, empty_redis, django_assert_max_num_queries):
    store_books([book(timezone.now(), 1)])
    with django_assert_max_num_queries(30 + 4 * len(TABLES)):  # a few for each table, none for each row
        admin.get(STORAGE)
