"""The feed's time: read once for all that is done in one go, so that the same can be done again as it was."""

import time


class Clock:
    """`wall` is our clock, epoch seconds; `now` is monotonic."""

    def __init__(self) -> None:
        self.wall = self.now = 0.0
        self.read()

    def read(self) -> None:
        self.wall, self.now = time.time(), time.monotonic()

    def set(self, wall: float, now: float) -> None:
        self.wall, self.now = wall, now
