"""What waits for a live client of orders that reads slowly is bounded, whatever it waits for."""

import asyncio

import msgspec
import pytest

from dex import hub
from dex.addresses import checksummed
from dex.selectors import Filter
from markets.sockets import Writer

ONE, OTHER, USER = (checksummed(digit * 40) for digit in "123")


class Stuck:
    """An outlet that takes nothing."""

    full = True
    drained = staticmethod(lambda: None)

    def close(self):
        pass


def told(kind, number):
    whose = {"user_address": USER, "token_in": ONE, "token_out": OTHER, "id": number}
    head = {"type": kind, "chain_id": 1, "contract": OTHER, "revision": number}
    more = (
        {"quotes": [whose]} if kind == "quotes" else {"event": "OrderCreated", "order": {**whose, "status": "PENDING"}}
    )
    return msgspec.json.encode({**head, **more})


@pytest.mark.parametrize("kind", ["order", "quotes"])
def test_a_client_that_reads_slowly_waits_for_a_newer_moment_instead(kind, monkeypatch):
    async def run():
        topic = hub.OrdersTopic()
        monkeypatch.setattr(topic, "_fill", lambda: None)  # the database takes its time
        writer = Writer(Stuck())
        one = topic._clients[writer] = hub._Client(hub.View(Filter(), 10), revision=0)
        for number in range(1, 3 * hub.MOST_WAITING):
            topic.heard(told(kind, number), 0.0)
        assert one.revision is None
        assert hub.MOST_WAITING < writer.waiting <= hub.MOST_WAITING + 1
        assert 0 < len(one.held) <= hub.MOST_HELD

    asyncio.run(run())
