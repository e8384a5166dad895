"""What was said over one socket: which streams it was asked for, what is still to be said, and when it may be."""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

from collector.websocket import Line, Stage


@dataclass(slots=True)
class Asked:
    """A stream that a line was asked for: when, how often, and how long it may stay silent; None: not sent yet."""

    at: float | None = None
    tries: int = 0
    dead: bool = False  # told as such


@dataclass(slots=True)
class Subscriptions:
    """A line and what was said over it."""

    line: Line
    asked: dict[str, Asked] = field(default_factory=dict)
    outgoing: deque[tuple[bool, tuple[str, ...]]] = field(default_factory=deque)
    send_at: float = 0.0
    begun: bool = False

    def ask(self, names: Collection[str]) -> None:
        self._queue(True, names)
        for name in names:
            self.asked.setdefault(name, Asked()).at = None

    def leave(self, names: Collection[str]) -> None:
        self._queue(False, names)
        for name in names:
            self.asked.pop(name, None)
            self.line.heard.pop(name, None)

    def again(self, names: Collection[str]) -> None:
        """Leaves and asks for streams."""
        self._queue(False, names)
        self._queue(True, names)
        for name in names:
            self.asked[name].at = None

    def _queue(self, subscribe: bool, names: Collection[str]) -> None:
        ordered, most = sorted(names), self.line.speech.most_names
        for start in range(0, len(ordered), most):
            self.outgoing.append((subscribe, tuple(ordered[start : start + most])))

    def speak(self, now: float, number: int) -> bool:
        """Sends the next message when its time has come; whether it did."""
        if not self.outgoing or now < self.send_at or self.line.stage is not Stage.OPEN:
            return False
        subscribe, names = self.outgoing.popleft()
        names = tuple(name for name in names if subscribe is False or name in self.asked)
        if not names:
            return False
        speech = self.line.speech
        self.line.send((speech.subscribe if subscribe else speech.unsubscribe)(names, number))
        self.send_at = now + speech.pause
        if subscribe:
            for name in names:
                self.asked[name].at = now
        return True

    def proven(self, name: str) -> bool:
        return name in self.line.heard
