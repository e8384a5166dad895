"""The web server with real sockets: slow readers, readers that leave, answers that break off."""

import subprocess
import sys
import time

import pytest
import requests

from tests.tradingplatform.streaming_app import PART
from tests.web_process import free_port


@pytest.fixture(scope="module")
def web():
    port = free_port()
    options = ("-b", "127.0.0.1", "-p", str(port), "-v", "0", "--application-close-timeout", "1")
    app = "tests.tradingplatform.streaming_app:application"
    process = subprocess.Popen([sys.executable, "-m", "tradingplatform.web", *options, app])
    address = f"http://127.0.0.1:{port}"
    wait_for(lambda: answers(address))
    yield address
    process.terminate()
    process.wait(60)


def answers(address):
    try:
        return requests.get(f"{address}/sent", timeout=10).ok
    except requests.RequestException:
        return False


def sent(web):
    """Parts that the application could send so far, and answers that ended."""
    parts, ended = requests.get(f"{web}/sent", timeout=30).text.split()
    return int(parts), int(ended)


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def settled(web):
    """What was sent, once it no longer grows."""
    before, now = -1, sent(web)[0]
    while before != now:
        time.sleep(0.5)
        before, now = now, sent(web)[0]
    return now


def test_a_long_answer_comes_whole(web):
    assert len(requests.get(f"{web}/300", timeout=30).content) == 300 * len(PART)
    assert requests.get(f"{web}/0", timeout=30).content == b""


def test_one_connection_serves_long_answers_in_turn(web):
    with requests.Session() as session:
        for parts in (3, 0, 40):
            assert len(session.get(f"{web}/{parts}", timeout=30).content) == parts * len(PART)


def test_a_slow_reader_slows_the_application_down(web):
    before = sent(web)[0]
    answer = requests.get(f"{web}/2000", stream=True, timeout=30)
    held = settled(web) - before
    assert held < 1000  # what fits into the sockets of both sides; 2000 parts would be 125 MiB
    assert len(answer.content) == 2000 * len(PART)
    assert sent(web)[0] - before == 2000


def test_a_reader_that_leaves_ends_the_application(web):
    parts, ended = sent(web)
    with requests.get(f"{web}/1000000", stream=True, timeout=30) as answer:
        next(answer.iter_content(1000))
        settled(web)
    wait_for(lambda: sent(web)[1] == ended + 1)
    assert sent(web)[0] - parts < 2000


def test_an_answer_that_breaks_off_is_seen_to(web):
    for _ in range(3):
        with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
            _ = requests.get(f"{web}/broken", timeout=30).content
    time.sleep(1.5)  # one round of the server's housekeeping, which must survive it
    test_a_reader_that_leaves_ends_the_application(web)
