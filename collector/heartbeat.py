"""Signs of life: each process writes one to Redis every few seconds, and anyone can read who is alive."""

import json
import logging
import os
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
from redis import RedisError

from collector.processes import host
from markets.connections import broker_redis

logger = logging.getLogger(__name__)

PERIOD = 5.0
LIFETIME = 30  # seconds without a sign after which a process counts as gone
TASK_LIFETIME = 3600
_ends: dict[tuple[str, int], threading.Event] = {}


@dataclass(frozen=True, slots=True)
class ProcessBeat:
    """A process that is alive. CPU (percent of one core) and memory (bytes) are with its children's; `last_task_at`
    is when it last ended a task (worker) or sent one (beat)."""

    name: str
    host: str
    pid: int
    started_at: datetime
    at: datetime
    cpu_percent: float
    memory_bytes: int
    last_task_at: datetime | None


def beat(process_name: str) -> None:
    """Starts the thread that writes this process's signs of life; a second call changes nothing."""
    key = (process_name, os.getpid())
    if key not in _ends:
        _ends[key] = threading.Event()
        arguments = (process_name, _ends[key])
        threading.Thread(target=_run, args=arguments, name="heartbeat", daemon=True).start()


def end(process_name: str) -> None:
    """Ends what `beat` started."""
    if found := _ends.pop((process_name, os.getpid()), None):
        found.set()


def task_done(pid: int) -> None:
    """Notes that the process `pid` of this host has done a task."""
    try:
        broker_redis().set(f"task:{host()}:{pid}", time.time(), ex=TASK_LIFETIME)
    except RedisError as error:
        logger.debug("the end of a task is not noted: Redis is away (%s)", error)


def _run(name: str, ended: threading.Event) -> None:
    machine: dict[int, psutil.Process] = {}
    while not ended.is_set():
        try:
            write(name, machine)
        except RedisError as error:
            logger.debug("no sign of life: Redis is away (%s)", error)
        except psutil.Error as error:
            logger.warning("no sign of life: %s", error)
        ended.wait(PERIOD)


def write(name: str, known: dict[int, psutil.Process]) -> None:
    """Writes one sign of life. `known` keeps the processes between calls, for CPU is a difference of two readings."""
    own = psutil.Process()
    members = [own, *own.children(recursive=True)]
    for pid in set(known) - {member.pid for member in members}:
        del known[pid]
    cpu, memory = 0.0, 0
    for member in members:
        member = known.setdefault(member.pid, member)
        try:
            cpu += member.cpu_percent()
            memory += member.memory_info().rss
        except psutil.NoSuchProcess:
            known.pop(member.pid, None)
    body = {"started_at": own.create_time(), "at": time.time(), "cpu_percent": round(cpu, 1), "memory_bytes": memory}
    broker_redis().set(f"process:{name}:{host()}:{own.pid}", json.dumps(body), ex=LIFETIME)


def processes() -> list[ProcessBeat]:
    """Who is alive, by name and pid. Raises redis.RedisError."""
    client = broker_redis()
    keys = sorted(key.decode() for key in client.scan_iter("process:*", count=1000))
    if not keys:
        return []
    places = [key.removeprefix("process:").split(":", 1) for key in keys]
    bodies = client.mget(keys)
    tasks = client.mget([f"task:{place}" for _, place in places])
    found = zip(places, bodies, tasks, strict=True)
    return [_beat(name, place, body, task) for (name, place), body, task in found if body is not None]


def _beat(name: str, place: str, body: bytes | str, task: bytes | str | None) -> ProcessBeat:
    written = json.loads(body)
    where, _, pid = place.rpartition(":")
    return ProcessBeat(
        name=name,
        host=where,
        pid=int(pid),
        started_at=datetime.fromtimestamp(written["started_at"], UTC),
        at=datetime.fromtimestamp(written["at"], UTC),
        cpu_percent=written["cpu_percent"],
        memory_bytes=written["memory_bytes"],
        last_task_at=datetime.fromtimestamp(float(task), UTC) if task else None,
    )
