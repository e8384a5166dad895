"""Which of several feeds takes which symbols: leases in Redis, by a thread of its own.

Each feed stands for a shard i of n, and every symbol has a home among the n. A feed takes the symbols whose home it is,
and its share of those whose shard is absent; when that is back, it gives them up: first it stops, then it lets go.

A feed lives for as long as its key in Redis does, which it renews each second; with it all of its leases end. By its
own (monotonic) clock they end MARGIN earlier, and what it publishes passes a fence in Redis that is closed when the key
is gone, so that nobody publishes who was paused, cut off, or forgotten by a Redis that lost its data. While Redis
cannot be reached nothing can be published, and nobody can be told to read the books instead: the feed then goes on with
the books that it has, and stores their minutes, of which the first one that is stored stands."""

import logging
import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from time import monotonic
from typing import Any, Protocol
from zlib import crc32

import psutil
from redis import RedisError

from collector import processes
from markets.connections import broker_redis

logger = logging.getLogger(__name__)

SHARDS = "feed:shards"  # hash of shard to the feed that stands for it
LEASES = "feed:leases"  # hash of symbol to the feed that has it
EVERY = 1.0
LIFETIME = 6.0  # seconds that a feed lives in Redis after it was last heard of
MARGIN = 2.0  # so much earlier it stops by itself
ABSENT_AFTER = 4.0  # seconds without a shard after which the others share its symbols
WHOLE_MARKET = "*"  # the lease of what comes of all symbols at once

# KEYS: shards, leases. ARGV: id, who it is, lifetime in ms, shard, whether the id is new, symbols that it should have.
# Gives what it is: -1 (this id has ended), 0 and the id and name of who stands for the shard, or 1, the shards that
# live, and which of the symbols are its own.
RENEW = """
local id, life, new = ARGV[1], ARGV[3], ARGV[5] == '1'
local known = {}
local function lives(other)
  if known[other] == nil then known[other] = redis.call('EXISTS', 'feed:holder:' .. other) == 1 end
  return known[other]
end
if not new and not lives(id) then return {-1} end
local other = redis.call('HGET', KEYS[1], ARGV[4])
if other and other ~= id and lives(other) then return {0, other, redis.call('GET', 'feed:holder:' .. other)} end
redis.call('SET', 'feed:holder:' .. id, ARGV[2], 'PX', life)
redis.call('HSET', KEYS[1], ARGV[4], id)
known[id] = true
local shards, own, all = {}, {}, redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if lives(all[i + 1]) then shards[#shards + 1] = all[i] end
end
for i = 6, #ARGV do
  local holder = redis.call('HGET', KEYS[2], ARGV[i])
  if holder ~= id and not (holder and lives(holder)) then
    redis.call('HSET', KEYS[2], ARGV[i], id)
    holder = id
  end
  if holder == id then own[#own + 1] = ARGV[i] end
end
return {1, shards, own}
"""
# KEYS: leases. ARGV: id, symbols.
LET_GO = """
for i = 2, #ARGV do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
"""
# KEYS: shards, the feed's key. ARGV: id, shard, who it is. Its leases end with its key.
END = """
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return end
redis.call('DEL', KEYS[2])
if redis.call('HGET', KEYS[1], ARGV[2]) == ARGV[1] then redis.call('HDEL', KEYS[1], ARGV[2]) end
"""


class Holder(Protocol):
    """Who says whether a symbol is to be followed here."""

    def holds(self, symbol: str) -> bool: ...


class Shard:
    """One of `count` feeds that share the symbols, from 1 to `count`."""

    def __init__(self, index: int = 1, count: int = 1) -> None:
        self.index = index
        self.count = count

    def holds(self, symbol: str) -> bool:
        """Whether this is the symbol's home."""
        return self.home(symbol) == self.index

    def home(self, symbol: str) -> int:
        return crc32(symbol.encode()) % self.count + 1

    def owner(self, symbol: str, present: Collection[int]) -> int:
        """Who is to have the symbol when these shards are there: its home; else each gets a share, and nothing else
        moves (rendezvous hashing)."""
        home = self.home(symbol)
        return home if home in present else max(present, key=lambda shard: crc32(f"{shard}/{symbol}".encode()))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@dataclass(frozen=True, slots=True)
class Guard:
    """Leave to publish at this moment: of these symbols, through this fence."""

    fence: str
    symbols: Collection[str]


