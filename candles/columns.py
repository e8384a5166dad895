"""Candles as arrays, for what is computed of many at once: floats, since what is made of them are estimates (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candles.candle import Candle
from candles.formulas import Floats
from candles.indicators import Series
from candles.timeframes import MINUTE, Timeframe

# Of each array that comes from the database: what it is made of, its type there, and its type here.
ARRAYS = (
    ("extract(epoch FROM bucket)", "int8", ">i8"),
    ("open_price", "float8", ">f8"),
    ("high_price", "float8", ">f8"),
    ("low_price", "float8", ">f8"),
    ("close_price", "float8", ">f8"),
    ("volume", "float8", ">f8"),
    ("taker_buy_volume", "float8", ">f8"),
    ("trades", "int8", ">i8"),
    ("minutes", "int8", ">i8"),
)
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Columns:
    """Candles of one series and timeframe, oldest first: arrays of one length. `times` are their opens in epoch
    seconds, `minutes` those that each is made of, `expected` those that it would be made of if none were missing.

    Fields have the order of ARRAYS."""

    times: Counts
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    taker_buy_volume: Floats
    trades: Counts
    minutes: Counts
    expected: Counts
    closed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.times)

    def cut(self, part: slice) -> "Columns":
        return Columns(*(column[part] for column in self._columns()))

    def after(self, earlier: "Columns") -> "Columns":
        """Both as one; `earlier` ends before this begins."""
        pairs = zip(earlier._columns(), self._columns(), strict=True)
        return Columns(*(np.concatenate(pair) for pair in pairs))

    def series(self, timeframe: Timeframe) -> Series:
        """What indicators are computed of."""
        figures = (self.open, self.high, self.low, self.close, self.volume, self.taker_buy_volume)
        return Series(self.times, *figures, self._missing(timeframe))

    @property
    def incomplete(self) -> int:
        """Candles that lack minutes."""
        return int(np.count_nonzero(self.minutes < self.expected))

    def opens_at(self, position: int) -> datetime:
        return datetime.fromtimestamp(int(self.times[position]), UTC)

    def _missing(self, timeframe: Timeframe) -> int:
        return timeframe.count(self.opens_at(0), self.opens_at(-1)) - len(self) if len(self) else 0

    def _columns(self) -> list[NDArray[Any]]:
        return [getattr(self, field.name) for field in fields(self)]


def columns_of(stretches: Sequence[Sequence[bytes]], timeframe: Timeframe) -> Columns:
    """Of the bytes of ARRAYS, `stretches` oldest first, without the newest candle: of that one more may be known. All
    others are closed."""
    kinds = [np.dtype(kind) for _, _, kind in ARRAYS]
    whole = [b"".join(parts) for parts in zip(*stretches, strict=True)] or [b""] * len(kinds)
    read = [np.frombuffer(body, kind)[:-1] for body, kind in zip(whole, kinds, strict=True)]
    native = [column.astype(column.dtype.newbyteorder("=")) for column in read]
    return Columns(*[*native, _lengths(native[0], timeframe), np.ones(len(native[0]), bool)])


def columns_of_candles(candles: Sequence[Candle]) -> Columns:
    """The candles as they are."""
    rows = [
        (
            *(int(one.open_time.timestamp()), float(one.open), float(one.high), float(one.low), float(one.close)),
            *(float(one.volume), float(one.taker_buy_volume), one.trades, one.minutes, one.expected, one.closed),
        )
        for one in candles
    ]
    kinds = [kind.lstrip(">") for _, _, kind in ARRAYS] + ["i8", "?"]
    columns = zip(*rows, strict=True) if rows else [()] * len(kinds)
    return Columns(*(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)))


def _lengths(times: Counts, timeframe: Timeframe) -> Counts:
    """Minutes of the candles that open at these times; only months differ."""
    if timeframe.minutes:
        return np.full(len(times), timeframe.minutes)
    opens = [datetime.fromtimestamp(time, UTC) for time in times.tolist()]
    return np.array([(timeframe.end_of(opening) - opening) // MINUTE for opening in opens], np.int64)
