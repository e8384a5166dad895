"""While the database is away its alert is told all the same, once, from what was remembered."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from alerts import emergency
from alerts.models import Delivery, Firing, Rule
from alerts.rules import Kind
from collector.alerting import consider_system
from collector.models import CollectionMinute, Outage
from tests.alerts.receivers import webhooks

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _log(settings, tmp_path):
    settings.ALERT_LOG = tmp_path / "alert.log"


def wait_for(condition):
    until = time.monotonic() + 5
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    assert condition()


def test_it_is_told_once_while_it_lasts_and_not_again_when_it_is_stored(settings, django_assert_num_queries):
    since = NOON.timestamp()
    with webhooks() as hook:
        Rule.objects.create(name="db", kind=Kind.DATABASE_AWAY, webhook_url=hook.url, webhook_secret="s")
        Rule.objects.create(name="off", kind=Kind.DATABASE_AWAY, webhook_url=hook.url, enabled=False)
        emergency.remember()
        with django_assert_num_queries(0):
            emergency.tell(Kind.DATABASE_AWAY, since, NOON + timedelta(seconds=9))
            emergency.tell(Kind.REDIS_AWAY, since, NOON + timedelta(seconds=60))
            for seconds in (11, 13, 60):
                emergency.tell(Kind.DATABASE_AWAY, since, NOON + timedelta(seconds=seconds))
        wait_for(lambda: len(hook.got) == 1 and settings.ALERT_LOG.exists())
    assert json.loads(hook.got[0][1])["message"] == "database: database away 11 seconds, above 10"
    Outage.objects.create(cause=Outage.Cause.DATABASE, start=NOON, end=NOON + timedelta(seconds=95))
    assert consider_system(NOON + timedelta(minutes=2)) == 1
    assert consider_system(NOON + timedelta(minutes=3)) == 0
    assert Firing.objects.get().value == 95
    assert not Delivery.objects.exists()


def test_an_absence_that_nobody_was_told_of_is_delivered():
    Rule.objects.create(name="db", kind=Kind.DATABASE_AWAY)
    Outage.objects.create(cause=Outage.Cause.DATABASE, start=NOON, end=NOON + timedelta(seconds=95))
    assert consider_system(NOON + timedelta(minutes=2)) == 1
    assert Delivery.objects.get().channel == "log"


def test_minutes_that_lack_books():
    Rule.objects.create(name="missed", kind=Kind.MINUTE_MISSED, cooldown_minutes=0)
    for back, stored in ((3, 60), (2, 58), (1, 60)):
        CollectionMinute.objects.create(
            minute=NOON - timedelta(minutes=back), expected=60, stored=stored, started_at=NOON, closed=True
        )
    assert [consider_system(NOON), consider_system(NOON)] == [1, 0]
    assert Firing.objects.get().details["stored"] == 58


def test_the_standby_file_is_for_us_alone(settings):
    Rule.objects.create(name="db", kind=Kind.DATABASE_AWAY, webhook_url="http://x.example/", webhook_secret="s")
    emergency.remember()
    assert settings.ALERT_LOG.with_name("alert-standby.json").stat().st_mode & 0o777 == 0o600


def test_a_broken_standby_file_is_made_anew(settings):
    settings.ALERT_LOG.with_name("alert-standby.json").write_text("{")
    emergency.tell(Kind.DATABASE_AWAY, 0, NOON)
    Rule.objects.create(name="db", kind=Kind.DATABASE_AWAY)
    emergency.remember()
    assert b'"db"' in settings.ALERT_LOG.with_name("alert-standby.json").read_bytes()
