"""On an order event's way between the chain and the state machine: logs in, events out, by a contract's ABI. Pure.

Any deployment will do whose events are called OrderCreated, OrderExecuted and OrderCancelled and whose parameters go by
a name that NAMES knows; whether a parameter is indexed, and which others stand beside it, does not matter."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError, ParseError
from eth_utils.abi import collapse_if_tuple, event_abi_to_log_topic

from dex.addresses import checksummed
from dex.chain import Log, moment
from dex.events import ORDER_TYPES, EventType, OrderEvent

# Field by the names that contracts give it, in lower case and without underscores.
NAMES = {
    "order_id": ("orderid", "id"),
    "user": ("user", "useraddress", "owner", "maker", "trader", "creator"),
    "token_in": ("tokenin", "fromtoken", "selltoken"),
    "token_out": ("tokenout", "totoken", "buytoken"),
    "amount_in": ("amountin", "sellamount"),
    "amount_out": ("amountout", "amountreceived", "buyamount"),
    "target_price": ("targetprice", "price", "limitprice"),
    "order_type": ("ordertype", "type", "kind"),
}
FIELDS = {name: field for field, names in NAMES.items() for name in names}
CREATION = ("order_id", "user", "token_in", "token_out", "amount_in", "target_price")
TYPES = {
    "order_id": r"uint\d*",
    "user": "address",
    "token_in": "address",
    "token_out": "address",
    "amount_in": r"uint\d*",
    "amount_out": r"uint\d*",
    "target_price": r"uint\d*",
    "order_type": r"uint\d*|string",
}
_STATIC = re.compile(r"(u?int\d*|address|bool|bytes\d+)")
_WORD = 64  # hexadecimal digits


class AbiError(ValueError):
    """An ABI that does not describe the three events; the message says what is missing."""


class Undecodable(ValueError):
    """A log whose bytes are not what the ABI says."""


@dataclass(frozen=True, slots=True)
class _Parameter:
    """Where a field stands: the topic of this number, or the word of the data (for static data), or the value."""

    field: str
    kind: str
    topic: int | None
    place: int


@dataclass(frozen=True, slots=True)
class _Shape:
    kind: EventType
    topics: int
    parameters: tuple[_Parameter, ...]
    data_kinds: tuple[str, ...]
    static: bool


class Decoder:
    """Turns logs of one contract into events. `topics` are the three events' first topics, for a filter."""

    def __init__(self, abi: Sequence[Mapping[str, Any]]) -> None:
        """Raises AbiError."""
        self._shapes: dict[str, _Shape] = {}
        wanted = {str(kind): kind for kind in EventType}
        for entry in abi:
            kind = wanted.get(str(entry.get("name"))) if entry.get("type") == "event" else None
            if kind is not None:
                topic = "0x" + event_abi_to_log_topic(entry).hex()  # type: ignore[arg-type]
                self._shapes[topic] = _shape(kind, entry["inputs"])
        missing = set(EventType) - {shape.kind for shape in self._shapes.values()}
        if missing:
            raise AbiError(f"no event {', '.join(sorted(missing))}")

    @property
    def topics(self) -> list[str]:
        return sorted(self._shapes)

    def kind(self, log: Log) -> EventType | None:
        """Which event a log claims to be; None for others of the contract."""
        shape = self._shapes.get(log.topics[0].lower()) if log.topics else None
        return shape.kind if shape else None

    def decode(self, log: Log, time: datetime | None = None) -> OrderEvent:
        """The event of a log; `time` is its block's where the log does not tell it. Raises Undecodable."""
        shape = self._shapes.get(log.topics[0].lower()) if log.topics else None
        if shape is None or len(log.topics) != shape.topics:
            raise Undecodable("another event, or another number of indexed parameters")
        try:
            values = _values(shape, log)
            when = moment(log.block_timestamp) if time is None and log.block_timestamp else time
        except (ValueError, OverflowError) as error:
            raise Undecodable(str(error)) from error
        if when is None:
            raise Undecodable("the time of its block is not known")
        return OrderEvent(
            kind=shape.kind,
            block_number=log.height,
            block_hash=log.block_hash,
            tx_hash=log.transaction_hash,
            log_index=log.index,
            time=when,
            **values,
        )


def _shape(kind: EventType, inputs: Sequence[Mapping[str, Any]]) -> _Shape:
    data_kinds: list[str] = []
    parameters, topics = [], 1
    for entry in inputs:
        field = FIELDS.get(str(entry.get("name", "")).replace("_", "").lower())
        sort = collapse_if_tuple(entry)  # type: ignore[arg-type]
        topic = topics if entry.get("indexed") else None
        if field and not re.fullmatch(TYPES[field], sort):
            field = None
        if field and not (topic is not None and sort == "string"):  # of an indexed text only the hash is there
            parameters.append(_Parameter(field, sort, topic, len(data_kinds)))
        if topic is None:
            data_kinds.append(sort)
        else:
            topics += 1
    needed = CREATION if kind is EventType.CREATED else ("order_id",)
    missing = [field for field in needed if field not in {parameter.field for parameter in parameters}]
    if missing:
        raise AbiError(f"{kind} has no {', '.join(missing)}")
    static = all(_STATIC.fullmatch(sort) for sort in data_kinds)
    return _Shape(kind, topics, tuple(parameters), tuple(data_kinds), static)


def _values(shape: _Shape, log: Log) -> dict[str, Any]:
    """Fields by name. Raises ValueError."""
    data = log.data[2:]
    if shape.static:
        if len(data) != len(shape.data_kinds) * _WORD:
            raise ValueError("the data is of another length")
        words = [data[at : at + _WORD] for at in range(0, len(data), _WORD)]
        return {
            one.field: _static(one.kind, log.topics[one.topic][2:] if one.topic is not None else words[one.place])
            for one in shape.parameters
        } | _word_of_type(shape, log, words)
    try:
        found = abi_decode(shape.data_kinds, bytes.fromhex(data))
    except (DecodingError, ParseError) as error:
        raise ValueError(str(error)) from error
    return {one.field: _dynamic(one, log, found) for one in shape.parameters}


def _word_of_type(shape: _Shape, log: Log, words: list[str]) -> dict[str, Any]:
    for one in shape.parameters:
        if one.field == "order_type":
            number = int(log.topics[one.topic] if one.topic is not None else words[one.place], 16)
            return {"order_type": order_type(number)}
    return {}


def _static(kind: str, word: str) -> int | str:
    """An unsigned number or a checksummed address from one word. Raises ValueError for an impossible one."""
    if len(word) != _WORD:
        raise ValueError("a word is of another length")
    if kind == "address":
        return checksummed(word[24:])
    number = int(word, 16)
    if number >> int(kind[4:] or 256):
        raise ValueError(f"{number} is no {kind}")
    return number


def _dynamic(one: _Parameter, log: Log, found: Sequence[Any]) -> int | str:
    value = _static(one.kind, log.topics[one.topic][2:]) if one.topic is not None else found[one.place]
    if one.field == "order_type":
        return order_type(value)
    return checksummed(str(value)[2:]) if one.kind == "address" else value


def order_type(value: int | str) -> str:
    """The word of a contract's number (TYPE_7 for one that is not known here), or its own word in capitals, of which
    nothing is kept that cannot be shown: anybody may write anything into it."""
    if isinstance(value, str):
        return "".join(letter for letter in value.upper() if letter.isprintable())[:16]
    return ORDER_TYPES[value] if value < len(ORDER_TYPES) else f"TYPE_{value}"[:16]
