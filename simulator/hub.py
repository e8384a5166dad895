"""Last but one on the simulated data's way: every stream that somebody listens to, and who listens.

A stream's message is made once. Twenty times a second whatever is due goes to all its listeners, each of whom gets
what has come for it in one write."""

import asyncio
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from simulator import spoil
from simulator.beats import Source
from simulator.channels import Channel, channel
from simulator.connections import RULES, Connection, Message, SocketRules
from simulator.exchange import Exchange
from simulator.faults import MESSAGE_KINDS, Fault
from simulator.listings import Market
from simulator.sources import ReplaySource, source

TICK = 50  # ms
_AHEAD = 1 << 20  # bytes that may wait for a listener while a recording goes on
_PATIENCE = 10_000  # ms
_LONGEST_TURN = 0.03  # seconds
_GOODBYE = 2000  # ms for a client's part of a close
_ATTEMPTS_SECONDS = 300.0


@dataclass(slots=True)
class Live:
    """A stream and its listeners."""

    name: str
    channel: Channel
    source: Source
    listeners: dict[Connection, None] = field(default_factory=dict)
    held_since: int = 0
    working: bool = True

    def due(self, now: int) -> list[bytes]:
        """What is due; a source that fails says so once and is silent from then on, its neighbours are not."""
        try:
            return self.source.due(now) if self.working else []
        except Exception:
            self.working = False
            traceback.print_exc()
            return []

    def must_wait(self, now: int) -> bool:
        """A recording goes on when those who listen have read what came before, or one does not read at all."""
        if not isinstance(self.source, ReplaySource) or all(one.waiting < _AHEAD for one in self.listeners):
            self.held_since = 0
            return False
        self.held_since = self.held_since or now
        return now - self.held_since < _PATIENCE


