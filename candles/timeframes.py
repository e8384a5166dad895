"""Beside candles on their way to people: timeframes, their spellings and their borders on the UTC calendar (pure)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONDAY = datetime(1970, 1, 5, tzinfo=UTC)  # weeks count from here


@dataclass(frozen=True, slots=True)
class Timeframe:
    """How long a candle is. `name` is the platform's own spelling; `minutes` is 0 for months, whose length varies."""

    name: str
    minutes: int

    @property
    def length(self) -> timedelta:
        """Of a candle; of a month the longest that there is."""
        return timedelta(minutes=self.minutes) if self.minutes else timedelta(days=31)

    def open_of(self, moment: datetime) -> datetime:
        """The opening time of the candle that holds `moment` (aware)."""
        moment = moment.astimezone(UTC)
        if not self.minutes:
            return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        origin = MONDAY if self.minutes % (7 * 1440) == 0 else EPOCH
        return moment - (moment - origin) % self.length

    def shift(self, opening: datetime, count: int) -> datetime:
        """The opening time `count` candles after (negative: before) the one that opens at `opening`."""
        if self.minutes:
            return opening + count * self.length
        month = opening.year * 12 + opening.month - 1 + count
        return opening.replace(year=month // 12, month=month % 12 + 1)

    def end_of(self, opening: datetime) -> datetime:
        """When the candle that opens at `opening` is over: the opening time of the next."""
        return self.shift(opening, 1)

    def count(self, start: datetime, end: datetime) -> int:
        """How many candles the moments from `start` to `end` (both included) touch."""
        first, last = self.open_of(start), self.open_of(end)
        if self.minutes:
            return (last - first) // self.length + 1
        return (last.year - first.year) * 12 + last.month - first.month + 1


TIMEFRAMES = tuple(
    Timeframe(name, minutes)
    for name, minutes in (
        *((str(minutes), minutes) for minutes in (1, 3, 5, 15, 30, 45)),
        *((f"{hours}H", hours * 60) for hours in (1, 2, 3, 4)),
        *(("1D", 1440), ("1W", 7 * 1440), ("1M", 0)),
    )
)


def _spellings() -> dict[str, Timeframe]:
    """Every accepted spelling: the platform's own, and the exchange's, where only the month has a capital letter."""
    found = {}
    for timeframe in TIMEFRAMES:
        found[timeframe.name] = timeframe
        if timeframe.name.isdigit():
            found[f"{timeframe.name}m"] = timeframe
        elif timeframe.minutes:
            found[timeframe.name.lower()] = timeframe
    return found


SPELLINGS = _spellings()
ONE_MINUTE = SPELLINGS["1"]


@lru_cache(maxsize=64)
def read_timeframe(spelling: str) -> Timeframe:
    """The timeframe of a spelling, such as `5`, `5m`, `1H`, `1h`, `1M` (the month). Raises ValueError."""
    found = SPELLINGS.get(spelling)
    if found is None:
        raise ValueError(
            f"must be one of {' '.join(timeframe.name for timeframe in TIMEFRAMES)}, or such as 1m 1h 1d 1w"
        )
    return found
