"""Tells what each signal rule was worth over stored candles, and stores it for the page and the API."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from candles import backtests
from candles.analysis import RULES
from candles.backtest import HORIZONS, Outcome
from candles.candle import SeriesKey
from candles.selectors import states
from candles.technical import Tested
from candles.timeframes import TIMEFRAMES, Timeframe, read_timeframe
from markets.models import Market
from markets.storage import DATABASE_AWAY

HEAD = f"{'rule':<18}{'after':>6}{'signals':>9}{'right':>8}{'any':>8}{'mean move':>11}{'any':>9}"


class Command(BaseCommand):
    help = (
        "For each signal rule: how many signals stored history holds, how many were right after so many candles, and "
        "the mean move their way, beside the same of any candle. Costs are left out; the past promises nothing. "
        "Results over all of history are stored and shown beside signals; those of a part are only printed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", action="append", help="only this symbol; may be repeated")
        parser.add_argument("--market", choices=Market.values, help="only this market")
        parser.add_argument("--timeframe", action="append", help="only this timeframe, such as 15 or 1H; repeatable")
        parser.add_argument("--rule", action="append", choices=[rule.name for rule in RULES], help="only this rule")
        parser.add_argument("--after", default=",".join(map(str, HORIZONS)), help="candles, such as 5,10,20")
        parser.add_argument("--from", dest="start", help="first moment, such as 2025-01-01")
        parser.add_argument("--to", dest="end", help="last moment")

    def handle(self, *args: Any, **options: Any) -> None:
        keys, timeframes = self._series(options), self._timeframes(options["timeframe"])
        horizons, stretch = _horizons(options["after"]), (_moment(options["start"]), _moment(options["end"]))
        rules = [rule for rule in RULES if not options["rule"] or rule.name in options["rule"]]
        whole, stored = stretch == (None, None) and len(rules) == len(RULES), 0
        try:
            for key in keys:
                for timeframe in timeframes:
                    tested = backtests.run(key, timeframe, datetime.now(UTC), *stretch, horizons, rules)
                    self._show(key, timeframe, tested)
                    if tested is not None and whole:
                        backtests.keep(key, timeframe, tested)
                        stored += 1
        except DATABASE_AWAY as error:
            raise CommandError(f"the database does not answer: {str(error).splitlines()[0]}") from None
        self.stdout.write(f"{stored} results stored" if whole else "of a part: not stored")

    def _series(self, options: dict[str, Any]) -> list[SeriesKey]:
        keys = sorted(row.key for row in states() if row.last_open)
        names = {name.upper() for name in options["symbol"] or ()}
        found = [k for k in keys if (not names or k.symbol in names) and options["market"] in (None, k.market)]
        if unknown := names - {key.symbol for key in found}:
            raise CommandError(f"no candles of: {', '.join(sorted(unknown))}")
        if not found:
            raise CommandError("no candles are stored yet")
        return found

    def _timeframes(self, names: list[str] | None) -> list[Timeframe]:
        try:
            return [read_timeframe(name) for name in names] if names else list(TIMEFRAMES)
        except ValueError as error:
            raise CommandError(f"--timeframe {error}") from None

    def _show(self, key: SeriesKey, timeframe: Timeframe, tested: Tested | None) -> None:
        title = f"{key.symbol} {key.market}, {timeframe.name}"
        if tested is None or tested.first is None or tested.last is None:
            self.stdout.write(f"{title}: no closed candles")
            return
        lacks = (
            f", {tested.missing} missing, {tested.incomplete} incomplete" if tested.missing + tested.incomplete else ""
        )
        self.stdout.write(
            f"{title}: {tested.candles:,} candles from {tested.first:%Y-%m-%d %H:%M} to "
            f"{tested.last:%Y-%m-%d %H:%M} UTC{lacks}"
        )
        self.stdout.write(HEAD)
        for outcome in tested.outcomes:
            self.stdout.write(_line(outcome))


def _line(one: Outcome) -> str:
    def cell(value: float | None, width: int, form: str, unit: float = 1.0) -> str:
        return f"{'-' if value is None else format(value * unit, form):>{width}}"

    return (
        f"{one.rule:<18}{one.after:>6}{one.count:>9,}"
        f"{cell(one.hit_rate, 7, '.1f', 100)}%{cell(one.base_rate, 7, '.1f', 100)}%"
        f"{cell(one.mean_move, 10, '+.3f')}%{cell(one.base_move, 8, '+.3f')}%"
    )


def _horizons(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() and 0 < int(part) <= 1000 for part in parts):
        raise CommandError("--after must be numbers of candles from 1 to 1000, such as 5,10,20")
    return sorted({int(part) for part in parts})


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise CommandError(f"must be a moment, such as 2025-01-01 or 2025-01-01T12:00, not {text}") from None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment
