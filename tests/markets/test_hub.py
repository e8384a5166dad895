"""The hub keeps a topic for clients that watch it, and for those that are about to."""

import asyncio
from time import monotonic

from markets.hub import LINGER_SECONDS, Hub, Topic


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
