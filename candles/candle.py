"""Between the exchange's words and the store: rows of one minute, checked, and the candles made of them (pure)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

import msgspec
from msgspec.structs import replace

from candles.timeframes import EPOCH, MINUTE, Timeframe

MINUTE_MS = 60_000
FIRST_MS = 1_498_867_200_000  # 2017-07-01: nothing was traded before
# A decimal as exchanges write it: 5, 0.00000005, 5E-8. Bounded, so that no text swells into a million digits.
DECIMAL = r"\d{1,24}(?:\.\d{1,24})?(?:[eE][+-]?\d{1,2})?"
_PRICES_AND_SUMS = re.compile(f"(?:{DECIMAL} ){{8}}", re.ASCII)


class Kline(msgspec.Struct, array_like=True, frozen=True):
    """One minute as the exchange tells it: epoch milliseconds, and decimals in its own strings. What follows in the
    exchange's array is left out."""

    open_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    close_time: int
    quote_volume: str
    trades: int
    taker_buy_volume: str
    taker_buy_quote_volume: str


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """Whose candles: one symbol on one market of one exchange."""

    exchange: str
    market: str
    symbol: str


@dataclass(frozen=True, slots=True)
class KlineAnswer:
    """What the exchange answered about the minutes from `start` to `end` (whole minutes, `end` not included) of one
    series: those of them that it has. All of them were over when it was asked. `whole` is false when some rows could
    not be read: what is missing is then nobody's hole. `refused` holds the opening times (epoch milliseconds) of rows
    with a flaw, once it is `checked`."""

    key: SeriesKey
    start: datetime
    end: datetime
    klines: Sequence[Kline]
    whole: bool = True
    checked: bool = False
    refused: tuple[int, ...] = ()


class Candle(msgspec.Struct, array_like=True, frozen=True):
    """One candle of any timeframe. Prices and quote sums are in the quote asset, volumes in the base asset.

    `closed`: nothing will be added to it by time passing. `minutes` are those it is made of, `expected` those that it
    would be made of if none were missing."""

    open_time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    taker_buy_volume: Decimal
    taker_buy_quote_volume: Decimal
    closed: bool = True
    minutes: int = 1
    expected: int = 1

    @property
    def complete(self) -> bool:
        return self.minutes >= self.expected


def told(candle: Candle) -> dict[str, Any]:
    """A candle as answers and live messages tell it: exact numbers, `timestamp` in epoch milliseconds."""
    return {
        "timestamp": milliseconds_of(candle.open_time),
        "open": candle.open,
        "high": candle.high,
        "low": candle.low,
        "close": candle.close,
        "volume": candle.volume,
        "quote_volume": candle.quote_volume,
        "trades": candle.trades,
        "taker_buy_volume": candle.taker_buy_volume,
        "taker_buy_quote_volume": candle.taker_buy_quote_volume,
        "closed": candle.closed,
    }


def moment_of(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)


def milliseconds_of(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def flaw(row: Kline) -> str | None:
    """Why the row cannot be stored; None when it can. Nothing is mended: a wrong number is worse than none."""
    if row.open_time < FIRST_MS or row.open_time > 4 * 10**12 or row.open_time % MINUTE_MS:
        return f"opens at {row.open_time}, which is no minute"
    if row.close_time != row.open_time + MINUTE_MS - 1:
        return f"closes at {row.close_time}, which is not the end of its minute"
    if not 0 <= row.trades < 2**31:
        return f"has {row.trades} trades"
    texts = (
        *(row.open, row.high, row.low, row.close),
        *(row.volume, row.quote_volume, row.taker_buy_volume, row.taker_buy_quote_volume),
    )
    if not _PRICES_AND_SUMS.fullmatch(" ".join(texts) + " "):
        return f"holds what is no number: {' '.join(texts)[:200]}"
    # A sieve only, so floats will do: they keep the order of the decimals that they are near to.
    opening, high, low, closing = map(float, texts[:4])
    if low <= 0 or high < opening or high < closing or low > opening or low > closing:
        return f"has prices that contradict one another: {' '.join(texts[:4])}"
    return None


def candle_of(row: Kline, closed: bool = True) -> Candle:
    """One minute's candle from a row without a flaw."""
    return Candle(
        open_time=moment_of(row.open_time),
        open=Decimal(row.open),
        high=Decimal(row.high),
        low=Decimal(row.low),
        close=Decimal(row.close),
        volume=Decimal(row.volume),
        quote_volume=Decimal(row.quote_volume),
        trades=row.trades,
        taker_buy_volume=Decimal(row.taker_buy_volume),
        taker_buy_quote_volume=Decimal(row.taker_buy_quote_volume),
        closed=closed,
    )


def merge(parts: Sequence[Candle]) -> Candle:
    """One candle of at least one that follow one another, oldest first."""
    first, last = parts[0], parts[-1]
    return Candle(
        first.open_time,
        first.open,
        max(part.high for part in parts),
        min(part.low for part in parts),
        last.close,
        sum((part.volume for part in parts), Decimal()),
        sum((part.quote_volume for part in parts), Decimal()),
        sum(part.trades for part in parts),
        sum((part.taker_buy_volume for part in parts), Decimal()),
        sum((part.taker_buy_quote_volume for part in parts), Decimal()),
        all(part.closed for part in parts),
        sum(part.minutes for part in parts),
        sum(part.expected for part in parts),
    )


def aggregate(minutes: Iterable[Candle], timeframe: Timeframe, settled: datetime, now: datetime) -> list[Candle]:
    """Candles of a timeframe from those of minutes, oldest first. `settled` and `now` as in `judged`."""
    grouped = groupby(minutes, key=lambda minute: timeframe.open_of(minute.open_time))
    made = (replace(merge(list(group)), open_time=opening) for opening, group in grouped)
    return [judged(candle, timeframe, settled, now) for candle in made]


def judged(candle: Candle, timeframe: Timeframe, settled: datetime, now: datetime) -> Candle:
    """The candle with `closed` and `expected` as they are at `now`.

    It is closed once the exchange has been heard of its last minute: `settled` is the end of the newest minute that is
    known. While it is open, its minutes are expected one minute after their end."""
    end = timeframe.end_of(candle.open_time)
    closed = end <= settled
    if closed and timeframe.minutes and candle.closed and candle.expected == timeframe.minutes:
        return candle
    until = end if closed else min(end, now.astimezone(UTC).replace(second=0, microsecond=0) - MINUTE)
    expected = max(1, (until - candle.open_time) // MINUTE)
    return replace(candle, closed=closed, expected=expected)


def with_open(found: Sequence[Candle], minute: Candle, timeframe: Timeframe, now: datetime) -> list[Candle]:
    """The candles, oldest first, with what is known of the open minute added to the one that holds it."""
    opening = timeframe.open_of(minute.open_time)
    if found and found[-1].open_time == opening:
        both = merge([found[-1], replace(minute, minutes=0)])
        return [*found[:-1], replace(both, closed=False, expected=found[-1].expected)]
    alone = judged(replace(minute, open_time=opening, minutes=0), timeframe, opening, now)
    missing = (minute.open_time - opening) // MINUTE  # minutes of it that are over, none of which is stored
    return [*found, replace(alone, minutes=0 if missing else 1, expected=missing or 1)]
