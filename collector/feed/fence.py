"""Between the feed and Redis: writing that only the living holder of a lease may do, looked at by Redis itself.

A process that was paused for a while cannot know what has changed meanwhile. So whether its lease stands is decided
where others would take it over, in one step with the writing."""

from collections.abc import Mapping
from typing import Any

import redis

# KEYS: what stands for as long as the holder lives. ARGV: commands, each with its number of words before it.
GUARDED = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local at = 1
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, last))
  at = last + 1
end
return 1
"""


class LeaseLost(Exception):
    """Nothing was written: the lease has ended."""


class FencedTrip:
    """Commands that are done all together when it is executed, or not at all. They have no answers."""

    def __init__(self, client: redis.Redis, fence: str) -> None:
        self._client = client
        self._fence = fence
        self._words: list[Any] = []

    def _add(self, *command: Any) -> None:
        self._words += (len(command), *command)

    def set(self, name: str, value: bytes, ex: int) -> None:
        self._add("SET", name, value, "EX", ex)

    def publish(self, channel: str, body: bytes) -> None:
        self._add("PUBLISH", channel, body)

    def hset(self, name: str, mapping: Mapping[str, int]) -> None:
        self._add("HSET", name, *(word for pair in mapping.items() for word in pair))

    def delete(self, *names: str) -> None:
        self._add("DEL", *names)

    def execute(self) -> None:
        """Raises LeaseLost or redis.RedisError."""
        words, self._words = self._words, []
        if words and not self._client.execute_command("EVAL", GUARDED, 1, self._fence, *words):
            raise LeaseLost(self._fence)


class FencedRedis:
    """What `depth.broadcast` and the publisher need of a client, for as long as the key `fence` is there. All of it
    raises LeaseLost or redis.RedisError."""

    def __init__(self, client: redis.Redis, fence: str) -> None:
        self._client = client
        self._fence = fence

    def pipeline(self, transaction: bool = False) -> FencedTrip:
        return FencedTrip(self._client, self._fence)

    def publish(self, channel: str, body: bytes) -> None:
        trip = self.pipeline()
        trip.publish(channel, body)
        trip.execute()

    def delete(self, *names: str) -> None:
        trip = self.pipeline()
        trip.delete(*names)
        trip.execute()
