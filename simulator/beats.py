"""Under the sources of the simulated data's way: when a stream's next message is due. Pure."""

from typing import Protocol

import msgspec

_LATEST = 5000  # ms behind which a source does not say everything that it missed


class Source(Protocol):
    """Messages of one stream, however many listen to it. It begins when the first one comes."""

    def due(self, now: int) -> list[bytes]:
        """The data of those that are due by now (ms), none of them twice."""
        ...


class Beat:
    """The moments (multiples of a period, ms) that have come since the last time."""

    def __init__(self, period: int, now: int) -> None:
        self.period = period
        self._last = now // period

    def since(self, now: int) -> list[int]:
        """Those that have come by now; only the newest one after a long silence or where the clock went back."""
        number = now // self.period
        missed = range(self._last + 1, number + 1)
        if abs(number - self._last) * self.period > _LATEST + self.period:
            missed = range(number, number + 1)
        if missed:
            self._last = number
        return [one * self.period for one in missed]


def quoted(text: str) -> bytes:
    return msgspec.json.encode(text)
