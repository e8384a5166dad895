"""Beside the scanner: one at a time writes the orders of a contract, by an advisory lock of PostgreSQL.

The lock belongs to the connection that writes: whoever loses the connection loses both, and its unfinished transaction
with them. Each write asks for the lock once more and compares the cursor with the one that it goes on from, so that not
even a scanner that was silent for an hour can write over what its successor has done."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection, transaction

from dex.models import SystemState


class LeaseLost(Exception):
    """Another scanner has taken over; nothing was written."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One contract on one chain, read from `start_block` on; `contract` is checksummed."""

    chain_id: int
    contract: str
    start_block: int = 0

    @property
    def component(self) -> str:
        return f"scanner:{self.chain_id}:{self.contract}"

    @property
    def lock(self) -> int:
        return int.from_bytes(hashlib.sha256(self.component.encode()).digest()[:8], signed=True)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last block whose events are stored. `hash` is empty before the first."""

    block: int
    hash: str


TAKE = "SELECT pg_try_advisory_lock(%s)"
CONFIRM = "SELECT pg_try_advisory_xact_lock(%s)"


def take(deployment: Deployment) -> bool:
    """Whether this process is the contract's scanner now; it stays so until its connection ends."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [deployment.lock])
        taken: bool = cursor.fetchone()[0]
    return taken


@contextmanager
def fenced(deployment: Deployment, expected: Cursor) -> Iterator[None]:
    """A transaction in which nobody else writes this contract's orders. Raises LeaseLost."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(CONFIRM, [deployment.lock])
            if not cursor.fetchone()[0]:
                raise LeaseLost("another scanner holds the lease")
        row = SystemState.objects.select_for_update().filter(pk=deployment.component).first()
        if row is None or (row.last_processed_block, row.last_block_hash) != (expected.block, expected.hash):
            raise LeaseLost("another scanner has moved the cursor")
        yield
