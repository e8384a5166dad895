"""The admin of alerts: rules with their units, secrets that are not shown, what was given up sent again."""

from datetime import UTC, datetime

import pytest
from django.urls import reverse

from alerts.models import Delivery, Rule
from alerts.rules import Kind, Reading
from alerts.services import USUAL, consider, make_usual_rules

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def told(db):
    rule = Rule.objects.create(
        name="spool", kind=Kind.SPOOL_FILLING, webhook_url="http://x.example", webhook_secret="s3"
    )
    consider(Kind.SPOOL_FILLING, [Reading("spool", 80.0, NOON, details={"bytes": 5})])
    Delivery.objects.update(state="dead", error="the receiver answered 500")
    return rule


@pytest.mark.parametrize("model", ["rule", "firing", "delivery"])
def test_lists_and_pages_open(admin_client, told, model):
    answer = admin_client.get(reverse(f"admin:alerts_{model}_changelist"))
    assert answer.status_code == 200
    assert b"spool" in answer.content
    row = {"rule": Rule, "firing": told.firings.model, "delivery": Delivery}[model].objects.first()
    assert admin_client.get(reverse(f"admin:alerts_{model}_change", args=[row.pk])).status_code == 200


def test_a_secret_is_kept_and_not_shown(admin_client, told):
    address = reverse("admin:alerts_rule_change", args=[told.pk])
    page = admin_client.get(address).content.decode()
    assert "s3" not in page.split("webhook_secret")[1][:200]
    form = {"name": "spool", "kind": "spool_filling", "threshold": "60", "hysteresis": "10", "cooldown_minutes": "5"}
    form |= {"webhook_url": "http://x.example", "webhook_secret": "", "enabled": "on"}
    assert admin_client.post(address, form).status_code == 302
    told.refresh_from_db()
    assert (told.threshold, told.webhook_secret, told.to_log) == (60, "s3", False)


def test_a_rule_that_makes_no_sense_is_refused_by_its_field(admin_client, db):
    form = {"name": "x", "kind": "price_move", "hysteresis": "10", "cooldown_minutes": "5"}
    page = admin_client.post(reverse("admin:alerts_rule_add"), form)
    assert page.status_code == 200
    assert "Price move needs it" in page.content.decode()


def test_what_was_given_up_is_sent_again(admin_client, told):
    chosen = {"action": "send_again", "_selected_action": [d.pk for d in Delivery.objects.all()]}
    admin_client.post(reverse("admin:alerts_delivery_changelist"), chosen)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"pending"}


def test_the_usual_rules_are_made_once(db):
    Rule.objects.all().delete()
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ALTER SEQUENCE alert_rules_id_seq RESTART")
    assert make_usual_rules() == len(USUAL)
    for rule in Rule.objects.all():
        rule.full_clean(exclude=["symbol"])
    Rule.objects.all().delete()
    assert make_usual_rules() == 0
