"""What happened, into `websocket_events`; bounded, for an outage must not become a storm of rows."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from collector.models import StreamEvent

Type = StreamEvent.Type
MOST_OF_A_TYPE = 3  # in one batch; what is beyond is told as a number
MESSAGE_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `time` is when."""

    type: str
    message: str
    symbol: str = ""
    market: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))


def record(events: Iterable[Event], most: int = MOST_OF_A_TYPE) -> None:
    """Stores the events, bounded, in the caller's transaction where there is one."""
    StreamEvent.objects.bulk_create(
        StreamEvent(
            time=event.time,
            symbol=event.symbol,
            market_type=event.market,
            event_type=event.type,
            message=event.message[:MESSAGE_LENGTH].replace("\x00", ""),
            metadata=event.metadata,
        )
        for event in bounded(events, most)
    )


def bounded(events: Iterable[Event], most: int = MOST_OF_A_TYPE) -> list[Event]:
    """At most `most` of each type and market; one more says how many are left out."""
    kept: list[Event] = []
    counts: Counter[tuple[str, str]] = Counter()
    for event in events:
        counts[event.type, event.market] += 1
        if counts[event.type, event.market] <= most:
            kept.append(event)
    for (kind, market), count in counts.items():
        if count > most:
            left = count - most
            kept.append(Event(kind, f"and {left} more of the same", market=market, metadata={"count": left}))
    return kept
