"""The same application under uvicorn, which offers no outlet: whoever does not read is held back, then cut."""

import json
from contextlib import ExitStack, contextmanager

import pytest

from markets.sockets import SEND_BUFFER
from tests.sockets.conftest import SYMBOLS, running
from tests.sockets.raw import RawClient
from tests.sockets.stalled import catch_up, connected, figures, stall, stall_to_the_end
from tests.sockets.test_depth import close_code, opened, told_by
from tests.web_process import uvicorn

SYMBOL = SYMBOLS[11]
PATH = f"/ws/depth?symbol={SYMBOL}"
MOST_HELD = 2 * SEND_BUFFER + 16 * 1024  # bytes: Linux doubles what is asked for; then two states, the client's side


@pytest.fixture(scope="module")
def site(environment):
    with running(environment, uvicorn) as found:
        yield found


@contextmanager
def reading(site, count=2):
    """Clients that read, beside the one that does not."""
    with ExitStack() as stack:
        readers = [stack.enter_context(opened(site, PATH)) for _ in range(count)]
        assert [told_by(reader)["type"] for reader in readers] == ["snapshot"] * count
        yield readers


def test_a_client_that_does_not_read_is_cut_and_harms_nobody(site, feed):
    feed.publish(SYMBOL)
    slow = RawClient(site, PATH)
    before = figures(site)["closed_slow"]
    with reading(site) as readers:
        stall_to_the_end(site, feed, SYMBOL, slow, readers)
        assert figures(site)["closed_slow"] == before + 1
        texts, code = slow.rest()
        assert code is None
        assert sum(map(len, texts)) < MOST_HELD < sum(map(len, feed.published["SPOT", SYMBOL]))
        numbers = [json.loads(text)["seq"] for text in texts]
        assert numbers == list(range(1, len(numbers) + 1))
        assert all(connected(site, reader) for reader in readers)


def test_a_client_that_catches_up_goes_on_with_the_latest(site, feed):
    """What it reads after it stalled is all that was held for it, by the process as by the kernels."""
    feed.publish(SYMBOL)
    slow = RawClient(site, PATH)
    with reading(site) as readers:
        stall(site, feed, SYMBOL, readers)
        seen = catch_up(feed, SYMBOL, slow)
        assert sum(len(feed.published["SPOT", SYMBOL][seq - 1]) for seq in seen) < MOST_HELD
    slow.socket.close()


def test_the_end_of_the_server_waits_for_nobody_who_does_not_read(environment, feed):
    feed.publish(SYMBOL)
    with running(environment, uvicorn) as site:
        slow = RawClient(site, PATH)
        with reading(site) as readers:
            stall(site, feed, SYMBOL, readers)
            assert connected(site, slow)
            site.process.terminate()
            assert [close_code(reader)[0] for reader in readers] == [1012, 1012]
            site.process.wait(60)
    slow.socket.close()
