"""What the collector knows of the system's own state, as readings for the alerts."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from redis import RedisError

from alerts.emergency import told_to
from alerts.rules import Kind, Reading
from alerts.services import consider
from collector.exchanges import EXCHANGES
from collector.feed.figures import reports
from collector.models import CollectionMinute, Outage
from collector.selectors import EXCHANGE, weight
from collector.spool_use import spool_use
from collector.venues import venue
from depth.broadcast import WsStatus

RECENT = timedelta(minutes=15)
ABSENCES = {Outage.Cause.DATABASE: Kind.DATABASE_AWAY, Outage.Cause.REDIS: Kind.REDIS_AWAY}


def consider_system(now: datetime) -> int:
    """Gives every rule about the system its readings of this moment; gives how many fired."""
    found: dict[Kind, list[Reading]] = {}
    for kind, reading in (*_minutes(now), *_absences(now), *_bans(now), *_spool(now), *_feed(now)):
        found.setdefault(kind, []).append(reading)
    return sum(consider(kind, readings) for kind, readings in found.items())


def _minutes(now: datetime) -> Iterator[tuple[Kind, Reading]]:
    """The newest minutes that are over, oldest first: what they lack."""
    closed = CollectionMinute.objects.filter(closed=True, minute__gte=now - RECENT).order_by("minute")
    for row in closed:
        details = {"minute": row.minute.isoformat(), "expected": row.expected, "stored": row.stored}
        missing = row.expected - row.stored
        yield Kind.MINUTE_MISSED, Reading("collector", missing, row.minute, key=str(row.minute), details=details)


def _absences(now: datetime) -> Iterator[tuple[Kind, Reading]]:
    for row in Outage.objects.filter(cause__in=ABSENCES, end__gte=now - RECENT).order_by("end"):
        kind = ABSENCES[Outage.Cause(row.cause)]
        seconds = (row.end - row.start).total_seconds()
        details = {
            "from": row.start.isoformat(),
            "to": row.end.isoformat(),
            "toldTo": told_to(kind, row.start.timestamp()),
        }
        yield kind, Reading(row.cause, seconds, row.end, key=f"outage {row.pk}", details=details)


def _bans(now: datetime) -> Iterator[tuple[Kind, Reading]]:
    for chosen in map(venue, EXCHANGES):
        for market in chosen.markets:
            until = weight(market).blocked_until
            left = max(0.0, (until - now).total_seconds()) if until else 0.0
            yield Kind.EXCHANGE_BAN, Reading(f"{EXCHANGE} {market}", left, now, details={"market": market})


def _spool(now: datetime) -> Iterator[tuple[Kind, Reading]]:
    use = spool_use()
    details = {"bytes": use.bytes, "limit": use.limit, "batches": use.batches}
    yield Kind.SPOOL_FILLING, Reading("spool", use.bytes / use.limit * 100, now, details=details)


def _feed(now: datetime) -> Iterator[tuple[Kind, Reading]]:
    """Live books that are not right, and since when; connections that do not come back."""
    try:
        found = reports()
    except RedisError:
        return
    for report in found:
        for book in report.books:
            late = 0.0 if book.status == WsStatus.CONNECTED else max(0.0, now.timestamp() - book.since)
            details = {"symbol": book.symbol, "market": book.market, "status": book.status}
            yield Kind.BOOK_OUT_OF_SYNC, Reading(f"{book.symbol} {book.market}", late, now, details=details)
        for link in report.connections:
            details = {"market": link.market, "state": link.state}
            yield Kind.RECONNECTS, Reading(f"connection {link.id}", link.failures, now, details=details)
