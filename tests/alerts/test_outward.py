"""Webhooks go where they may: what counts is the address of the connection, whatever the name or the rule says."""

import socket

import pytest
from django.core.exceptions import ValidationError

from alerts.addresses import is_allowed
from alerts.models import Rule
from alerts.outward import Forbidden, session
from tests.alerts.receivers import webhooks

NEVER = (
    *("169.254.169.254", "0.0.0.0", "224.0.0.1", "fe80::1%eth0", "::", "ff02::1", "fd00:ec2::254", "100.100.100.200"),
    *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"),
)
INSIDE = ("127.0.0.1", "::1", "10.1.2.3", "192.168.0.9", "172.16.0.1", "fd12::1", "::ffff:10.0.0.1", "100.64.0.1")
PUBLIC = ("1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1")


@pytest.mark.parametrize("internal", [True, False])
def test_where_webhooks_may_go(settings, internal):
    settings.WEBHOOK_INTERNAL = internal
    assert not any(map(is_allowed, NEVER))
    assert {is_allowed(address) for address in INSIDE} == {internal}
    assert all(map(is_allowed, PUBLIC))


def test_a_name_that_leads_inside_gets_nothing(settings):
    with webhooks() as hook, session() as outward:
        address = hook.url.replace("127.0.0.1", "localhost")
        assert outward.post(address, data=b"{}").status_code == 200
        settings.WEBHOOK_INTERNAL = False
        with session() as other, pytest.raises(Forbidden, match=r"127\.0\.0\.1|::1"):
            other.post(address, data=b"{}")
    assert len(hook.got) == 1


def test_a_name_that_changes_between_the_look_and_the_connection_gets_nothing(settings, monkeypatch):
    settings.WEBHOOK_INTERNAL = False
    public = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 80))]
    looked = []

    def changing(host, port, *args, **options):
        looked.append(host)
        return public if len(looked) == 1 else real(host, port, *args, **options)

    real = socket.getaddrinfo
    with webhooks() as hook, session() as outward:
        monkeypatch.setattr(socket, "getaddrinfo", changing)
        with pytest.raises(Forbidden, match=r"127\.0\.0\.1"):
            outward.post(hook.url, data=b"{}")
    assert (len(looked), hook.got) == (2, [])


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["http://localhost:9/x", "https://127.0.0.1/x", "http://[::1]/x", "http://10.0.0.1/x"])
def test_a_rule_says_at_once_that_its_address_is_not_allowed(settings, url):
    settings.WEBHOOK_INTERNAL = True
    Rule(name="x", kind="spool_filling", webhook_url=url).clean()
    settings.WEBHOOK_INTERNAL = False
    with pytest.raises(ValidationError, match="webhooks may go to"):
        Rule(name="x", kind="spool_filling", webhook_url=url).clean()
    Rule(name="x", kind="spool_filling", webhook_url="https://example.com/x").clean()
