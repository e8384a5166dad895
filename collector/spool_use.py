"""What waits in the spools of all machines: each tells Redis of its own, and anyone can read the sum."""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis import RedisError

from depth.services import SpoolState, spool_identity, spool_state
from markets.connections import broker_redis

LIFETIME = 30  # seconds


@dataclass(frozen=True, slots=True)
class SpoolUse:
    """Over all machines: `status` is healthy (empty), degraded (something waits, or was set aside) or unhealthy (one is
    full, and what comes is refused); `limit` in bytes; `oldest` is when the oldest batch came."""

    status: str
    batches: int
    bytes: int
    limit: int
    oldest: datetime | None


def publish() -> None:
    """Tells of this machine's. Raises redis.RedisError."""
    broker_redis().set(f"spool:{spool_identity()}", json.dumps(_told(spool_state())), ex=LIFETIME)


def spool_use(others: bool = True) -> SpoolUse:
    """This machine's as it is now, others' as they told a few seconds ago, where Redis is there (and is asked)."""
    own = ""
    with suppress(OSError):
        own = spool_identity()
    states = {own: _told(spool_state())}
    with suppress(RedisError):
        keys = [key.decode() for key in broker_redis().scan_iter("spool:*", count=1000)] if others else []
        for key, told in zip(keys, broker_redis().mget(keys) if keys else [], strict=True):
            if told is not None:
                states.setdefault(key.removeprefix("spool:"), json.loads(told))
    every = list(states.values())
    oldest = min((state["oldest"] for state in every if state["oldest"] is not None), default=None)
    batches = sum(state["batches"] for state in every)
    full = any(state["full"] for state in every)
    waits = batches or any(state["aside"] for state in every)
    return SpoolUse(
        status="unhealthy" if full else "degraded" if waits else "healthy",
        batches=batches,
        bytes=sum(state["bytes"] for state in every),
        limit=sum(state["limit"] for state in every),
        oldest=datetime.fromtimestamp(oldest, UTC) if oldest is not None else None,
    )


def _told(state: SpoolState) -> dict[str, Any]:
    return {
        "batches": state.batches,
        "bytes": state.bytes,
        "limit": state.limit,
        "oldest": state.oldest.timestamp() if state.oldest else None,
        "aside": state.aside,
        "full": state.full,
    }
