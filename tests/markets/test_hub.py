"""The hub keeps a topic for clients that watch it, and for those that are about to."""

import asyncio
from time import monotonic

from markets.hub import LINGER_SECONDS, Hub, Topic


class Told(Topic):
    was_lost = False

    def lost(self, now):
        self.was_lost = True


def test_who_comes_while_redis_is_away_is_told_so(settings):
    """Else what the store has would pass for live."""
    settings.REDIS_URL = "redis://127.0.0.1:9/0"

    async def play():
        hub = Hub()
        async with asyncio.timeout(30):
            while not hub._away:
                await asyncio.sleep(0.01)
            async with hub.joining("a channel", lambda: Told("a channel")) as topic:
                await topic.loaded.wait()
        await hub.close()
        return topic.was_lost

    assert asyncio.run(play())


def test_a_topic_stays_while_somebody_is_about_to_watch_it(empty_redis):
    """However long the client's first message takes: it must not end on a topic that hears nothing more."""

    async def play():
        hub = Hub()
        later = monotonic() + 10 * LINGER_SECONDS
        async with hub.joining("a channel", lambda: Topic("a channel")) as topic:
            topic.empty_since = monotonic()  # as a topic's clock says of one that nobody watches yet
            await hub._leave(later)
            assert hub.topics == {"a channel": topic}
            async with hub.joining("a channel", lambda: Topic("another")) as same:
                assert same is topic
            await hub._leave(later)
            assert hub.topics == {"a channel": topic}
        topic.empty_since = monotonic()
        await hub._leave(later)
        assert hub.topics == {}
        await hub.close()

    asyncio.run(play())
