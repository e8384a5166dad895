"""First on an order event's way: what is read of a chain, as its nodes tell it. Pure.

Numbers stay the hexadecimal text of JSON-RPC until somebody needs them: of most logs only a few words are ever read."""

from datetime import UTC, datetime

import msgspec

ZERO_ADDRESS = "0x" + "0" * 40  # the chain's own coin


class Block(msgspec.Struct, frozen=True, rename="camel"):
    """The header of one block. `logs_bloom` may be empty where a node leaves it out."""

    number: str
    hash: str
    parent_hash: str
    timestamp: str
    logs_bloom: str = ""

    @property
    def height(self) -> int:
        return int(self.number, 16)

    @property
    def time(self) -> datetime:
        return moment(self.timestamp)


class Log(msgspec.Struct, frozen=True, rename="camel"):
    """One log entry of a contract. `block_timestamp` is None where a node does not tell it."""

    address: str
    topics: list[str]
    data: str
    block_number: str
    block_hash: str
    transaction_hash: str
    log_index: str
    block_timestamp: str | None = None
    removed: bool = False

    @property
    def height(self) -> int:
        return int(self.block_number, 16)

    @property
    def index(self) -> int:
        return int(self.log_index, 16)


def moment(seconds: str) -> datetime:
    """An aware datetime from a block's hexadecimal epoch seconds."""
    return datetime.fromtimestamp(int(seconds, 16), UTC)


def may_hold(bloom: str, items: list[bytes]) -> bool:
    """Whether a block with this logs bloom may hold a log that has all of `items` (the Keccak-256 hashes of address and
    topic): three bits each, Yellow Paper section 4.4.3. False is certain; a missing bloom may hold anything."""
    if len(bloom) < 514:
        return True
    bits = int(bloom, 16)
    return all(
        bits >> (int.from_bytes(digest[place : place + 2]) & 2047) & 1 for digest in items for place in (0, 2, 4)
    )
