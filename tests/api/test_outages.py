"""A real web process whose servers really go away: it answers all the same, never hangs, and comes back."""

import os
import signal
import time

import psutil
import pytest
import requests

from tests.web_process import free_port, new_database, run_python, served

PATIENCE = 60.0  # seconds: what hangs never answers, what runs on a busy machine does


def until(condition, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)
    return result


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """The API's address on the servers of this run, with its limits on and a database that no test's transaction holds;
    one process lives through all of this."""
    with new_database("outages") as database:
        environment = {**os.environ, "DATABASE_URL": database, "API_RATE_LIMIT": "1000"}
        run_python(environment, "manage.py", "migrate", "--noinput", "-v0")
        log = tmp_path_factory.mktemp("outages") / "web.log"
        with served(free_port(), environment, log, clean=False) as address:
            until(lambda: answers(f"{address}/api/v1/health"))
            yield f"{address}/api/v1/"


def answers(address):
    try:
        return requests.get(address, timeout=PATIENCE).status_code == 200
    except requests.RequestException:
        return False


def freeze(pid, stop):
    main = psutil.Process(pid)
    for process in [main, *main.children(recursive=True)]:
        process.send_signal(signal.SIGSTOP if stop else signal.SIGCONT)


def test_the_database_goes_and_comes_back(web, servers):
    servers.postgres.kill()
    answer = requests.get(f"{web}health", timeout=PATIENCE)
    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
    assert answer.json()["components"]["database"] == {"status": "unhealthy", "latency": None}
    assert answer.json()["components"]["redis"]["status"] == "healthy"
    for resource in ("symbols", "binance/spot?symbol=BTCUSDT", "collector", "snapshots?symbol=BTCUSDT"):
        refused = requests.get(web + resource, timeout=PATIENCE)
        assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
        assert refused.headers["Retry-After"]
        assert refused.headers["X-Request-ID"]
    figures = requests.get(web.replace("/api/v1/", "/metrics"), timeout=PATIENCE)
    assert (figures.status_code, 'trading_up{component="database"} 0.0' in figures.text) == (200, True)
    servers.postgres.start()
    until(lambda: answers(f"{web}symbols"))
    assert requests.get(f"{web}health", timeout=PATIENCE).json()["components"]["database"]["status"] == "healthy"


def test_a_silent_database_is_unhealthy_too(web, servers):
    freeze(servers.postgres.pid, stop=True)
    try:
        answer = requests.get(f"{web}health", timeout=PATIENCE)
        assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
    finally:
        freeze(servers.postgres.pid, stop=False)
    until(lambda: answers(f"{web}symbols"))


@pytest.mark.parametrize("silent", [False, True])
def test_without_redis_reading_goes_on(web, servers, silent):
    if silent:
        freeze(servers.redis.pid, stop=True)
    else:
        servers.redis.kill()
    try:
        answer = requests.get(f"{web}health", timeout=PATIENCE)
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert answer.json()["components"]["redis"] == {"status": "unhealthy", "latency": None}
        assert answer.json()["components"]["worker"]["status"] == "unknown"
        for _ in range(3):
            read = requests.get(f"{web}symbols", timeout=PATIENCE)
            assert (read.status_code, read.headers["X-RateLimit-Remaining"]) == (200, "1000")
        assert requests.get(f"{web}collector", timeout=PATIENCE).status_code == 200
    finally:
        if silent:
            freeze(servers.redis.pid, stop=False)
        else:
            servers.redis.start()
    until(lambda: requests.get(f"{web}symbols", timeout=PATIENCE).headers["X-RateLimit-Remaining"] != "1000")


def test_odd_requests_on_the_wire(web):
    assert requests.get(f"{web}health%ff?x=%ff%00", timeout=PATIENCE).status_code == 404
    assert requests.head(f"{web}symbols", timeout=PATIENCE).text == ""
    for parameters in ("symbol=%ff%00", "symbol=" + "A" * 5000):
        answer = requests.get(f"{web}binance/spot?{parameters}", timeout=PATIENCE)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_symbol")
    assert requests.post(f"{web}snapshots", data=b"[" * 6_000_000, timeout=PATIENCE).status_code == 401