class Leases:
    """The leases of one feed. `want` says of which symbols; `taken` is called with those that are new, before `holds`
    says so; `changed` when what it holds has changed, and whenever it is to let go of `leaving`. Both come from the
    thread of leases."""

    def __init__(self, shard: Shard, taken: Callable[[Collection[str]], None], changed: Callable[[], None]) -> None:
        self.shard = shard
        self.standby = False  # another feed stands for the shard
        self.away = False  # Redis does not answer
        self.leaving: frozenset[str] = frozenset()  # still held, but another's from now on
        self._taken = taken
        self._changed = changed
        self._universe: frozenset[str] = frozenset()
        self._held: frozenset[str] = frozenset()
        self._let_go: set[str] = set()
        self._until = 0.0  # monotonic
        self._guard = Guard("", frozenset())  # of one moment: fence and symbols belong together
        self._name = f"{processes.identity()}:{psutil.Process().create_time()}"
        self._id, self._new = self._fresh_id(), True
        self._seen: dict[int, float] = {}  # shard to when it was last there, monotonic
        self._begun = monotonic()
        self._woken = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    # --- for all threads ----------------------------------------------------------------------------------------------

    def holds(self, symbol: str) -> bool:
        """Whether to follow it; a lease that could not be renewed counts until it is known to be another's."""
        return symbol in self._held and symbol not in self.leaving

    def may_store(self, symbol: str) -> bool:
        """Whether its minutes may be stored: while the lease stands, or when nobody can tell."""
        return symbol in self._held and (monotonic() < self._until or self.away)

    def guard(self) -> Guard | None:
        """None when nothing may be published now."""
        guard = self._guard  # before the clock is looked at: what comes later is never of an older lease
        return guard if monotonic() < self._until else None

    @property
    def held(self) -> Collection[str]:
        return self._held

    def want(self, symbols: Iterable[str]) -> None:
        """All symbols that any shard is to take."""
        universe = frozenset((*symbols, WHOLE_MARKET))
        if universe != self._universe:
            self._universe = universe
            self._woken.set()

    def let_go(self, symbols: Collection[str]) -> None:
        """These are followed no more, and nothing of them will be published."""
        self._let_go |= set(symbols)
        self._woken.set()

    def wake(self) -> None:
        self._woken.set()

    def begin(self) -> None:
        self._begun = monotonic()
        self._thread.start()

    def end(self) -> None:
        """Leaves everything to others."""
        self._ended.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(3.0)
        self._until, self._held = 0.0, frozenset()
        with suppress(RedisError):
            self._end(self._id, self._name)

    # --- the thread of leases -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.step()
            except RedisError as error:
                if not self.away:
                    logger.warning("leases are not renewed: Redis is away (%s)", error)
                self.away = True
            except Exception:
                logger.exception("leases were not renewed")
            self._woken.wait(EVERY)
            self._woken.clear()

    def step(self) -> None:
        """Renews, takes what it should have, lets go. Raises redis.RedisError."""
        if done := frozenset(self._let_go) & self.leaving:
            broker_redis().eval(LET_GO, 1, LEASES, self._id, *done)
            self._use(self._held - done, self.leaving - done)
        self._let_go.clear()
        sent = monotonic()
        if self.away:  # nobody could say that it is there
            self._seen.clear()
            self._begun = sent
        answer = self._renew(self._desired(sent))
        if answer[0] == -1:  # the feed counts as dead: whatever it held may be another's
            self._until = 0.0
            self._id, self._new = self._fresh_id(), True
            answer = self._renew(self._desired(sent) | self._held)
        self.away = False
        if answer[0] == 0:
            self._stand_by(*answer[1:])
        else:
            self._renewed(sent, set(map(int, answer[1])), frozenset(symbol.decode() for symbol in answer[2]))

    def _renewed(self, sent: float, living: Collection[int], own: frozenset[str]) -> None:
        self._seen |= dict.fromkeys(living, sent)
        self.standby = False
        if self._new:
            self._use(own, self.leaving & own, taken=own)
            self._new = False
        else:
            held = self._held | own
            self._use(held, (held - self._desired(sent)) & self._universe, taken=own - self._held)
        self._until = sent + LIFETIME - MARGIN  # not before it is known what is held

    def _renew(self, symbols: Collection[str]) -> list[Any]:
        facts = (self._id, self._name, int(LIFETIME * 1000), self.shard.index, int(self._new))
        answer: list[Any] = broker_redis().eval(RENEW, 2, SHARDS, LEASES, *facts, *symbols)
        return answer

    def _desired(self, now: float) -> frozenset[str]:
        """What this feed is to have, as far as it knows who is there."""
        alone = self.shard.count == 1
        present = {
            shard
            for shard in range(1, self.shard.count + 1)
            if shard == self.shard.index or now - self._seen.get(shard, self._begun) < ABSENT_AFTER
        }
        mine = self.shard.index
        return frozenset(symbol for symbol in self._universe if alone or self.shard.owner(symbol, present) == mine)

    def _use(self, held: frozenset[str], leaving: frozenset[str], taken: Collection[str] = ()) -> None:
        if taken:
            self._taken(taken)
        self._guard = Guard(_holder_key(self._id), held)
        if (held, leaving) != (self._held, self.leaving):
            self._held, self.leaving = held, leaving
            self._changed()
        elif leaving:
            self._changed()

    def _stand_by(self, other: bytes, name: bytes | None) -> None:
        """Another feed stands for this shard: this one waits, and takes its place when it ends."""
        self._until = 0.0
        if not self.standby:
            logger.warning("another feed (%s) stands for shard %s: this one waits", (name or b"?").decode(), self.shard)
        self.standby, self._new, self._id = True, True, self._fresh_id()
        self._use(frozenset(), frozenset())
        if name is not None and _is_dead(name.decode()):
            self._end(other.decode(), name.decode())
            self._woken.set()

    def _end(self, holder: str, name: str) -> None:
        broker_redis().eval(END, 2, SHARDS, _holder_key(holder), holder, self.shard.index, name)

    def _fresh_id(self) -> str:
        return f"{processes.identity()}:{token_hex(4)}"


def _holder_key(holder: str) -> str:
    return f"feed:holder:{holder}"


def _is_dead(name: str) -> bool:
    """Whether a feed was a process of this machine that is gone: who takes its place need not wait for its lease. Where
    that is a mistake (two machines of one name), the fence keeps it from publishing."""
    host, pid, created = name.rsplit(":", 2)
    if host != processes.host():
        return False
    try:
        process = psutil.Process(int(pid))
        return process.status() == psutil.STATUS_ZOMBIE or process.create_time() != float(created)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
