"""Moments as the API reads and writes them: epoch seconds, epoch milliseconds, ISO 8601. Pure."""

import re
from datetime import UTC, datetime, timedelta

SECONDS_BELOW = 10**11  # a number from here on is milliseconds
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime(9000, 1, 1, tzinfo=UTC)  # far enough for anybody, and no arithmetic on it overflows

_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{0,20})?", re.ASCII)
_LOST_PLUS = re.compile(r" (\d\d:?\d\d)$", re.ASCII)


def parse_moment(value: str | float) -> datetime:
    """An aware UTC datetime from epoch seconds (below 10^11), epoch milliseconds or ISO 8601 (UTC when it names no
    zone), as a number or as text. Raises ValueError, also for moments before 1970 or after the year 9000."""
    if isinstance(value, str):
        text = value.strip()
        moment = _from_number(float(text)) if _NUMBER.fullmatch(text) else _from_text(text)
    else:
        moment = _from_number(value)
    if not EPOCH <= moment < LAST:
        raise ValueError("out of range")
    return moment


def _from_number(number: float) -> datetime:
    if not 0 <= number < 2.5e14:  # NaN compares false, and no datetime ends there
        raise ValueError("out of range")
    return EPOCH + (timedelta(seconds=number) if number < SECONDS_BELOW else timedelta(milliseconds=number))


def _from_text(text: str) -> datetime:
    # In an address an unescaped "+" of a zone arrives as a space.
    moment = datetime.fromisoformat(_LOST_PLUS.sub(r"+\1", text) if "T" in text else text)
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error


def epoch_seconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(seconds=1)


def epoch_ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def ms_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else epoch_ms(moment)


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC, such as 2026-01-31T12:00:00Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
