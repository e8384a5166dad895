"""Keeps sockets up for the feed: which streams go over which, back-off, streams that fall silent, renewal with overlap.

A link is a place for up to `most_streams` streams; lines (sockets) come and go in it. Before a line's end that can be
foreseen a second one opens, both are read, and the first closes once every stream has come over the second. Only a
stream's first frame proves that the server knows it."""

import random
from collections import deque
from collections.abc import Callable, Collection
from itertools import count
from time import monotonic, time
from typing import Any, Protocol

from collector.subscriptions import Subscriptions
from collector.websocket import Line, Speech, Stage, Take

FIRST_WITHIN = 10.0  # seconds from asking for a stream to its first frame
SILENT_AFTER = 20.0  # seconds without a frame after which a stream counts as dead
LONGEST_ALLOWANCE = 300.0
RENEW_AT_TRY = 2  # a stream that stays silent after asking again gets another connection
RENEW_EVERY = 300.0
JOINED_WITHIN = 30.0
SETTLED_AFTER = 0.2  # seconds after the last request
LONGEST_PAUSE = 30.0
PROVEN_AFTER = 5.0  # seconds that a line lives for the next loss to be the first in its row
TOLD_AT = 5  # losses in a row
DAY = 86_400.0


class Listener(Protocol):
    """Who is told of what happens. Called from the keeper's thread only."""

    def lost(self, link: "Link", streams: Collection[str]) -> None:
        """Nothing comes for these streams, until something does."""

    def told(self, kind: str, message: str, link: "Link", metadata: dict[str, Any]) -> None:
        """Something worth keeping; `kind` is one of `websocket_events`'."""


