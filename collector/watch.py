"""The worker's watch: it stores what waits in the spool, and writes down when something was away, and for how long.

What it knows stands in a file beside the spool, so that the next watch can tell when the platform was down."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from django.conf import settings
from django.db import connection
from redis import RedisError

from alerts import emergency
from alerts.rules import Kind, Reading
from alerts.services import consider
from collector import kinds  # noqa: F401 - whatever waits in the spool is known
from collector.gathered import ABSENCE, Absence
from collector.models import Outage
from collector.spool_use import publish, spool_use
from depth.services import SpoolFull, accept, replay
from markets.connections import broker_redis
from markets.storage import DATABASE_AWAY, patience

logger = logging.getLogger(__name__)

PERIOD = 2.0
DOWN_AFTER = 15.0  # seconds without a sign of a watch after which the platform was down
ANSWER_WITHIN = 3.0
PLATFORM, REDIS, DATABASE = map(str, Outage.Cause.values)
AWAY = {REDIS: Kind.REDIS_AWAY, DATABASE: Kind.DATABASE_AWAY}


class Seen(msgspec.Struct):
    """When the watch last looked, and since when what is away; epoch seconds, by cause. `fullest`: percent of its limit
    that the spool has come to while the database is away."""

    at: float
    away: dict[str, float] = {}
    fullest: float = 0.0


class Watch:
    """One look after another, in the thread that `begin` starts or in a test."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or settings.SPOOL_DIR / "watch.json"
        self._away: dict[str, float] = {}
        self._fullest = 0.0

    def resume(self, now: float) -> None:
        """Takes up what the last watch knew; when that was long ago, the platform was down."""
        try:
            seen = msgspec.json.decode(self._file.read_bytes(), type=Seen)
        except (OSError, msgspec.DecodeError):
            return
        if now - seen.at <= DOWN_AFTER:
            self._away, self._fullest = seen.away, seen.fullest
            return
        for cause, since in seen.away.items():
            _write_down(cause, since, seen.at)
        _write_down(PLATFORM, seen.at, now)

    def look(self, now: float) -> None:
        """One look: what answers, what waits, and a note of it."""
        self._note(REDIS, self._answers(_ping_redis), now)
        database = self._answers(_ping_database)
        if database:
            with suppress(*DATABASE_AWAY):
                replay()
        since = self._away.get(DATABASE, now)
        self._note(DATABASE, database, now)
        self._note_spool(database, since, datetime.fromtimestamp(now, UTC))
        with suppress(OSError):
            self._keep(now)
        with suppress(RedisError, OSError):
            publish()

    def _answers(self, ask: Callable[[], None]) -> bool:
        try:
            ask()
        except (RedisError, *DATABASE_AWAY):
            return False
        return True

    def _note(self, cause: str, answers: bool, now: float) -> None:
        if not answers:
            if cause not in self._away:
                logger.error("%s", Outage.Cause(cause).label)
            since = self._away.setdefault(cause, now)
            emergency.tell(AWAY[cause], since, datetime.fromtimestamp(now, UTC))
        elif cause in self._away:
            since = self._away.pop(cause)
            logger.warning("%s for %.0f s", Outage.Cause(cause).label, now - since)
            _write_down(cause, since, now)

    def _note_spool(self, database: bool, since: float, now: datetime) -> None:
        """How full the spool is: without the database its rules cannot be asked, and with it the spool is soon empty.
        What it came to is stored as an alert when the database is back."""
        if not database:
            with suppress(OSError):
                use = spool_use(others=False)
                self._fullest = max(self._fullest, use.bytes / use.limit * 100)
                emergency.tell(Kind.SPOOL_FILLING, since, now, self._fullest)
        elif self._fullest:
            told = {"toldTo": emergency.told_to(Kind.SPOOL_FILLING, since)}
            with suppress(*DATABASE_AWAY):
                consider(Kind.SPOOL_FILLING, [Reading("spool", self._fullest, now, details=told)])
                self._fullest = 0.0

    def _keep(self, now: float) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(Seen(now, self._away, self._fullest)))
        fresh.rename(self._file)


def begin() -> None:
    """Starts the watch of this process, for as long as it lives."""
    threading.Thread(target=_run, args=(Watch(),), name="watch", daemon=True).start()


def _run(watch: Watch) -> None:
    watch.resume(time.time())
    while True:
        try:
            watch.look(time.time())
        except Exception:  # whatever it is, tomorrow's outage must be seen too
            logger.exception("the watch goes on")
        finally:
            connection.close()
        time.sleep(PERIOD)


def _write_down(cause: str, since: float, until: float) -> None:
    absence = Absence(cause, datetime.fromtimestamp(since, UTC), datetime.fromtimestamp(until, UTC))
    try:
        accept(ABSENCE, absence, note=True)
    except SpoolFull as error:
        logger.error("an outage is not written down: %s", error)


def _ping_redis() -> None:
    broker_redis().ping()


def _ping_database() -> None:
    with patience(ANSWER_WITHIN), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
