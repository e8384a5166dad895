"""Where DEX orders rest: orders, the history and ledger of their events, tokens, and how far each scanner is."""

from typing import Any

from django.db import models
from django.db.models import Q
from timescale.db.models.fields import TimescaleDateTimeField

from dex.events import EventType, Status

STATUSES = [(str(status), status.capitalize()) for status in Status]
EVENTS = [(str(kind), str(kind)) for kind in EventType]


def Amount(**options: Any) -> models.DecimalField:  # noqa: N802 - a kind of field
    """A uint256: whole, in a token's smallest unit."""
    return models.DecimalField(max_digits=78, decimal_places=0, **options)


class SystemState(models.Model):
    """How far the scanner of one contract is, and how it goes. The cursor is the last block whose events are stored."""

    component_name = models.CharField(max_length=100, primary_key=True, help_text="scanner:<chain>:<contract>")
    chain_id = models.BigIntegerField()
    contract = models.CharField(max_length=42)
    start_block = models.BigIntegerField()
    last_processed_block = models.BigIntegerField(help_text="One before start_block while nothing is read.")
    last_block_hash = models.CharField(max_length=66, blank=True, default="")
    status = models.CharField(max_length=16, help_text="recovering, live, waiting or stopped")
    head_block = models.BigIntegerField(null=True)
    head_time = models.DateTimeField(null=True, help_text="Of the head block, as the chain tells it.")
    confirmations = models.IntegerField(default=0)
    provider = models.CharField(max_length=200, blank=True, default="", help_text="Without path and credentials.")
    failures = models.IntegerField(default=0, help_text="Rounds in a row that failed.")
    last_error = models.TextField(blank=True, default="")
    reorgs = models.IntegerField(default=0)
    deepest_reorg = models.IntegerField(default=0)
    last_reorg_at = models.DateTimeField(null=True)
    revision = models.BigIntegerField(default=0, help_text="Rises by one with each commit that changes orders.")
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "system_state"

    def __str__(self) -> str:
        return self.component_name


class ScannedBlock(models.Model):
    """Hashes of blocks that were read: every one near the head, the last of each range further down."""

    pk = models.CompositePrimaryKey("chain_id", "contract", "number")
    chain_id = models.BigIntegerField()
    contract = models.CharField(max_length=42)
    number = models.BigIntegerField()
    hash = models.CharField(max_length=66)

    class Meta:
        db_table = "scanned_blocks"


class Token(models.Model):
    """What a token says of itself. `decimals` is None for one that does not tell: its amounts stay raw."""

    pk = models.CompositePrimaryKey("chain_id", "address")
    chain_id = models.BigIntegerField()
    address = models.CharField(max_length=42)
    symbol = models.CharField(max_length=32, blank=True)
    name = models.CharField(max_length=80, blank=True)
    decimals = models.SmallIntegerField(null=True)
    read_at = models.DateTimeField()

    class Meta:
        db_table = "tokens"


class Order(models.Model):
    """An order as its events that still stand have left it."""

    pk = models.CompositePrimaryKey("chain_id", "contract", "order_id")
    chain_id = models.BigIntegerField()
    contract = models.CharField(max_length=42)
    order_id = Amount(db_column="id")
    user_address = models.CharField(max_length=42)
    token_in = models.CharField(max_length=42)
    token_out = models.CharField(max_length=42)
    amount_in = Amount()
    target_price = Amount(help_text="Whole tokens out for one whole token in, times 10^18.")
    order_type = models.CharField(max_length=16)
    status = models.CharField(max_length=9, choices=STATUSES)
    tx_hash = models.CharField(max_length=66, help_text="Of the creation.")
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField(help_text="Time of the block that brought the status.")
    executed_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    amount_out = Amount(null=True)
    changed_block = models.BigIntegerField()
    changed_index = models.IntegerField()
    quote_out = Amount(null=True, help_text="What the router would give for amount_in.")
    quoted_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "orders"
        indexes = [
            models.Index(fields=["chain_id", "contract", "status", "-changed_at", "-order_id"], name="orders_status"),
            models.Index(fields=["chain_id", "contract", "user_address", "-changed_at"], name="orders_user"),
        ]


class OrderEvent(models.Model):
    """One event of an order: what it said, and what it did. Orphaned ones stay, marked."""

    pk = models.CompositePrimaryKey("timestamp", "chain_id", "block_hash", "log_index")
    timestamp = TimescaleDateTimeField(interval="30 days")
    chain_id = models.BigIntegerField()
    block_hash = models.CharField(max_length=66)
    log_index = models.IntegerField()
    contract = models.CharField(max_length=42)
    order_id = Amount()
    event_type = models.CharField(max_length=16, choices=EVENTS)
    old_status = models.CharField(max_length=9, null=True)
    new_status = models.CharField(max_length=9, null=True)
    block_number = models.BigIntegerField()
    tx_hash = models.CharField(max_length=66)
    user_address = models.CharField(max_length=42, null=True)
    token_in = models.CharField(max_length=42, null=True)
    token_out = models.CharField(max_length=42, null=True)
    amount_in = Amount(null=True)
    amount_out = Amount(null=True)
    target_price = Amount(null=True)
    order_type = models.CharField(max_length=16, null=True)
    anomaly = models.CharField(max_length=24, blank=True, default="", help_text="Why it was refused.")
    orphaned = models.BooleanField(default=False, help_text="Its block is no longer part of the chain.")

    class Meta:
        db_table = "order_events"
        indexes = [
            models.Index(fields=["order_id", "block_number", "log_index"], name="order_events_order"),
            models.Index(fields=["chain_id", "contract", "block_number"], name="order_events_block"),
        ]


class ProcessedEvent(models.Model):
    """The ledger: every log of the contract's order events, once for each block that held it."""

    pk = models.CompositePrimaryKey("chain_id", "block_hash", "tx_hash", "log_index")
    chain_id = models.BigIntegerField()
    block_hash = models.CharField(max_length=66)
    tx_hash = models.CharField(max_length=66)
    log_index = models.IntegerField()
    contract = models.CharField(max_length=42)
    block_number = models.BigIntegerField()
    event_type = models.CharField(max_length=16)
    anomaly = models.CharField(max_length=24, blank=True, default="")
    orphaned = models.BooleanField(default=False)
    processed_at = models.DateTimeField()

    class Meta:
        db_table = "processed_events"
        indexes = [
            models.Index(fields=["chain_id", "contract", "block_number"], name="processed_events_block"),
            models.Index(
                fields=["chain_id", "contract"],
                condition=~Q(anomaly="") & Q(orphaned=False),
                name="processed_events_anomalies",
            ),
        ]
