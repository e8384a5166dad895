"""What the collector's pages show of its own records: state, minutes, events, metrics, as rows for tables."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from celery.schedules import crontab
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from redis import RedisError

from collector import selectors
from collector.models import CollectionMinute, RunChange, StreamEvent, SystemMetric
from markets.models import Market, Symbol

PAGE = 100
CYCLES = 30
SINCE = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "14d": timedelta(days=14)}
PURPOSES = {
    "collector.collect_minute": "Reads every collected order book",
    "collector.record_metrics": "Writes the minute's figures",
    "collector.sync_symbols": "Reads what the exchange lists, and its request budget",
    "collector.retention": "Deletes what is past its lifetime",
    "collector.consider_system": "Looks at the platform's own figures with the rules of alerts",
    "collector.collect_candles": "Reads the candles that have closed",
    "collector.backfill_candles": "Fetches candles back to the first day that is wanted",
    "collector.repair_candles": "Fetches candles that are missing in between",
    "collector.repair_trades": "Fetches trades that the streams left out",
    "collector.open_interest": "Reads how many contracts are open",
    "alerts.evaluate": "Looks at the newest books with the rules of alerts",
    "depth.roll_up": "Makes the hours and days of closed hours, and of late rows",
    "candles.roll_up": "Makes longer candles of the minutes",
    "candles.backtest": "Tells what each signal rule was worth over stored history",
    "candles.derive": "Stores indicators and analyses of the candles that have closed",
}


def overview() -> dict[str, Any]:
    """State, statistics, budget, processes, schedule and the newest cycles."""
    now = timezone.now()
    try:
        processes, redis_away = selectors.processes(), False
    except RedisError:
        processes, redis_away = [], True
    return {
        "state": selectors.run_state(),
        "statistics": selectors.statistics(),
        "condition": selectors.status(now),
        **budget_and_schedule(),
        "processes": processes,
        "redis_away": redis_away,
        "cycles": CollectionMinute.objects.all()[:CYCLES],
        "changes": RunChange.objects.all()[:10],
    }


def budget_and_schedule() -> dict[str, Any]:
    """Request weight by market, this minute; and what runs when."""
    return {
        "weights": [{"market": market, **_weight(market)} for market in Market.values],
        "schedule": [_entry(entry) for entry in settings.CELERY_BEAT_SCHEDULE.values()],
    }


def _weight(market: str) -> dict[str, Any]:
    use = selectors.weight(market)
    symbols = Symbol.objects.filter(market=market, collected=True, status="TRADING").count()
    share = min(100.0, use.used / use.limit * 100) if use.limit else 0.0
    return {"use": use, "share": round(share, 1), "symbols": symbols}


def _entry(entry: Mapping[str, Any]) -> dict[str, str]:
    return {"task": entry["task"], "purpose": PURPOSES.get(entry["task"], ""), "when": when(entry["schedule"])}


def when(schedule: Any) -> str:
    """A schedule in words: every minute, or at which minute of every hour."""
    if not isinstance(schedule, crontab):
        return str(schedule)
    minutes, hours = sorted(schedule.minute), sorted(schedule.hour)
    if len(minutes) == 60:
        return "every minute"
    at = ", ".join(f":{minute:02d}" for minute in minutes)
    return f"every hour at {at}" if len(hours) == 24 else f"at {', '.join(f'{h:02d}' for h in hours)}{at} UTC"


def events(parameters: Mapping[str, str]) -> dict[str, Any]:
    """One page of events, newest first, by `type`, `symbol`, `market`, `since` and `page`."""
    since = parameters.get("since", "24h") if parameters.get("since") in SINCE else "24h"
    found = StreamEvent.objects.filter(time__gte=timezone.now() - SINCE[since]).order_by("-time")
    chosen = {name: parameters.get(name, "").strip() for name in ("type", "symbol", "market")}
    fields = {"type": "event_type", "symbol": "symbol", "market": "market_type"}
    for name, value in chosen.items():
        if value and "\x00" not in value:
            found = found.filter(**{fields[name]: value.upper()})
    rows = _page(found, parameters)
    rows["rows"] = [{"event": event, "facts": pairs(event.metadata)} for event in rows["rows"]]
    chosen["since"] = since
    words = {"types": StreamEvent.Type.values, "since_choices": list(SINCE)}
    return {**rows, **words, "chosen": chosen, "chosen_query": urlencode(chosen)}


def metrics(parameters: Mapping[str, str]) -> dict[str, Any]:
    """The newest value of every figure; and one figure's history where `name` is given."""
    newest: dict[tuple[str, str], SystemMetric] = {}
    hour = SystemMetric.objects.filter(time__gte=timezone.now() - SINCE["1h"]).order_by("-time", "name")
    for row in hour[:20_000]:
        newest.setdefault((row.name, str(row.metadata)), row)
    figures = [{"metric": row, "facts": pairs(row.metadata)} for _, row in sorted(newest.items())]
    name = parameters.get("name", "")
    context: dict[str, Any] = {"figures": figures, "name": name, "chosen_query": urlencode({"name": name})}
    if name and "\x00" not in name:
        context |= _page(SystemMetric.objects.filter(name=name).order_by("-time"), parameters)
        largest = max((abs(row.value) for row in context["rows"]), default=0.0) or 1.0
        context["rows"] = [
            {"metric": row, "facts": pairs(row.metadata), "share": round(abs(row.value) / largest * 100, 1)}
            for row in context["rows"]
        ]
    return context


def _page(found: QuerySet[Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Rows of page `page` (from 1), and whether there are pages around it; nothing is counted."""
    text = parameters.get("page", "1")
    number = int(text) if text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 10_000 else 1
    rows = list(found[(number - 1) * PAGE : number * PAGE + 1])
    return {"rows": rows[:PAGE], "page": number, "previous": number - 1, "next": number + 1 if len(rows) > PAGE else 0}


def pairs(metadata: Any) -> list[tuple[str, str]]:
    """Metadata as names and values for reading; nested values take their path as a name."""
    if not isinstance(metadata, Mapping):
        return [("", str(metadata))] if metadata else []
    found: list[tuple[str, str]] = []
    for name, value in metadata.items():
        if isinstance(value, Mapping):
            found += [(f"{name} {inner}".strip(), text) for inner, text in pairs(value)]
        elif isinstance(value, list):
            found.append((name, ", ".join(map(str, value))))
        else:
            found.append((name, str(value)))
    return found
