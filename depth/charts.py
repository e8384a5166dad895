"""What the chart page shows: the choices in its address, and the state that is drawn from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from django.conf import settings

from depth import selectors
from depth.formats import decimals_of, diff_quality
from depth.volumes import BandVolumes, diff
from markets.errors import NotCollected, UnknownSymbol
from markets.models import Market, Symbol
from markets.selectors import collected_symbols, find

RANGES: dict[str, timedelta | None] = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "60d": timedelta(days=60),
    "1y": timedelta(days=365),
    "all": None,  # from the first day that is kept
}
SIDES = ("both", "bid", "ask", "diff")
UNITS = ("quote", "base")
TABS = ("chart", "book", "diff")
DEFAULT_BAND = Decimal(1)
# How far one picture reaches back: beyond it, choose a longer range.
HISTORY = {"1m": timedelta(days=7), "1h": timedelta(days=400), "1d": timedelta(days=4000)}
CHUNK = {"1m": timedelta(hours=24), "1h": timedelta(days=60), "1d": timedelta(days=730)}
LEAST_SPAN = timedelta(hours=1)
FEW_DAYS = timedelta(days=4)


@dataclass(frozen=True, slots=True)
class Choice:
    """Everything that is chosen on the page. `compare` adds the other market's lines; `start` and `end` are there when
    the picture was moved or zoomed."""

    symbol: str
    market: str
    depth: Decimal
    side: str = "both"
    range: str = "1h"
    unit: str = "quote"
    tab: str = "chart"
    compare: bool = False
    start: datetime | None = None
    end: datetime | None = None

    @property
    def other_market(self) -> str:
        return str(Market.FUTURES if self.market == Market.SPOT else Market.SPOT)

    def address(self, **changes: str) -> str:
        """The query string of this choice with some of it changed; a moved picture is not carried along."""
        values = {name: str(getattr(self, name)) for name in ("symbol", "market", "side", "range", "unit", "tab")}
        values |= {"depth": band_text(self.depth), "compare": "1" if self.compare else ""}
        return "?" + urlencode({name: (values | changes)[name] for name in ORDER if (values | changes)[name]})


ORDER = ("symbol", "market", "depth", "side", "range", "unit", "tab", "compare")


def band_text(band: Decimal) -> str:
    """5 for 5.00, 0.25 for 0.25."""
    return f"{band.normalize():f}"


def read_choice(parameters: Mapping[str, str]) -> Choice:
    """The choice in an address; whatever is missing or cannot be understood is the default."""
    market = parameters.get("market", "").upper()
    market = market if market in Market.values else str(Market.SPOT)
    start, end = moment(parameters.get("from", "")), moment(parameters.get("to", ""))
    moved = start is not None and end is not None and start < end
    return Choice(
        symbol=(parameters.get("symbol") or _first_symbol(market)).strip().upper(),
        market=market,
        depth=_band(parameters.get("depth", "")),
        side=_one_of(SIDES, parameters.get("side", "")),
        range=_one_of(tuple(RANGES), parameters.get("range", "")),
        unit=_one_of(UNITS, parameters.get("unit", "")),
        tab=_one_of(TABS, parameters.get("tab", "")),
        compare=parameters.get("compare") == "1",
        start=start if moved else None,
        end=end if moved else None,
    )


def _one_of(allowed: Sequence[str], text: str) -> str:
    return text.lower() if text.lower() in allowed else allowed[0]


def _band(text: str) -> Decimal:
    try:
        band = Decimal(text)
    except InvalidOperation:
        band = DEFAULT_BAND
    bands = settings.DEPTH_BANDS
    return band if band in bands else DEFAULT_BAND if DEFAULT_BAND in bands else bands[0]


def _first_symbol(market: str) -> str:
    ranked = collected_symbols(market)
    return ranked[0].name if ranked else "BTCUSDT"


def moment(text: str) -> datetime | None:
    """Epoch seconds; None where the text is none of this century."""
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        return None
    moment = datetime.fromtimestamp(int(text), UTC)
    return moment if moment.year >= 2010 else None


# --- state -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scale:
    """How the chosen range is shown: the interval of its points, and how long it is."""

    interval: str
    span: timedelta

    @property
    def step(self) -> timedelta:
        return selectors.INTERVALS[self.interval]


def scale_of(choice: Choice, now: datetime) -> Scale:
    """Up to 2.5 days minute by minute, up to 150 days by hours, beyond by days: as the API has it."""
    span = RANGES[choice.range] or _kept_for(choice, now)
    fine = span <= selectors.RAW_RANGE
    return Scale("1m" if fine else "1h" if span <= selectors.HOURLY_RANGE else "1d", span)


def _kept_for(choice: Choice, now: datetime) -> timedelta:
    """How far back the chosen series is kept, to the day, and to the hour where that is a few days ago."""

    def first(start: datetime, end: datetime, interval: str) -> datetime | None:
        found = selectors.series(choice.symbol, choice.market, choice.depth, start, end, interval)
        return found[0].time if found else None

    day = first(now - HISTORY["1d"], now, "1d")
    if day is None:
        return LEAST_SPAN
    if now - day > FEW_DAYS:
        return now - day
    return max(LEAST_SPAN, now - (first(day, now, "1h") or day))


def chart_state(choice: Choice, row: Symbol, now: datetime) -> dict[str, Any]:
    """The whole picture as JSON-ready values: series (columns), newest book, bands. Times are epoch seconds."""
    scale = scale_of(choice, now)
    return {
        **_facts(choice, row, now, scale),
        **_drawn(choice, scale, *window(choice, now, scale)),
        **newest(choice),
        "otherMarket": choice.other_market if is_collected(choice.symbol, choice.other_market) else "",
        "choice": chosen(choice),
    }


def is_collected(symbol: str, market: str) -> bool:
    try:
        find(symbol, market)
    except (UnknownSymbol, NotCollected):
        return False
    return True


def chosen(choice: Choice) -> dict[str, Any]:
    """The choice as the page's module keeps it; `from` and `to` are epoch seconds or None."""
    return {
        "symbol": choice.symbol,
        "market": choice.market,
        "depth": band_text(choice.depth),
        "side": choice.side,
        "range": choice.range,
        "unit": choice.unit,
        "tab": choice.tab,
        "compare": "1" if choice.compare else None,
        "from": int(choice.start.timestamp()) if choice.start else None,
        "to": int(choice.end.timestamp()) if choice.end else None,
    }


