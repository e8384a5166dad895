"""What the workers do about candles each minute: one runner of each kind at a time, nothing while collection is off."""

import logging
from collections.abc import Callable

from collector import backfill
from collector.candle_fetch import Outcome
from collector.selectors import run_state
from markets.storage import DATABASE_AWAY, alone

logger = logging.getLogger(__name__)

# Any numbers that no other advisory lock of this database has. The lock of a killed runner ends with its connection.
LOCKS = {"newest": 0x63616E646C01, "history": 0x63616E646C02, "repair": 0x63616E646C03}


def collect_newest() -> None:
    _run("newest", backfill.collect_newest)


def collect_history() -> None:
    """What people asked for, then history, as far as the minute's budget goes; less than a minute."""
    _run("history", backfill.fetch_requested, backfill.collect_history)


def repair() -> None:
    _run("repair", backfill.repair)


def _run(name: str, *works: Callable[[], Outcome]) -> None:
    try:
        with alone(LOCKS[name]) as held:
            if held and run_state().running and (name == "newest" or backfill.books_are_planned()):
                for work in works:
                    _log(name, work())
    except DATABASE_AWAY as error:
        logger.warning("candles (%s) wait for the next time: the database is away (%s)", name, error)


def _log(name: str, outcome: Outcome) -> None:
    for key, problem in outcome.failed.items():
        logger.warning("candles of %s %s: %s", key.symbol, key.market, problem)
    if outcome.added and name != "newest":
        stopped = f"; stopped: {outcome.stopped}" if outcome.stopped else ""
        logger.info("candles (%s): %d added by %d requests%s", name, outcome.added, outcome.requests, stopped)