class Hub:
    """All connections and streams of an exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.connections: dict[int, Connection] = {}
        self.live: dict[tuple[Market, str], Live] = {}
        self.rules: dict[Market, SocketRules] = dict(RULES)
        self.counters: Counter[str] = Counter()
        self._attempts: dict[tuple[Market, str], list[float]] = {}
        self._numbers = 0
        self._someone = asyncio.Event()

    def attempt(self, market: Market, client: str) -> bool:
        """Counts an attempt to connect; whether the address may."""
        now, limit = time.monotonic(), self.rules[market].attempts
        recent = [one for one in self._attempts.get((market, client), []) if now - one < _ATTEMPTS_SECONDS]
        self._attempts[market, client] = recent
        if limit and len(recent) >= limit and self.exchange.limits.rules[market].enforced:
            return False
        recent.append(now)
        return True

    def forget(self) -> None:
        """The rules as they were at the start, and nobody has tried to connect."""
        self.rules = dict(RULES)
        self._attempts.clear()

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def add(self, connection: Connection) -> None:
        self.connections[connection.number] = connection
        self.counters["opened"] += 1
        self._someone.set()

    def remove(self, connection: Connection) -> None:
        self.unsubscribe(connection, list(connection.names))
        self.connections.pop(connection.number, None)

    def subscribe(self, connection: Connection, names: list[str]) -> None:
        """Whatever its name: what means nothing, or nothing on this route, stays silent. None begins twice."""
        market = connection.market
        for name in names:
            if name in connection.names:
                continue
            connection.names[name] = None
            live = self.live.get((market, name))
            meaning = channel(name, connection.route)
            if meaning is None:
                continue
            if live is None:
                made = source(self.exchange, market, meaning, self.exchange.now(market))
                if made is None:
                    continue
                live = self.live[market, name] = Live(name, meaning, made)
            live.listeners[connection] = None

    def unsubscribe(self, connection: Connection, names: list[str]) -> None:
        for name in names:
            connection.names.pop(name, None)
            connection.held.pop(name, None)
            live = self.live.get((connection.market, name))
            if live is not None:
                live.listeners.pop(connection, None)
                if not live.listeners:
                    del self.live[connection.market, name]

    def matching(self, fault: Fault) -> Iterator[Connection]:
        """The connections that a fault is meant for; one that names streams means those that carry one of them."""
        for one in list(self.connections.values()):
            if fault.on_connection(one.market, one.path, one.number) and (
                fault.whole() or any(fault.on_stream(name, name.partition("@")[0].upper()) for name in one.names)
            ):
                yield one

    def at_once(self, fault: Fault) -> None:
        """Cuts connections, or tells them that the server goes away and cuts them after the fault's delay."""
        for one in list(self.matching(fault)):
            if not self.exchange.faults.meets(fault):
                continue
            if fault.kind == "shutdown":
                one.answer(b'{"e":"serverShutdown","E":%d}' % self.exchange.now(one.market))
                asyncio.get_running_loop().call_later(fault.delay, self.close, one, 1001, "Server shutdown")
            elif fault.how == "close":
                self.close(one, 1001, "")
            else:
                one.abort()
            self.counters[fault.kind] += 1
            if fault.count == 0:
                break

    def replay(self) -> dict[str, Any] | None:
        """How far a recording is; it has ended when its listeners have read all of it."""
        book = self.exchange.replayed
        if book is None:
            return None
        machine = self.exchange.machine_time()
        ended = book.begun and book.elapsed(machine) >= book.recording.ends
        for live in self.live.values():
            if isinstance(live.source, ReplaySource):
                ended = ended and live.source.frames.ended and not any(one.waiting for one in live.listeners)
        return {
            "symbol": book.recording.symbol, "market": book.recording.market, "begun": book.begun, "ended": ended,
            "elapsedMs": round(min(book.elapsed(machine), book.recording.ends)), "lengthMs": round(book.recording.ends),
            "lastUpdateId": book.at(machine, 1)[0],
        }  # fmt: skip

    def close(self, connection: Connection, code: int, reason: str) -> None:
        """Ends a connection by the protocol's close; the client's part of it may take a moment."""
        self.unsubscribe(connection, list(connection.names))
        connection.close(code, reason, self.exchange.machine_time())

    def close_all(self) -> None:
        for one in list(self.connections.values()):
            one.leave()

    def change_rules(self, market: Market | None, changes: dict[str, Any]) -> None:
        for one, rules in list(self.rules.items()):
            if market in (None, one):
                self.rules[one] = replace(rules, **changes)

    async def run(self) -> None:
        """Until cancelled: sleeps while nobody is connected."""
        while True:
            if not self.connections:
                self._someone.clear()
                await self._someone.wait()
            now = time.time_ns() // 1_000_000
            await asyncio.sleep((TICK - now % TICK + 1) / 1000)
            await self.tick()

    async def tick(self) -> None:
        """Sends what is due, and ends what has lived too long, does not answer or does not read.

        Where much is to be worked out at once, as after many new subscriptions, requests are answered in between."""
        machine = self.exchange.machine_time()
        faults = self.exchange.faults.of(MESSAGE_KINDS, machine)
        nows: dict[Market, int] = {"spot": self.exchange.now("spot"), "futures": self.exchange.now("futures")}
        hidden = {market: self.exchange.faults.hidden(market, machine) for market in nows}
        begun = time.monotonic()
        for (market, _), live in list(self.live.items()):
            if live.must_wait(machine):
                continue
            for data in live.due(nows[market]):
                if live.channel.symbol not in hidden[market]:
                    self._publish(live, data, faults)
            if time.monotonic() - begun > _LONGEST_TURN:
                for connection in self.connections.values():
                    connection.flush()
                await asyncio.sleep(0)
                begun = time.monotonic()
        for connection in list(self.connections.values()):
            self._keep(connection, machine, faults)

    def _publish(self, live: Live, data: bytes, faults: list[Fault]) -> None:
        message = Message(live.name, data)
        self.counters[live.channel.kind] += 1
        for connection in live.listeners:
            if faults or connection.held:
                spoil.deliver(connection, message, live.channel.symbol, faults, self.exchange.faults)
            else:
                connection.send(message)

    def _keep(self, connection: Connection, now: int, faults: list[Fault]) -> None:
        rules = self.rules[connection.market]
        connection.silent = any(
            one.kind == "stall" and one.always() and one.on_connection(connection.market, connection.path,
                                                                       connection.number)
            for one in faults
        )  # fmt: skip
        connection.flush()
        if connection.closing:
            if now - connection.closing > _GOODBYE:
                connection.abort()
            return
        if connection.waiting > rules.waiting_bytes:
            self.counters["too_slow"] += 1
            connection.abort()
        elif connection.overdue(now, rules.pong_seconds):
            self.counters["no_pong"] += 1
            self.close(connection, 1008, "Pong timeout")
        elif now - connection.opened > rules.life_seconds * 1000:
            self.counters["expired"] += 1
            self.close(connection, 1001, "")
        elif now - max(connection.pinged, connection.opened) > rules.ping_seconds * 1000:
            connection.ping(now)