def update_state(choice: Choice, row: Symbol, now: datetime, after: datetime) -> dict[str, Any]:
    """What is new since `after`, the time of the last point that the page has (which is given again)."""
    scale = scale_of(choice, now)
    start, _ = window(replace(choice, start=None, end=None), now, scale)
    return {
        **_facts(choice, row, now, scale),
        **_drawn(choice, scale, max(after, start), now),
        **newest(choice),
    }


def older_state(choice: Choice, row: Symbol, now: datetime, before: datetime) -> dict[str, Any]:
    """The stretch of history that ends right before `before`."""
    scale = scale_of(choice, now)
    start = max(before - CHUNK[scale.interval], now - HISTORY[scale.interval])
    return {**_facts(choice, row, now, scale), **_drawn(choice, scale, start, before - scale.step)}


def window(choice: Choice, now: datetime, scale: Scale) -> tuple[datetime, datetime]:
    """What is loaded at first: the chosen range up to now, or more where the address names an older stretch."""
    start = now - scale.span
    if choice.start is not None:
        start = max(min(start, choice.start), now - HISTORY[scale.interval])
    return selectors.bucket_of(start, scale.interval), now


def _facts(choice: Choice, row: Symbol, now: datetime, scale: Scale) -> dict[str, Any]:
    return {
        "symbol": choice.symbol,
        "market": choice.market,
        "depth": band_text(choice.depth),
        "range": choice.range,
        "interval": scale.interval,
        "step": int(scale.step.total_seconds()),
        "span": int(scale.span.total_seconds()),
        "now": int(now.timestamp() * 1000),
        "earliest": int((now - HISTORY[scale.interval]).timestamp()),
        "base": row.base,
        "quote": row.quote,
        "priceDecimals": decimals_of(row.tick_size),
        "quantityDecimals": decimals_of(row.lot_size),
    }


def _drawn(choice: Choice, scale: Scale, start: datetime, end: datetime) -> dict[str, Any]:
    """The chosen market's series, and the other market's where both are compared and it is collected there."""
    other = None
    if choice.compare and is_collected(choice.symbol, choice.other_market):
        other = series(replace(choice, market=choice.other_market), start, end, scale.interval)
    return {"series": series(choice, start, end, scale.interval), "other": other}


def series(choice: Choice, start: datetime, end: datetime, interval: str) -> dict[str, Any]:
    """Columns of the chosen band from `start` to `end`; minutes that were not collected are absent. `minutes` is how
    many each point is the mean of."""
    points = selectors.series(choice.symbol, choice.market, choice.depth, start, end, interval)
    return {
        "from": int(start.timestamp()),
        "to": int(end.timestamp()),
        "time": [int(point.time.timestamp()) for point in points],
        "bidValue": [_short(point.bid_value) for point in points],
        "askValue": [_short(point.ask_value) for point in points],
        "bidVolume": [_short(point.bid_volume) for point in points],
        "askVolume": [_short(point.ask_volume) for point in points],
        "bidComplete": [int(point.bid_complete) for point in points],
        "askComplete": [int(point.ask_complete) for point in points],
        "minutes": [point.count for point in points],
    }


def _short(value: float) -> float:
    """Seven significant digits are all that the store keeps."""
    return float(f"{value:.7g}")


def newest(choice: Choice) -> dict[str, Any]:
    """The newest book and its bands; `book` is None and `bands` empty before the first minute."""
    book = selectors.latest(choice.symbol, choice.market)
    if book is None:
        return {"book": None, "bands": []}
    return {
        "book": {
            "minute": int(book.time.timestamp()),
            "receivedAt": int(book.received_at.timestamp() * 1000),
            "source": book.source,
            "lastUpdateId": str(book.last_update_id),
            "limit": book.depth_limit,
            "bestBid": book.best_bid,
            "bestAsk": book.best_ask,
            "bids": book.bids[:20],
            "asks": book.asks[:20],
            "coverage": {
                "bidPercent": book.bid_reach,
                "askPercent": book.ask_reach,
                "bidLevels": book.bid_levels,
                "askLevels": book.ask_levels,
            },
        },
        "bands": [_band_state(volumes) for volumes in book.bands],
    }


def _band_state(volumes: BandVolumes) -> dict[str, Any]:
    units = {
        "quote": (volumes.bid_value, volumes.ask_value),
        "base": (volumes.bid_volume, volumes.ask_volume),
    }
    state: dict[str, Any] = {
        "depth": band_text(volumes.band),
        "bidComplete": volumes.bid_complete,
        "askComplete": volumes.ask_complete,
        "quality": diff_quality(volumes.bid_complete, volumes.ask_complete),
    }
    for unit, (bid, ask) in units.items():
        difference, share = diff(bid, ask)
        state[unit] = {"bid": bid, "ask": ask, "diff": difference, "percentage": share}
    return state
