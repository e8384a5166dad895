"""Where accepted batches wait while the database is away: one file each, synced to disk, given back in their order.

A file holds one frame and gets its name when it is whole and synced, so a crash leaves a nameless rest, never half a
batch. Any number of processes may write; one at a time gives back, and a file goes only after its batch is stored."""

import fcntl
import logging
import os
import struct
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

logger = logging.getLogger(__name__)

MAGIC = b"SPL1"
HEADER = struct.Struct(">4sII")  # magic, CRC-32 and length of what follows
WAITING, ASIDE, UNFINISHED = ".batch", ".aside", ".part"
ABANDONED = 60.0  # seconds after which an unfinished file is nobody's


class SpoolFull(Exception):
    """The spool cannot take the batch: its bound is reached, or the disk refuses; the message says which."""


class Unusable(Exception):
    """What a batch holds can never be stored; it is set aside and does not keep the others waiting."""


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A batch: its id, for storing it once; what kind it is; its content, encoded."""

    id: str
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class SpoolState:
    """What waits: batches, their bytes, the bound in bytes, when the oldest came; and how many were set aside."""

    batches: int
    bytes: int
    limit: int
    oldest: datetime | None
    aside: int

    @property
    def full(self) -> bool:
        return self.bytes >= self.limit


def frame(payload: bytes) -> bytes:
    return HEADER.pack(MAGIC, zlib.crc32(payload), len(payload)) + payload


def unframe(data: bytes) -> bytes | None:
    """The payload of one whole frame; None for anything else."""
    if len(data) < HEADER.size:
        return None
    magic, checksum, length = HEADER.unpack_from(data)
    payload = data[HEADER.size :]
    whole = magic == MAGIC and len(payload) == length and zlib.crc32(payload) == checksum
    return payload if whole else None


class Spool:
    """The spool in `folder`, bounded to `limit` bytes; notes (small, telling what was refused) may go `reserve` above.

    Processes that write at the same moment may pass the bound by a batch each."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self.reserve = max(limit // 20, 64 * 1024)

    def append(self, record: Record, note: bool = False) -> None:
        """Keeps the record; it is on disk when this returns. Raises SpoolFull."""
        data = frame(msgspec.msgpack.encode(record))
        taken = sum(size for _, size in self._files(WAITING))
        if taken + len(data) > self.limit + (self.reserve if note else 0):
            raise SpoolFull(f"{taken} of {self.limit} bytes are taken")
        name = f"{time.time_ns():020d}-{record.id}"
        unfinished = self.folder / f"{name}{UNFINISHED}"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_synced(unfinished, data)
            unfinished.rename(self.folder / f"{name}{WAITING}")
            _sync_folder(self.folder)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            raise SpoolFull(f"the disk refuses: {error}") from error

    def empty(self) -> bool:
        return not any(True for _ in self._files(WAITING))

    def replay(self, apply: Callable[[Record], None]) -> int:
        """Gives every waiting record to `apply`, oldest first, and forgets it when that returns; gives how many.

        Ends with what `apply` raises, the record kept; one that is damaged or Unusable is set aside. While another
        process replays nothing happens."""
        with self._only_one() as ours:
            if not ours:
                return 0
            self._clear_abandoned()
            done = 0
            for name, _ in sorted(self._files(WAITING)):
                path = self.folder / name
                try:
                    apply(_read(path))
                except Unusable as error:
                    logger.error("%s is set aside, for it cannot be stored: %s", path, error)
                    path.rename(path.with_suffix(ASIDE))
                    continue
                path.unlink(missing_ok=True)
                done += 1
            return done

    def state(self) -> SpoolState:
        waiting = sorted(self._files(WAITING))
        oldest = datetime.fromtimestamp(int(waiting[0][0].split("-")[0]) / 1e9, UTC) if waiting else None
        aside = sum(1 for _ in self._files(ASIDE))
        return SpoolState(len(waiting), sum(size for _, size in waiting), self.limit, oldest, aside)

    def identity(self) -> str:
        """A word that no other spool has, wherever this one is seen from."""
        path = self.folder / "id"
        with suppress(FileNotFoundError):
            return path.read_text()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        own = self.folder / f"id-{uuid.uuid4().hex}"
        own.write_text(uuid.uuid4().hex)
        with suppress(FileExistsError):
            os.link(own, path)  # whole at once; the first process wins
        own.unlink()
        return path.read_text()

    def _files(self, suffix: str) -> Iterator[tuple[str, int]]:
        """Names and sizes of files with this suffix, in no order."""
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    if entry.name.endswith(suffix):
                        with suppress(FileNotFoundError):  # stored meanwhile
                            yield entry.name, entry.stat().st_size
        except FileNotFoundError:
            return

    @contextmanager
    def _only_one(self) -> Iterator[bool]:
        """Whether this process may replay; the lock ends with the process, however that ends."""
        if not self.folder.exists():
            yield False
            return
        with (self.folder / "replay.lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _clear_abandoned(self) -> None:
        for name, _ in list(self._files(UNFINISHED)):
            path = self.folder / name
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > ABANDONED:
                    path.unlink()


def _read(path: Path) -> Record:
    payload = unframe(path.read_bytes())
    if payload is None:
        raise Unusable("it is damaged")
    try:
        return msgspec.msgpack.decode(payload, type=Record)
    except msgspec.DecodeError as error:
        raise Unusable(str(error)) from error


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
