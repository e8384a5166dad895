"""The middle of the feed: keeps the connections that its parts want, and gives each message to its part, in turn.

Three threads: the keeper looks after connections, one reads each socket, and one understands what came. Everything that
parts know belongs to the last, so they need no locks."""

import logging
import threading
from collections.abc import Collection
from math import inf
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from collector.events import Event, Type
from collector.exchanges.streams import Answer, Frame, Kind, Shutdown, Streams, Unreadable
from collector.feed.clock import Clock
from collector.feed.inbox import Inbox
from collector.feed.keeping import Keeping
from collector.feed.parts import Part, Wish
from collector.feed.recorder import Recorder
from collector.links import Link, Links
from collector.websocket import Line, Speech

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.05  # seconds between two looks at the connections
WISH_EVERY = 1.0
LIFE_SHARE = 0.97  # of what the server gives a connection
# How many times as long as an order book other streams may be silent.
QUIET = {Kind.CANDLES: 15.0, Kind.TRADES: 60.0, Kind.LIQUIDATIONS: inf}
STEP = 0.01  # seconds after which parts are called although nothing came


class Engine:
    """One exchange's streams for all parts. `run` is the thread of frames; it ends after `stop`."""

    def __init__(self, streams: Streams, keeping: Keeping) -> None:
        self.inbox = Inbox(self._overflowed)
        self.clock = Clock()  # of the thread of frames
        self.recorder: Recorder | None = None
        self.links = Links(self, self.inbox.frame, self._wake)
        self.messages = 0
        self.lag = 0.0  # seconds from a frame's coming to its turn, the newest
        self._streams = streams
        self._keeping = keeping
        self._parts: list[Part] = []
        self._part_of: dict[type, Part] = {}
        self._wish_of: dict[tuple[str, str], Wish] = {}  # by market and stream
        self._market_of: dict[str, str] = {}  # by group
        self._speech_of: dict[str, Speech] = {}
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def add(self, part: Part) -> None:
        self._parts.append(part)
        for kind in part.messages:
            self._part_of[kind] = part

    def run(self) -> None:
        """Until `stop`; then connections and parts are closed."""
        self._keeper.start()
        while not self._stopping.is_set():
            self.step(STEP)
        self._keeper.join(5.0)
        self.links.close("the feed ends")
        for part in self._parts:
            part.close()

    def stop(self) -> None:
        self._stopping.set()
        self._wake()

    def step(self, seconds: float) -> None:
        """What has come, or nothing for so long; then the parts' own."""
        items = self.inbox.take(seconds)
        clock, recorder = self.clock, self.recorder
        if items:
            clock.read()
            if recorder is not None:
                recorder.step(clock.wall, clock.now)
        for item in items:
            try:
                if isinstance(item, tuple):
                    self.understand(*item)
                else:
                    item()
            except Exception:  # one symbol must never harm the others
                logger.exception("a frame or a call was not understood")
        clock.read()
        if recorder is not None:
            recorder.tick(clock.wall, clock.now)
        self.turn()

    def turn(self) -> None:
        """What is to be done now and then."""
        for part in self._parts:
            try:
                part.tick(self.clock.now)
            except Exception:
                logger.exception("%s did not do its work", type(part).__name__)

    # --- frames ---------------------------------------------------------------------------------------------------

    def understand(self, line: Line, data: bytes, received_at: float) -> None:
        """A frame that came over a line, in its turn."""
        link: Link = line.owner
        market = self.market_of(link)
        main = link.is_main(line)
        self.messages += 1
        if self.recorder is not None:
            self.recorder.frame((link.name, main, market), received_at, data)
        try:
            frame = self._streams.parse(market, data)
        except Unreadable as error:
            if main:
                self._unreadable(link, market, error)
            return
        if self._hand_on(frame, received_at, main, line) and frame.stream is not None:
            line.heard[frame.stream] = self.clock.now

    def _hand_on(self, frame: Frame, received_at: float, main: bool, line: Line) -> bool:
        fits = True
        for message in frame.messages:
            part = self._part_of.get(type(message))
            if part is not None:
                fits = part.take(message, received_at, main) and fits
            elif isinstance(message, Shutdown):
                line.owner.end_announced(line)
            elif isinstance(message, Answer) and message.error:
                self._tell(Type.ERROR, f"a request was refused: {message.error}", line.owner)
        return fits

    def _unreadable(self, link: Link, market: str, error: Unreadable) -> None:
        self._tell(Type.UPDATE_FAILED, str(error), link, {"stream": error.stream})
        wish = self._wish_of.get((market, error.stream)) if error.stream else None
        if wish is None:  # whichever it was of: what follows shows whether it fits
            self.lose(market, link.streams, False)
            return
        for part in self._parts:
            part.unreadable([wish], str(error))

    def _overflowed(self, line: Line) -> None:
        link: Link = line.owner
        self._tell(Type.ERROR, "the feed fell behind: frames were dropped", link, {"dropped": self.inbox.dropped})
        if link.is_main(line):
            self.lose(self._market_of[link.group], link.streams, False)

    def lose(self, market: str, streams: Collection[str], down: bool) -> None:
        """Something of these may be missing, or nothing comes any more."""
        if self.recorder is not None:
            self.recorder.lost(market, streams, down)
        wishes = self._wishes_of(market, streams)
        for part in self._parts:
            part.lost(wishes, down)

    def know_group(self, group: str, market: str) -> None:
        self._market_of[group] = market

    def market_of(self, link: Link) -> str:
        return self._market_of.get(link.group, "")

    def _wishes_of(self, market: str, streams: Collection[str]) -> list[Wish]:
        found = (self._wish_of.get((market, stream)) for stream in list(streams))
        return [wish for wish in found if wish is not None]

    # --- connections ----------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        wish_at = 0.0
        while not self._stopping.is_set():
            now = monotonic()
            try:
                if now >= wish_at:
                    wish_at = now + WISH_EVERY
                    self.want([wish for part in self._parts for wish in part.wishes()])
                self.links.tick(now)
            except Exception:
                logger.exception("connections were not looked after")
            self._woken.wait(LOOK_EVERY)
            self._woken.clear()

    def _wake(self) -> None:
        self._woken.set()

    def want(self, wishes: Collection[Wish]) -> None:
        """From now on these streams; the keeper's."""
        for group, names in self.know(wishes).items():
            self.links.want(group, self._speech_of[group], names)

    def know(self, wishes: Collection[Wish]) -> dict[str, set[str]]:
        """The names of streams by who may share a connection; what comes of them is theirs who wish it."""
        wanted: dict[str, set[str]] = {group: set() for group in self._speech_of}
        for wish in wishes:
            try:
                stream = self._streams.stream(wish.market, wish.kind, wish.symbol, wish.interval)
                url = self._streams.url(wish.market, wish.kind)
            except ValueError as error:
                logger.warning("%s: %s", wish, error)
                continue
            self._wish_of[wish.market, stream] = wish
            wanted.setdefault(self._group(wish.market, url), set()).add(stream)
        return wanted

    def _group(self, market: str, url: str) -> str:
        """What streams of one market and address are called."""
        group = market.lower() + urlsplit(url).path.removesuffix("/stream").replace("/", "-")
        if group not in self._speech_of:
            self.know_group(group, market)
            self._speech_of[group] = self._speech(market, url)
        return group

    def _speech(self, market: str, url: str) -> Speech:
        rules = self._streams.rules[market]
        return Speech(
            url,
            self._streams.subscribe,
            self._streams.unsubscribe,
            pause=rules.pause,
            life=rules.life * LIFE_SHARE,
            silence=rules.silence,
            most_streams=rules.most_streams,
            most_names=rules.most_names,
            quiet=lambda name: QUIET.get(self._wish_of[market, name].kind, 1.0),
        )

    def lost(self, link: Link, streams: Collection[str]) -> None:
        """From the keeper: in turn, after the frames that came before."""
        names, down = list(streams), link.state == "disconnected"
        market = self._market_of[link.group]
        self.inbox.call(lambda: self.lose(market, names, down))

    def told(self, kind: str, message: str, link: Link, metadata: dict[str, Any]) -> None:
        self._tell(kind, message, link, metadata)

    def _tell(self, kind: str, message: str, link: Link, metadata: dict[str, Any] | None = None) -> None:
        facts = {"connection": link.name, **(metadata or {})}
        self._keeping.event(Event(kind, message, market=self.market_of(link), metadata=facts))
