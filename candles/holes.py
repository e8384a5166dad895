"""Beside the store: what the exchange itself does not have, worked out from what it answered (pure)."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from candles.timeframes import MINUTE

Stretch = tuple[datetime, datetime]  # the end is not included


def missing(start: datetime, end: datetime, minutes: Iterable[datetime]) -> list[Stretch]:
    """The stretches of `start` to `end` (whole minutes) in which none of `minutes` lies, oldest first."""
    found, position = [], start
    for minute in sorted(minutes):
        if not start <= minute < end:
            continue
        if minute > position:
            found.append((position, minute))
        position = max(position, minute + MINUTE)
    if position < end:
        found.append((position, end))
    return found


def replaced(known: Sequence[Stretch], start: datetime, end: datetime, new: Sequence[Stretch]) -> list[Stretch]:
    """What is `known`, with that from `start` to `end` given up for `new`; stretches that touch become one."""
    parts = list(new)
    for low, high in known:
        parts += [(low, min(high, start)), (max(low, end), high)]
    joined: list[Stretch] = []
    for low, high in sorted(part for part in parts if part[0] < part[1]):
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], high))
        else:
            joined.append((low, high))
    return joined
