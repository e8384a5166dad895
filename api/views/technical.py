"""GET indicators and analysis: what is computed from candles, kept until a candle changes."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from threading import BoundedSemaphore
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from api.answers import kept
from api.exceptions import ApiError
from api.renderers import encode
from api.schema import operation
from api.serializers.technical import AnalysisAnswer, AnalysisQuery, IndicatorsAnswer, IndicatorsQuery
from api.times import epoch_ms
from api.views.base import ApiView, find_symbol, no_data
from api.views.candles import key_of
from candles import results
from candles.analysis import FEWEST, Signal
from candles.backtest import Outcome
from candles.closes import level_body, signal_body
from candles.indicators import Lines, plain
from candles.technical import Examined, analysis, indicators, outcomes
from markets.models import Symbol

COMPUTING = BoundedSemaphore(2)  # at once: one waits for the database while another computes; more only slow all down


class IndicatorsView(ApiView):
    @operation("Indicators of candles", IndicatorsAnswer, errors=[400, 404], query=IndicatorsQuery)
    @kept
    def get(self, request: Request) -> Response | HttpResponse:
        asked, now = IndicatorsQuery.read(request), timezone.now()
        symbol = find_symbol(asked["symbol"], asked.get("marketType"))
        where = _place("indicators", symbol, asked, now, results.INDICATORS_LIFETIME)
        return _kept(where, lambda: _indicators(symbol, asked, now))


class AnalysisView(ApiView):
    @operation("Technical analysis of closed candles", AnalysisAnswer, errors=[400, 404], query=AnalysisQuery)
    @kept
    def get(self, request: Request) -> Response | HttpResponse:
        asked, now = AnalysisQuery.read(request), timezone.now()
        symbol = find_symbol(asked["symbol"], asked.get("marketType"))
        where = _place("analysis", symbol, asked, now, results.ANALYSIS_LIFETIME)
        return _kept(where, lambda: _analysis(symbol, asked, now))


def _place(kind: str, symbol: Symbol, asked: dict[str, Any], now: datetime, lifetime: int) -> results.Place:
    question = repr([asked.get(name) for name in ("timeframe", "from", "to", "limit")])
    question += ",".join(request.label for request in asked.get("indicators", ()))
    return results.place(kind, key_of(symbol), asked["length"], question, now, lifetime)


def _kept(where: results.Place, make: Callable[[], dict[str, Any]]) -> HttpResponse:
    """The stored bytes of an answer, or the answer made now and stored."""
    body = results.find(where)
    if body is None:
        with COMPUTING:
            body = encode(make())
        results.keep(where, body)
    return HttpResponse(body, content_type="application/json")


def _indicators(symbol: Symbol, asked: dict[str, Any], now: datetime) -> dict[str, Any]:
    moments = (asked.get("from"), asked.get("to"))
    made = indicators(key_of(symbol), asked["length"], asked["indicators"], now, *moments, asked["limit"])
    if not len(made.candles) and asked.get("from") is None:
        raise no_data(symbol.name)
    count = len(made.candles)
    return {
        "success": True,
        "symbol": symbol.name,
        "marketType": symbol.market,
        "timeframe": asked["timeframe"],
        "timestamps": (made.candles.times * 1000).tolist(),
        "indicators": {label: _lines(lines, count) for label, lines in made.lines.items()},
        "closed": bool(made.candles.closed.all()),
        "missing": made.missing,
        "incomplete": made.incomplete,
    }


def _lines(lines: Lines, count: int) -> Any:
    return plain(lines, count)


def _analysis(symbol: Symbol, asked: dict[str, Any], now: datetime) -> dict[str, Any]:
    key, length = key_of(symbol), asked["length"]
    made = analysis(key, length, now)
    if made is None:
        problem = f"{symbol.name} has fewer than {FEWEST} closed candles of {asked['timeframe']} yet"
        raise ApiError(404, "no_data", problem, "timeframe")
    tested = outcomes(key, length, now) if made.analysis.signals else None
    return {
        "success": True,
        "symbol": symbol.name,
        "marketType": symbol.market,
        "timeframe": asked["timeframe"],
        **analysis_body(made, tested.outcomes if tested else []),
        "tested": tested.candles if tested else 0,
        "testedFrom": epoch_ms(tested.first) if tested and tested.first else None,
        "testedTo": epoch_ms(tested.last) if tested and tested.last else None,
        "testedMissing": tested.missing + tested.incomplete if tested else 0,
    }


def analysis_body(made: Examined, past: list[Outcome]) -> dict[str, Any]:
    """What an answer tells of an analysis."""
    told, profile = made.analysis, made.profile
    return {
        "timestamp": told.time * 1000,
        "trend": told.trend,
        "strength": told.strength,
        "votes": [asdict(vote) for vote in told.votes],
        "signals": [_signal(signal, past) for signal in told.signals],
        "support_levels": [level_body(level) for level in told.support],
        "resistance_levels": [level_body(level) for level in told.resistance],
        "fibonacci_levels": told.fibonacci,
        "pivot_points": asdict(made.pivots) if made.pivots else None,
        "volume_profile": profile
        and {
            "edges": profile.edges.tolist(),
            "volumes": profile.volumes.tolist(),
            "poc": profile.poc,
            "valueAreaLow": profile.value_low,
            "valueAreaHigh": profile.value_high,
        },
        "candles": made.candles,
        "missing": told.missing,
        "incomplete": made.incomplete,
    }


def _signal(signal: Signal, past: list[Outcome]) -> dict[str, Any]:
    return {**signal_body(signal), "past": [_outcome(one) for one in past if one.rule == signal.rule]}


def _outcome(one: Outcome) -> dict[str, Any]:
    return {
        "after": one.after,
        "count": one.count,
        "hitRate": one.hit_rate,
        "meanMove": one.mean_move,
        "baseRate": one.base_rate,
        "baseMove": one.base_move,
    }