class Link:
    """One place for streams. All methods but the properties belong to the keeper's thread."""

    def __init__(self, name: str, group: str, speech: Speech, listener: Listener, make: Callable[[str], Line]) -> None:
        self.name = name
        self.group = group
        self.speech = speech
        self.streams: set[str] = set()
        self.since = time()  # of the state
        self.reconnects = 0
        self.frames = self.bytes = 0  # of lines that are gone
        self._listener = listener
        self._make = make
        self._channel: Subscriptions | None = None
        self._next: Subscriptions | None = None
        self._next_until = 0.0
        self._renew_at = 0.0
        self._renew_after = 0.0  # not before
        self._retry_at = 0.0
        self.failures = 0
        self._number = 0
        self._state = "connecting"
        self._up: deque[list[float]] = deque()  # epoch seconds: when it was up, from and to
        self._begun = time()

    # --- for others to read ---------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """connecting, connected, or disconnected."""
        return self._state

    @property
    def total_frames(self) -> int:
        return self.frames + sum(channel.line.frames for channel in (self._channel, self._next) if channel)

    def is_main(self, line: Line) -> bool:
        """Whether this is the line that counts; the other one is to take its place."""
        channel = self._channel
        return channel is not None and channel.line is line

    def dead(self) -> set[str]:
        """Streams of which nothing comes."""
        channel = self._channel
        if channel is None:
            return set(self.streams)
        return {name for name, asked in list(channel.asked.items()) if asked.dead}

    def history(self, now: float) -> tuple[float, list[list[float]]]:
        """When the link began, and from when to when it was up since; epoch seconds."""
        return self._begun, [[start, end or now] for start, end in list(self._up)]

    def restore(self, begun: float, up: list[list[float]]) -> None:
        """Takes over what was known of it before a restart."""
        self._begun, self._up = begun, deque(up)

    def uptime(self, now: float) -> float:
        """Percent of the last day, or since the link began, that it was up. `now`: epoch seconds."""
        first = max(now - DAY, self._begun)
        up = sum(max(0.0, min(end or now, now) - max(start, first)) for start, end in list(self._up))
        return round(100 * up / max(now - first, 1e-9), 3) if now > first else 100.0

    # --- the keeper's ---------------------------------------------------------------------------------------------

    def want(self, names: set[str]) -> None:
        """From now on these streams, over the line that is there."""
        more, less = names - self.streams, self.streams - names
        self.streams = set(names)
        for channel in (self._channel, self._next):
            if channel is not None:
                if less:
                    channel.leave(less)
                if more:
                    channel.ask(more)

    def tick(self, now: float) -> None:
        """One look at the clock (monotonic) and at the lines."""
        if self._channel is None:
            if self.streams and now >= self._retry_at:
                self._open(now)
            return
        if self._channel.line.stage is Stage.CLOSED:
            self._end_of_line(now)
            return
        if self._channel.line.stage is Stage.OPEN:
            self._begin(self._channel, now)
            self._speak(self._channel, now)
            self._look_for_silence(self._channel, now)
            self._renew(now)

    def close(self, reason: str) -> None:
        for channel in (self._channel, self._next):
            if channel is not None:
                channel.line.close(reason)
                channel.line.join(1.0)
        if self._channel is not None:
            self._listener.told("DISCONNECTED", reason, self, {})
        self._became("disconnected")
        self._channel = self._next = None

    def end_announced(self, line: Line) -> None:
        """The server says that this line will end. From any thread."""
        if self.is_main(line):
            self._renew_at = self._renew_after = 0.0

    def _open(self, now: float) -> None:
        self._channel = self._new()
        self._became("connecting")

    def _new(self) -> Subscriptions:
        self._number += 1
        channel = Subscriptions(self._make(f"{self.name}-{self._number}"))
        channel.line.owner = self
        channel.ask(self.streams)
        channel.line.open()
        return channel

    def _begin(self, channel: Subscriptions, now: float) -> None:
        if channel.begun:
            return
        channel.begun = True
        if channel is self._channel:
            self._renew_at = now + self.speech.life * random.uniform(0.97, 1.0)  # noqa: S311 - not all at once
            self._became("connected")
            again = {"reconnects": self.reconnects} if self.reconnects else {}
            self._listener.told("CONNECTED", f"{len(self.streams)} streams", self, again)

    def _speak(self, channel: Subscriptions, now: float) -> None:
        self._number += channel.speak(now, self._number)

    def _end_of_line(self, now: float) -> None:
        channel, coming = self._channel, self._next
        assert channel is not None  # noqa: S101 - the caller looked
        line = channel.line
        self._listener.told("DISCONNECTED", line.reason, self, {"frames": line.frames})
        self._retire(channel)
        self._channel = self._next = None
        if coming is not None and coming.line.stage is Stage.OPEN:
            self._listener.lost(self, self.streams)
            self._channel = coming
            coming.begun = False
            return
        if coming is not None:
            coming.line.close("not needed")
        lasted = now - line.opened_at if line.opened_at else 0.0
        self.failures = 1 if line.heard and lasted > PROVEN_AFTER else self.failures + 1
        pause = min(LONGEST_PAUSE, 2.0 ** (self.failures - 1)) * random.uniform(0.75, 1.0)  # noqa: S311 - jitter
        self._retry_at = now + pause
        self.reconnects += 1
        self._became("disconnected")
        self._listener.lost(self, self.streams)
        self._listener.told("RECONNECTING", f"in {pause:.1f} s", self, {"failures": self.failures})
        if self.failures == TOLD_AT:
            told = f"{TOLD_AT} losses in a row: {line.reason}"
            self._listener.told("ERROR", told, self, {"failures": self.failures})

    def _retire(self, channel: Subscriptions) -> None:
        self.frames += channel.line.frames
        self.bytes += channel.line.bytes

    def _look_for_silence(self, channel: Subscriptions, now: float) -> None:
        silent: list[str] = []
        for name, asked in channel.asked.items():
            heard = channel.line.heard.get(name)
            if asked.at is None:
                continue
            if heard is not None and heard >= asked.at:
                asked.tries, asked.dead = 0, False
            allowance = min((FIRST_WITHIN if heard is None else SILENT_AFTER) * 2**asked.tries, LONGEST_ALLOWANCE)
            if now - max(asked.at, heard or 0.0) > allowance * self.speech.quiet(name):
                silent.append(name)
        if silent:
            self._revive(channel, silent, now)

    def _revive(self, channel: Subscriptions, silent: list[str], now: float) -> None:
        """Streams that are dead although the socket is open: asked for again, then over another connection."""
        fresh = [name for name in silent if not channel.asked[name].dead]
        if fresh:
            self._listener.lost(self, fresh)
            told = f"{len(fresh)} streams are silent: {', '.join(fresh[:5])}{' ...' if len(fresh) > 5 else ''}"
            self._listener.told("ERROR", told, self, {"streams": fresh[:50]})
        for name in silent:
            channel.asked[name].dead = True
        heard = list(channel.line.heard.values())
        if heard and max(heard) < now - SILENT_AFTER and set(silent) >= self._chatty(channel):
            channel.line.close("every stream is silent")  # nothing would be lost by another connection
            return
        renew = any(channel.asked[name].tries + 1 == RENEW_AT_TRY for name in silent)
        for name in silent:
            channel.asked[name].tries += 1
        channel.again(silent)
        if renew and now >= self._renew_after:
            self._renew_at = now

    def _chatty(self, channel: Subscriptions) -> set[str]:
        """The streams that are never silent for long."""
        return {name for name in channel.asked if self.speech.quiet(name) <= 1}

    # --- renewal --------------------------------------------------------------------------------------------------

    def _renew(self, now: float) -> None:
        coming = self._next
        if coming is None:
            if now >= max(self._renew_at, self._renew_after) and self.streams:
                self._next, self._next_until = self._new(), now + JOINED_WITHIN
            return
        if coming.line.stage is Stage.CLOSED:
            self._give_up(coming, coming.line.reason, now)
        elif coming.line.stage is Stage.OPEN:
            self._speak(coming, now)
            if self._joined(coming, now):
                self._switch(coming, now)
            elif now > self._next_until:
                self._give_up(coming, "not every stream came over it", now)

    def _joined(self, coming: Subscriptions, now: float) -> bool:
        """Whether all that comes over the old line comes over the new one, too; what is rarely heard is not waited
        for."""
        channel = self._channel
        assert channel is not None  # noqa: S101 - the caller looked
        if coming.outgoing or now < coming.send_at + SETTLED_AFTER:
            return False
        alive = [name for name in self._chatty(channel) if channel.proven(name) and not channel.asked[name].dead]
        return all(coming.proven(name) for name in alive)

    def _switch(self, coming: Subscriptions, now: float) -> None:
        old = self._channel
        assert old is not None  # noqa: S101 - the caller looked
        self._channel, self._next = coming, None
        coming.begun = True
        self._renew_after = now + min(RENEW_EVERY, self.speech.life / 2)
        self._renew_at = now + self.speech.life * random.uniform(0.97, 1.0)  # noqa: S311 - not all at once
        old.line.close("another connection has taken its place")
        self._retire(old)
        self._listener.told("CONNECTED", "renewed without a gap", self, {"renewed": True})

    def _give_up(self, coming: Subscriptions, reason: str, now: float) -> None:
        """The old line stays for as long as it lives."""
        coming.line.close(reason)
        self._retire(coming)
        self._next = None
        self._renew_at = now + min(RENEW_EVERY, self.speech.life / 10)
        self._listener.told("ERROR", f"no second connection: {reason}", self, {})

    def _became(self, state: str) -> None:
        if state == self._state:
            return
        now = time()
        if state == "connected":
            self._up.append([now, 0.0])
        elif self._state == "connected" and self._up:
            self._up[-1][1] = now
        while self._up and self._up[0][1] and self._up[0][1] < now - DAY:
            self._up.popleft()
        self._state, self.since = state, now


