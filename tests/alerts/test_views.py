"""The address that every page asks for new alerts: cheap, a few at a time, closed where reading is."""

from datetime import UTC, datetime

import pytest

from alerts.models import Firing, Rule
from alerts.rules import Kind, Reading
from alerts.services import consider

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def fire(count, **options):
    name = f"rule {Rule.objects.count()}"
    Rule.objects.create(name=name, kind=Kind.BOOK_OUT_OF_SYNC, cooldown_minutes=0, **options)
    consider(Kind.BOOK_OUT_OF_SYNC, [Reading(f"S{number} SPOT", 99.0, NOON) for number in range(count)])
    return [firing.pk for firing in Firing.objects.filter(rule_name=name).order_by("pk")]


def asked(client, after=None):
    return client.get("/alerts/new", {} if after is None else {"after": after}).json()


def test_only_what_is_behind_a_number(client, django_assert_num_queries):
    assert asked(client) | {"now": 0} == {"now": 0, "newest": 0, "count": 0, "data": []}
    first, second, third = fire(3)
    with django_assert_num_queries(1):
        assert asked(client)["newest"] == third
    with django_assert_num_queries(1):
        found = asked(client, first)
    assert ([row["id"] for row in found["data"]], found["count"]) == ([third, second], 2)
    with django_assert_num_queries(1):
        assert asked(client, third)["data"] == []
    assert asked(client, third + 50) | {"now": 0} == {"now": 0, "newest": third, "count": 0, "data": []}


def test_many_are_counted_and_few_are_told(client, django_assert_num_queries):
    numbers = fire(9)
    with django_assert_num_queries(2):
        found = asked(client, numbers[0])
    assert (found["count"], [row["id"] for row in found["data"]]) == (8, numbers[:4:-1])


def test_those_that_are_not_for_the_page_are_not_told(client):
    fire(2, to_page=False)
    assert asked(client, 0)["data"] == []


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 40, ""])
def test_a_number_that_is_none_tells_the_newest(client, after):
    numbers = fire(2)
    assert asked(client, after) | {"now": 0} == {"now": 0, "newest": numbers[-1], "count": 0, "data": []}


def test_where_reading_is_closed_it_is_closed(client, admin_client, settings):
    settings.API_PUBLIC = False
    assert client.get("/alerts/new").status_code == 401
    assert admin_client.get("/alerts/new").status_code == 200


def test_without_the_database_it_says_so(client, monkeypatch):
    from django.db import OperationalError

    def away(*_):
        raise OperationalError

    monkeypatch.setattr("alerts.views.behind", away)
    answer = client.get("/alerts/new?after=1")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
