"""Between a process and a database that is away: left alone after a failure, but for a probe now and then (pure)."""

import threading
from collections.abc import Callable
from time import monotonic


class Breaker:
    """Closed while all is well. `failed` opens it; then `allows` lets one caller through every `pause` seconds, and
    `worked` closes it again. Safe for threads."""

    def __init__(self, pause: float, clock: Callable[[], float] = monotonic) -> None:
        self._pause = pause
        self._clock = clock
        self._probe_at: float | None = None
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        return self._probe_at is not None

    def allows(self) -> bool:
        with self._lock:
            if self._probe_at is None:
                return True
            if self._clock() < self._probe_at:
                return False
            self._probe_at = self._clock() + self._pause
            return True

    def failed(self) -> None:
        with self._lock:
            self._probe_at = self._clock() + self._pause

    def worked(self) -> None:
        with self._lock:
            self._probe_at = None
