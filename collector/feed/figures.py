"""From the feed through Redis to health, the status page and metrics: what each feed process tells of itself."""

from time import time
from typing import cast

import msgspec

from markets.connections import broker_redis

REPORTS = "feed:reports"  # hash of shard to Report
DEAD_AFTER = 10.0  # seconds without a report


class ConnectionReport(msgspec.Struct):
    """One connection. `state` is connecting, connected or disconnected, `since` epoch seconds; `uptime` is percent of
    the last day, or of the time that the feed runs; `failures` are tries in a row that did not last."""

    id: str
    market: str
    state: str
    since: float
    streams: int
    silent: int
    rate: float  # messages a second
    reconnects: int
    uptime: float
    failures: int = 0


class BookReport(msgspec.Struct):
    """One live book. `age` is seconds since the exchange last told of it (None: never); reaches are percent, None when
    there is no book or the side is known whole. `audited` is when (epoch seconds; None: not yet) the book was compared
    with the exchange's the last time, with how many levels, and how many of these were equal."""

    symbol: str
    market: str
    status: str
    since: float
    age: float | None
    bid_levels: int
    ask_levels: int
    bid_reach: float | None
    ask_reach: float | None
    resyncs: int
    audited: float | None = None
    audit_compared: int = 0
    audit_equal: int = 0


class TapeReport(msgspec.Struct):
    """One kind of events: gaps, trades, marks, liquidations, depth. `rate` is accepted a second; `lag` the longest
    time in seconds from an event to its being stored in the last period, None when nothing was."""

    kind: str
    rate: float
    waiting: int
    stored: int
    spooled: int
    dropped: int
    lag: float | None


class Report(msgspec.Struct):
    """One feed process at `at` (epoch seconds). `slowest` is the longest time in seconds from a message to its
    publication in the last period; `cpu` percent of one core; `memory` bytes."""

    at: float
    started: float
    pid: int
    connections: list[ConnectionReport]
    books: list[BookReport]
    messages: int
    rate: float
    waiting: int
    dropped: int
    published: int
    slowest: float
    snapshots: int
    snapshots_failed: int
    stored: int
    lost: int
    cpu: float
    memory: int
    tape: list[TapeReport] = []


def reports(now: float | None = None) -> list[Report]:
    """Of the feeds that are alive, by shard. Raises redis.RedisError."""
    moment = time() if now is None else now
    found = sorted(cast("dict[bytes, bytes]", broker_redis().hgetall(REPORTS)).items())
    decoded = (msgspec.msgpack.decode(body, type=Report) for _, body in found)
    return [one for one in decoded if moment - one.at <= DEAD_AFTER]