class Links:
    """All links, by group: a market and a route, whose streams may share a line. Belongs to the keeper's thread, but
    for `all` and `link_of`."""

    def __init__(self, listener: Listener, take: Take, changed: Callable[[], None]) -> None:
        self._listener = listener
        self._take = take
        self._changed = changed
        self.histories: dict[str, tuple[float, list[list[float]]]] = {}  # of links of these names, before a restart
        self._links: dict[str, list[Link]] = {}

    def all(self) -> list[Link]:
        return [link for links in list(self._links.values()) for link in list(links)]

    def want(self, group: str, speech: Speech, names: Collection[str]) -> None:
        """From now on exactly these streams of a group; they go where there is room."""
        links = self._links.setdefault(group, [])
        wanted, carried = set(names), set[str]()
        kept = {link.name: link.streams & wanted for link in links}
        for streams in kept.values():
            carried |= streams
        waiting = sorted(wanted - carried)
        for link in links:
            room = speech.most_streams - len(kept[link.name])
            kept[link.name] |= set(waiting[:room])
            waiting = waiting[room:]
        while waiting:
            links.append(link := self._new(group, speech))
            kept[link.name], waiting = set(waiting[: speech.most_streams]), waiting[speech.most_streams :]
        for link in list(links):
            if kept[link.name]:
                link.want(kept[link.name])
            else:
                link.close("no stream is wanted any more")
                links.remove(link)

    def tick(self, now: float | None = None) -> None:
        moment = monotonic() if now is None else now
        for link in self.all():
            link.tick(moment)

    def close(self, reason: str) -> None:
        for link in self.all():
            link.close(reason)

    def _new(self, group: str, speech: Speech) -> Link:
        taken = {link.name for link in self._links[group]}
        link_name = next(name for name in (f"{group}-{number}" for number in count(1)) if name not in taken)

        def make(name: str) -> Line:
            return Line(name, speech, self._take, self._changed)

        link = Link(link_name, group, speech, self._listener, make)
        if link_name in self.histories:
            link.restore(*self.histories.pop(link_name))
        return link
