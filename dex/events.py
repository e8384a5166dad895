"""On an order event's way from decoding to the state machine: the words of orders. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

PRICE_DECIMALS = 18  # target prices are whole tokens out for one whole token in, times 10^18


class EventType(StrEnum):
    CREATED = "OrderCreated"
    EXECUTED = "OrderExecuted"
    CANCELLED = "OrderCancelled"


class Status(StrEnum):
    PENDING = "PENDING"
    EXECUTED = "EXECUTED"
    CANCELLED = "CANCELLED"


RESULTS = {
    EventType.CREATED: Status.PENDING,
    EventType.EXECUTED: Status.EXECUTED,
    EventType.CANCELLED: Status.CANCELLED,
}
ORDER_TYPES = ("LIMIT", "STOP")  # by the contract's number


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One decoded event. Amounts are in the token's smallest unit, addresses checksummed, `order_type` a word.

    Which fields are None depends on the event: an execution need not repeat what the creation said."""

    kind: EventType
    order_id: int
    block_number: int
    block_hash: str
    tx_hash: str
    log_index: int
    time: datetime
    user: str | None = None
    token_in: str | None = None
    token_out: str | None = None
    amount_in: int | None = None
    amount_out: int | None = None
    target_price: int | None = None
    order_type: str | None = None

    @property
    def position(self) -> tuple[int, int]:
        """Where it stands on its chain."""
        return self.block_number, self.log_index


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a token says of itself. `decimals` is None for one that does not tell: its amounts can only be told raw."""

    address: str
    symbol: str
    name: str
    decimals: int | None


@dataclass(frozen=True, slots=True)
class Quote:
    """What the router would have given for a pending order at `at`, in smallest units of its token out."""

    amount_out: int
    at: datetime


def exact(amount: int, decimals: int) -> str:
    """`amount` smallest units as a plain decimal number, with no digit lost and no zero to spare: 50, 3 -> "0.05"."""
    sign, digits = ("-" if amount < 0 else ""), str(abs(amount)).rjust(decimals + 1, "0")
    whole, part = (digits[:-decimals], digits[-decimals:].rstrip("0")) if decimals else (digits, "")
    return f"{sign}{whole}.{part}" if part else sign + whole
