"""What one process may put into the cache's Redis in a minute, so that no stranger's questions fill it."""

import threading
from time import time

LARGE = 100_000  # bytes that are kept only for who asks again


class Room:
    """`most` bytes a minute, for all threads of this process. Large values are let in when they are made for the second
    time in a minute: most questions are asked once, and their answers would take the room of all others."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._minute = 0.0
        self._taken = 0
        self._seen: set[str] = set()  # names of large values, as many as there can be answers in a minute
        self._lock = threading.Lock()

    def take(self, size: int, name: str) -> bool:
        """Whether the value of this name, `size` bytes, may be kept now; then it counts."""
        minute = time() // 60
        with self._lock:
            if minute != self._minute:
                self._minute, self._taken, self._seen = minute, 0, set()
            if size > LARGE and name not in self._seen:
                self._seen.add(name)
                return False
            if self._taken + size > self.most:
                return False
            self._taken += size
            return True
