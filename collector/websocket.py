"""Between an exchange's streams and the feed: one socket, read by a thread of its own. Knows no venue.

What keeps sockets up, one after another, is `collector.links`."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import websocket

CONNECT_TIMEOUT = 10.0
TICK = 1.0  # seconds after which a reader that hears nothing looks at the clock
READ_AHEAD = 64 * 1024
LARGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Speech:
    """How a server wants to be spoken to. `subscribe` and `unsubscribe` make the text that names streams, from the
    names and a number of the request. Times are seconds: `pause` between two messages of ours, `life` that a
    connection is kept before another takes its place, `silence` without any sign (frame or ping) that ends it."""

    url: str
    subscribe: Callable[[Sequence[str], int], str]
    unsubscribe: Callable[[Sequence[str], int], str]
    pause: float = 0.5
    life: float = 23.5 * 3600
    silence: float = 60.0
    most_streams: int = 200
    most_names: int = 200  # in one message
    # How many times as long as usual a stream of this name may be silent; infinity: for ever.
    quiet: Callable[[str], float] = lambda name: 1.0


class Stage(Enum):
    CONNECTING = "connecting"
    OPEN = "open"
    CLOSED = "closed"


class _Socket(websocket.WebSocket):
    """Reads ahead, for a system call a frame instead of three; and does not check UTF-8 byte by byte in Python, since
    whoever parses the frame does."""

    def __init__(self) -> None:
        super().__init__(skip_utf8_validation=True)
        self._ahead = b""
        self._at = 0

    def _recv(self, bufsize: int) -> bytes:
        if self._at >= len(self._ahead):
            self._ahead, self._at = super()._recv(READ_AHEAD), 0
        part = self._ahead[self._at : self._at + bufsize]
        self._at += len(part)
        return part


Take = Callable[["Line", bytes, float], None]


class Line:
    """One connection from its opening to its end. Its thread gives each text frame to `take` with the line itself and
    the time of our clock, epoch seconds; it must not block.

    `stage`, `reason` and the counters are for others to read. `heard` belongs to whoever understands the frames: the
    monotonic time of the newest by stream."""

    def __init__(self, name: str, speech: Speech, take: Take, changed: Callable[[], None]) -> None:
        self.name = name
        self.owner: Any = None  # the link that it serves
        self.speech = speech
        self.stage = Stage.CONNECTING
        self.reason = ""
        self.opened_at = 0.0  # monotonic
        self.frames = 0
        self.bytes = 0
        self.heard: dict[str, float] = {}
        self._take = take
        self._changed = changed
        self._socket = _Socket()
        self._ending = ""
        self._thread = threading.Thread(target=self._run, name=f"line-{name}", daemon=True)

    def open(self) -> None:
        self._thread.start()

    def send(self, text: str) -> bool:
        """Whether it went out; a line that cannot send is ending."""
        try:
            self._socket.send(text)
        except (websocket.WebSocketException, OSError, AttributeError) as error:
            self.close(f"nothing can be sent: {error}")
            return False
        return True

    def close(self, reason: str) -> None:
        """Ends the line; at once, whatever the other side does. Safe from any thread, and more than once."""
        self._ending = self._ending or reason
        try:
            if self._socket.connected:
                self._socket.send(b"\x03\xe8", websocket.ABNF.OPCODE_CLOSE)
        except (websocket.WebSocketException, OSError, AttributeError):
            pass  # it is gone already
        self._socket.abort()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        reason = ""
        try:
            self._socket.connect(self.speech.url, timeout=CONNECT_TIMEOUT)
            self._socket.settimeout(TICK)
            if not self._ending:
                self.opened_at = time.monotonic()
                self.stage = Stage.OPEN
                self._changed()
                reason = self._read()
        except (websocket.WebSocketException, OSError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
        except Exception as error:  # a thread that ends without a word would leave books stale for ever
            reason = f"unforeseen {type(error).__name__}: {error}"
        self._socket.shutdown()
        self.reason = (self._ending or reason)[:LARGEST_REASON]
        self.stage = Stage.CLOSED
        self._changed()

    def _read(self) -> str:
        """Reads until the end; gives why it came."""
        socket, take, silence = self._socket, self._take, self.speech.silence
        sign = time.monotonic()
        while not self._ending:
            try:
                opcode, frame = socket.recv_data_frame(control_frame=True)  # answers pings, their payload copied
            except websocket.WebSocketTimeoutException:
                if time.monotonic() - sign > silence:
                    return f"no frame and no ping for {silence:.0f} s"
                continue
            sign = time.monotonic()
            if opcode == websocket.ABNF.OPCODE_TEXT:
                self.frames += 1
                self.bytes += len(frame.data)
                take(self, frame.data, time.time())
            elif opcode == websocket.ABNF.OPCODE_CLOSE:
                return f"closed by the server{_close_words(frame.data)}"
        return self._ending


def _close_words(data: Any) -> str:
    """Code and reason of a close frame, as far as it has any."""
    if len(data) < 2:
        return ""
    words = bytes(data[2:]).decode("utf-8", "replace").strip()
    return f": {int.from_bytes(data[:2], 'big')} {words}".rstrip()
