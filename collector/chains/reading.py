"""On an order event's way between a node and the scanner: stretches of blocks with their logs, checked before anybody
believes them.

An empty answer from a node that lags is not "no events": the node has to know the last block before and after it told
the logs, headers have to lead from one to the next, every log has to stand in a block of that chain, and where a
header's bloom promises an event that was not told, the block itself is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from eth_utils.crypto import keccak

from collector.chains.evm import Contradiction, Lagging, Node
from dex.chain import Block, Log, may_hold
from dex.services import Cursor, Stretch


@dataclass(frozen=True, slots=True)
class Source:
    """What is read: the contract and the topics of its order events."""

    contract: str
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """A stretch, and the block that it follows: None for the first of the chain."""

    parent: Cursor | None
    stretch: Stretch


def read_range(node: Node, source: Source, first: int, last: int) -> Read:
    """A long stretch far below the head: the headers at its ends and its logs. Raises ChainError."""
    (before, end), logs, again = node.range_with_logs(first, last, source.contract, source.topics)
    if end is None or again is None or before is None:
        raise Lagging(f"the node has no block {last}")
    if end.hash != again.hash:
        raise Contradiction(f"block {last} changed while its logs were read")
    logs = _complete(node, source, [end], _checked(source, logs, first, last, {last: end.hash}))
    unknown = sorted({log.height for log in logs if log.block_timestamp is None})
    times = {block.hash: block.time for block in headers(node, unknown)}
    if not {log.block_hash for log in logs if log.block_timestamp is None} <= set(times):
        raise Contradiction("a log stands in a block that is not on the chain")
    hashes = [(before.height, before.hash), (last, end.hash)]
    parent = Cursor(first - 1, before.hash) if first > 0 else None
    return Read(parent, Stretch(Cursor(last, end.hash), logs, times, hashes))


def read_blocks(node: Node, source: Source, first: int, last: int) -> Read:
    """A short stretch near the head: every header, and the logs. Raises ChainError."""
    found, logs = node.blocks_with_logs(first, last, source.contract, source.topics)
    blocks = _chained(found, first)
    hashes = {block.height: block.hash for block in blocks}
    logs = _complete(node, source, blocks, _checked(source, logs, first, last, hashes))
    times = {block.hash: block.time for block in blocks}
    parent = Cursor(first - 1, blocks[0].parent_hash) if first > 0 else None
    return Read(parent, Stretch(Cursor(last, blocks[-1].hash), logs, times, list(hashes.items())))


def headers(node: Node, numbers: Sequence[int]) -> list[Block]:
    """Headers that have to be there. Raises Lagging."""
    found = node.blocks(numbers) if numbers else []
    there = [block for block in found if block is not None]
    if len(there) != len(numbers):
        raise Lagging("the node has not all blocks")
    return there


def _chained(found: Sequence[Block | None], first: int) -> list[Block]:
    """Headers that lead from one to the next. Raises Lagging and Contradiction."""
    blocks = [block for block in found if block is not None]
    if len(blocks) != len(found):
        raise Lagging(f"the node has not all of {len(found)} blocks from {first} on")
    for number, block in enumerate(blocks):
        if block.height != first + number or (number and block.parent_hash != blocks[number - 1].hash):
            raise Contradiction(f"block {first + number} does not follow the one before it")
    return blocks


def _checked(source: Source, logs: Sequence[Log], first: int, last: int, known: dict[int, str]) -> list[Log]:
    """Logs of this contract, in this range, of one chain. Raises Contradiction."""
    hashes = dict(known)
    for log in logs:
        height = log.height
        if not first <= height <= last or log.address.lower() != source.contract.lower():
            raise Contradiction("a log that was not asked for")
        if hashes.setdefault(height, log.block_hash) != log.block_hash:
            raise Contradiction(f"logs of two blocks {height}")
    return list(logs)


def _complete(node: Node, source: Source, blocks: Sequence[Block], logs: list[Log]) -> list[Log]:
    """`logs`, and those of blocks that should hold some and of which none was told."""
    told = {log.block_hash for log in logs}
    for block in blocks:
        if block.hash not in told and _promises(block, source):
            logs += [log for log in node.logs_in(block.hash, source.contract, source.topics) if not log.removed]
    return logs


def _promises(block: Block, source: Source) -> bool:
    return bool(block.logs_bloom) and any(
        may_hold(block.logs_bloom, [_digest(source.contract), _digest(topic)]) for topic in source.topics
    )


@cache
def _digest(text: str) -> bytes:
    return bytes(keccak(bytes.fromhex(text.removeprefix("0x"))))
