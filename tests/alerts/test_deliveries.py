"""Alerts reach a real webhook receiver, a real mail server and alert.log, also when a receiver was down for a while."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from alerts.channels import sign
from alerts.deliveries import BACK_OFF, deliver_due
from alerts.models import Delivery, Rule
from alerts.rules import Kind, Reading
from alerts.services import consider, retry
from tests.alerts.receivers import mailbox, webhooks

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _log(settings, tmp_path):
    settings.ALERT_LOG = tmp_path / "logs" / "alert.log"


def fire(**options):
    Rule.objects.create(name="spool", kind=Kind.SPOOL_FILLING, **options)
    assert consider(Kind.SPOOL_FILLING, [Reading("spool", 80.0, NOON)]) == 1


def states():
    return {d.channel: (d.state, d.attempts) for d in Delivery.objects.all()}


def test_all_channels_once(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with webhooks() as hook, mailbox() as box:
        settings.EMAILS, settings.EMAIL_HOST, settings.EMAIL_PORT = True, "127.0.0.1", box.port
        fire(email="a@example.com, b@example.com", webhook_url=hook.url, webhook_secret="secret")
        assert deliver_due(NOON).delivered == 4
        assert deliver_due(NOON + timedelta(hours=1)).delivered == 0
    headers, body = hook.got[0]
    assert len(hook.got) == 1
    told = json.loads(body)
    assert (told["kind"], told["value"], told["unit"]) == ("spool_filling", 80.0, "% of its limit")
    assert headers["X-Alert-Signature"] == sign("secret", headers["X-Alert-Timestamp"], body)
    assert {mail["To"] for mail in box.got} == {"a@example.com", "b@example.com"}
    assert box.got[0]["Subject"] == "[spool] spool: spool filling 80 % of its limit, above 50"
    lines = settings.ALERT_LOG.read_text().splitlines()
    assert lines == ["2026-03-01T12:00:00+00:00\tspool\tspool: spool filling 80 % of its limit, above 50"]
    assert settings.ALERT_LOG.stat().st_mode & 0o777 == 0o600


def test_a_receiver_that_is_down_gets_it_later_and_the_others_at_once():
    with webhooks() as hook:
        hook.status = 503
        fire(webhook_url=hook.url)
        first = deliver_due(NOON)
        assert (first.delivered, first.failed, first.given_up) == (1, 1, 0)
        assert states() == {"log": ("delivered", 1), "webhook": ("pending", 1)}
        assert "503" in Delivery.objects.get(channel="webhook").error
        assert deliver_due(NOON + BACK_OFF[0] - timedelta(seconds=1)).delivered == 0
        hook.status = 200
        assert deliver_due(NOON + BACK_OFF[0]).delivered == 1
        assert len(hook.got) == 1


def test_after_the_last_try_it_is_listed_as_given_up_and_can_be_sent_again():
    with webhooks() as hook:
        gone = hook.url
    fire(webhook_url=gone, to_log=False)
    now = NOON
    for pause in (*BACK_OFF, timedelta(0)):
        assert deliver_due(now).failed == 1
        now += pause
    assert states() == {"webhook": ("dead", len(BACK_OFF) + 1)}
    assert deliver_due(now + timedelta(days=1)).failed == 0
    with webhooks() as hook:
        Delivery.objects.update(target=hook.url)
        assert retry(Delivery.objects.all(), now) == 1
        assert deliver_due(now).delivered == 1


def test_a_redirect_is_not_followed():
    with webhooks() as hook:
        hook.status = 302
        fire(webhook_url=hook.url, to_log=False)
        assert deliver_due(NOON).failed == 1
    assert "302" in Delivery.objects.get().error


def test_a_claim_of_a_killed_process_comes_free():
    from alerts.deliveries import CLAIMED, _claim

    fire()
    assert len(_claim(NOON)) == 1
    assert deliver_due(NOON).delivered == 0
    assert deliver_due(NOON + CLAIMED).delivered == 1


def test_one_that_ends_its_process_every_time_is_given_up():
    from alerts.deliveries import CLAIMED, MOST_TRIES, _claim

    with webhooks() as hook:
        fire(webhook_url=hook.url, to_log=False)
        now = NOON
        for _ in range(MOST_TRIES):
            assert len(_claim(now)) == 1  # and then the process is killed
            now += CLAIMED
        assert deliver_due(now).given_up == 1
        assert hook.got == []
    assert "came to an end" in Delivery.objects.get().error


def test_a_webhook_is_not_sent_where_none_may_go(settings):
    settings.WEBHOOK_INTERNAL = False
    with webhooks() as hook:
        fire(webhook_url=hook.url, to_log=False)
        assert deliver_due(NOON).failed == 1
        assert hook.got == []
    assert "127.0.0.1 is not an address" in Delivery.objects.get().error


def test_without_a_mail_server_it_says_so(settings):
    settings.EMAILS = False
    fire(email="a@example.com", to_log=False)
    assert deliver_due(NOON).failed == 1
    assert "EMAIL_URL is not set" in Delivery.objects.get().error


def test_a_full_log_is_put_aside(settings, monkeypatch):
    monkeypatch.setattr("alerts.channels.LOG_LIMIT", 100)
    settings.ALERT_LOG.parent.mkdir(parents=True)
    settings.ALERT_LOG.write_text("x" * 99)
    fire()
    assert deliver_due(NOON).delivered == 1
    assert settings.ALERT_LOG.with_name("alert.log.1").read_text() == "x" * 99
    assert settings.ALERT_LOG.read_text().count("\n") == 1
