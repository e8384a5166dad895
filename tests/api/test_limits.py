"""Rate limits: counted together by every process, told on every answer, and never in the way without Redis."""

import subprocess
import sys
import textwrap

import pytest
import redis

from api import throttling
from api.throttling import COUNT, KEY_LIMIT, RateLimit
from markets.connections import cache_redis


@pytest.fixture(autouse=True)
def _empty(empty_redis, db):
    """Every test begins with nothing counted."""


def get(client, address="/api/v1/symbols", **headers):
    answer = client.get(address, **headers)
    return answer.status_code, answer.headers.get("X-RateLimit-Remaining")


def test_a_minute_and_then_no_more(client, settings):
    settings.API_RATE_LIMIT = 4
    assert [get(client) for _ in range(5)] == [(200, "3"), (200, "2"), (200, "1"), (200, "0"), (429, "0")]
    refused = client.get("/api/v1/symbols")
    assert (refused.json()["code"], refused["X-RateLimit-Limit"]) == ("rate_limited", "4")
    assert 50 <= int(refused["Retry-After"]) <= 60


def test_ten_a_second(client, settings):
    settings.API_RATE_LIMIT = 100
    statuses = [get(client)[0]]
    cache_redis().pexpire("rate:second:127.0.0.1", 20_000)  # a busy machine may need longer than a second for eleven
    statuses += [get(client)[0] for _ in range(10)]
    assert statuses == [200] * 10 + [429]
    refused = client.get("/api/v1/symbols")
    assert 1 <= int(refused["Retry-After"]) <= 20
    assert refused["X-RateLimit-Remaining"] == "90"


def test_refused_requests_are_not_counted(client, settings):
    settings.API_RATE_LIMIT = 2
    for _ in range(5):
        get(client)
    assert cache_redis().get("rate:minute:127.0.0.1") == b"2"


def test_every_kind_of_answer_tells_the_rate(client, settings):
    settings.API_RATE_LIMIT = 100
    for address, status in [
        ("/api/v1/symbols?collected=x", 400),
        ("/api/v1/binance/spot?symbol=X", 404),
        ("/api/v1/nothing", 404),
        ("/api/v1/collector/symbols", 405),
        ("/api/v1/schema", 200),
        ("/api/v1/docs", 200),
    ]:
        answer = client.get(address)
        assert (answer.status_code, answer["X-RateLimit-Limit"]) == (status, "100"), address
    assert client.post("/api/v1/collector")["X-RateLimit-Remaining"] == "93"
    assert client.get("/api/v1/symbols", HTTP_AUTHORIZATION="Api-Key x")["X-RateLimit-Remaining"] == "92"
    assert client.get("/api/v1/symbols", HTTP_ACCEPT="text/xml")["X-RateLimit-Remaining"] == "91"


def test_wrong_keys_cannot_be_tried_freely(client, settings):
    settings.API_RATE_LIMIT = 3
    statuses = [get(client, HTTP_AUTHORIZATION=f"Api-Key tp_{n}")[0] for n in range(5)]
    assert statuses == [401, 401, 401, 429, 429]


def test_a_key_has_its_own_larger_limit(client, key_client, settings):
    settings.API_RATE_LIMIT = 1
    bot = key_client("read")
    assert [get(client)[0], get(client)[0]] == [200, 429]
    assert [get(bot) for _ in range(15)] == [(200, str(KEY_LIMIT - n)) for n in range(1, 16)]


def test_zero_switches_it_off(client, settings):
    settings.API_RATE_LIMIT = 0
    assert {get(client) for _ in range(30)} == {(200, None)}


def test_the_watchers_are_never_turned_away(client, settings):
    settings.API_RATE_LIMIT = 1
    for address in ("/api/v1/health", "/metrics"):
        assert [get(client, address) for _ in range(4)] == [(200, "1")] * 4
    assert get(client) == (200, "0")


@pytest.mark.parametrize(
    ("proxies", "forwarded", "counted"),
    [
        (0, "1.2.3.4", "127.0.0.1"),
        (1, "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (2, "6.6.6.6, 1.2.3.4, 10.0.0.1", "1.2.3.4"),
        (1, "2001:db8:1:2:3::4", "2001:0db8:0001:0002::/64"),
        (1, "::ffff:1.2.3.4", "1.2.3.4"),
        (1, "not an address " * 9, "not an address not an address not an address "),
        (1, "", "unknown"),
    ],
)
def test_who_is_counted(client, settings, monkeypatch, proxies, forwarded, counted):
    settings.API_RATE_LIMIT = 5
    monkeypatch.setattr("rest_framework.settings.api_settings.NUM_PROXIES", proxies)
    get(client, HTTP_X_FORWARDED_FOR=forwarded)
    assert cache_redis().get(f"rate:minute:{counted}") == b"1"


def test_windows_end(client, settings):
    """Both counters carry a lifetime, and a window that is over counts anew."""
    settings.API_RATE_LIMIT = 1
    assert [get(client)[0], get(client)[0]] == [200, 429]
    assert 0 < cache_redis().pttl("rate:second:127.0.0.1") <= 1000
    assert 50_000 < cache_redis().pttl("rate:minute:127.0.0.1") <= 60_000
    cache_redis().pexpire("rate:minute:127.0.0.1", 1)
    cache_redis().pexpire("rate:second:127.0.0.1", 1)
    while cache_redis().exists("rate:minute:127.0.0.1", "rate:second:127.0.0.1"):
        pass
    assert get(client)[0] == 200


def test_processes_share_one_count(client, settings):
    """Four processes ask at once; together they get what one alone would."""
    program = textwrap.dedent(
        """
        import sys, redis
        client = redis.Redis.from_url(sys.argv[1])
        print(sum(client.eval(sys.argv[2], 1, "rate:shared", 100, 60000)[0] for _ in range(60)))
        """
    )
    command = [sys.executable, "-c", program, settings.CACHE_REDIS_URL, COUNT]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert sum(int(process.communicate()[0]) for process in running) == 100


def test_without_redis_everything_passes(client, settings, monkeypatch, caplog):
    settings.API_RATE_LIMIT = 2
    asked = []

    def away():
        asked.append(1)
        return redis.Redis(port=9, socket_connect_timeout=1)

    monkeypatch.setattr(throttling, "cache_redis", away)
    assert [get(client) for _ in range(5)] == [(200, "2")] * 5
    assert len(asked) == 1  # the rest did not wait for it again
    assert "pass" in caplog.text
    RateLimit._redis_away_until = 0.0
    monkeypatch.undo()
    settings.API_RATE_LIMIT = 2
    assert get(client) == (200, "1")
