"""What the API's tests share: a registry, stored books, callers of every kind."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from rest_framework.test import APIClient

from api import answers
from api.keys import issue
from api.models import Scope
from api.throttling import RateLimit
from depth.services import store_books
from markets.models import Symbol
from tests.collector.simulated import room
from tests.depth.factories import collected


@pytest.fixture(autouse=True)
def _limits(settings):
    """No limits unless a test sets them, and no memory of a Redis that was away."""
    settings.API_RATE_LIMIT = 0
    RateLimit._redis_away_until = answers._Process.away_until = 0.0


@pytest.fixture
def same_minute():
    """A test that begins with it has ten seconds of its minute left: to the minute's end answers are kept."""
    room(10)


@pytest.fixture
def client():
    return APIClient()


def add_symbol(name, market, is_collected=True, status="TRADING"):
    return Symbol.objects.create(
        market=market,
        name=name,
        base=name.removesuffix("USDT"),
        quote="USDT",
        tick_size="0.01",
        lot_size="0.00001",
        status=status,
        quote_volume=1e9,
        collected=is_collected,
    )


@pytest.fixture
def registry(db):
    """BTCUSDT collected on both markets, SOLUSDT on SPOT, 1000PEPEUSDT on FUTURES, DOGEUSDT known only."""
    add_symbol("BTCUSDT", "SPOT")
    add_symbol("BTCUSDT", "FUTURES")
    add_symbol("SOLUSDT", "SPOT")
    add_symbol("1000PEPEUSDT", "FUTURES")
    add_symbol("DOGEUSDT", "SPOT", is_collected=False)


@pytest.fixture
def now():
    return datetime.now(UTC)


@pytest.fixture
def books(registry, now):
    """Ten minutes of BTCUSDT on both markets; the newest book was read thirty seconds ago."""
    newest = now - timedelta(seconds=30)
    read = [
        collected(newest - timedelta(minutes=back), market=market, mid=mid, quantity=quantity + back)
        for back in range(10)
        for market, mid, quantity in (("SPOT", 100.0, 2.0), ("FUTURES", 101.0, 3.0))
    ]
    store_books(read)
    return {(book.market, book.received_at): book for book in read}


@pytest.fixture
def key_client(db):
    """A client whose key has these scopes."""

    def make(*scopes, **options):
        row, key = issue(f"test {len(scopes)} {datetime.now(UTC).timestamp()}", scopes, **options)
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Api-Key {key}")
        client.key = row
        return client

    return make


@pytest.fixture
def writer(key_client):
    return key_client(*Scope.values)


@pytest.fixture
def user_client(db):
    """A browser that is logged in; `csrf` says whether it sends its token."""

    def make(is_staff=True, csrf=True):
        user = get_user_model().objects.create_user(f"user{is_staff}{csrf}", password="long enough", is_staff=is_staff)
        client = APIClient(enforce_csrf_checks=True)
        client.force_login(user)
        if csrf:
            token = "a" * 32
            client.cookies[settings_cookie()] = token
            client.credentials(HTTP_X_CSRFTOKEN=token)
        return client

    return make


def settings_cookie():
    from django.conf import settings

    return settings.CSRF_COOKIE_NAME
