"""How much one process may put into the cache's Redis in a minute, so that no stranger's questions fill it."""

import threading
from time import time


class Room:
    """`most` bytes a minute, for all threads of this process."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._minute = 0.0
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Whether `size` bytes more may be kept now; then they count."""
        minute = time() // 60
        with self._lock:
            if minute != self._minute:
                self._minute, self._taken = minute, 0
            if self._taken + size > self.most:
                return False
            self._taken += size
            return True
