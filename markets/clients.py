"""How many live clients there are and what they got, over all web processes: each tells its own in Redis."""

from time import time
from typing import cast

import msgspec

from markets.connections import broker_redis

FIGURES = "sockets:processes"  # hash of host:pid to the figures of a web process
LIFETIME = 10.0  # seconds after which a process that tells nothing is gone
FORGOTTEN = 600.0


class ClientFigures(msgspec.Struct, frozen=True):
    """One web process; `at` is epoch seconds, all but `clients` and `topics` counts since its start."""

    process: str = ""
    at: float = 0.0
    clients: int = 0
    topics: int = 0
    opened: int = 0
    sent: int = 0
    skipped: int = 0
    slow: int = 0
    floods: int = 0
    refused: int = 0


def client_figures(now: float | None = None) -> list[ClientFigures]:
    """Of every web process that is alive, by name. Raises redis.RedisError."""
    now, client = now or time(), broker_redis()
    found = []
    for name, body in sorted(cast("dict[bytes, bytes]", client.hgetall(FIGURES)).items()):
        figures = msgspec.structs.replace(msgspec.json.decode(body, type=ClientFigures), process=name.decode())
        if now - figures.at <= LIFETIME:
            found.append(figures)
        elif now - figures.at > FORGOTTEN:
            client.hdel(FIGURES, name)
    return found
